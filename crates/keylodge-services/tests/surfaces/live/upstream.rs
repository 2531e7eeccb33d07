//! Sessions with a model at a Gemini upstream.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use keylodge_gate::Clock;
use keylodge_rules::Timestamp;
use keylodge_services::Upstreams;
use keylodge_services::relay::Kind;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::{Client, SERVICE, setup};
use crate::support::{House, MODEL, NOON};
use crate::upstreams::settings;

/// A Live server: what it was told, and by whom.
#[derive(Clone, Default)]
struct There(Arc<Mutex<Vec<(String, Value)>>>);

impl There {
    /// A house in front of one.
    async fn before() -> (House, Self) {
        let there = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock: Clock = Arc::new(|| Timestamp::from_micros(NOON));
        let settings = settings("there", Kind::Gemini, &url);
        let upstreams = Upstreams::new(vec![(settings, Some("good".to_owned()))], &clock).unwrap();
        let serving = there.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let there = serving.clone();
                tokio::spawn(async move { there.serve(stream).await });
            }
        });
        (House::with_upstreams(upstreams).await, there)
    }

    async fn serve(&self, stream: TcpStream) {
        let mut key = String::new();
        #[expect(clippy::result_large_err, reason = "as the library has it")]
        let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            key = request.headers()["x-goog-api-key"].to_str().unwrap().to_owned();
            Ok(response)
        };
        let mut socket = accept_hdr_async(stream, note).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let said: Value = serde_json::from_str(&text).unwrap();
            self.0.lock().unwrap().push((key.clone(), said.clone()));
            self.answer(&mut socket, &said).await;
        }
    }

    async fn answer(&self, socket: &mut WebSocketStream<TcpStream>, said: &Value) {
        let answers = if said.get("setup").is_some() {
            let count = self.setups().len();
            let update = json!({"newHandle": format!("handle-{count}"), "resumable": true});
            vec![json!({"setupComplete": {}}), json!({ "sessionResumptionUpdate": update })]
        } else {
            vec![json!({"serverContent": {"turnComplete": true}})]
        };
        for answer in answers {
            socket.send(Message::binary(answer.to_string().into_bytes())).await.unwrap();
        }
    }

    /// The setups that came, and the keys they came with.
    fn setups(&self) -> Vec<(String, Value)> {
        let heard = self.0.lock().unwrap();
        heard.iter().filter_map(|(key, said)| Some((key.clone(), said.get("setup")?.clone()))).collect()
    }
}

/// A setup for a model there.
fn there(more: &Value) -> Value {
    let mut setup = json!({"model": "models/gemini-live"});
    setup.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    setup
}

impl Client {
    /// The handle that the upstream gives after the setup.
    async fn handle_there(&mut self) -> Value {
        let update = self.hear().await["sessionResumptionUpdate"].take();
        json!({"sessionResumption": {"handle": update["newHandle"]}})
    }
}

#[tokio::test]
async fn a_session_at_an_upstream_goes_on_there_in_one_connection_at_a_time() {
    let (house, upstream) = There::before().await;
    let token = house.make_token(&json!({})).await;
    let mut first = house.session_of(&token).await;
    first.set_up(&there(&json!({"sessionResumption": {}}))).await;
    let handle = first.handle_there().await;

    let mut second = house.session_of(&token).await;
    second.set_up(&there(&handle)).await;

    let (code, reason) = first.closed().await;
    assert!(code == 1000 && reason.contains("another connection"), "{code} {reason}");
    assert_eq!(upstream.setups()[1].1["sessionResumption"], handle["sessionResumption"]);
}

#[tokio::test]
async fn a_handle_is_no_handle_anywhere_else_than_where_it_was_given() {
    let (house, upstream) = There::before().await;
    let refused = async |setup: &Value| {
        let mut client = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
        client.say(setup).await;
        let (code, reason) = client.closed().await;
        assert!(code == 1008 && reason.contains("not known"), "{code} {reason}");
    };
    let mut of_there = house.session(&there(&json!({"sessionResumption": {}}))).await;
    let handle_there = of_there.handle_there().await;
    let mut of_here = house.session(&json!({"sessionResumption": {}})).await;
    of_here.ask("Hi").await;
    let handle_here = of_here.handle_there().await;

    refused(&setup(&handle_there)).await;
    refused(&setup(&there(&handle_here))).await;

    assert_eq!(upstream.setups().len(), 1, "the other was never asked");
    assert_eq!(of_here.ask("Hi").await.0, "x", "{MODEL} goes on");
}
