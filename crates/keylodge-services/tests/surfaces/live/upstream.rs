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
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::{Client, SERVICE, setup};
use crate::support::{House, MODEL, NOON};
use crate::upstreams::settings;

const CREDENTIALS: &str = "/keylodge/v1/upstreams/there";

/// A Live server: what it was told, and by whom.
#[derive(Clone, Default)]
struct There(Arc<Mutex<Vec<(String, Value)>>>);

impl There {
    /// A house in front of one, with these keys. What a key begins with is what it gets: `good` an answer, `wrong` and `busy`
    /// the end that Google's servers give to such.
    async fn before(keys: &[&str]) -> (House, Self) {
        let there = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock: Clock = Arc::new(|| Timestamp::from_micros(NOON));
        let settings = settings("there", Kind::Gemini, &url);
        let upstreams = Upstreams::new(vec![(settings, Some(keys[0].to_owned()))], &clock).unwrap();
        let serving = there.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let there = serving.clone();
                tokio::spawn(async move { there.serve(stream).await });
            }
        });
        let house = House::with_upstreams(upstreams).await;
        for key in &keys[1..] {
            house.manage("POST", &format!("{CREDENTIALS}/credentials"), Some(json!({ "secret": key }))).await.ok();
        }
        (house, there)
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
            let (code, reason) = match (key.split('-').next(), said["setup"]["model"].as_str()) {
                (Some("wrong"), _) => (1007, "API key not valid. Please pass a valid API key."),
                (Some("busy"), _) => (1011, "You exceeded your current quota, please check your plan"),
                (_, Some("models/nobody")) => (1008, "models/nobody is not found for API version v1beta"),
                _ => {
                    self.answer(&mut socket, &said).await;
                    continue;
                }
            };
            let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
            socket.close(Some(frame)).await.unwrap();
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

/// How our credentials there fare, in the order in which they were put in.
async fn states(house: &House) -> Vec<String> {
    let listed = house.manage("GET", "/keylodge/v1/upstreams", None).await.ok();
    let credentials = listed["upstreams"][0]["credentials"].as_array().unwrap();
    credentials.iter().map(|credential| credential["state"].as_str().unwrap().to_owned()).collect()
}

/// How a session ends whose setup is this.
async fn refused(house: &House, asked: &Value) -> (u16, String) {
    let mut client = house.connect(SERVICE, &[("x-goog-api-key", &house.key)]).await;
    client.say(&setup(asked)).await;
    client.closed().await
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
    let (house, upstream) = There::before(&["good"]).await;
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
    let (house, upstream) = There::before(&["good"]).await;
    let mut of_there = house.session(&there(&json!({"sessionResumption": {}}))).await;
    let handle_there = of_there.handle_there().await;
    let mut of_here = house.session(&json!({"sessionResumption": {}})).await;
    of_here.ask("Hi").await;
    let handle_here = of_here.handle_there().await;

    for asked in [&handle_there, &there(&handle_here)] {
        let (code, reason) = refused(&house, asked).await;
        assert!(code == 1008 && reason.contains("not known"), "{code} {reason}");
    }

    assert_eq!(upstream.setups().len(), 1, "the other was never asked");
    assert_eq!(of_here.ask("Hi").await.0, "x", "{MODEL} goes on");
}

#[tokio::test]
async fn a_credential_of_ours_that_is_refused_is_set_aside_and_the_next_one_tried() {
    let (house, upstream) = There::before(&["wrong-1", "good-1"]).await;

    for _ in 0..2 {
        house.session(&there(&json!({}))).await;
    }

    let keys: Vec<_> = upstream.setups().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["wrong-1", "good-1", "good-1"]);
    assert_eq!(states(&house).await, ["SET_ASIDE", "GOOD"]);
}

#[tokio::test]
async fn a_refusal_of_our_credential_is_not_taken_for_one_of_the_caller_s() {
    for keys in [&["wrong-1"][..], &["wrong-1", "wrong-2"]] {
        let (house, _) = There::before(keys).await;

        let (code, reason) = refused(&house, &there(&json!({}))).await;

        assert_eq!(code, 1011, "{reason}");
        assert!(reason.starts_with("The server behind this API does not take the credential of this Keylodge."));
        assert!(states(&house).await.iter().all(|state| state == "SET_ASIDE"));
    }
}

#[tokio::test]
async fn an_upstream_that_lets_no_more_through_is_asked_with_another_credential() {
    let (house, _) = There::before(&["busy-1", "good-1"]).await;
    house.session(&there(&json!({}))).await;
    assert_eq!(states(&house).await, ["COOLING", "GOOD"]);

    let (house, _) = There::before(&["busy-1"]).await;
    let (code, reason) = refused(&house, &there(&json!({}))).await;
    assert!(code == 1011 && reason.starts_with("You exceeded your current quota"), "{code} {reason}");
}

#[tokio::test]
async fn what_an_upstream_says_of_the_call_is_passed_on() {
    let (house, _) = There::before(&["good-1", "good-2"]).await;

    let (code, reason) = refused(&house, &there(&json!({"model": "models/nobody"}))).await;

    assert!(code == 1008 && reason.starts_with("models/nobody is not found"), "{code} {reason}");
    assert_eq!(states(&house).await, ["GOOD", "GOOD"]);
}

#[tokio::test]
async fn a_session_goes_on_with_the_account_of_ours_that_it_was_begun_with() {
    let (house, upstream) = There::before(&["good-1", "good-2"]).await;
    let mut client = house.session(&there(&json!({"sessionResumption": {}}))).await;

    for _ in 0..3 {
        let handle = client.handle_there().await;
        client = house.session(&there(&handle)).await;
    }

    assert!(upstream.setups().iter().all(|(key, _)| key == "good-1"), "{:?}", upstream.setups());
}
