//! What the example promises, asked of the program without a socket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use keylodge_gate::credential::TakeCredential;
use keylodge_rules::{KeyString, OperatorToken, Timestamp};
use serde_json::Value;
use tower::ServiceExt;

/// The program, with dice that count and a clock that is moved by hand.
struct App {
    service: TakeCredential<Router>,
    admin: OperatorToken,
    now: Arc<AtomicI64>,
}

struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    text: String,
}

struct Issued {
    id: String,
    string: String,
}

impl App {
    fn start() -> Self {
        let (admin, now, dice) = (OperatorToken::issue(&[1; 32]), Arc::new(AtomicI64::new(0)), AtomicU8::new(0));
        let clock = Arc::clone(&now);
        let clock = Arc::new(move || Timestamp::from_micros(clock.load(Ordering::Relaxed)));
        let entropy = Arc::new(move |bytes: &mut [u8]| bytes.fill(dice.fetch_add(1, Ordering::Relaxed)));
        Self { service: guard_your_app::app(&admin, clock, entropy), admin, now }
    }

    async fn ask(&self, verb_and_path: &str, header: Option<(&str, &str)>) -> Answer {
        let (verb, path) = verb_and_path.split_once(' ').unwrap();
        let request = Request::builder().method(verb).uri(path);
        let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = self.service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        Answer {
            status: answer.status(),
            retry_after: answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned()),
            text: String::from_utf8(to_bytes(answer.into_body(), 10_000).await.unwrap().into()).unwrap(),
        }
    }

    async fn ask_as_admin(&self, verb_and_path: &str) -> Answer {
        self.ask(verb_and_path, Some(("authorization", &format!("Bearer {}", self.admin.reveal())))).await
    }

    async fn forecast(&self, key: &str) -> Answer {
        self.ask("GET /v1/forecast", Some(("x-goog-api-key", key))).await
    }

    async fn issue(&self) -> Issued {
        let answer = self.ask_as_admin("POST /keys").await;
        assert_eq!(answer.status, 200);
        let answer: Value = serde_json::from_str(&answer.text).unwrap();
        let field = |name: &str| answer[name].as_str().unwrap().to_owned();
        Issued { id: field("id"), string: field("keyString") }
    }

    async fn revoke(&self, id: &str) -> StatusCode {
        self.ask_as_admin(&format!("DELETE /keys/{id}")).await.status
    }
}

impl Answer {
    /// HTTP status, Google's word for it, and the reason, if there is one.
    fn error(&self) -> (u16, String, Option<String>) {
        let body: Value = serde_json::from_str(&self.text).unwrap();
        let error = &body["error"];
        assert_eq!(error["code"], self.status.as_u16());
        let reason = error["details"][0]["reason"].as_str().map(str::to_owned);
        (self.status.as_u16(), error["status"].as_str().unwrap().to_owned(), reason)
    }
}

fn check(answer: &Answer, http: u16, status: &str, reason: Option<&str>) {
    assert_eq!(answer.error(), (http, status.to_owned(), reason.map(str::to_owned)));
}

#[tokio::test]
async fn a_call_without_a_key_is_403_as_at_google() {
    let app = App::start();

    let answer = app.ask("GET /v1/forecast", None).await;

    check(&answer, 403, "PERMISSION_DENIED", None);
    assert!(answer.text.contains("Method doesn't allow unregistered callers"), "{}", answer.text);
}

#[tokio::test]
async fn an_issued_key_opens_the_route_in_a_header_and_in_the_query() {
    let app = App::start();
    let key = app.issue().await;

    let by_header = app.forecast(&key.string).await;
    let by_query = app.ask(&format!("GET /v1/forecast?key={}", key.string), None).await;

    for answer in [by_header, by_query] {
        assert_eq!((answer.status.as_u16(), answer.text), (200, format!("Sunny, says the key {}.\n", key.id)));
    }
}

#[tokio::test]
async fn the_61st_call_of_a_minute_is_429_and_says_when_to_come_back() {
    let app = App::start();
    let (key, other) = (app.issue().await, app.issue().await);
    for _ in 0..60 {
        assert_eq!(app.forecast(&key.string).await.status, 200);
    }

    let answer = app.forecast(&key.string).await;

    check(&answer, 429, "RESOURCE_EXHAUSTED", Some("RATE_LIMIT_EXCEEDED"));
    let seconds: i64 = answer.retry_after.unwrap().parse().unwrap();
    assert_eq!(app.forecast(&other.string).await.status, 200, "each key has a minute of its own");
    app.now.store(seconds * 1_000_000, Ordering::Relaxed);
    assert_eq!(app.forecast(&key.string).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_the_next_call() {
    let app = App::start();
    let (key, other) = (app.issue().await, app.issue().await);
    assert_eq!(app.forecast(&key.string).await.status, 200);

    assert_eq!(app.revoke(&key.id).await, 204);

    check(&app.forecast(&key.string).await, 400, "INVALID_ARGUMENT", Some("API_KEY_INVALID"));
    assert_eq!(app.forecast(&other.string).await.status, 200);
    assert_eq!(app.revoke(&key.id).await, 404, "it is gone already");
}

#[tokio::test]
async fn a_wrong_key_is_400_api_key_invalid() {
    let app = App::start();

    for wrong in [KeyString::issue(&[9; 32]).reveal(), "kl_mistyped", "<YOUR_API_KEY>"] {
        check(&app.forecast(wrong).await, 400, "INVALID_ARGUMENT", Some("API_KEY_INVALID"));
    }
}

#[tokio::test]
async fn only_the_admin_token_makes_and_revokes_keys() {
    let app = App::start();
    let key = app.issue().await;
    let wrong = format!("Bearer {}", OperatorToken::issue(&[9; 32]).reveal());

    for call in ["POST /keys", &format!("DELETE /keys/{}", key.id)] {
        for header in [None, Some(("authorization", &*wrong)), Some(("x-goog-api-key", &*key.string))] {
            check(&app.ask(call, header).await, 401, "UNAUTHENTICATED", None);
        }
    }
    assert_eq!(app.forecast(&key.string).await.status, 200);
}
