//! Every route there is, as a good call of it. A method that is added to the program and not here fails a test.

use std::collections::BTreeSet;

use keylodge_services::dispatch::routes;
use serde_json::json;

use crate::support::http::{EMBEDDING_MODEL, MODEL, Request, contents, delete, get, post, request};
use crate::support::manage::keys;

/// The versions of the Gemini API.
pub(crate) const VERSIONS: [&str; 3] = ["v1", "v1beta", "v1alpha"];

/// What needs no credential.
pub(crate) const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

// Where the program names its methods.
const GEMINI: &str = include_str!("../../../keylodge-services/src/gemini/identify.rs");
const INTERACTIONS: &str = include_str!("../../../keylodge-services/src/interactions/identify.rs");

/// A call of every method of the Gemini API in every version.
pub(crate) fn gemini() -> Vec<Request> {
    let each = VERSIONS.into_iter().flat_map(|version| {
        let model = format!("/{version}/models/{MODEL}");
        let embedding = format!("/{version}/models/{EMBEDDING_MODEL}");
        let content = json!({"content": {"parts": [{"text": "Hello"}]}});
        [
            get(format!("/{version}/models")),
            get(format!("/{version}/tunedModels")),
            get(&*model),
            post(format!("{model}:generateContent"), &contents("Hello")),
            post(format!("{model}:streamGenerateContent"), &contents("Hello")),
            post(format!("{model}:streamGenerateContent?alt=sse"), &contents("Hello")),
            post(format!("{model}:countTokens"), &contents("Hello")),
            post(format!("{embedding}:embedContent"), &content),
            post(format!("{embedding}:batchEmbedContents"), &json!({"requests": [content]})),
            post(format!("/{version}/interactions"), &json!({"model": MODEL, "input": "Hello"})),
            post(format!("/{version}/auth_tokens"), &json!({})),
        ]
    });
    each.collect()
}

/// A call of every method about one interaction, which there is not.
pub(crate) fn of_no_interaction() -> Vec<Request> {
    let path = "/v1beta/interactions/v1_none";
    vec![get(path), delete(path), post(format!("{path}/cancel"), &json!({}))]
}

/// A call of every method of management, to be made in this order; `id` is for the key that is made, deleted and
/// brought back, `operation` names one that is done.
pub(crate) fn management(id: &str, operation: &str) -> Vec<Request> {
    let keys = keys("default-project");
    let services = "/v1/projects/default-project/services";
    let service = format!("{services}/generativelanguage.googleapis.com");
    vec![
        post(format!("{keys}?keyId={id}"), &json!({"displayName": "by route"})),
        get(&*keys),
        get(format!("{keys}/{id}")),
        get(format!("{keys}/{id}/keyString")),
        delete(format!("{keys}/{id}")),
        post(format!("{keys}/{id}:undelete"), &json!({})),
        get("/v2/keys:lookupKey"),
        get(format!("/v2/{operation}")),
        post("/v1/projects", &json!({"projectId": format!("of-{id}"), "name": "By route"})),
        get("/v1/projects"),
        get("/v1/projects/default-project"),
        get(services),
        get(&*service),
        post(format!("{service}:disable"), &json!({})),
        post(format!("{service}:enable"), &json!({})),
    ]
}

/// A call of every route of management that [`management`] has not, so that none is forgotten. They need not succeed:
/// what they are about is mostly not there.
pub(crate) fn rest_of_management() -> Vec<Request> {
    let something = |place: &str| match place {
        "project" => "by-the-rest".to_owned(),
        "location" => "global".to_owned(),
        "service" => "jules.googleapis.com".to_owned(),
        "organization" => "123456789012".to_owned(),
        "key" | "role" | "operator" | "token" | "operation" | "upstream" | "credential" | "decision" => {
            "nobody".to_owned()
        }
        place => panic!("say in routes.rs what can stand at {{{place}}}"),
    };
    let called = management("any", "operations/any");
    let each = routes().filter(|route| !called.iter().any(|call| call.is_of(route))).map(|route| {
        let call = request(route.verb, route.filled(something));
        if matches!(route.verb, "GET" | "DELETE") { call } else { call.body("{}") }
    });
    each.collect()
}

/// Compares the methods that exist with those that the metrics have counted.
#[track_caller]
pub(crate) fn check_all_called(metrics: &str) {
    let missed: Vec<_> = that_exist().difference(&called(metrics)).cloned().collect();
    assert_eq!(missed, [""; 0], "these methods were not called: add them to routes.rs");
}

/// Every method that the services name: the last words of the full names.
fn that_exist() -> BTreeSet<String> {
    let quoted = |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let section = |file: &'static str, begin: &str, end: &str| {
        let (_, rest) = file.split_once(begin).expect("the file names its methods where this test looks for them");
        rest.split_once(end).expect("the section ends").0
    };
    let verbs = section(GEMINI, "const fn rpc(self)", "\n    }\n");
    let calls = section(GEMINI, "fn rpc(&self)", "\n    }\n");
    let interactions = section(INTERACTIONS, "let rpc = match call", "\n    };\n");
    let names = [verbs, calls, interactions].into_iter().flat_map(quoted);
    let names = names.filter(|name| !name.ends_with("Service"));
    let names = names.chain(["CreateToken".to_owned()]);
    let names = names.chain(routes().map(|route| route.method.to_owned()));
    names.map(|name| name.rsplit('.').next().unwrap_or_default().to_owned()).collect()
}

/// Every method that was called, as the metrics count them.
fn called(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| line.starts_with("keylodge_requests_total{"));
    let methods = lines.filter_map(|line| line.split("method=\"").nth(1)?.split('"').next());
    methods.filter(|method| !method.is_empty()).map(str::to_owned).collect()
}
