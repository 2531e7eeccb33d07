//! Streams of OpenAI-compatible servers at their limits.

use keylodge_api::{Code, Status};
use keylodge_services::relay::openai::{ChatStream, LINE_BYTES_MAX, TOOL_CALLS_BYTES_MAX};
use keylodge_services::relay::usage::Tokens;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::openai::answering;

fn event(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}

fn choice(delta: &Value, finish_reason: &Value) -> String {
    event(&json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}))
}

/// Everything that a stream gives, in pieces of a size.
fn read(bytes: &[u8], piece: usize) -> (ChatStream, Vec<Result<Value, Status>>) {
    let mut stream = answering().stream();
    let mut chunks: Vec<_> = bytes.chunks(piece).flat_map(|bytes| stream.push(bytes)).collect();
    chunks.extend(stream.finish());
    (stream, chunks)
}

#[test]
fn a_line_without_end_ends_the_answer() {
    let (_, chunks) = read("data: ".repeat(LINE_BYTES_MAX / 6 + 1).as_bytes(), 4096);

    assert!(matches!(&chunks[..], [Err(status)] if status.code == Code::Unavailable), "{chunks:?}");
}

#[test]
fn tool_calls_without_end_end_the_answer() {
    let piece = choice(
        &json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "x".repeat(1000)}}]}),
        &Value::Null,
    );
    let (_, chunks) = read(piece.repeat(TOOL_CALLS_BYTES_MAX / 1000 + 1).as_bytes(), 4096);

    assert!(matches!(&chunks[..], [Err(status)] if status.code == Code::Unavailable), "{chunks:?}");
}

#[test]
fn nothing_comes_after_the_end() {
    for end in ["data: [DONE]\n\n", "data: {\"error\": \"out of memory\"}\n\n", "data: {nonsense\n\n"] {
        let text = choice(&json!({"content": "a"}), &json!("stop"));
        let (mut stream, chunks) = read(format!("{text}{end}{text}").as_bytes(), 7);

        assert_eq!(chunks.len(), 2, "{end}");
        assert!(stream.push(text.as_bytes()).is_empty() && stream.finish().is_empty(), "{end}");
    }
}

#[test]
fn a_stream_that_says_nothing_is_an_error() {
    for nothing in ["", "\n\n", "data: [DONE]\n\n", "data: {\"choices\": []}\n\n"] {
        let (_, chunks) = read(format!("{nothing}\n").as_bytes(), 3);
        assert!(matches!(&chunks[..], [Err(status)] if status.code == Code::Unavailable), "{nothing}: {chunks:?}");
    }
}

#[test]
fn the_last_line_may_lack_its_end() {
    let text = choice(&json!({"content": "a"}), &json!("length"));
    let (_, chunks) = read(text.trim_end().as_bytes(), 5);

    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].as_ref().unwrap()["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[test]
fn the_counts_are_known_after_the_end() {
    let counts = event(&json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 3,
        "completion_tokens_details": {"reasoning_tokens": 1}}}));
    let (stream, _) = read((choice(&json!({"content": "a"}), &json!("stop")) + &counts).as_bytes(), 64);

    assert_eq!(stream.tokens(), Some(Tokens { input: 4, output: 2, cached: 0, thoughts: 1, total: 7 }));
}

#[test]
fn what_was_said_is_known_by_its_bytes_thoughts_and_calls_included() {
    let said = |delta: Value| read(choice(&delta, &Value::Null).as_bytes(), 7).0.output_tokens_seen_max();

    assert_eq!(said(json!({"role": "assistant", "content": "four"})), 4);
    assert_eq!(said(json!({"content": "", "reasoning_content": "hm"})), 2);
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(said(json!({"tool_calls": [call]})), 3);
}

#[test]
fn an_error_before_the_first_word_means_that_nothing_was_done() {
    let error = "data: {\"error\": {\"message\": \"no\"}}\n\n";
    let word = choice(&json!({"content": "Hi"}), &Value::Null);

    assert!(read(error.as_bytes(), 5).0.is_refused());
    assert!(!read(format!("{word}{error}").as_bytes(), 5).0.is_refused());
    assert!(!read(word.as_bytes(), 5).0.is_refused());
}

#[test]
fn several_answers_end_together_and_stay_apart() {
    let both = event(&json!({"choices": [
        {"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}, {"index": 0, "delta": {"content": "a"}, "finish_reason": null}]}));
    let end = event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}));
    let (_, chunks) = read((both + &end).as_bytes(), 64);

    let last = chunks[1].as_ref().unwrap();
    let ends: Vec<(&Value, &Value)> =
        last["candidates"].as_array().unwrap().iter().map(|one| (&one["index"], &one["finishReason"])).collect();
    assert_eq!(ends, [(&json!(0), &json!("MAX_TOKENS")), (&json!(1), &json!("STOP"))]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(
        pieces in prop::collection::vec(prop_oneof![
            Just(choice(&json!({"content": "a\n\u{20ac}"}), &Value::Null)),
            Just(choice(&json!({"tool_calls": [{"index": 1, "id": "x", "function": {"name": "f", "arguments": "{\"a\":"}}]}), &Value::Null)),
            Just(choice(&json!({"tool_calls": [{"index": 1, "function": {"arguments": "1}"}}]}), &json!("tool_calls"))),
            Just("data: [DONE]\n\n".to_owned()),
            "(data: |error: |: |\\{|\r|\n|[a-z]){0,4}",
        ], 0..6),
        piece in 1usize..30,
    ) {
        let bytes = pieces.concat();

        prop_assert_eq!(read(bytes.as_bytes(), piece).1, read(bytes.as_bytes(), usize::MAX).1);
    }
}
