//! The OpenAI-compatible surface.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Answer, House, MODEL};

const CHAT: &str = "/v1beta/openai/chat/completions";

fn hi(more: &Value) -> Value {
    let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

impl House {
    async fn openai(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("authorization", format!("Bearer {}", self.key));
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn openai_get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.key));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn openai_with(&self, headers: &[(&str, &str)], query: &str) -> Answer {
        let request =
            headers.iter().fold(Request::get(format!("/v1beta/openai/models{query}")), |request, (name, value)| {
                request.header(*name, *value)
            });
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

/// Status and message of an error, which comes in an array of one.
#[track_caller]
fn refused(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body.as_array().map(Vec::len), Some(1), "{body}");
    assert_eq!(body[0]["error"]["code"], answer.http, "{body}");
    (answer.http, body[0]["error"]["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_answer_has_openai_s_shape() {
    let house = House::new().await;

    let answer = house.openai(CHAT, &hi(&json!({}))).await;

    let body = answer.ok();
    assert_eq!(answer.headers["x-keylodge-engine"], "script");
    assert_eq!(
        body,
        json!({
            "id": body["id"],
            "object": "chat.completion",
            "created": body["created"],
            "model": MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7},
        })
    );
    assert!(body["created"].as_i64().unwrap() > 1_700_000_000, "{body}");
    assert_eq!(house.openai("/v1/openai/chat/completions", &hi(&json!({}))).await.http, 200);
}

#[tokio::test]
async fn a_stream_is_chunks_and_a_last_word() {
    let house = House::new().await;

    let answer = house.openai(CHAT, &hi(&json!({"stream": true, "stream_options": {"include_usage": true}}))).await;

    assert_eq!((answer.http, answer.headers["content-type"].to_str().unwrap()), (200, "text/event-stream"));
    let text = answer.text();
    let events: Vec<&str> = text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "Hello.");
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(7)));
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
}

#[tokio::test]
async fn models_are_listed_and_shown_under_both_names() {
    let house = House::new().await;

    let listed = house.openai_get("/v1beta/openai/models").await.ok();
    assert_eq!(listed["object"], "list");
    assert!(
        listed["data"].as_array().unwrap().iter().any(|model| model["id"] == format!("models/{MODEL}")),
        "{listed}"
    );
    for name in [MODEL.to_owned(), format!("models/{MODEL}")] {
        let shown = house.openai_get(&format!("/v1beta/openai/models/{name}")).await.ok();
        assert_eq!(shown["object"], "model");
    }
    assert_eq!(refused(&house.openai_get("/v1beta/openai/models/none").await).0, 404);
}

#[tokio::test]
async fn a_key_is_a_bearer_token_or_in_google_s_header_and_only_one() {
    let house = House::new().await;
    let bearer = format!("Bearer {}", house.key);
    let key = house.key.as_str();

    assert_eq!(house.openai_with(&[("authorization", &bearer)], "").await.http, 200);
    assert_eq!(house.openai_with(&[("x-goog-api-key", key)], "").await.http, 200);

    let missing = (400, "Missing or invalid Authorization header.".to_owned());
    assert_eq!(refused(&house.openai_with(&[], "").await), missing);
    assert_eq!(refused(&house.openai_with(&[("authorization", "Basic eDp5")], "").await), missing);
    assert_eq!(refused(&house.openai_with(&[("authorization", "Bearer ")], "").await), missing);
    assert_eq!(refused(&house.openai_with(&[], &format!("?key={key}")).await), missing);
    let two = (400, "Multiple authentication credentials received. Please pass only one.".to_owned());
    assert_eq!(refused(&house.openai_with(&[("authorization", &bearer), ("x-goog-api-key", key)], "").await), two);
    assert_eq!(refused(&house.openai_with(&[("authorization", &bearer)], &format!("?key={key}")).await), two);
    let wrong = refused(&house.openai_with(&[("authorization", "Bearer nonsense")], "").await);
    assert_eq!(wrong, (400, "API key not valid. Please pass a valid API key.".to_owned()));
}

#[tokio::test]
async fn mistakes_are_told_in_an_array_with_a_decision_or_a_field() {
    let house = House::new().await;

    let (http, message) = refused(&house.openai(CHAT, &hi(&json!({"made_up": 1}))).await);
    assert_eq!(
        (http, message.as_str()),
        (400, "Invalid JSON payload received. Unknown name \"made_up\": Cannot find field.")
    );
    let (http, message) = refused(&house.openai(CHAT, &hi(&json!({"model": "none"}))).await);
    assert_eq!(http, 404);
    assert!(message.starts_with("models/none is not found"), "{message}");
    for odd in [format!("models/models/{MODEL}"), "a/b".to_owned(), "x".repeat(101), "..".to_owned()] {
        let (http, message) = refused(&house.openai(CHAT, &hi(&json!({"model": odd}))).await);
        assert!(http == 400 && message.contains("'model'"), "{odd}: {message}");
    }
    let answer = house.openai_with(&[], "").await;
    assert!(answer.headers.contains_key("x-keylodge-decision"), "{:?}", answer.headers);
    assert_eq!(refused(&house.openai("/v1beta/openai/images/generations", &json!({})).await).0, 404);
}

#[tokio::test]
async fn a_key_for_whole_answers_gets_no_streams() {
    let house = House::new().await;
    let target = json!({"service": "generativelanguage.googleapis.com",
        "methods": ["google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent"]});
    let key = house.new_string("whole", json!({"restrictions": {"apiTargets": [target]}})).await;
    let chat = async |more: Value| {
        let request = Request::post(CHAT).header("authorization", format!("Bearer {key}"));
        house.send(request.body(Body::from(hi(&more).to_string())).unwrap()).await
    };

    assert_eq!(chat(json!({})).await.http, 200);
    assert_eq!(refused(&chat(json!({"stream": true})).await).0, 403);
}

#[tokio::test]
async fn what_the_model_cannot_do_is_named_where_the_caller_wrote_it() {
    let house = House::new().await;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}});
    let said = |content: &Value| json!({"role": "user", "content": content});
    let unique = json!({"type": "array", "uniqueItems": true});
    let function = json!({"type": "function", "function": {"name": "f",
        "parameters": {"type": "object", "properties": {"a": unique}}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": unique}});

    for (more, place) in [
        (
            json!({"messages": [said(&json!("Hi")), said(&json!([{"type": "text", "text": "Look"}, image]))]}),
            "messages[1].content[1]",
        ),
        (json!({"messages": [{"role": "system", "content": [image]}, said(&json!("Hi"))]}), "messages[0].content[0]"),
        (json!({"n": 2}), "n"),
        (json!({"temperature": 5}), "temperature"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_completion_tokens": -1}), "max_completion_tokens"),
        (json!({"stop": ["a", "b", "c", "d", "e", "f"]}), "stop"),
        (json!({"modalities": ["audio"]}), "modalities"),
        (json!({"response_format": format}), "response_format.json_schema.schema.uniqueItems"),
        (
            json!({"tools": [function], "tool_choice": "required"}),
            "tools[0].function.parameters.properties[a].uniqueItems",
        ),
        (json!({"tool_choice": "required"}), "tool_choice"),
    ] {
        let answer = house.openai(CHAT, &hi(&more)).await;
        let (http, message) = refused(&answer);
        assert_eq!((http, message.contains("generation_config")), (400, false), "{message}");
        let field = answer.json()[0]["error"]["details"][0]["fieldViolations"][0]["field"].clone();
        assert_eq!(field, place, "{more}: {message}");
        assert!(message.contains(place), "{message}");
    }
}
