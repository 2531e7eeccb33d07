//! What cannot be said to an OpenAI-compatible server is refused by name, all mistakes together.

use keylodge_api::{Code, Detail};
use keylodge_services::relay::openai::{Framing, Upstream, to_chat};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::openai::UPSTREAM;

/// The fields that a request is refused for.
fn refused_fields(request: &Value, upstream: Upstream<'_>) -> Vec<String> {
    let Err(status) = to_chat(request.to_string().as_bytes(), upstream, Framing::Whole) else { return Vec::new() };
    assert_eq!(status.code, Code::InvalidArgument, "{request}");
    let [Detail::BadRequest(violations)] = &status.details[..] else { panic!("one BadRequest: {status:?}") };
    for violation in violations {
        assert!(status.message.contains(&violation.description), "{status:?}");
    }
    violations.iter().map(|violation| violation.field.clone()).collect()
}

fn check(request: &Value, fields: &[&str]) {
    assert_eq!(refused_fields(request, UPSTREAM), fields, "{request}");
}

/// A request with one part in a turn of the user's.
fn part(part: Value) -> Value {
    json!({"contents": [{"parts": Value::Array(vec![part])}]})
}

/// A request with fields beside its contents.
fn with(mut fields: Value) -> Value {
    fields["contents"] = json!([{"parts": [{"text": "Hi"}]}]);
    fields
}

fn config(config: Value) -> Value {
    let mut fields = json!({});
    fields["generationConfig"] = config;
    with(fields)
}

#[test]
fn all_mistakes_come_together() {
    let mut request = config(json!({"responseModalities": ["AUDIO"], "speechConfig": {"languageCode": "de"}}));
    request["contents"][0]["parts"][0] = json!({"fileData": {"fileUri": "files/x"}});
    request["cachedContent"] = json!("cachedContents/x");
    request["tools"] = json!([{"googleSearch": {}}]);

    check(
        &request,
        &[
            "contents[0].parts[0].file_data",
            "tools[0].google_search",
            "generation_config.response_modalities",
            "generation_config.speech_config",
            "cached_content",
        ],
    );
}

#[test]
fn parts_that_cannot_be_said_are_refused() {
    let blob = |kind: &str, data: &str| part(json!({"inlineData": {"mimeType": kind, "data": data}}));
    check(&blob("audio/ogg", "AAAA"), &["contents[0].parts[0].inline_data.mime_type"]);
    check(&blob("image/png;base64,AAAA#", "AAAA"), &["contents[0].parts[0].inline_data.mime_type"]);
    check(&blob("image/png", "A"), &["contents[0].parts[0].inline_data.data"]);
    check(&blob("image/png", "A\" onload"), &["contents[0].parts[0].inline_data.data"]);
    check(&part(json!({"executableCode": {"code": "1"}})), &["contents[0].parts[0].executable_code"]);
    check(&part(json!({"text": "a", "videoMetadata": {"fps": 1}})), &["contents[0].parts[0].video_metadata"]);
    check(&part(json!({"functionCall": {"name": "f"}})), &["contents[0].parts[0].function_call"]);
    check(&part(json!({"thought": true})), &["contents[0].parts[0]"]);
    check(
        &json!({"contents": [{"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}]}),
        &["contents[0].parts[0].inline_data"],
    );
    check(
        &json!({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}, {"parts": []}]}),
        &["contents[0].role", "contents[1].parts"],
    );
    check(&json!({}), &["contents"]);
    check(
        &with(json!({"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}})),
        &["system_instruction.parts[0].inline_data"],
    );
}

#[test]
fn a_response_needs_its_call() {
    check(&part(json!({"functionResponse": {"name": "f"}})), &["contents[0].parts[0].function_response"]);
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "f"}}]});
    let twice = json!({"functionResponse": {"name": "f"}});
    check(&json!({"contents": [call, {"parts": [twice, twice]}]}), &["contents[1].parts[1].function_response"]);
}

