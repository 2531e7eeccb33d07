//! The gate as a tower service, one call at a time, with a clock and dice that stand still.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use keylodge_api::Envelope;
use keylodge_gate::{
    Clock, CredentialLayer, Credentials, Entropy, GateLayer, Judge, Ledger, OnBehalf, Pass, Peer, Refused, Surface,
    Target, index,
};
use keylodge_rules::restrictions::{MethodPattern, PackageName, Sha1Fingerprint, TargetService};
use keylodge_rules::secret::sha256;
use keylodge_rules::{
    AllowedIp, AndroidApp, ApiTarget, BundleId, Change, ClientRestriction, Credential, EphemeralToken, Key, KeyHash,
    KeyString, KeyUid, Lookup, Pepper, Project, ProjectId, ProjectNumber, ProjectState, Referrer, Revision,
    ServiceName, Stage, Subject, Terms, Timestamp, TokenProblem,
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

const SERVICE: &str = "generativelanguage.googleapis.com";
const METHOD: &str = "google.ai.generativelanguage.v1.GenerativeService.GenerateContent";
const NOT_VALID: &str = "API key not valid. Please pass a valid API key.";
const EXPIRED: &str = "API key expired. Please renew the API key.";
const NOW: Timestamp = Timestamp::from_micros(10);

/// What the gate knows: one key in one project.
struct Known {
    key: Key,
    project: Project,
}

/// A good key in a good project, altered.
fn known(change: impl FnOnce(&mut Known)) -> Known {
    let number = ProjectNumber::from_random([0; 8]);
    let project = Project {
        number,
        id: ProjectId::parse("default-project").unwrap(),
        state: ProjectState::Active,
        services: [ServiceName::parse(SERVICE).unwrap()].into(),
        standard_keys_must_be_restricted: false,
        limits: Arc::default(),
    };
    let uid = KeyUid::from_random([3; 16]);
    let strings = vec![Credential { lookup: Lookup::Hash(hash()), generation: 1, until: None }];
    let key = Key { uid, project: number, strings, terms: Terms::default() };
    let mut known = Known { key, project };
    change(&mut known);
    known
}

fn good() -> Known {
    known(|_| {})
}

fn only_for(client: ClientRestriction) -> Known {
    known(|known| known.key.terms.restrictions.client = Some(client))
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

fn hash() -> KeyHash {
    Pepper::new([7; 32]).hash(&string())
}

fn gate(known: &Known, envelope: Envelope) -> GateLayer {
    let pepper = Pepper::new([7; 32]);
    let (mut writer, reader) = index::channel();
    writer.apply(vec![
        Change { revision: Revision(1), subject: Subject::Project(known.project.clone()) },
        Change { revision: Revision(2), subject: Subject::Key(known.key.clone()) },
    ]);
    let identify = move |_: &http::Method, _: &http::Uri| Ok(Target::new(METHOD).enveloped(envelope));
    let service = ServiceName::parse(SERVICE).unwrap();
    let surface = Surface::new(service, "Generative Language API", "http://lodge/studio", identify);
    let entropy: Entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(1));
    GateLayer::new(surface, {
        let clock: Clock = Arc::new(|| NOW);
        Judge::new(reader, pepper, Arc::new(Ledger::new(Arc::clone(&clock), false)), clock, &entropy)
    })
}

async fn call(known: &Known, envelope: Envelope, request: http::request::Builder) -> Answer {
    call_for(known, envelope, request, None).await
}

/// The same where somebody answers for the ephemeral token of the request.
async fn call_for(
    known: &Known,
    envelope: Envelope,
    request: http::request::Builder,
    behalf: Option<OnBehalf>,
) -> Answer {
    let guarded = service_fn(|request: Request<()>| async move {
        let seen = (Pass::of(request.extensions()).unwrap().clone(), request.uri().to_string());
        assert!(!format!("{request:?}").contains(&string().reveal()[3..40]), "no key behind the gate");
        let mut response = Response::new(b"null".to_vec());
        response.extensions_mut().insert(seen);
        Ok::<_, Infallible>(response)
    });
    let answering = gate(known, envelope).layer(guarded).map_request(move |mut request: Request<()>| {
        if let (Some(behalf), Some(credentials)) = (&behalf, request.extensions_mut().get_mut::<Credentials>()) {
            credentials.answer_for_token(behalf.clone());
        }
        request
    });
    let service = CredentialLayer.layer(answering);

    let answer = service.oneshot(request.body(()).unwrap()).await.unwrap();

    Answer {
        http: answer.status().as_u16(),
        body: serde_json::from_slice(answer.body()).unwrap(),
        refusal: answer.extensions().get::<Refused>().map(|refused| refused.refusal.word()),
        decision: answer.headers().contains_key("x-keylodge-decision"),
        passed: answer.extensions().get::<(Pass, String)>().cloned(),
    }
}

/// A call with the key, and nothing else.
fn request() -> http::request::Builder {
    Request::post("/v1/models/m:generateContent").header("x-goog-api-key", string().reveal())
}

/// Whether a call passes; a refusal must have this word and be this error.
async fn check(known: &Known, request: http::request::Builder, refusal: Option<(&str, Value)>) {
    let answer = call(known, Envelope::Object, request).await;
    match refusal {
        None => assert_eq!((answer.http, answer.refusal), (200, None)),
        Some((word, body)) => check_answer(&answer, word, 403, &body),
    }
}

/// A call with the key against this knowledge; what is expected is the whole error.
async fn check_refused(known: &Known, word: &str, http: u16, body: Value) {
    check_answer(&call(known, Envelope::Object, request()).await, word, http, &body);
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

fn wrong_kind() -> Value {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
    let details = [info("ACCESS_TOKEN_TYPE_UNSUPPORTED", &json!({"service": SERVICE, "method": METHOD}))];
    json!({"error": {"code": 401, "message": message, "status": "UNAUTHENTICATED", "details": details}})
}

/// What the restrictions of a key answer: the facts, then project and service.
fn blocked(reason: &str, message: &str, facts: &Value) -> Value {
    let mut metadata = json!({"consumer": "projects/100000000000", "service": SERVICE});
    metadata.as_object_mut().unwrap().extend(facts.as_object().unwrap().clone());
    let details = [info(reason, &metadata), localized(message)];
    json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": details}})
}

#[tokio::test]
async fn a_good_key_passes_and_leaves_no_trace_in_the_request() {
    let query = format!("/v1/models/m:generateContent?alt=sse&key={}", string().reveal());

    for request in [
        Request::post(&query),
        Request::post("/v1/models/m:generateContent?alt=sse").header("X-Goog-Api-Key", string().reveal()),
        Request::post(&query).header("x-goog-api-key", string().reveal()),
    ] {
        let answer = call(&good(), Envelope::Object, request).await;

        let (pass, uri) = answer.passed.unwrap();
        assert_eq!((answer.http, uri.as_str()), (200, "/v1/models/m:generateContent?alt=sse"));
        assert_eq!((pass.project().get(), pass.method()), (100_000_000_000, METHOD));
        assert_eq!((pass.revision(), answer.refusal), (Revision(2), None));
        assert_eq!((pass.generation(), pass.foreign()), (1, None));
    }
}

#[tokio::test]
async fn a_missing_key_is_403_without_details() {
    let answer = call(&good(), Envelope::Object, Request::post("/v1/models/m:generateContent")).await;

    let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
    let body = json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}});
    check_answer(&answer, "no_credential", 403, &body);
}

