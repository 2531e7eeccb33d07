//! Calls over real sockets to a server that knows some keys and not others.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keylodge_api::Envelope;
use keylodge_rules::upstream::{Health, State};
use keylodge_rules::{ServiceName, Timestamp};
use tokio::net::TcpListener;

use super::*;
use crate::recording::Tape;
use crate::relay::body::{Answer, Outgoing};
use crate::relay::link::Pair;
use crate::relay::settings::{Base, CredentialHeader, Kind, Place, UpstreamSettings};
use crate::relay::upstream::{Upstream, UpstreamError};

const SECOND: Duration = Duration::from_secs(1);

/// Says which key came. What the key begins with is what it gets: `good`, `busy`, `wrong`, its own name in an error, a page,
/// or more than is looked at.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let key = request.headers().get("x-goog-api-key").and_then(|key| key.to_str().ok()).unwrap_or("none").to_owned();
    let asked = request.into_body().collect().await.unwrap_or_default().to_bytes();
    let (status, body) = match key.split('-').next() {
        Some("busy") => (429, r#"{"error": {"details": [{"retryDelay": "20s"}]}}"#.to_owned()),
        Some("wrong") => (400, r#"{"error": {"details": [{"reason": "API_KEY_INVALID"}]}}"#.to_owned()),
        Some("named") => (404, format!(r#"{{"error": {{"message": "Consumer 'api_key:{key}' is unknown."}}}}"#)),
        Some("page") => (403, "<html>No.</html>".to_owned()),
        Some("long") => (500, "x".repeat(4_000_000)),
        _ => (200, format!("{key} {}", String::from_utf8_lossy(&asked))),
    };
    Ok(Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap_or_default())
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(connection);
        }
    });
    address
}

/// An upstream, a clock to move, and a caller's connection.
struct Road {
    upstream: Upstream,
    micros: Arc<AtomicI64>,
    pair: Arc<Pair>,
}

impl Road {
    /// With credentials as `key@project`.
    async fn new(credentials: &[&str]) -> Self {
        Self::to(serve().await, credentials)
    }

    fn to(address: SocketAddr, credentials: &[&str]) -> Self {
        let header = http::HeaderName::from_static("x-goog-api-key");
        let settings = UpstreamSettings {
            name: "google".to_owned(),
            kind: Kind::Gemini,
            url: Base::parse(&format!("http://{address}")).unwrap(),
            service: ServiceName::parse("generativelanguage.googleapis.com").unwrap(),
            title: String::new(),
            place: Place::default(),
            credential: Some(CredentialHeader { name: header, prefix: "" }),
            methods: Vec::new(),
            head_time_max: 60 * SECOND,
            silence_max: 60 * SECOND,
            connect_time_max: 10 * SECOND,
            output_tokens_max: 1024,
            takes_top_k: true,
            takes_effort: false,
            is_open: true,
        };
        let micros = Arc::new(AtomicI64::new(1_700_000_000_000_000));
        let time = Arc::clone(&micros);
        let clock: Clock = Arc::new(move || Timestamp::from_micros(time.load(Ordering::SeqCst)));
        let upstream = Upstream::new(settings, None, clock, &crate::relay::connector().unwrap(), &Tape::None).unwrap();
        let kept = credentials.iter().map(|credential| {
            let (key, project) = credential.split_once('@').unwrap();
            let member = Member { id: key.to_owned(), quota_project: project.to_owned() };
            (member, HeaderValue::from_str(key).unwrap())
        });
        upstream.credentials.replace(kept.collect());
        Self { upstream, micros, pair: Arc::default() }
    }

    fn wait(&self, duration: Duration) {
        self.micros.fetch_add(i64::try_from(duration.as_micros()).unwrap(), Ordering::SeqCst);
    }

    async fn send(&self) -> Result<Response<Answer>, UpstreamError> {
        let request =
            Request::builder().method(Method::POST).uri("/v1/models").header("x-goog-api-key", "the-caller's");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let body = Outgoing::Whole(Some(Bytes::from_static(b"Hello")));
        self.upstream.relay(&mut Some(Request::from_parts(parts, body)), "/v1/models", &self.pair, None).await
    }

