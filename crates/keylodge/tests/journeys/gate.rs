//! What the gate answers to each kind of caller: Google's own errors, whole.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::http::{MODEL, Request, contents, generate, get, post, request};
use crate::support::manage::Owner;
use crate::support::server::{Server, scripted};
use crate::support::{environment, printed};

const SERVICE: &str = "generativelanguage.googleapis.com";
const VERSIONS: [&str; 3] = ["v1", "v1beta", "v1alpha"];

/// The same call under each version of the API, as an object and as an array.
fn each_form() -> impl Iterator<Item = (&'static str, &'static str, bool, Request)> {
    VERSIONS.into_iter().flat_map(|version| {
        [
            ("GenerateContent", ":generateContent", false),
            ("StreamGenerateContent", ":streamGenerateContent", true),
            ("StreamGenerateContent", ":streamGenerateContent?alt=sse", false),
            ("CountTokens", ":countTokens", false),
        ]
        .map(|(rpc, verb, array)| {
            let path = format!("/{version}/models/{MODEL}{verb}");
            (version, rpc, array, post(path, &contents("Hello")))
        })
    })
}

/// Makes a call in every form and compares the whole error. The log has the same decision, under the refusal's word.
#[track_caller]
fn check(server: &Server, word: &str, with: impl Fn(Request) -> Request, error: impl Fn(&str) -> Value) {
    for (version, rpc, array, call) in each_form() {
        let answer = server.call(&with(call));

        let error = error(&format!("google.ai.generativelanguage.{version}.GenerativeService.{rpc}"));
        assert_eq!(error["code"], answer.status);
        let expected = if array { json!([{"error": error}]) } else { json!({"error": error}) };
        assert_eq!(answer.json(), expected);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let decision = answer.header("x-keylodge-decision").expect("a refusal has a decision");
        let line = server.log_line("decision", decision);
        assert_eq!((&line["refusal"], &line["http.status"]), (&json!(word), &json!(answer.status)));
        assert_eq!(line["request.id"].as_str(), answer.header("x-request-id"));
    }
}

/// The error about a key that is none.
fn invalid_key(message: &str) -> Value {
    json!({
        "code": 400, "message": message, "status": "INVALID_ARGUMENT",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
             "domain": "googleapis.com", "metadata": {"service": SERVICE}},
            {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message},
        ],
    })
}

const NOT_VALID: &str = "API key not valid. Please pass a valid API key.";

/// The examples of Google's documents, with another host.
pub(crate) const EXAMPLES: [&str; 2] = [
    r#"curl "$BASE/v1beta/models/gemini-2.0-flash:generateContent?key=${GEMINI_API_KEY}" -H 'Content-Type: application/json' -X POST -d '{"contents":[{"parts":[{"text":"Write a story about a magic backpack."}]}]}'"#,
    r#"curl "$BASE/v1beta/models/gemini-2.0-flash:generateContent" -H "x-goog-api-key: $GEMINI_API_KEY" -H 'Content-Type: application/json' -X POST -d '{"contents":[{"parts":[{"text":"Write a story about a magic backpack."}]}]}'"#,
];

/// That of Google's document of the Interactions API.
pub(crate) const INTERACTION: &str = r#"curl -X POST "$BASE/v1beta/interactions" -H "x-goog-api-key: $GEMINI_API_KEY" -H "Api-Revision: 2026-05-20" -H "Content-Type: application/json" -d '{"model":"gemini-3-flash-preview","input":"Explain how AI works in a few words"}'"#;

/// Runs an example in a shell, as people do.
#[track_caller]
pub(crate) fn run_example(server: &Server, example: &str) -> Value {
    let mut shell = Command::new("sh");
    shell.args(["-c", example]).env_clear().envs(environment().filter(|(name, _)| name == "PATH"));
    let output = shell.env("BASE", &server.url).env("GEMINI_API_KEY", server.key()).output().expect("there is sh");
    let (answer, stderr) = printed(&output);
    assert!(output.status.success(), "curl, as people run it (is it installed?), says: {stderr}");
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("no JSON ({error}): {answer}"))
}

