//! What the relay reads of interactions, and changes in them.

use std::num::NonZeroU32;

use bytes::Bytes;
use keylodge_services::relay::usage::{
    IMAGE_TOKENS_MAX, InteractionRequest, Kind, Previous, Tokens, Unreadable, UsageReader, clamp_interaction,
    worst_case_of_interaction,
};
use serde_json::{Value, json};

/// A stream of an interaction, as Google's API and its clients have it.
const EVENTS: &str = concat!(
    "event: interaction.created\ndata: {\"interaction\":{\"id\":\"v1_a\",\"status\":\"in_progress\",\"object\":\"interaction\",\"model\":\"m\"},\"event_type\":\"interaction.created\"}\n\n",
    "event: step.delta\ndata: {\"index\":0,\"delta\":{\"type\":\"text\",\"text\":\"\\\"usage\\\": {\\\"total_tokens\\\": 9}\"},\"event_type\":\"step.delta\",\"metadata\":{\"usage\":{\"total_tokens\":8}}}\n\n",
    "event: step.stop\ndata: {\"index\":0,\"usage\":{\"total_tokens\":7},\"event_type\":\"step.stop\"}\n\n",
    "event: interaction.completed\ndata: {\"interaction\":{\"steps\":[{\"id\":\"x\",\"status\":\"y\"}],\"usage\":{\"total_input_tokens\":5,\"total_output_tokens\":4,\"total_thought_tokens\":3,\"total_cached_tokens\":2,\"total_tokens\":12},\"status\":\"completed\"},\"id\":\"z\",\"event_type\":\"interaction.completed\"}\n\n",
    "event: done\ndata: [DONE]\n\n",
);

#[test]
fn of_a_stream_of_events_the_interaction_itself_counts_however_it_is_cut() {
    let expected = Tokens { input: 5, output: 4, cached: 2, thoughts: 3, total: 12 };
    for piece in [1, 2, 3, 7, 64, EVENTS.len()] {
        let mut reader = UsageReader::of_interaction(Kind::Sse);
        let mut before = None;
        for bytes in EVENTS.as_bytes().chunks(piece) {
            before = before.or(reader.id().map(str::to_owned));
            reader.push(bytes);
        }
        assert_eq!(reader.tokens(), Some(expected), "{piece}");
        assert_eq!((reader.id(), reader.status()), (Some("v1_a"), Some("completed")), "{piece}");
        assert!(piece == EVENTS.len() || before.as_deref() == Some("v1_a"), "it is known from the first event on");
    }
    let part = &EVENTS[..EVENTS.find("event: interaction.completed").unwrap()];
    let mut reader = UsageReader::of_interaction(Kind::Sse);
    reader.push(part.as_bytes());
    assert_eq!((reader.tokens(), reader.status()), (None, Some("in_progress")), "what a step says is a part");
    assert!(reader.output_tokens_seen_max() > 20);
}

