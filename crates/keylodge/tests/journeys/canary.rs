//! The secret canary: known secrets go through every route, in every right and wrong place, and are then looked for in
//! everything that is kept or shown.

use std::collections::BTreeSet;

use serde_json::json;

use crate::routes;
use crate::support::http::{Answer, MODEL, Request, contents, delete, generate, get, post, request};
use crate::support::manage::{Owner, keys};
use crate::support::server::{Server, scripted};

/// What must be found nowhere, with a name for the failure.
struct Secret {
    name: &'static str,
    text: String,
}

impl Secret {
    /// Looks for the whole string and for its random body alone, which says as much.
    #[track_caller]
    fn check_not_in(&self, place: &str, bytes: &[u8]) {
        let body_begin = self.text.rfind(['_', '/']).map_or(0, |at| at + 1);
        let body = &self.text[body_begin..body_begin + 43];
        for part in [self.text.as_bytes(), body.as_bytes()] {
            assert!(!bytes.windows(part.len()).any(|window| window == part), "the {} is in {place}", self.name);
        }
    }
}

/// A call of every method of the Gemini API in every version, good ones and bad ones, and of what needs no key.
fn gemini_calls() -> Vec<Request> {
    let mut calls = routes::gemini();
    for version in routes::VERSIONS {
        let verbs = ["generateContent", "streamGenerateContent", "streamGenerateContent?alt=sse", "countTokens"];
        for verb in verbs.into_iter().chain(["embedContent", "batchEmbedContents", "predict", "nonsense"]) {
            calls.push(post(format!("/{version}/models/gemini-9:{verb}"), &contents("Hello")));
            calls.push(request("POST", format!("/{version}/models/{MODEL}:{verb}")).body("nonsense"));
        }
        calls.push(get(format!("/{version}/models/gemini-9")));
        calls.push(request("OPTIONS", format!("/{version}/models/{MODEL}:generateContent")));
    }
    calls.extend(routes::of_no_interaction());
    calls.extend(["/", "/nowhere", "/v1beta/v1/models"].into_iter().chain(routes::OPEN).map(get));
    calls
}

/// A call of every method of management, good ones and bad ones.
fn management_calls(id: &str, operation: &str) -> Vec<Request> {
    let keys = keys("default-project");
    let mut calls = routes::management(id, operation);
    calls.extend(routes::rest_of_management());
    calls.push(get(format!("{keys}?pageToken=nonsense")));
    calls.push(delete(format!("{keys}/{id}?etag=old")));
    calls.push(post(format!("{keys}/{id}:undelete"), &json!({})));
    calls
}

/// The same call with a secret in each place where somebody may put one.
fn everywhere(call: &Request, secret: &str) -> Vec<Request> {
    vec![
        call.clone().key(secret),
        call.clone().query(&format!("key={secret}")),
        call.clone().query(&format!("%24key={secret}")),
        call.clone().key(secret).query(&format!("key={secret}")),
        call.clone().key(secret).query("key=another"),
        call.clone().key(&format!("\"{secret}\"")),
        call.clone().token(secret),
        call.clone().header("authorization", &format!("Token {secret}")),
        call.clone().query(&format!("access_token={secret}")),
        call.clone().query(&format!("oauth_token={secret}")),
    ]
}

/// Looks at the answer: its headers never hold a secret, and its body only where a key's string was asked for.
#[track_caller]
fn check_answer(answer: &Answer, secrets: &[Secret], may_show_keys: bool) {
    for secret in secrets {
        secret.check_not_in("a header of an answer", format!("{:?}", answer.headers()).as_bytes());
        if !(may_show_keys && answer.status == 200) {
            secret.check_not_in(&format!("an answer of status {}", answer.status), &answer.body);
        }
    }
}