#[test]
fn tools_that_are_not_functions_are_refused() {
    let declared = json!([{"functionDeclarations": [{"name": "f"}]}]);
    let calling = |calling: &Value| with(json!({"tools": declared, "toolConfig": {"functionCallingConfig": calling}}));
    const CALLING: &str = "tool_config.function_calling_config";

    check(
        &with(json!({"tools": [{"codeExecution": {}}, {"urlContext": {}}]})),
        &["tools[0].code_execution", "tools[1].url_context"],
    );
    check(&calling(&json!({"mode": "VALIDATED"})), &[&format!("{CALLING}.mode")]);
    check(
        &calling(&json!({"mode": "ANY", "allowedFunctionNames": ["g"]})),
        &[&format!("{CALLING}.allowed_function_names[0]")],
    );
    check(&calling(&json!({"allowedFunctionNames": ["f"]})), &[&format!("{CALLING}.allowed_function_names")]);
    check(&with(json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}})), &[&format!("{CALLING}.mode")]);
    check(
        &with(
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {}, "parametersJsonSchema": {}}, {"behavior": "NON_BLOCKING"}]}]}),
        ),
        &[
            "tools[0].function_declarations[0].parameters_json_schema",
            "tools[0].function_declarations[1].name",
            "tools[0].function_declarations[1].behavior",
        ],
    );
}

#[test]
fn configurations_that_cannot_be_followed_are_refused() {
    for (given, field) in [
        (json!({"maxOutputTokens": 0}), "max_output_tokens"),
        (json!({"candidateCount": 9}), "candidate_count"),
        (json!({"logprobs": 2}), "logprobs"),
        (json!({"responseMimeType": "text/x.enum"}), "response_mime_type"),
        (json!({"responseSchema": {"type": "STRING"}}), "response_mime_type"),
        (json!({"responseMimeType": "application/json", "responseSchema": 5}), "response_schema"),
        (json!({"responseSchema": {}, "responseJsonSchema": {}}), "response_json_schema"),
        (json!({"thinkingConfig": {"thinkingLevel": "HUGE"}}), "thinking_config.thinking_level"),
        (json!({"mediaResolution": "MEDIA_RESOLUTION_LOW"}), "media_resolution"),
    ] {
        check(&config(given), &[&format!("generation_config.{field}")]);
    }
}

#[test]
fn what_the_upstream_does_not_take_is_refused_or_kept_anyway() {
    let plain = Upstream { takes_top_k: false, takes_effort: false, ..UPSTREAM };

    assert_eq!(refused_fields(&config(json!({"topK": 3})), plain), ["generation_config.top_k"]);
    // A model that never thinks keeps every limit on thinking.
    assert_eq!(refused_fields(&config(json!({"thinkingConfig": {"thinkingBudget": 5}})), plain), [""; 0]);
    check(&with(json!({"model": "models/other"})), &["model"]);
}

#[test]
fn an_unknown_field_is_named_as_google_names_it() {
    let status = to_chat(br#"{"contents": [{"parts": [{"x": 1}]}], "y": 2}"#, UPSTREAM, Framing::Whole).unwrap_err();

    assert!(status.message.contains(r#"Unknown name "x" at 'contents[0].parts[0]': Cannot find field."#), "{status:?}");
    assert!(status.message.contains(r#"Unknown name "y": Cannot find field."#), "{status:?}");
}

proptest! {
    #[test]
    fn every_call_of_a_function_gets_an_id_of_its_own(ids in prop::collection::vec(prop::option::of(0u8..4), 1..8)) {
        // Given ids are told apart by their place, except that they look like ours.
        let mut seen = std::collections::BTreeSet::new();
        let calls: Vec<Value> = ids.iter().filter(|id| id.is_none_or(|id| seen.insert(id))).map(|id| match id {
            Some(id) => json!({"functionCall": {"name": "f", "id": format!("call_{id}")}}),
            None => json!({"functionCall": {"name": "f"}}),
        }).collect();
        let answers: Vec<Value> = calls.iter().map(|_| json!({"functionResponse": {"name": "f"}})).collect();
        let request = json!({"contents": [{"role": "model", "parts": calls}, {"parts": answers}]});

        let chat = to_chat(request.to_string().as_bytes(), UPSTREAM, Framing::Whole).unwrap();

        let chat: Value = serde_json::from_slice(&chat.body).unwrap();
        let messages = chat["messages"].as_array().unwrap();
        let called: Vec<&str> = messages[0]["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
        let answered: Vec<&str> = messages[1..].iter().map(|message| message["tool_call_id"].as_str().unwrap()).collect();
        prop_assert_eq!(&called, &answered, "responses without ids answer the calls in their order");
        prop_assert_eq!(called.iter().collect::<std::collections::BTreeSet<_>>().len(), called.len());
    }
}
