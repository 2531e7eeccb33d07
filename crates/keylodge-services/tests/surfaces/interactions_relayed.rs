//! Interactions that an upstream has: whose they are, and what happens where that cannot be known or written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use keylodge_gate::Clock;
use keylodge_rules::upstream::Member;
use keylodge_rules::{ProjectNumber, Timestamp};
use keylodge_services::Upstreams;
use keylodge_services::relay::Kind;
use keylodge_store::RelayedRecord;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Answer, House, MODEL, NOON};
use crate::upstreams::settings;

const PATH: &str = "/v1beta/interactions";
/// A model that is at the upstream.
const THERE: &str = "gemini-3-flash-preview";

/// The head of a stream of events that does not end by itself (written by hand after the shapes of Google's clients).
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A house in front of a server that answers every call with these pieces; it tells how many calls there were.
async fn in_front_of(pieces: &'static [&'static str]) -> (House, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                assert!(stream.read(&mut request).await.unwrap() > 0, "a request comes");
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                }
                if pieces[0] == HEAD {
                    // Until nobody listens.
                    let _ = stream.read(&mut request).await;
                }
            });
        }
    });
    (House::with_upstreams(upstreams(&url)).await, calls)
}

fn upstreams(url: &str) -> Upstreams {
    let clock: Clock = Arc::new(|| Timestamp::from_micros(NOON));
    Upstreams::new(vec![(settings("there", Kind::Gemini, url), Some("ours".to_owned()))], &clock).unwrap()
}

async fn of_one(house: &House, method: &str, rest: &str) -> Answer {
    let request = Request::builder().method(method).uri(format!("{PATH}/{rest}")).header("x-goog-api-key", &house.key);
    house.send(request.body(Body::empty()).unwrap()).await
}

fn hi(more: &Value) -> Value {
    let mut body = json!({"model": THERE, "input": "Hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[track_caller]
fn said_no(answer: &Answer) -> (u16, String) {
    (answer.http, answer.json()["error"]["code"].as_str().unwrap().to_owned())
}

async fn project(house: &House) -> ProjectNumber {
    let project = house.manage("GET", "/v1/projects/default-project", None).await.ok();
    ProjectNumber::parse(project["projectNumber"].as_str().unwrap()).unwrap()
}

/// One of this house's that an upstream of this name has.
async fn owned(house: &House, id: &str, upstream: &str) -> RelayedRecord {
    let record = RelayedRecord {
        id: id.to_owned(),
        upstream: upstream.to_owned(),
        project: project(house).await,
        account: Member { id: String::new(), quota_project: String::new() },
        model: THERE.to_owned(),
        tokens: None,
        is_counted: true,
        created_at: Timestamp::from_micros(NOON),
        expires_at: Timestamp::from_micros(NOON + 1_000_000),
    };
    assert!(house.lodge.interactions.add_relayed(&record).await.unwrap());
    record
}

#[tokio::test]
async fn an_answer_is_passed_on_only_once_it_is_on_disk_whose_it_is() {
    const CREATED: &str = "event: interaction.created\ndata: {\"interaction\": {\"id\": \"v1_a\"}, \"event_type\": \"interaction.created\"}\n\n";
    let (house, _) = in_front_of(&[HEAD, CREATED]).await;

    let request = Request::post(PATH).header("x-goog-api-key", &house.key);
    let response = house.begin(request.body(Body::from(hi(&json!({"stream": true})).to_string())).unwrap()).await;

    let known = house.lodge.interactions.get_relayed(project(&house).await, "v1_a", Timestamp::from_micros(NOON)).await;
    let known = known.unwrap().expect("nothing of the body was read yet");
    assert_eq!((&*known.upstream, &*known.account.id, &*known.model), ("there", "key_file", THERE));
    let first = response.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, CREATED, "it comes while the rest is being made");
}

#[tokio::test]
async fn where_the_owner_cannot_be_written_down_nothing_is_passed_on() {
    let (house, calls) = in_front_of(&["HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n", "{\"id\": \"v1_a\"}"]).await;
    house.gemini(PATH, &hi(&json!({}))).await.ok();
    let before = owned(&house, "v1_b", "there").await;
    house.lodge.interactions.close().await;

    let refused = house.gemini(PATH, &hi(&json!({}))).await;
    let unstored = house.gemini(PATH, &hi(&json!({"store": false}))).await;

    assert_eq!(said_no(&refused), (503, "service_unavailable".to_owned()));
    assert!(!refused.text().contains("v1_a"), "{}", refused.text());
    assert_eq!(unstored.ok()["id"], "v1_a", "whose that is need not be known");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(said_no(&of_one(&house, "GET", &before.id).await).0, 503, "could not look is not not found");
}

#[tokio::test]
async fn what_an_upstream_has_that_cannot_be_reached_is_unavailable_and_of_one_that_is_gone_it_is_said() {
    let house = House::with_upstreams(upstreams("http://127.0.0.1:9")).await;
    owned(&house, "v1_here", "there").await;
    owned(&house, "v1_gone", "before").await;

    for method in ["GET", "DELETE"] {
        assert_eq!(said_no(&of_one(&house, method, "v1_here").await), (503, "service_unavailable".to_owned()));
        assert_eq!(said_no(&of_one(&house, method, "v1_gone").await), (400, "failed_precondition".to_owned()));
    }
    assert_eq!(said_no(&house.gemini(PATH, &hi(&json!({}))).await), (503, "service_unavailable".to_owned()));
    let next = hi(&json!({"previous_interaction_id": "v1_gone"}));
    assert_eq!(said_no(&house.gemini(PATH, &next).await), (404, "not_found".to_owned()), "it is not there");
    let here = json!({"model": MODEL, "input": "Hi", "previous_interaction_id": "v1_here"});
    assert_eq!(said_no(&house.gemini(PATH, &here).await), (404, "not_found".to_owned()), "it is not here");
}

#[tokio::test]
async fn a_field_that_the_way_depends_on_stands_once() {
    let house = House::with_upstreams(upstreams("http://127.0.0.1:9")).await;

    for body in [
        format!("{{\"model\": \"{MODEL}\", \"model\": \"{THERE}\", \"input\": \"Hi\"}}"),
        format!("{{\"model\": \"{THERE}\", \"input\": \"Hi\", \"store\": true, \"Store\": false}}"),
    ] {
        let request = Request::post(PATH).header("x-goog-api-key", &house.key);
        let refused = house.send(request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(said_no(&refused), (400, "invalid_request".to_owned()), "{body}");
    }
    let both = house.gemini(PATH, &hi(&json!({"agent": "a"}))).await;
    assert_eq!(said_no(&both), (400, "invalid_request".to_owned()));
}
