//! The usage reader and what is known before a call, held against a whole parser.

use std::num::NonZeroU32;

use bytes::Bytes;
use keylodge_services::relay::usage::{
    IMAGE_TOKENS_MAX, Kind, Tokens, USAGE_BYTES_MAX, Unreadable, UsageReader, clamp_output, worst_case,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Reads an answer in pieces of a size.
fn read(kind: Kind, answer: &[u8], piece: usize) -> UsageReader {
    let mut reader = UsageReader::new(kind);
    for piece in answer.chunks(piece.max(1)) {
        reader.push(piece);
    }
    reader
}

/// The counts of an answer: the same however it is cut.
fn tokens(kind: Kind, answer: &str) -> Option<Tokens> {
    let whole = read(kind, answer.as_bytes(), usize::MAX);
    for piece in [1, 2, 3, 7, 64] {
        let cut = read(kind, answer.as_bytes(), piece);
        assert_eq!(cut.tokens(), whole.tokens(), "in pieces of {piece}: {answer}");
        assert_eq!(cut.output_tokens_seen_max(), whole.output_tokens_seen_max(), "in pieces of {piece}: {answer}");
    }
    whole.tokens()
}

fn in_and_out(kind: Kind, answer: &str) -> Option<(u64, u64)> {
    tokens(kind, answer).map(|tokens| (tokens.input, tokens.output))
}

const USAGE: &str = r#""usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}"#;

#[test]
fn an_answer_says_what_it_used() {
    let answer = r#"{
      "candidates": [{"content": {"parts": [{"text": "a \"}{[ b \\"}]}}],
      "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": "20", "cachedContentTokenCount": 60,
        "thoughtsTokenCount": 5.0, "toolUsePromptTokenCount": 7, "totalTokenCount": 132,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}]},
      "modelVersion": "gemini-2.5-flash"
    }"#;

    let expected = Tokens { input: 107, output: 20, cached: 60, thoughts: 5, total: 132 };
    assert_eq!(tokens(Kind::Json, answer), Some(expected));
}

#[test]
fn the_last_chunk_of_a_stream_counts() {
    let chunk = |text: &str, output: u64| {
        json!({"candidates": [{"content": {"parts": [{"text": text}]}}],
               "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": output}})
    };
    let (one, two) = (chunk("Hel", 1), chunk("lo", 2));

    for ends in ["\n\n", "\r\n\r\n"] {
        let events =
            format!("data: {one}{ends}: ping{ends}event: x{ends}data:{two}{ends}data: {{\"candidates\": []}}{ends}");
        assert_eq!(in_and_out(Kind::Sse, &events), Some((4, 2)), "{events}");
    }
    assert_eq!(in_and_out(Kind::Json, &format!("[{one}\n,\r\n{two}]")), Some((4, 2)));
}