    /// Status and body of an answer.
    async fn call(&self) -> (u16, String) {
        let answer = self.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    fn in_flight(&self) -> u32 {
        self.upstream.credentials.standings().iter().map(|standing| standing.in_flight).sum()
    }

    fn state(&self, id: &str) -> State {
        let standings = self.upstream.credentials.standings();
        standings.into_iter().find(|standing| standing.member.id == id).unwrap().state
    }
}

fn good(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[tokio::test]
async fn calls_go_with_our_credentials_in_turn_and_never_with_the_caller_s() {
    let road = Road::new(&["good-1@a", "good-2@b"]).await;

    assert_eq!(road.call().await, good("good-1 Hello"));
    assert_eq!(road.call().await, good("good-2 Hello"));
    assert_eq!(road.call().await, good("good-1 Hello"));
    assert_eq!((road.in_flight(), road.upstream.health()), (0, Health::Reachable));
}

#[tokio::test]
async fn a_call_is_in_flight_until_its_answer_has_come_or_nobody_wants_it() {
    let road = Road::new(&["good-1@a", "good-2@a"]).await;

    let answer = road.send().await.unwrap();
    assert_eq!(road.in_flight(), 1);
    answer.into_body().collect().await.unwrap();
    assert_eq!(road.in_flight(), 0);

    let answer = road.send().await.unwrap();
    assert_eq!(road.in_flight(), 1);
    drop(answer);
    assert_eq!(road.in_flight(), 0);
}

#[tokio::test]
async fn a_call_that_is_one_too_many_goes_again_with_another_quota_project() {
    let road = Road::new(&["busy-1@a", "good-1@b"]).await;

    for _ in 0..3 {
        assert_eq!(road.call().await, good("good-1 Hello"));
    }
    assert!(matches!(road.state("busy-1"), State::Cooling { .. }));
    assert_eq!(road.in_flight(), 0);
}

#[tokio::test]
async fn a_refused_credential_is_set_aside_and_the_caller_does_not_notice() {
    let road = Road::new(&["wrong-1@a", "wrong-2@a", "good-1@a"]).await;

    for _ in 0..3 {
        assert_eq!(road.call().await, good("good-1 Hello"));
    }
    assert!(matches!(road.state("wrong-1"), State::SetAside { .. }));
    assert_eq!(road.in_flight(), 0);
}

#[tokio::test]
async fn where_none_is_free_the_caller_gets_what_the_upstream_said_and_then_how_long_to_wait() {
    let road = Road::new(&["busy-1@a", "busy-2@a"]).await;

    let (status, body) = road.call().await;
    assert!(status == 429 && body.contains("retryDelay"), "{body}");
    road.wait(5 * SECOND);
    let refused = road.send().await.err().unwrap();

    let UpstreamError::NoneFree(none) = &refused else { panic!("{refused:?}") };
    assert_eq!(*none, NoneFree { wait: 15 * SECOND, why: Why::TooMany });
    let answer: Response<Vec<u8>> = crate::failure::of_upstream("google", &refused, Envelope::Object);
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &HeaderValue::from(15)));
    road.wait(15 * SECOND);
    assert_eq!(road.call().await.0, 429, "and is asked again then");
}

#[tokio::test]
async fn a_lone_credential_goes_on_and_its_refusal_is_not_taken_for_the_caller_s() {
    let busy = Road::new(&["busy-1@a"]).await;
    let wrong = Road::new(&["wrong-1@a"]).await;

    for _ in 0..2 {
        assert_eq!(busy.call().await.0, 429);
        assert!(matches!(wrong.send().await.err(), Some(UpstreamError::Credential)));
    }
    assert_eq!((busy.in_flight(), wrong.in_flight()), (0, 0));
    wrong.upstream.credentials.replace(Vec::new());
    assert_eq!(wrong.call().await, good("none Hello"), "nothing is ours, and the caller's own never goes on");
}

#[tokio::test]
async fn what_may_name_our_credential_never_goes_on() {
    for key in ["named-1@a", "page-1@a"] {
        let refused = Road::new(&[key]).await.send().await.err();
        assert!(matches!(refused, Some(UpstreamError::Credential)), "{key}: {refused:?}");
    }
    let refused = Road::new(&["long-1@a"]).await.send().await.err();
    assert!(matches!(refused, Some(UpstreamError::Unread)), "{refused:?}");
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_left_in_peace_for_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let road = Road::to(address, &["good-1@a"]);
    for _ in 0..3 {
        assert!(matches!(road.send().await.err(), Some(UpstreamError::Unreachable(_))));
    }

    let resting = road.send().await.err();
    assert!(matches!(resting, Some(UpstreamError::Resting(_))), "{resting:?}");
    road.wait(SECOND);
    assert!(matches!(road.send().await.err(), Some(UpstreamError::Unreachable(_))), "one tries for all");
    assert!(matches!(road.send().await.err(), Some(UpstreamError::Resting(_))));
    assert_eq!(road.in_flight(), 0);
}