#[tokio::test]
async fn a_bearer_token_in_place_of_a_key_is_401() {
    let request = Request::post("/v1/models/m:generateContent").header("authorization", "Bearer kl_whatever");

    let answer = call(&good(), Envelope::Object, request).await;

    check_answer(&answer, "not_an_api_key", 401, &wrong_kind());
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
        check_answer(&call(&good(), Envelope::Object, request).await, word, 400, &invalid_key(NOT_VALID));
    }

    let both = Request::get("/v1/models?key=other").header("x-goog-api-key", string().reveal());
    check_answer(&call(&good(), Envelope::Object, both).await, "two_credentials", 400, &invalid_key(NOT_VALID));
}

#[tokio::test]
async fn deleted_disabled_expired_and_rotated_out_keys_read_alike() {
    let deleted = known(|known| known.key.terms.stage = Stage::Deleted { at: Timestamp::from_micros(5) });
    let disabled = known(|known| known.key.terms.enabled = false);
    let expired = known(|known| known.key.terms.expires = Some(NOW));
    let rotated_out = known(|known| known.key.strings[0].until = Some(NOW));

    check_refused(&deleted, "key_deleted", 400, invalid_key(EXPIRED)).await;
    check_refused(&disabled, "key_disabled", 400, invalid_key(EXPIRED)).await;
    check_refused(&expired, "key_expired", 400, invalid_key(EXPIRED)).await;
    check_refused(&rotated_out, "string_rotated_out", 400, invalid_key(EXPIRED)).await;
}

