//! Streamed answers: what is on the wire, how they break, and who leaves early.

use serde_json::{Value, json};

use crate::support::http::{MODEL, contents, generate, post, stream};
use crate::support::server::with_script;
use crate::support::until;

const STORY: &str = r#"
[[reply]]
contains = "story"
tokens = ["Once", " upon", " a <time>."]
prompt_tokens = 4

[[reply]]
contains = "refuse"
status = 503
message = "Not today."

[[reply]]
contains = "break"
tokens = ["Once", " upon", " a time."]
fail_after = 2
status = 503
message = "The thread is lost."

# As long as tests wait, so that its early end is somebody's doing.
[[reply]]
contains = "slow"
tokens = ["first", "second", "third"]
delay_ms = 60000
"#;

/// The chunks of a whole stream of server-sent events.
#[track_caller]
fn events(body: &str) -> Vec<Value> {
    let events = body.strip_suffix("\r\n\r\n").expect("a stream ends with a blank line").split("\r\n\r\n");
    events
        .map(|event| {
            let json = event.strip_prefix("data: ").unwrap_or_else(|| panic!("not `data: ` in {event:?}"));
            assert!(!json.contains('\n'), "an event is one line: {json:?}");
            serde_json::from_str(json).expect("an event is JSON")
        })
        .collect()
}

/// Compares the chunks of the story with what each must be.
#[track_caller]
fn check_story(chunks: &[Value]) {
    let expected = [("Once", Some(1)), (" upon", Some(2)), (" a <time>.", Some(3)), ("", Some(3))];
    assert_eq!(chunks.len(), expected.len(), "{chunks:?}");
    for (at, (chunk, (text, tokens))) in chunks.iter().zip(expected).enumerate() {
        let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
        if at == 3 {
            candidate["finishReason"] = json!("STOP");
        }
        let response_id = &chunks[0]["responseId"];
        assert!(response_id.as_str().is_some_and(|id| id.len() >= 16), "{response_id}");
        assert_eq!(
            *chunk,
            json!({
                "candidates": [candidate],
                "usageMetadata": {
                    "promptTokenCount": 4, "candidatesTokenCount": tokens, "totalTokenCount": tokens.map(|n| n + 4),
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
                },
                "modelVersion": MODEL, "responseId": response_id,
            })
        );
    }
}

#[test]
fn events_are_bare_data_lines_and_blank_lines_and_nothing_else() {
    let server = with_script(STORY).up();
    let mut connection = server.connect();

    let head = connection.begin(&stream("A story, please").key(&server.key())).good();
    let body = connection.rest();

    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert!(body.lines().all(|line| line.is_empty() || line.starts_with("data: {")), "{body}");
    assert!(!body.contains('<'), "angle brackets are escaped, as at Google");
    check_story(&events(&body));
}

#[test]
fn without_alt_a_stream_is_one_json_array_of_the_same_chunks() {
    let server = with_script(STORY).up();

    for query in ["", "?alt=json"] {
        let path = format!("/v1/models/{MODEL}:streamGenerateContent{query}");
        let answer = server.call(&post(path, &contents("A story, please")).key(&server.key())).good();

        assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
        check_story(answer.json().as_array().unwrap());
    }
}

#[test]
fn the_whole_answer_has_the_text_of_the_stream_and_its_counts() {
    let server = with_script(STORY).up();

    let answer = server.call(&generate("A story, please").key(&server.key())).good().json();

    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "Once upon a <time>.");
    assert_eq!(answer["usageMetadata"]["totalTokenCount"], 7);
}

#[test]
fn a_fault_before_the_first_byte_is_an_http_error() {
    let server = with_script(STORY).up();
    let error = json!({"error": {
        "code": 503, "message": "Not today.", "status": "UNAVAILABLE",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}],
    }});

    let sse = server.call(&stream("refuse").key(&server.key()));
    let array = post(format!("/v1/models/{MODEL}:streamGenerateContent"), &contents("refuse"));
    let array = server.call(&array.key(&server.key()));

    assert_eq!((sse.status, sse.json()), (503, error.clone()));
    assert_eq!((array.status, array.json()), (503, json!([error])));
}

#[test]
fn a_fault_in_the_middle_is_a_last_event_that_begins_with_the_error() {
    let server = with_script(STORY).up();
    let mut connection = server.connect();

    connection.begin(&stream("break").key(&server.key())).good();
    let body = connection.rest();

    let last = body.trim_end().lines().last().unwrap();
    assert!(last.starts_with(r#"data: {"error":"#), "{last}");
    let chunks = events(&body);
    assert_eq!(chunks.len(), 3, "two pieces and the error");
    assert_eq!(chunks[2]["error"]["code"], 503);
    assert_eq!(chunks[2]["error"]["status"], "UNAVAILABLE");
    assert_eq!(chunks[2]["error"]["message"], "The thread is lost.");
    server.call(&generate("story").key(&server.key())).good();
}

#[test]
fn a_fault_in_the_middle_of_an_array_leaves_it_json() {
    let server = with_script(STORY).up();

    let request = post(format!("/v1/models/{MODEL}:streamGenerateContent"), &contents("break"));
    let chunks = server.call(&request.key(&server.key())).good().json();

    assert_eq!(chunks.as_array().map(Vec::len), Some(3));
    assert_eq!(chunks[2]["error"]["code"], 503);
}

#[test]
fn each_piece_leaves_at_once_and_a_client_that_leaves_ends_the_generation() {
    let server = with_script(&format!("[[reply]]\ndelay_ms = 300\ntokens = [{}]", r#""la ","#.repeat(900))).up();
    let mut connection = server.connect();

    connection.begin(&stream("sing").key(&server.key())).good();
    let first = connection.piece();

    assert!(first.is_some_and(|event| event.contains("la ")));
    assert_eq!(server.metric("generations_running"), 1.0, "the first piece came long before the last");
    drop(connection);
    until("the generation ends", || server.metric("generations_running") == 0.0);
}

#[test]
fn a_client_that_leaves_before_the_answer_ends_the_generation_too() {
    let server = with_script(STORY).up();
    let mut connection = server.connect();

    connection.send(&generate("slow").key(&server.key()));
    until("the generation runs", || server.metric("generations_running") == 1.0);
    drop(connection);

    until("the generation ends", || server.metric("generations_running") == 0.0);
}

#[test]
fn a_deadline_of_the_client_ends_a_stream_with_an_error_in_it() {
    let server = with_script(STORY).up();
    let mut connection = server.connect();

    connection.begin(&stream("slow").key(&server.key()).header("x-server-timeout", "0.2")).good();
    let chunks = events(&connection.rest());

    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0]["error"]["status"], "DEADLINE_EXCEEDED");
    until("the generation ends", || server.metric("generations_running") == 0.0);
}