#[test]
fn a_secret_that_goes_through_every_route_is_found_in_no_log_metric_error_or_file() {
    let upstream = "[upstreams.google]\nkind = \"gemini\"\nurl = \"http://127.0.0.1:9\"\n";
    let server = scripted().settings(upstream).set("log.level", "trace").up();
    let mut owner = Owner::of(&server);
    let made = owner.create_key("default-project", "canary");
    let deleted = owner.create_key("default-project", "deleted");
    owner.delete_key("default-project", "deleted");
    let mut mistyped = server.key();
    mistyped.replace_range(51..52, if mistyped.ends_with('x') { "y" } else { "x" });
    let upstream_key = format!("sk_{}", "of-ours-at-the-upstream".repeat(3));
    let add = json!({"secret": upstream_key, "displayName": "canary", "quotaProject": "canary"});
    owner.call(post("/keylodge/v1/upstreams/google/credentials", &add)).good();
    let for_calls = json!({"scope": "API", "uses": 0});
    let ephemeral = server.call(&post("/v1/auth_tokens", &for_calls).key(&server.key())).good().json();
    let ephemeral = ephemeral["name"].as_str().expect("a token has a name").to_owned();
    let secrets = [
        Secret { name: "default key", text: server.key() },
        Secret { name: "default key, mistyped", text: mistyped },
        Secret { name: "created key", text: made.string },
        Secret { name: "deleted key", text: deleted.string },
        Secret { name: "owner's token", text: server.token() },
        Secret { name: "credential at an upstream", text: upstream_key },
        Secret { name: "ephemeral token", text: ephemeral },
    ];

    let mut connection = server.connect();
    for secret in &secrets {
        for call in gemini_calls().iter().flat_map(|call| everywhere(call, &secret.text)) {
            check_answer(&connection.call(&call), &secrets, false);
        }
        for call in management_calls("canary", &made.operation) {
            for call in everywhere(&call, &secret.text) {
                check_answer(&connection.call(&call), &secrets, true);
            }
        }
        let lookup = get(format!("/v2/keys:lookupKey?keyString={}", secret.text));
        check_answer(&owner.call(lookup), &secrets, false);
        // A prompt is the caller's own: the script repeats it to him, and nobody else sees it.
        connection.call(&generate(&secret.text).key(&secrets[0].text)).good();
        let kept = post("/v1/interactions", &json!({"model": MODEL, "input": secret.text}));
        connection.call(&kept.key(&secrets[0].text)).good();
    }
    for (at, secret) in secrets.iter().enumerate() {
        for call in management_calls(&format!("canary-{at}"), &made.operation) {
            check_answer(&owner.call(call.query(&format!("key={}", secret.text))), &secrets, true);
        }
    }

    check_everything_that_is_kept(server, &secrets);
}

#[test]
fn a_secret_that_is_mistaken_for_a_part_of_the_path_is_found_in_no_log_and_no_error() {
    let server = scripted().up();
    let secret = Secret { name: "key", text: server.key() };
    let text = &secret.text;

    for call in [
        get(format!("{}/{text}", keys("default-project"))).token(&server.token()),
        get(format!("/v1/projects/{text}")).token(&server.token()),
        post(format!("/v1/models/{text}:generateContent"), &contents("Hello")).key(text),
        post(format!("/v1/models/{MODEL}:{text}"), &contents("Hello")).key(text),
        get(format!("/{text}")),
        get(format!("/v1/models/{MODEL}/{text}")),
    ] {
        check_answer(&server.call(&call), std::slice::from_ref(&secret), false);
    }

    secret.check_not_in("the log", server.stop().log.as_bytes());
}

#[track_caller]
fn check_everything_that_is_kept(server: Server, secrets: &[Secret]) {
    let metrics = server.call(&get("/metrics")).good();
    routes::check_all_called(&metrics.text());
    for page in ["/metrics", "/readyz", "/healthz"] {
        check_answer(&server.call(&get(page)), secrets, false);
    }
    // Once while the server runs, with its write-ahead log, and once after it has closed the database.
    check_files(&server, secrets);
    let folder = server.folder.clone();
    let stopped = server.stop();
    for secret in secrets {
        secret.check_not_in("the log", stopped.log.as_bytes());
        for name in ["keylodge.db", "master-key", "lock"] {
            secret.check_not_in(name, &std::fs::read(folder.data(name)).unwrap_or_default());
        }
    }
    // The default key alone was printed, on this first start; the mistyped one is nearly the same.
    secrets[2..].iter().for_each(|secret| secret.check_not_in("stdout", stopped.stdout.as_bytes()));
}

#[track_caller]
fn check_files(server: &Server, secrets: &[Secret]) {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(server.folder.data("")).expect("the data folder can be read") {
        let path = entry.expect("a file has a name").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("a file can be read");
        for secret in secrets {
            if (secret.name, name.as_str()) != ("owner's token", "owner-token") {
                secret.check_not_in(&name, &bytes);
            }
        }
        names.insert(name);
    }
    let database = |name: &'static str| ["", "-shm", "-wal"].map(|end| format!("{name}.db{end}"));
    let others = ["lock", "master-key", "owner-token"].map(str::to_owned);
    let databases = ["keylodge", "meter", "interactions", "ephemeral"].into_iter().flat_map(database);
    assert_eq!(names, databases.chain(others).collect(), "every file of the data folder is known");
}
