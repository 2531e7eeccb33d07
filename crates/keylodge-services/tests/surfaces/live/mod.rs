//! The Live API: a real websocket client against the router, over a pipe.

mod resumption;
mod sessions;
mod tokens;
mod upstream;

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt;

use crate::support::{House, MODEL};

const SERVICE: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
const CONSTRAINED: &str = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained";

/// Answers by what was said last; tokens of the prompt are counted by its words, so that they tell what went along.
const SCRIPT: &str = "[[reply]]\ncontains = 'slow'\ntokens = ['One', ' moment', ' please']\ndelay_ms = 30000\n\
                      [[reply]]\ncontains = 'overloaded'\nstatus = 503\n\
                      [[reply]]\ntokens = ['Hel', 'lo', '.']";

/// A client's end of a session.
struct Client(WebSocketStream<DuplexStream>);

impl House {
    /// A websocket at this path, with these header fields.
    async fn connect(&self, path: &str, headers: &[(&'static str, &str)]) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let router = self.router();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            async move { router.oneshot(request.map(Body::new)).await }
        });
        let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service);
        tokio::spawn(server.with_upgrades());
        let mut request = format!("ws://lodge{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        let (socket, _) = client_async(request, ours).await.unwrap();
        Client(socket)
    }

    /// A session with the default key that is set up.
    async fn session(&self, more: &Value) -> Client {
        let mut client = self.connect(SERVICE, &[("x-goog-api-key", &self.key)]).await;
        client.set_up(more).await;
        client
    }

    /// A session with a token, as Python opens it.
    async fn session_of(&self, token: &str) -> Client {
        let scheme = format!("Token {token}");
        self.connect(CONSTRAINED, &[("authorization", &scheme), ("x-goog-api-key", token)]).await
    }
}

fn setup(more: &Value) -> Value {
    let mut setup = json!({"model": format!("models/{MODEL}"), "generationConfig": {"responseModalities": ["TEXT"]}});
    setup.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"setup": setup})
}

impl Client {
    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Something the user says, to be answered.
    async fn tell(&mut self, text: &str) {
        let turns = json!([{"role": "user", "parts": [{"text": text}]}]);
        self.say(&json!({"client_content": {"turns": turns, "turn_complete": true}})).await;
    }

    async fn set_up(&mut self, more: &Value) {
        self.say(&setup(more)).await;
        assert_eq!(self.hear().await, json!({"setupComplete": {}}));
    }

    /// The next message, in bytes as Google sends it.
    async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => return serde_json::from_slice(&bytes).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a message was expected: {other:?}"),
            }
        }
    }

    /// All messages of a turn.
    async fn turn(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let message = self.hear().await;
            let is_last = message["serverContent"]["turnComplete"] == true;
            heard.push(message);
            if is_last {
                return heard;
            }
        }
    }

    /// What the model says to this, and how many tokens the prompt had.
    async fn ask(&mut self, text: &str) -> (String, u64) {
        self.tell(text).await;
        let turn = self.turn().await;
        let said = turn.iter().filter_map(|message| message["serverContent"]["modelTurn"]["parts"][0]["text"].as_str());
        (said.collect(), turn.last().unwrap()["usageMetadata"]["promptTokenCount"].as_u64().unwrap())
    }

    /// Waits for the end, and gives its code and reason.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(_)) => {}
                other => panic!("a close was expected: {other:?}"),
            }
        }
    }
}