#[test]
fn the_calls_of_googles_documents_work_word_for_word() {
    let server = scripted().up();

    for example in EXAMPLES {
        let answer = run_example(&server, example);

        let text = answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
        assert!(text.contains("Write a story about a magic backpack."), "{answer}");
        assert_eq!(answer["candidates"][0]["finishReason"], "STOP");
        assert_eq!(answer["modelVersion"], MODEL);
    }
    let interaction = run_example(&server, INTERACTION);
    let last = interaction["steps"].as_array().and_then(|steps| steps.last()).unwrap();
    let text = last["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("Explain how AI works in a few words"), "{interaction}");
    assert_eq!(interaction["status"], "completed");
}

#[test]
fn a_key_is_taken_from_header_and_query_in_every_version() {
    let server = scripted().up();
    let key = server.key();

    for (.., call) in each_form() {
        server.call(&call.clone().key(&key)).good();
        server.call(&call.clone().query(&format!("key={key}"))).good();
        server.call(&call.clone().query(&format!("%24key={key}"))).good();
        server.call(&call.key(&key).query(&format!("key={key}"))).good();
    }
    for version in VERSIONS {
        server.call(&get(format!("/{version}/models")).key(&key)).good();
        server.call(&get(format!("/{version}/models/{MODEL}?key={key}"))).good();
    }
}

#[test]
fn a_missing_key_is_403_without_details() {
    let server = scripted().up();
    let error = |_: &str| {
        json!({
            "code": 403, "status": "PERMISSION_DENIED",
            "message": "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
        })
    };

    check(&server, "no_credential", |call| call, error);
    check(&server, "no_credential", |call| call.key("").query("key="), error);
}

#[test]
fn a_string_that_is_no_key_is_400_api_key_invalid() {
    let server = scripted().up();
    let key = server.key();
    let quoted = format!("\"{key}\"");
    let bearer = format!("Bearer {key}");

    for wrong in ["YOUR_API_KEY", "$GEMINI_API_KEY", "AIzaSyA-a-key-of-google-0123456789abcdef", &quoted, &bearer] {
        let word = if wrong.contains([' ']) { "malformed_key" } else { "unknown_key" };
        check(&server, word, |call| call.key(wrong), |_| invalid_key(NOT_VALID));
    }
    check(&server, "malformed_key", |call| call.query(&format!("key={key}%0A")), |_| invalid_key(NOT_VALID));
}

#[test]
fn a_key_with_one_wrong_character_is_refused_as_mistyped() {
    let server = scripted().up();
    let mut key = server.key();
    let other = if key.as_bytes()[20] == b'x' { "y" } else { "x" };
    key.replace_range(20..21, other);

    check(&server, "malformed_key", |call| call.key(&key), |_| invalid_key(NOT_VALID));
    check(&server, "malformed_key", |call| call.query(&format!("key={key}")), |_| invalid_key(NOT_VALID));
}

#[test]
fn a_well_formed_key_of_another_keylodge_is_unknown() {
    let (server, other) = (scripted().up(), scripted().up());
    let foreign = other.key();

    check(&server, "unknown_key", |call| call.key(&foreign), |_| invalid_key(NOT_VALID));
}

#[test]
fn a_deleted_key_is_refused_and_an_undeleted_one_works_again() {
    let server = scripted().up();
    let mut owner = Owner::of(&server);
    let made = owner.create_key("default-project", "short-lived");

    owner.delete_key("default-project", "short-lived");
    let expired = "API key expired. Please renew the API key.";
    check(&server, "key_deleted", |call| call.key(&made.string), |_| invalid_key(expired));

    let keys = crate::support::manage::keys("default-project");
    owner.call(post(format!("{keys}/short-lived:undelete"), &json!({}))).good();
    server.call(&generate("Hello").key(&made.string)).good();
}

#[test]
fn two_different_keys_are_refused_though_both_are_good() {
    let server = scripted().up();
    let (one, other) = (server.key(), Owner::of(&server).create_key("default-project", "other").string);

    let both = |call: Request| call.key(&one).query(&format!("key={other}"));
    check(&server, "two_credentials", both, |_| invalid_key(NOT_VALID));
}

#[test]
fn a_key_as_bearer_is_401() {
    let server = scripted().up();
    let key = server.key();

    check(
        &server,
        "not_an_api_key",
        |call| call.token(&key),
        |method| {
            json!({
                "code": 401, "status": "UNAUTHENTICATED",
                "message": "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
                "details": [{
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                    "domain": "googleapis.com", "metadata": {"service": SERVICE, "method": method},
                }],
            })
        },
    );
}

#[test]
fn a_disabled_service_is_403_until_it_is_enabled_again() {
    let server = scripted().up();
    let (key, number, mut owner) = (server.key(), server.project_number(), Owner::of(&server));

    owner.switch("default-project", "disable");

    let page = format!("{}/studio/apis/{SERVICE}?project={number}", server.url);
    let message = format!(
        "Generative Language API has not been used in project {number} before or it is disabled. Enable it by visiting {page} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    );
    check(
        &server,
        "service_disabled",
        |call| call.key(&key),
        |_| {
            json!({
                "code": 403, "status": "PERMISSION_DENIED", "message": message,
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
                     "domain": "googleapis.com", "metadata": {
                         "service": SERVICE, "serviceTitle": "Generative Language API",
                         "consumer": format!("projects/{number}"), "containerInfo": number, "activationUrl": page}},
                    {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message},
                    {"@type": "type.googleapis.com/google.rpc.Help", "links": [
                        {"description": "Google developers console API activation", "url": page}]},
                ],
            })
        },
    );
    owner.switch("default-project", "enable");
    server.call(&generate("Hello").key(&key)).good();
}

#[test]
fn browsers_may_call_from_anywhere_with_the_headers_that_the_sdks_send() {
    let server = scripted().up();
    let sent = [
        "x-goog-api-key",
        "x-goog-api-client",
        "x-goog-user-project",
        "x-server-timeout",
        "api-revision",
        "authorization",
        "content-type",
    ];

    let preflight = request("OPTIONS", format!("/v1beta/models/{MODEL}:generateContent"))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", &sent.join(","));
    let answer = server.call(&preflight).good();

    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let listed = |name: &str| {
        let list = answer.header(name).unwrap_or_default().to_ascii_lowercase();
        list.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>()
    };
    let allowed = listed("access-control-allow-headers");
    assert!(sent.iter().all(|name| allowed.iter().any(|allowed| allowed == name)), "{allowed:?}");
    for method in ["get", "post", "delete"] {
        assert!(listed("access-control-allow-methods").iter().any(|allowed| allowed == method), "{method}");
    }
    let called = server.call(&generate("Hello").key(&server.key()).header("origin", "https://app.example")).good();
    assert_eq!(called.header("access-control-allow-origin"), Some("*"));
    assert!(called.header("access-control-expose-headers").unwrap_or_default().contains("x-keylodge-decision"));
}