#[test]
fn look_alikes_never_count() {
    for answer in [
        format!(r#"{{"candidates": [{{"content": {{"parts": [{{"functionCall": {{"args": {{{USAGE}}}}}}}]}}}}]}}"#),
        format!(r#"{{"text": "{}"}}"#, USAGE.replace('"', "\\\"")),
        format!(r#"{{"a": "usageMetadata", "b": {{"c": 1}}, "d": [{{{USAGE}}}]}}"#),
        format!(r#"[[{{{USAGE}}}]]"#),
        r#"["usageMetadata", {"promptTokenCount": 1}]"#.to_owned(),
        r#"[["usageMetadata", {"promptTokenCount": 1}]]"#.to_owned(),
        r#"{"usageMetadataX": {"promptTokenCount": 1}, "usageMetadat": {"promptTokenCount": 1}}"#.to_owned(),
        r#"{"usageMetadata": 5, "x": {"promptTokenCount": 1}}"#.to_owned(),
    ] {
        assert_eq!(tokens(Kind::Json, &answer), None, "{answer}");
        assert_eq!(tokens(Kind::Sse, &format!("data: {answer}\n\n")), None, "{answer}");
    }
    assert_eq!(tokens(Kind::Sse, &format!("xdata: {{{USAGE}}}\n\n: data: {{{USAGE}}}\n\n")), None);
}

#[test]
fn a_name_spelled_with_escapes_is_the_same_name() {
    let answer = format!("{{{}}}", USAGE.replace("usageMeta", "\\u0075sage\\u004deta"));

    assert_eq!(in_and_out(Kind::Json, &answer), Some((4, 2)));
}

#[test]
fn a_broken_event_does_not_damage_the_next_one() {
    for broken in ["data: {\"candidates\": [{\"text\": \"abc", "data: {{{[[", "data: {\"a\\", "data: }}]]"] {
        assert_eq!(in_and_out(Kind::Sse, &format!("{broken}\n\ndata: {{{USAGE}}}\n\n")), Some((4, 2)), "{broken}");
    }
}

#[test]
fn counts_without_end_are_not_kept() {
    let long = format!(r#"{{"usageMetadata": {{"x": "{}"}}}}"#, "x".repeat(USAGE_BYTES_MAX));
    assert_eq!(tokens(Kind::Json, &long), None);

    let events = format!("data: {{{USAGE}}}\n\ndata: {long}\n\n");
    assert_eq!(in_and_out(Kind::Sse, &events), Some((4, 2)), "the one before it stays");
}

#[test]
fn what_was_seen_of_an_answer_is_never_less_than_its_text() {
    let event = |text: &str| format!("data: {}\n\n", json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}));
    let reader = read(Kind::Sse, (event("Once upon") + &event(" a time")).as_bytes(), 5);

    assert!((16..64).contains(&reader.output_tokens_seen_max()), "{}", reader.output_tokens_seen_max());
}

/// Any JSON, with names and texts that look like what is looked for.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("usageMetadata".to_owned()),
        Just("promptTokenCount".to_owned()),
        Just("\"usageMetadata\": {\"promptTokenCount\": 9}".to_owned()),
        "[a-z\\\\\"{}\\[\\]:,\n]{0,6}",
    ];
    let leaf = prop_oneof![any::<u32>().prop_map(Value::from), word.clone().prop_map(Value::from), Just(Value::Null)];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What a whole parser finds.
fn found(answer: &Value) -> Option<Tokens> {
    let of_object = |object: &Value| object.get("usageMetadata").and_then(Value::as_object).map(Tokens::of_metadata);
    match answer {
        Value::Array(chunks) => chunks.iter().filter_map(of_object).next_back(),
        object => of_object(object),
    }
}

proptest! {
    #[test]
    fn any_answer_cut_anywhere_gives_the_counts_that_a_parser_finds(
        answer in any_json(), pretty: bool, piece in 1usize..40,
    ) {
        let text = if pretty { serde_json::to_string_pretty(&answer) } else { serde_json::to_string(&answer) }.unwrap();

        prop_assert_eq!(read(Kind::Json, text.as_bytes(), piece).tokens(), found(&answer), "{}", text);
        if answer.is_object() && !pretty {
            let event = format!("data: {text}\r\n\r\n");
            prop_assert_eq!(read(Kind::Sse, event.as_bytes(), piece).tokens(), found(&answer), "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(text in "(data: |usageMetadata|[{}\\[\\]\",:\n\\\\a1 ]){0,60}", piece in 1usize..9) {
        for kind in [Kind::Json, Kind::Sse] {
            let (whole, cut) = (read(kind, text.as_bytes(), usize::MAX), read(kind, text.as_bytes(), piece));
            prop_assert_eq!(whole.tokens(), cut.tokens());
            prop_assert_eq!(whole.output_tokens_seen_max(), cut.output_tokens_seen_max());
        }
    }

    #[test]
    fn a_lowered_cap_is_the_only_thing_that_changes(mut body in any_request(), cap in any_cap(), max in 1u32..5000, snake: bool) {
        let (config, field) =
            if snake { ("generation_config", "max_output_tokens") } else { ("generationConfig", "maxOutputTokens") };
        if let Some(given) = body.as_object_mut().unwrap().remove("generationConfig") {
            body[config] = given;
        }
        if let Some(cap) = cap {
            body[config][field] = cap;
        }
        let text = Bytes::from(body.to_string());

        let clamped = clamp_output(&text, NonZeroU32::new(max).unwrap()).unwrap();

        let after = worst_case(&clamped).unwrap();
        prop_assert!(after.output_cap.is_some_and(|cap| cap <= u64::from(max)));
        let before = worst_case(&text).unwrap();
        if before.output_cap.is_some_and(|cap| cap <= u64::from(max)) {
            prop_assert_eq!(&clamped, &text);
        }
        // Nothing but the cap is different.
        let mut now: Value = serde_json::from_slice(&clamped).unwrap();
        for value in [&mut now, &mut body] {
            for config in ["generationConfig", "generation_config"] {
                if let Some(fields) = value.get_mut(config).and_then(Value::as_object_mut) {
                    fields.remove("maxOutputTokens");
                    fields.remove("max_output_tokens");
                }
                if value.get(config).is_some_and(|config| config.is_null() || config == &json!({})) {
                    value.as_object_mut().unwrap().remove(config);
                }
            }
        }
        prop_assert_eq!(now, body);
        // And it is different in one place only.
        let same = |ones: &mut dyn Iterator<Item = (&u8, &u8)>| ones.take_while(|(one, other)| one == other).count();
        let head = same(&mut text.iter().zip(clamped.iter()));
        let tail = same(&mut text[head..].iter().rev().zip(clamped[head..].iter().rev()));
        prop_assert!(text.len() - head - tail <= 24, "{:?} became {:?}", text, clamped);
    }
}

fn any_request() -> impl Strategy<Value = Value> {
    let config = prop_oneof![Just(None), Just(Some(json!({}))), Just(Some(json!({"seed": 1, "stopSequences": ["}"]})))];
    (any_json(), config, any_json()).prop_map(|(contents, config, tools)| {
        let mut body = json!({"contents": contents, "tools": tools});
        if let Some(config) = config {
            body["generationConfig"] = config;
        }
        body
    })
}

fn any_cap() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        any::<i64>().prop_map(|cap| Some(json!(cap))),
        (1u32..9000).prop_map(|cap| Some(json!(cap))),
        (1u32..9000).prop_map(|cap| Some(json!(f64::from(cap)))),
        (1u32..9000).prop_map(|cap| Some(json!(cap.to_string()))),
        Just(Some(Value::Null)),
        Just(Some(json!("many"))),
    ]
}

fn clamped(body: &str) -> Result<String, Unreadable> {
    let clamped = clamp_output(&Bytes::copy_from_slice(body.as_bytes()), NonZeroU32::new(8).unwrap())?;
    Ok(String::from_utf8(clamped.to_vec()).unwrap())
}

#[test]
fn a_cap_is_lowered_where_it_stands_and_set_where_it_does_not() {
    for (body, expected) in [
        (r#"{ }"#, r#"{"generationConfig":{"maxOutputTokens":8} }"#),
        (r#"{"a" : 1}"#, r#"{"generationConfig":{"maxOutputTokens":8},"a" : 1}"#),
        (r#"{"generationConfig": {}}"#, r#"{"generationConfig": {"maxOutputTokens":8}}"#),
        (r#"{"generation_config":{"seed":1}}"#, r#"{"generation_config":{"maxOutputTokens":8,"seed":1}}"#),
        (r#"{"generationConfig": null}"#, r#"{"generationConfig": {"maxOutputTokens":8}}"#),
        (r#"{"generationConfig": {"maxOutputTokens" :  64 }}"#, r#"{"generationConfig": {"maxOutputTokens" :  8 }}"#),
        (r#"{"generationConfig": {"max_output_tokens": "64"}}"#, r#"{"generationConfig": {"max_output_tokens": "8"}}"#),
        (r#"{"generationConfig": {"maxOutputTokens": 8.0}}"#, r#"{"generationConfig": {"maxOutputTokens": 8.0}}"#),
        (r#"{"generationConfig": {"maxOutputTokens": 0}}"#, r#"{"generationConfig": {"maxOutputTokens": 8}}"#),
        // Of two the last one counts at Google, but perhaps not elsewhere.
        (
            r#"{"generationConfig": {"maxOutputTokens": 5, "maxOutputTokens": 64, "max_output_tokens": 65}}"#,
            r#"{"generationConfig": {"maxOutputTokens": 5, "maxOutputTokens": 8, "max_output_tokens": 8}}"#,
        ),
        (
            r#"{"generationConfig": {"maxOutputTokens": 64}, "generation_config": {"seed": 1}}"#,
            r#"{"generationConfig": {"maxOutputTokens": 8}, "generation_config": {"maxOutputTokens":8,"seed": 1}}"#,
        ),
        (
            r#"{"generationConfig": {"max\u004futputTokens": 64}}"#,
            r#"{"generationConfig": {"max\u004futputTokens": 8}}"#,
        ),
        // Look-alikes.
        (
            r#"{"contents": [{"generationConfig": {"maxOutputTokens": 64}}], "generationConfig": {"maxOutputTokens": 2, "x": {"maxOutputTokens": 64}}}"#,
            r#"{"contents": [{"generationConfig": {"maxOutputTokens": 64}}], "generationConfig": {"maxOutputTokens": 2, "x": {"maxOutputTokens": 64}}}"#,
        ),
    ] {
        assert_eq!(clamped(body).as_deref(), Ok(expected));
    }
}

#[test]
fn what_cannot_be_understood_is_not_sent_on() {
    for body in ["", "[]", "{", "{'a': 1}", "{} {}", r#"{"generationConfig": [{}]}"#, r#"{"generationConfig": "x"}"#] {
        assert_eq!(clamped(body), Err(Unreadable), "{body}");
    }
    assert_eq!(worst_case(b"{\"contents\": [}"), Err(Unreadable));
}

#[test]
fn a_prompt_counts_its_bytes_and_an_image_its_tiles() {
    let input = |body: Value| worst_case(body.to_string().as_bytes()).unwrap().input_tokens_max;
    let turn = |part: Value| json!({"contents": [{"role": "user", "parts": [part]}]});
    let image = |kind: &str| turn(json!({"inline_data": {"mimeType": kind, "data": "A".repeat(100_000)}}));
    let text = input(turn(json!({"text": "x".repeat(1000)}))).unwrap();

    assert!((1000..1100).contains(&text), "{text}");
    assert!((IMAGE_TOKENS_MAX..IMAGE_TOKENS_MAX + 100).contains(&input(image("image/png")).unwrap()));
    for kind in ["audio/ogg", "image/svg+xml", "application/pdf"] {
        assert!(input(image(kind)).unwrap() >= 100_000, "{kind}");
    }
    // Arguments are text, whatever they look like.
    let disguised = json!({"inlineData": {"mimeType": "image/png", "data": "A".repeat(100_000)}});
    assert!(input(turn(json!({"functionCall": {"name": "f", "args": disguised}}))).unwrap() >= 100_000);
    let answered = json!({"functionResponse": {"name": "f", "response": {}, "parts": [disguised]}});
    assert!(input(turn(answered)).unwrap() < IMAGE_TOKENS_MAX + 200);
}

#[test]
fn escapes_and_blanks_cost_what_they_stand_for() {
    let input = |body: &str| worst_case(body.as_bytes()).unwrap().input_tokens_max.unwrap();
    let plain = input(r#"{"contents":[{"parts":[{"text":"€\n€"}]}]}"#);
    let escaped = input("{ \"contents\" : [ {\"parts\":\t[{\"text\": \"\\u20ac\\n\\u20ac\"}]}\n]}");

    assert_eq!(plain, escaped);
}

#[test]
fn what_nobody_can_know_is_unknown() {
    for body in [
        json!({"contents": [{"parts": [{"fileData": {"fileUri": "files/x"}}]}]}),
        json!({"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp4", "data": "AA"}, "videoMetadata": {"fps": 24}}]}]}),
        json!({"contents": [], "cached_content": "cachedContents/x"}),
        json!({"contents": [], "tools": [{"urlContext": {}}]}),
        json!({"contents": [], "tools": {"googleSearch": {}}}),
    ] {
        assert_eq!(worst_case(body.to_string().as_bytes()).unwrap().input_tokens_max, None, "{body}");
    }
    let known = json!({"contents": [], "cachedContent": null, "tools": [{"functionDeclarations": [{"name": "f"}]}]});
    assert!(worst_case(known.to_string().as_bytes()).unwrap().input_tokens_max.is_some());
}

#[test]
fn the_cap_and_the_number_of_answers_are_read_in_any_form() {
    let read = |body: &str| {
        let worst = worst_case(body.as_bytes()).unwrap();
        (worst.output_cap, worst.candidates)
    };

    assert_eq!(read("{}"), (None, 1));
    assert_eq!(read(r#"{"generationConfig": {"maxOutputTokens": "64", "candidate_count": 2.0}}"#), (Some(64), 2));
    assert_eq!(read(r#"{"generation_config": {"max_output_tokens": 6.4e1, "candidateCount": 0}}"#), (Some(64), 1));
    // Whichever counts at the other end, the most is known.
    assert_eq!(read(r#"{"generationConfig": {"maxOutputTokens": 9, "max_output_tokens": 5}}"#), (Some(9), 1));
    assert_eq!(read(r#"{"generationConfig": {"maxOutputTokens": 9}, "generation_config": {}}"#), (None, 1));
}

#[test]
fn a_body_that_is_deep_beyond_reason_is_read_all_the_same() {
    let part = r#"{"functionResponse":{"parts":["#;
    let deep = format!(r#"{{"contents":[{{"parts":[{}{}]}}]}}"#, part.repeat(50_000), "]}}".repeat(50_000));

    assert!(worst_case(deep.as_bytes()).unwrap().input_tokens_max.is_some_and(|tokens| tokens > 1_000_000));
}

#[test]
fn what_is_to_be_embedded_counts_as_a_prompt_does() {
    let content = json!({"parts": [{"text": "12345678"}]});
    let one = worst_case(json!({"model": "models/x", "content": content}).to_string().as_bytes()).unwrap();
    let requests = json!({"requests": [{"model": "models/x", "content": content}, {"content": content}]});
    let two = worst_case(requests.to_string().as_bytes()).unwrap();
    let file = json!({"requests": [{"content": {"parts": [{"fileData": {"fileUri": "x"}}]}}]});
    let image = json!({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "A".repeat(100_000)}}]}});
    let input_of = |body: Value| worst_case(body.to_string().as_bytes()).unwrap().input_tokens_max;

    assert!(one.input_tokens_max.unwrap() >= 8 && two.input_tokens_max > one.input_tokens_max);
    assert_eq!(input_of(file), None);
    assert!(input_of(image).unwrap() < 2 * IMAGE_TOKENS_MAX);
}

#[test]
fn only_a_stream_has_places_between_chunks() {
    let is_between = |answer: &str| read(Kind::Json, answer.as_bytes(), 1).is_between_chunks(answer.as_bytes());

    assert!(is_between("[{\"a\": 1}") && is_between("[{\"a\": 1},\r\n{\"b\": {}}\r\n"));
    assert!(!is_between("{\"a\": 1}") && !is_between("[{\"a\": {}") && !is_between("[{\"a\": 1}]"));
}

#[test]
fn what_a_total_has_beyond_the_named_counts_is_paid_as_output() {
    let paid = |usage: Value| Tokens::of_metadata(usage.as_object().unwrap()).paid().output;

    assert_eq!(paid(json!({"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 16})), 12);
    assert_eq!(paid(json!({"promptTokenCount": 4, "totalTokenCount": 16})), 12);
    assert_eq!(paid(json!({"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 3})), 2);
}
