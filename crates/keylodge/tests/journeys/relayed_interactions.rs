//! Interactions of models at a server of the Gemini API: they go through as they are, and stay with the project that made
//! them, though our account there knows no projects. The server is a real process (`clients/google_interactions.py`).

use serde_json::{Value, json};

use crate::support::http::{Answer, Request, delete, get, post, request};
use crate::support::manage::Owner;
use crate::support::sdk::{python, run_python};
use crate::support::server::again;
use crate::support::until;
use crate::support::upstream::header;
use crate::upstreams::{CLAMPED, Lodge, OURS, google};

const PATH: &str = "/v1beta/interactions";
const MODEL: &str = "gemini-3-flash-preview";
/// The newest Python SDK, as in `sdks`.
const PYTHON: &str = "3.4.0";

fn create(more: &Value) -> Request {
    let mut body = json!({"model": MODEL, "input": "Hi"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    post(PATH, &body)
}

fn capped(tokens: u64) -> Value {
    json!({"generation_config": {"max_output_tokens": tokens}})
}

fn of_one(id: &Value, rest: &str) -> String {
    format!("{PATH}/{}{rest}", id.as_str().expect("an id"))
}

/// A key of a project of its own.
fn stranger(lodge: &Lodge) -> String {
    let mut owner = Owner::of(&lodge.server);
    owner.create_project("others");
    owner.create_key("others", "theirs").string
}

/// Status and word of an error.
#[track_caller]
fn said_no(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().expect("a word").to_owned())
}

/// What the upstream was sent last, and what it answered.
fn last(lodge: &Lodge) -> Value {
    lodge.upstream.seen().pop().expect("it was sent something")
}

#[test]
fn an_interaction_goes_through_byte_for_byte_both_ways_with_our_key() {
    let lodge = google();
    let odd =
        "{\"model\": \"models/gemini-3-flash-preview\",\r\n \"input\": \"Gr\u{fc}ezi\", \"what_comes_next\": [ 1 ] }";

    let request = request("POST", format!("{PATH}?callback=x&prettyPrint=false")).body(odd);
    let request = request.header("api-revision", "2026-05-20").header("x-goog-fieldmask", "steps");
    let answer = lodge.call(request.header("accept-encoding", "gzip").header("cookie", "mine=1")).good();

    let seen = last(&lodge);
    assert_eq!((&seen["body"], &seen["path"]), (&json!(odd), &json!("/v1beta/interactions?prettyPrint=false")));
    assert_eq!(seen["answer"], answer.text());
    assert_eq!(header(&seen, "x-goog-api-key"), [OURS]);
    assert_eq!(header(&seen, "api-revision"), ["2026-05-20"]);
    for gone in ["x-goog-fieldmask", "cookie"] {
        assert_eq!(header(&seen, gone), Vec::<&str>::new());
    }
    assert_eq!((answer.header("x-keylodge-engine"), answer.header(CLAMPED)), (Some("there"), None));

    let usage = Owner::of(&lodge.server).call(get("/metrics")).good().text();
    for line in ["keylodge_tokens_total{direction=\"input\"} 5", "keylodge_tokens_total{direction=\"output\"} 20"] {
        assert!(usage.contains(line), "{line} in {usage}");
    }
}

#[test]
fn a_stream_of_events_goes_through_as_it_comes() {
    let lodge = google();

    let answer = lodge.call(create(&json!({"stream": true}))).good();

    assert_eq!(last(&lodge)["answer"], answer.text());
    assert!(answer.text().ends_with("event: done\ndata: [DONE]\n\n"), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("set-cookie"), None, "that is about the upstream's house");
    let id = json!("v1_made-0");
    let again = lodge.call(get(of_one(&id, "?stream=true&last_event_id=3&x=1"))).good();
    assert_eq!(last(&lodge)["path"], "/v1beta/interactions/v1_made-0?stream=true&last_event_id=3");
    assert_eq!(last(&lodge)["answer"], again.text());
}

#[test]
fn an_interaction_is_found_continued_cancelled_and_deleted_by_the_project_that_made_it_alone() {
    let lodge = google();
    let theirs = stranger(&lodge);
    let by = |request: Request, key: &str| lodge.server.call(&request.key(key));
    let made = lodge.call(create(&json!({}))).good().json();
    let before = lodge.upstream.seen().len();

    let id = &made["id"];
    for foreign in [
        get(of_one(id, "")),
        get(of_one(id, "?stream=true")),
        delete(of_one(id, "")),
        request("POST", of_one(id, "/cancel")),
        create(&json!({"previous_interaction_id": id})),
        create(&json!({"previousInteractionId": id})),
        get(format!("{PATH}/v1_never-made")),
    ] {
        assert_eq!(said_no(&by(foreign.clone(), &theirs)), (404, "not_found".to_owned()), "{foreign:?}");
    }
    let sly = request("POST", PATH).body(format!(
        "{{\"model\": \"{MODEL}\", \"input\": \"Hi\", \"previous_interaction_id\": \"\", \"previous_interaction_id\": {id}}}"
    ));
    assert_eq!(said_no(&by(sly, &theirs)), (400, "invalid_request".to_owned()));
    let here = json!({"model": "mine", "input": "Hi", "previous_interaction_id": id});
    assert_eq!(said_no(&lodge.call(post(PATH, &here))), (404, "not_found".to_owned()), "it is not kept here");
    assert_eq!(lodge.upstream.seen().len(), before, "nothing of it was sent");

    assert_eq!(lodge.call(get(of_one(id, "?include_input=true"))).good().json(), made);
    assert_eq!(last(&lodge)["path"], "/v1beta/interactions/v1_made-0?include_input=true");
    let next = lodge.call(create(&json!({"previous_interaction_id": id}))).good().json();
    assert_ne!(&next["id"], id);
    let cancelled = lodge.call(request("POST", of_one(&next["id"], "/cancel"))).good();
    assert_eq!(cancelled.json()["status"], "cancelled");
    assert_eq!(lodge.call(delete(of_one(id, ""))).good().json(), json!({}));
    assert_eq!(said_no(&lodge.call(get(of_one(id, "")))), (404, "not_found".to_owned()));
    assert_eq!(last(&lodge)["method"], "DELETE", "what was deleted is not asked for");
}

#[test]
fn what_is_kept_here_is_not_continued_at_an_upstream() {
    let lodge = google();
    let kept = lodge.call(create(&json!({"model": "mine"}))).good().json();

    let refused = lodge.call(create(&json!({"previous_interaction_id": kept["id"]})));

    assert_eq!(said_no(&refused), (404, "not_found".to_owned()));
    assert_eq!(lodge.upstream.seen(), Vec::<Value>::new());
}

#[test]
fn a_name_can_stand_for_another_and_an_agent_is_where_the_models_say() {
    let lodge = google();

    lodge.call(create(&json!({"model": "fast"}))).good();
    assert_eq!(last(&lodge)["body"], "{\"input\":\"Hi\",\"model\":\"gemini-2.5-flash\"}");
    let agent = json!({"agent": "deep-research", "input": "Hi", "background": true, "environment": "remote"});
    lodge.call(post(PATH, &agent)).good();
    assert_eq!(last(&lodge)["body"], agent.to_string());
    let theirs = json!({"agent": "deep-research", "input": "Hi", "environment": "env_1"});
    assert_eq!(said_no(&lodge.call(post(PATH, &theirs))), (400, "invalid_request".to_owned()));
    let mine = json!({"agent": "mine", "input": "Hi"});
    assert_eq!(said_no(&lodge.call(post(PATH, &mine))), (400, "invalid_request".to_owned()));

    lodge.budget("0.030");
    let refused = lodge.call(post(PATH, &agent));
    assert_eq!(said_no(&refused), (400, "failed_precondition".to_owned()), "nobody knows what it takes");
    assert_eq!(lodge.upstream.seen().len(), 2);
}

#[test]
fn a_budget_shortens_answers_says_so_and_is_charged_what_they_took() {
    let lodge = google();
    // A token of output costs a thousandth of a dollar.
    lodge.budget("0.030");

    let whole = lodge.call(create(&capped(100))).good();
    assert_eq!(whole.header(CLAMPED), Some("30"));
    let sent = last(&lodge)["body"].as_str().expect("text").to_owned();
    assert_eq!(
        sent,
        "{\"generation_config\":{\"max_output_tokens\":30},\"input\":\"Hi\",\"model\":\"gemini-3-flash-preview\"}"
    );
    assert_eq!(whole.json()["usage"]["total_output_tokens"], 20);

    let rest = lodge.call(create(&json!({"stream": true}))).good();
    assert_eq!(rest.header(CLAMPED), Some("10"), "20 of 30 are used");
    assert!(rest.text().contains("\"status\": \"incomplete\""), "{}", rest.text());

    let refused = lodge.call(create(&json!({})));
    assert_eq!(said_no(&refused), (429, "quota_exceeded".to_owned()));
    assert_eq!(lodge.upstream.seen().len(), 2, "what is refused is not sent");
}

#[test]
fn what_does_not_say_what_it_took_is_charged_what_was_reserved() {
    let lodge = google();
    lodge.budget("0.050");

    lodge.call(create(&json!({"model": "mute", "generation_config": {"max_output_tokens": 20}}))).good();
    let background = json!({"background": true, "generation_config": {"max_output_tokens": 20}});
    let begun = lodge.call(create(&background)).good().json();
    assert_eq!(begun["status"], "in_progress");
    lodge.call(get(of_one(&begun["id"], ""))).good();

    let rest = lodge.call(create(&capped(20))).good();
    assert_eq!(rest.header(CLAMPED), Some("10"), "40 of 50 were reserved");
}

#[test]
fn what_was_answered_in_the_background_is_counted_once_by_whom_looks_first() {
    let lodge = google();
    let tokens = || {
        let metrics = Owner::of(&lodge.server).call(get("/metrics")).good().text();
        let line = metrics.lines().find(|line| line.starts_with("keylodge_tokens_total{direction=\"output\"}"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let begun = lodge.call(create(&json!({"background": true}))).good().json();
    assert_eq!(tokens(), 0);

    for _ in 0..2 {
        let looked_at = lodge.call(get(of_one(&begun["id"], ""))).good();
        assert_eq!(last(&lodge)["answer"], looked_at.text());
    }

    assert_eq!(tokens(), 20);
}

#[test]
fn a_conversation_fits_into_a_limit_of_input_because_what_was_said_before_is_known() {
    let lodge = google();
    lodge.limit(&json!({"metric": "INPUT_TOKENS", "window": "MINUTE", "value": "1000"}));

    let made = lodge.call(create(&json!({}))).good().json();

    lodge.call(create(&json!({"previous_interaction_id": made["id"]}))).good();
}

#[test]
fn errors_of_the_upstream_pass_as_they_are_and_never_name_our_key() {
    let lodge = google();

    let unknown = lodge.call(create(&json!({"model": "no-such"})));
    assert_eq!((unknown.status, &json!(unknown.text())), (404, &last(&lodge)["answer"]));
    let suspended = lodge.call(create(&json!({"model": "suspended"})));
    assert_eq!((said_no(&suspended).0, suspended.text().contains(OURS)), (503, false), "{}", suspended.text());
}

#[test]
fn a_caller_who_leaves_ends_the_call_at_the_upstream() {
    let lodge = google();
    let mut connection = lodge.server.connect();
    connection.begin(&create(&json!({"model": "endless", "stream": true})).key(&lodge.key));
    connection.piece().expect("it begins");
    drop(connection);
    until("the upstream knows that nobody listens", || last(&lodge)["left"] == true);

    let mut connection = lodge.server.connect();
    connection.send(&create(&json!({"model": "slow"})).key(&lodge.key));
    until("it is sent", || lodge.upstream.seen().len() == 2);
    drop(connection);
    until("the upstream knows that nobody waits", || last(&lodge)["left"] == true);
}

#[test]
fn an_answer_that_breaks_off_breaks_off() {
    for model in ["dies", "silent"] {
        let lodge = google();
        let mut connection = lodge.server.connect();
        let broken = connection.try_call(&create(&json!({"model": model, "stream": true})).key(&lodge.key));
        assert!(broken.is_err(), "{model}: {broken:?}");
    }
}

#[test]
fn an_id_that_is_said_last_is_found_all_the_same_and_what_is_not_stored_has_none() {
    let lodge = google();
    let bare = lodge.call(create(&json!({"model": "bare"}))).good();
    assert_eq!(last(&lodge)["answer"], bare.text());
    lodge.call(get(of_one(&bare.json()["id"], ""))).good();

    let unstored = lodge.call(create(&json!({"store": false}))).good().json();
    assert_eq!(unstored["id"], "");
}

#[test]
fn what_one_account_made_goes_to_that_account_again() {
    let lodge = google();
    let path = "/keylodge/v1/upstreams/there/credentials";
    let body = json!({"displayName": "second", "secret": "second-key", "quotaProject": "second"});
    Owner::of(&lodge.server).call(post(path, &body)).good();

    let made: Vec<Value> = (0..4).map(|_| lodge.call(create(&json!({}))).good().json()["id"].clone()).collect();
    let keys: Vec<String> = lodge.upstream.seen().iter().map(|seen| header(seen, "x-goog-api-key").concat()).collect();
    assert!(keys.contains(&OURS.to_owned()) && keys.contains(&"second-key".to_owned()), "both are used: {keys:?}");

    for id in &made {
        lodge.call(get(of_one(id, ""))).good();
        lodge.call(create(&json!({"previous_interaction_id": id}))).good();
    }
}

#[test]
fn whose_an_interaction_is_survives_a_power_loss() {
    let lodge = google();
    let theirs = stranger(&lodge);
    let made = lodge.call(create(&json!({}))).good().json();

    let Lodge { server, key, upstream: _upstream } = lodge;
    let folder = server.folder.clone();
    let settings = std::fs::read_to_string(folder.path().join("keylodge.toml")).expect("its settings");
    server.kill();
    let server = again(&folder).settings(&settings).up();

    server.call(&get(of_one(&made["id"], "")).key(&key)).good();
    assert_eq!(server.call(&get(of_one(&made["id"], "")).key(&theirs)).status, 404);
}

#[test]
fn the_newest_python_sdk_has_interactions_through_an_upstream_as_with_google() {
    let lodge = google();

    println!("{}", run_python(&lodge.server, &python(PYTHON), "relayed.py", &[]));
}
