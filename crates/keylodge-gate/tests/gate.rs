//! The gate as a tower service, one call at a time, with a clock and dice that stand still.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use keylodge_api::Envelope;
use keylodge_gate::{CredentialLayer, GateLayer, Pass, Refused, Surface, Target, index};
use keylodge_rules::{
    Change, Key, KeyId, KeyString, KeyUid, Pepper, Project, ProjectId, ProjectNumber, ProjectState, Revision,
    ServiceName, Stage, Subject, Timestamp,
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

const SERVICE: &str = "generativelanguage.googleapis.com";
const METHOD: &str = "google.ai.generativelanguage.v1.GenerativeService.GenerateContent";
const NOT_VALID: &str = "API key not valid. Please pass a valid API key.";
const GOOD: Known = Known { stage: Stage::Live, state: ProjectState::Active, services: &[SERVICE] };

/// What the gate knows: one key in one project.
struct Known {
    stage: Stage,
    state: ProjectState,
    services: &'static [&'static str],
}

struct Answer {
    http: u16,
    body: Value,
    refusal: Option<&'static str>,
    decision: bool,
    /// The pass and the URI that the service behind the gate saw, if it was called.
    passed: Option<(Pass, String)>,
}

fn string() -> KeyString {
    KeyString::issue(&[1; 32])
}

fn gate(known: &Known, envelope: Envelope) -> GateLayer {
    let pepper = Pepper::new([7; 32]);
    let number = ProjectNumber::from_random([0; 8]);
    let uid = KeyUid::from_random([3; 16]);
    let project = Project {
        number,
        id: ProjectId::parse("default-project").unwrap(),
        state: known.state,
        services: known.services.iter().map(|name| ServiceName::parse(name).unwrap()).collect(),
    };
    let key =
        Key { id: KeyId::from(uid.clone()), uid, project: number, hash: pepper.hash(&string()), stage: known.stage };
    let (mut writer, reader) = index::channel();
    writer.apply(vec![
        Change { revision: Revision(1), subject: Subject::Project(project) },
        Change { revision: Revision(2), subject: Subject::Key(key) },
    ]);
    let surface = Surface {
        service: ServiceName::parse(SERVICE).unwrap(),
        title: "Generative Language API".into(),
        console_url: "http://lodge/studio".into(),
        identify: match envelope {
            Envelope::Object => |_, _| Ok(Target::new(METHOD)),
            Envelope::Array => |_, _| Ok(Target::new(METHOD).enveloped(Envelope::Array)),
        },
    };
    let clock = Arc::new(|| Timestamp::from_micros(10));
    GateLayer::new(surface, reader, pepper, clock, Arc::new(|bytes: &mut [u8]| bytes.fill(1)))
}

async fn call(known: &Known, envelope: Envelope, request: http::request::Builder) -> Answer {
    let guarded = service_fn(|request: Request<()>| async move {
        let seen = (Pass::of(request.extensions()).unwrap().clone(), request.uri().to_string());
        assert!(!format!("{request:?}").contains(&string().reveal()[3..40]), "no key behind the gate");
        let mut response = Response::new(b"null".to_vec());
        response.extensions_mut().insert(seen);
        Ok::<_, Infallible>(response)
    });
    let service = CredentialLayer.layer(gate(known, envelope).layer(guarded));

    let answer = service.oneshot(request.body(()).unwrap()).await.unwrap();

    Answer {
        http: answer.status().as_u16(),
        body: serde_json::from_slice(answer.body()).unwrap(),
        refusal: answer.extensions().get::<Refused>().map(|refused| refused.refusal.word()),
        decision: answer.headers().contains_key("x-keylodge-decision"),
        passed: answer.extensions().get::<(Pass, String)>().cloned(),
    }
}

/// A call with the key against this knowledge; what is expected is the whole error.
async fn check_refused(known: &Known, word: &str, http: u16, body: Value) {
    let request = Request::post("/v1/models/m:generateContent").header("x-goog-api-key", string().reveal());
    check_answer(&call(known, Envelope::Object, request).await, word, http, &body);
}

fn check_answer(answer: &Answer, word: &str, http: u16, body: &Value) {
    assert_eq!(&answer.body, body);
    assert_eq!(answer.http, http);
    assert_eq!(answer.refusal, Some(word));
    assert!(answer.decision, "every refusal has a name");
    assert!(answer.passed.is_none(), "the service behind the gate was not called");
}

fn info(reason: &str, metadata: &Value) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
           "metadata": metadata})
}

fn localized(message: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message})
}

fn help(description: &str, url: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": description, "url": url}]})
}

fn invalid_key(message: &str) -> Value {
    let details = [info("API_KEY_INVALID", &json!({"service": SERVICE})), localized(message)];
    json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT", "details": details}})
}