#[tokio::test]
async fn the_key_of_a_deleted_project_has_an_invalid_consumer() {
    let known = known(|known| known.project.state = ProjectState::DeleteRequested);

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
async fn a_key_of_another_gateway_passes_and_brings_the_hash_to_keep_it_by() {
    let lookup = Lookup::Sha256(sha256(&string()));
    let known = known(|known| known.key.strings = vec![Credential { lookup, generation: 4, until: None }]);

    let answer = call(&known, Envelope::Object, request()).await;

    let (pass, _) = answer.passed.unwrap();
    assert_eq!((pass.generation(), pass.foreign()), (4, Some(hash())));
}

#[tokio::test]
async fn an_unrestricted_key_is_of_the_wrong_kind_where_the_project_asks_for_restrictions() {
    let known = known(|known| known.project.standard_keys_must_be_restricted = true);

    check_refused(&known, "must_be_restricted", 401, wrong_kind()).await;
}

#[tokio::test]
async fn a_key_for_other_methods_is_told_which_one_is_blocked() {
    let target = |method| ApiTarget {
        service: TargetService::parse(SERVICE).unwrap(),
        methods: vec![MethodPattern::parse(method).unwrap()],
    };
    let only = |method| known(|known| known.key.terms.restrictions.api_targets = vec![target(method)]);

    let message = format!("Requests to this API {SERVICE} method {METHOD} are blocked.");
    let body = blocked("API_KEY_SERVICE_BLOCKED", &message, &json!({"apiName": SERVICE, "methodName": METHOD}));
    check(&only("Generate*"), request(), None).await;
    check(&only("CountTokens"), request(), Some(("service_blocked", body))).await;
}

#[tokio::test]
async fn a_key_for_pages_is_told_the_page_it_came_from() {
    let known = only_for(ClientRestriction::Browser(vec![Referrer::parse("*.example.com").unwrap()]));
    let refused = |page: &str| {
        let message = format!("Requests from referer {page} are blocked.");
        let body = blocked("API_KEY_HTTP_REFERRER_BLOCKED", &message, &json!({"httpReferrer": page}));
        Some(("referrer_blocked", body))
    };

    check(&known, request().header("Referer", "https://www.example.com/a"), None).await;
    check(&known, request().header("referer", "https://x.example/"), refused("https://x.example/")).await;
    check(&known, request().header("referer", ""), refused("<empty>")).await;
    check(&known, request(), refused("<empty>")).await;
}

#[tokio::test]
async fn a_key_for_machines_is_told_the_address_it_came_from_and_an_unknown_one_is_refused() {
    let known = only_for(ClientRestriction::Server(vec![AllowedIp::parse("198.51.100.0/24").unwrap()]));
    let from = |address: &str| request().extension(Peer::direct(address.parse().unwrap()));
    let refused = |address: &str| {
        let message = format!(
            "The provided API key has an IP address restriction. The originating IP address of the call ({address}) violates this restriction."
        );
        Some(("address_blocked", blocked("API_KEY_IP_ADDRESS_BLOCKED", &message, &json!({"callerIp": address}))))
    };

    check(&known, from("198.51.100.9:4000"), None).await;
    check(&known, from("[::ffff:198.51.100.9]:4000"), None).await;
    check(&known, from("203.0.113.5:4000"), refused("203.0.113.5")).await;
    check(&known, from("[2001:db8::1]:4000"), refused("2001:db8::1")).await;
    check(&known, request().header("x-forwarded-for", "198.51.100.9"), refused("unknown")).await;
    let hidden = Peer { caller: None, ..Peer::direct("198.51.100.9:4000".parse().unwrap()) };
    check(&known, request().extension(hidden), refused("unknown")).await;
}

#[tokio::test]
async fn a_key_for_an_android_app_is_told_the_package_it_came_from() {
    let known = only_for(ClientRestriction::Android(vec![AndroidApp {
        package_name: PackageName::parse("com.example.app").unwrap(),
        sha1_fingerprint: Sha1Fingerprint::parse(&"0a".repeat(20)).unwrap(),
    }]));
    let package = || request().header("X-Android-Package", "com.example.app");
    let refused = |package: &str| {
        let message = format!("Requests from this Android client application {package} are blocked.");
        let body = blocked("API_KEY_ANDROID_APP_BLOCKED", &message, &json!({"androidPackage": package}));
        Some(("android_app_blocked", body))
    };

    check(&known, package().header("X-Android-Cert", "0A".repeat(20)), None).await;
    check(&known, package().header("X-Android-Cert", "0B".repeat(20)), refused("com.example.app")).await;
    check(&known, package(), refused("com.example.app")).await;
    check(&known, request().header("X-Android-Cert", "0A".repeat(20)), refused("<empty>")).await;
    check(&known, request(), refused("<empty>")).await;
}

#[tokio::test]
async fn a_key_for_an_ios_app_is_told_the_bundle_it_came_from() {
    let known = only_for(ClientRestriction::Ios(vec![BundleId::parse("com.example.ios").unwrap()]));
    let from = |bundle: &str| request().header("X-Ios-Bundle-Identifier", bundle);
    let refused = |bundle: &str| {
        let message = format!("Requests from this iOS client application {bundle} are blocked.");
        let body = blocked("API_KEY_IOS_APP_BLOCKED", &message, &json!({"iosBundleId": bundle}));
        Some(("ios_app_blocked", body))
    };

    check(&known, from("com.example.ios"), None).await;
    check(&known, from("com.example.evil"), refused("com.example.evil")).await;
    check(&known, request(), refused("<empty>")).await;
}

#[tokio::test]
async fn a_service_that_is_off_says_where_to_switch_it_on() {
    let jules = ServiceName::parse("jules.googleapis.com").unwrap();
    let known = known(|known| known.project.services = [jules].into());

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
    let answer = call(&good(), Envelope::Array, Request::post("/v1/models/m:streamGenerateContent")).await;

    assert_eq!((answer.http, &answer.body[0]["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
}

#[tokio::test]
async fn a_gate_without_a_credential_layer_refuses_everybody() {
    let guarded = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Vec::new())) });

    let request = Request::get("/v1/models").header("x-goog-api-key", string().reveal()).body(()).unwrap();
    let answer = gate(&good(), Envelope::Object).layer(guarded).oneshot(request).await.unwrap();

    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn a_token_opens_what_the_key_behind_it_opens_once_somebody_answers_for_it() {
    let token = EphemeralToken::issue(&[5; 32]);
    let request = || Request::post("/v1/models/m:generateContent").header("x-goog-api-key", token.reveal());
    let behalf = |problem| Some(OnBehalf { key: hash(), model: None, problem });
    let word = async |known: &Known, behalf: Option<OnBehalf>| {
        call_for(known, Envelope::Object, request(), behalf).await.refusal
    };
    let disabled = known(|known| known.key.terms.enabled = false);

    assert_eq!(word(&good(), behalf(None)).await, None);
    assert_eq!(word(&good(), None).await, Some("unknown_token"));
    assert_eq!(word(&good(), behalf(Some(TokenProblem::Spent))).await, Some("token_spent"));
    assert_eq!(word(&disabled, behalf(Some(TokenProblem::Spent))).await, Some("key_disabled"), "the key comes first");
    let other = Some(OnBehalf { key: KeyHash::from_bytes([1; 32]), model: None, problem: None });
    assert_eq!(word(&good(), other).await, Some("unknown_key"));
}