#[test]
fn of_a_whole_interaction_its_own_fields_count() {
    let read = |answer: &str| {
        let mut reader = UsageReader::of_interaction(Kind::Json);
        reader.push(answer.as_bytes());
        (
            reader.id().map(str::to_owned),
            reader.status().map(str::to_owned),
            reader.tokens().map(|tokens| tokens.paid().output),
        )
    };
    let said = |id: &str, status: &str, output: u64| (Some(id.to_owned()), Some(status.to_owned()), Some(output));

    let answer = r#"{"steps": [{"id": "x", "usage": {"total_tokens": 99}}], "\u0069d": "v1_\u0061", "status": "failed", "interaction": {"id": "y"}, "usage": {"total_tokens": 12}}"#;
    assert_eq!(read(answer), said("v1_a", "failed", 12));
    assert_eq!(read(r#"{"id": "", "id": 5, "status": null}"#), (None, None, None));
    assert_eq!(read(&format!(r#"{{"id": "{}"}}"#, "x".repeat(2000))).0, None, "nobody has such ids");
}

#[test]
fn what_the_way_of_an_interaction_depends_on_is_read_in_every_spelling() {
    let read = |body: &str| InteractionRequest::read(body.as_bytes()).unwrap();

    let plain = read(r#"{"model": "m", "input": "Hi"}"#);
    assert_eq!((plain.name.as_deref(), plain.is_agent, plain.stores), (Some("m"), false, true));
    assert_eq!((plain.streams, plain.in_background, plain.twice), (false, false, None));
    assert_eq!(plain.previous, Previous::None);
    let full = read(
        r#"{"agent": "a", "stream": true, "store": false, "background": "yes", "previousInteractionId": "v1_\u0061"}"#,
    );
    assert_eq!((full.name.as_deref(), full.is_agent, full.stores), (Some("a"), true, false));
    assert_eq!((full.streams, full.in_background), (true, true));
    assert_eq!(full.previous, Previous::Id("v1_a".to_owned()));
    assert_eq!(read(r#"{"model": "m", "agent": "a"}"#).name, None, "one of the two");
    assert_eq!(read(r#"{"model": 5}"#).name, None);
    assert_eq!(read(r#"{"previous_interaction_id": ["v1_a"]}"#).previous, Previous::NoText);
    for (body, field) in [
        (r#"{"model": "a", "\u006dodel": "b"}"#, "model"),
        (
            r#"{"previous_interaction_id": "", "x": 1, "previousInteractionId": "a", "Previous_InteractionID": "b"}"#,
            "previous_interaction_id",
        ),
    ] {
        assert_eq!(read(body).twice, Some(field), "{body}");
    }
    for (environment, expected) in [("\"remote\"", false), ("null", false), ("\"env_1\"", true), ("{}", true)] {
        assert_eq!(read(&format!("{{\"environment\": {environment}}}")).names_environment, expected, "{environment}");
    }
    assert_eq!(InteractionRequest::read(b"[]"), Err(Unreadable));

    let body = Bytes::from_static(br#"{ "model" : "models/m", "input": "m"}"#);
    let renamed = InteractionRequest::read(&body).unwrap().renamed(&body, "n");
    assert_eq!(renamed, r#"{ "model" : "models/n", "input": "m"}"#);
}

#[test]
fn the_worst_case_of_an_interaction_is_read_from_its_own_form() {
    let check = |body: &Value, input: Option<std::ops::Range<u64>>, cap: Option<u64>| {
        let worst = worst_case_of_interaction(body.to_string().as_bytes()).unwrap();
        assert_eq!((worst.output_cap, worst.candidates), (cap, 1), "{body}");
        assert_eq!(worst.input_tokens_max.is_some(), input.is_some(), "{body}");
        if let (Some(most), Some(range)) = (worst.input_tokens_max, input) {
            assert!(range.contains(&most), "{most} for {body}");
        }
    };
    check(&json!({"model": "m", "input": "x".repeat(100)}), Some(100..130), None);
    check(&json!({"input": "Hi", "generation_config": {"max_output_tokens": 64}}), Some(0..64), Some(64));
    check(&json!({"input": "Hi", "generation_config": {"max_output_tokens": "7"}}), Some(0..64), Some(7));
    for unread in [
        json!({"input": "Hi", "generationConfig": {"max_output_tokens": 7}}),
        json!({"input": "Hi", "generation_config": {"maxOutputTokens": 7}}),
    ] {
        check(&unread, Some(0..64), None);
    }
    let image = json!({"type": "image", "data": "A".repeat(100_000), "mime_type": "image/png"});
    let one_image = Some(IMAGE_TOKENS_MAX..IMAGE_TOKENS_MAX + 200);
    check(&json!({"input": [{"type": "text", "text": "What?"}, image]}), one_image.clone(), None);
    check(&json!({"input": [{"type": "user_input", "content": [image]}]}), one_image.clone(), None);
    check(&json!({"input": [{"type": "function_result", "call_id": "c", "result": [image]}]}), one_image, None);
    let text = Some(100_000..100_400);
    check(&json!({"input": [{"type": "function_call", "arguments": image}]}), text.clone(), None);
    check(
        &json!({"input": {"type": "image", "data": "A".repeat(100_000), "mime_type": "text/plain"}}),
        text.clone(),
        None,
    );
    check(&json!({"tools": [{"type": "function", "name": "A".repeat(100_000)}]}), text.clone(), None);
    check(&json!({"what_comes_next": "A".repeat(100_000)}), text, None);
    for unknown in [
        json!({"input": [{"type": "image", "uri": "files/1"}]}),
        json!({"tools": [{"type": "google_search"}]}),
        json!({"agent": "deep-research"}),
        json!({"cached_content": "c"}),
        json!({"continuation_token": "t"}),
    ] {
        check(&unknown, None, None);
    }
}

#[test]
fn an_interaction_is_clamped_in_its_own_words() {
    let check = |body: &'static str, expected: &str| {
        let max = NonZeroU32::new(10).unwrap();
        assert_eq!(clamp_interaction(&Bytes::from_static(body.as_bytes()), max).unwrap(), expected);
    };
    check(r#"{"model":"m" }"#, r#"{"generation_config":{"max_output_tokens":10},"model":"m" }"#);
    check(r#"{"generation_config": { "seed": 1}}"#, r#"{"generation_config": {"max_output_tokens":10, "seed": 1}}"#);
    check(r#"{"generation_config": {"max_output_tokens": 11}}"#, r#"{"generation_config": {"max_output_tokens": 10}}"#);
    check(
        r#"{"generation_config": {"max_output_tokens": 9.0}}"#,
        r#"{"generation_config": {"max_output_tokens": 9.0}}"#,
    );
    // In the other spelling, which nobody may read, it is lowered and set besides.
    check(
        r#"{"generation_config": {"maxOutputTokens": 11}}"#,
        r#"{"generation_config": {"max_output_tokens":10,"maxOutputTokens": 10}}"#,
    );
    check(
        r#"{"generationConfig": {"max_output_tokens": 11}}"#,
        r#"{"generation_config":{"max_output_tokens":10},"generationConfig": {"max_output_tokens": 10}}"#,
    );
}