#[tokio::test]
async fn a_good_key_passes_and_leaves_no_trace_in_the_request() {
    let query = format!("/v1/models/m:generateContent?alt=sse&key={}", string().reveal());

    for request in [
        Request::post(&query),
        Request::post("/v1/models/m:generateContent?alt=sse").header("X-Goog-Api-Key", string().reveal()),
        Request::post(&query).header("x-goog-api-key", string().reveal()),
    ] {
        let answer = call(&GOOD, Envelope::Object, request).await;

        let (pass, uri) = answer.passed.unwrap();
        assert_eq!((answer.http, uri.as_str()), (200, "/v1/models/m:generateContent?alt=sse"));
        assert_eq!((pass.project_id().as_str(), pass.method()), ("default-project", METHOD));
        assert_eq!((pass.revision(), answer.refusal), (Revision(2), None));
    }
}

#[tokio::test]
async fn a_missing_key_is_403_without_details() {
    let answer = call(&GOOD, Envelope::Object, Request::post("/v1/models/m:generateContent")).await;

    let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
    let body = json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}});
    check_answer(&answer, "no_credential", 403, &body);
}

#[tokio::test]
async fn a_bearer_token_in_place_of_a_key_is_401() {
    let request = Request::post("/v1/models/m:generateContent").header("authorization", "Bearer kl_whatever");

    let answer = call(&GOOD, Envelope::Object, request).await;

    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
    let details = [info("ACCESS_TOKEN_TYPE_UNSUPPORTED", &json!({"service": SERVICE, "method": METHOD}))];
    let body = json!({"error": {"code": 401, "message": message, "status": "UNAUTHENTICATED", "details": details}});
    check_answer(&answer, "not_an_api_key", 401, &body);
}

#[tokio::test]
async fn malformed_mistyped_unknown_and_contradicting_keys_read_alike_outside_and_apart_inside() {
    let mut mistyped = string().reveal().to_owned();
    mistyped.replace_range(10..11, if &mistyped[10..11] == "a" { "b" } else { "a" });
    let unknown = KeyString::issue(&[2; 32]);
    let foreign = format!("AIza{}", "x".repeat(35));

    for (presented, word) in [
        ("kl_short", "malformed_key"),
        ("<YOUR_API_KEY>", "unknown_key"),
        ("two words", "malformed_key"),
        (&mistyped, "malformed_key"),
        (unknown.reveal(), "unknown_key"),
        (&foreign, "unknown_key"),
    ] {
        let request = Request::get("/v1/models").header("x-goog-api-key", presented);
        check_answer(&call(&GOOD, Envelope::Object, request).await, word, 400, &invalid_key(NOT_VALID));
    }

    let both = Request::get("/v1/models?key=other").header("x-goog-api-key", string().reveal());
    check_answer(&call(&GOOD, Envelope::Object, both).await, "two_credentials", 400, &invalid_key(NOT_VALID));
}

#[tokio::test]
async fn a_deleted_key_is_expired() {
    let known = Known { stage: Stage::Deleted { at: Timestamp::from_micros(5) }, ..GOOD };

    check_refused(&known, "key_deleted", 400, invalid_key("API key expired. Please renew the API key.")).await;
}

#[tokio::test]
async fn the_key_of_a_deleted_project_has_an_invalid_consumer() {
    let known = Known { state: ProjectState::DeleteRequested, ..GOOD };

    let message = "Permission denied on resource project 100000000000.";
    let details = [
        info("CONSUMER_INVALID", &json!({"service": SERVICE, "consumer": "projects/100000000000"})),
        localized(message),
        help("Keylodge projects", "http://lodge/studio/projects"),
    ];
    let body = json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": details}});
    check_refused(&known, "project_deleted", 403, body).await;
}

#[tokio::test]
async fn a_service_that_is_off_says_where_to_switch_it_on() {
    let known = Known { services: &["jules.googleapis.com"], ..GOOD };

    let url = format!("http://lodge/studio/apis/{SERVICE}?project=100000000000");
    let message = format!(
        "Generative Language API has not been used in project 100000000000 before or it is disabled. Enable it by visiting {url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    );
    let metadata = json!({"service": SERVICE, "serviceTitle": "Generative Language API",
        "consumer": "projects/100000000000", "containerInfo": "100000000000", "activationUrl": url});
    let details = [
        info("SERVICE_DISABLED", &metadata),
        localized(&message),
        help("Google developers console API activation", &url),
    ];
    let body = json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": details}});
    check_refused(&known, "service_disabled", 403, body).await;
}

#[tokio::test]
async fn a_refusal_of_an_array_stream_comes_in_an_array() {
    let answer = call(&GOOD, Envelope::Array, Request::post("/v1/models/m:streamGenerateContent")).await;

    assert_eq!((answer.http, &answer.body[0]["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
}

#[tokio::test]
async fn a_gate_without_a_credential_layer_refuses_everybody() {
    let guarded = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Vec::new())) });

    let request = Request::get("/v1/models").header("x-goog-api-key", string().reveal()).body(()).unwrap();
    let answer = gate(&GOOD, Envelope::Object).layer(guarded).oneshot(request).await.unwrap();

    assert_eq!(answer.status(), 403);
}
