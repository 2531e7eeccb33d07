//! The Gemini surface.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::support::{BODY_BYTES_MAX, House, MODEL};

fn hi() -> Value {
    json!({"contents": [{"parts": [{"text": "Hi"}]}]})
}

fn generate() -> String {
    format!("/v1beta/models/{MODEL}:generateContent")
}

fn stream(query: &str) -> String {
    format!("/v1beta/models/{MODEL}:streamGenerateContent{query}")
}

#[tokio::test]
async fn an_answer_has_googles_shape() {
    let house = House::new().await;

    let answer = house.gemini(&generate(), &hi()).await;

    let body = answer.json();
    assert_eq!(answer.headers["content-type"], "application/json; charset=UTF-8");
    assert_eq!(answer.headers["x-keylodge-engine"], "script");
    assert_eq!(body["responseId"].as_str().unwrap().len(), 22);
    assert_eq!(
        body,
        json!({
            "candidates": [{"content": {"parts": [{"text": "Hello."}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 7,
                              "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}]},
            "modelVersion": MODEL,
            "responseId": body["responseId"],
        })
    );
    assert!(answer.text().starts_with("{\n  \"candidates\""), "pretty by default");
    assert!(!house.gemini(&format!("{}?prettyPrint=false", generate()), &hi()).await.text().contains('\n'));
}

#[tokio::test]
async fn what_python_sends_is_understood_word_for_word() {
    let house = House::new().await;
    let recorded = json!({
        "contents": [{"parts": [{"text": "Hi"}], "role": "user"}],
        "systemInstruction": {"parts": [{"text": "Answer briefly."}], "role": "user"},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {"temperature": 0.1, "topP": 0.9, "topK": 3.0, "candidateCount": 1, "maxOutputTokens": 64,
            "stopSequences": ["ZZZZ"], "seed": 7, "thinkingConfig": {"thinking_budget": 0}}
    });

    assert_eq!(house.gemini("//v1//models/gemini-2.5-flash:generateContent", &recorded).await.http, 200);
}

#[tokio::test]
async fn events_are_bare_and_every_chunk_is_a_whole_answer() {
    let house = House::new().await;

    let answer = house.gemini(&stream("?alt=sse"), &hi()).await;

    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let text = answer.text();
    assert!(text.ends_with("\r\n\r\n"));
    let chunks: Vec<Value> = text
        .split("\r\n\r\n")
        .filter(|event| !event.is_empty())
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let texts: Vec<&str> =
        chunks.iter().map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Hel", "lo", ".", ""]);
    assert_eq!(chunks[0]["candidates"][0]["finishReason"], Value::Null);
    assert_eq!(chunks[3]["candidates"][0]["finishReason"], "STOP");
    assert!(
        chunks.iter().all(|chunk| chunk["responseId"] == chunks[0]["responseId"] && chunk["modelVersion"] == MODEL)
    );
    assert_eq!(chunks[3]["usageMetadata"]["totalTokenCount"], 7);
}

#[tokio::test]
async fn without_alt_a_stream_is_one_json_array() {
    let house = House::new().await;

    let answer = house.gemini(&stream(""), &hi()).await;

    assert_eq!(answer.headers["content-type"], "application/json; charset=UTF-8");
    assert_eq!(answer.json().as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_fault_before_the_first_byte_is_an_http_error_and_one_after_it_is_told_in_the_stream() {
    let house = House::with_script(
        "[[reply]]\ncontains = 'now'\nstatus = 429\n[[reply]]\ntokens = ['a', 'b']\nstatus = 503\nfail_after = 1",
    )
    .await;
    let now = json!({"contents": [{"parts": [{"text": "now"}]}]});

    let before = house.gemini(&stream("?alt=sse"), &now).await;
    assert_eq!(before.error().0, 429);
    assert_eq!(before.json()["error"]["details"][0]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(house.gemini(&stream(""), &now).await.json()[0]["error"]["code"], 429);

    let after = house.gemini(&stream("?alt=sse"), &hi()).await;
    assert_eq!(after.http, 200);
    assert!(after.text().contains("\r\n\r\ndata: {\"error\":{\"code\":503,"), "{}", after.text());
    assert_eq!(house.gemini(&stream(""), &hi()).await.json()[1]["error"]["code"], 503);
    assert_eq!(house.gemini(&generate(), &hi()).await.error().0, 503);
}

#[tokio::test]
async fn limits_and_stops_are_kept() {
    let house = House::new().await;
    let with = |config: Value| json!({"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": config});

    let capped = house.gemini(&generate(), &with(json!({"maxOutputTokens": 2}))).await.json();
    assert_eq!(capped["candidates"][0]["content"]["parts"][0]["text"], "Hello");
    assert_eq!(capped["candidates"][0]["finishReason"], "MAX_TOKENS");

    let stopped = house.gemini(&generate(), &with(json!({"stopSequences": ["lo"]}))).await.json();
    assert_eq!(stopped["candidates"][0]["content"]["parts"][0]["text"], "Hel");
    assert_eq!(stopped["candidates"][0]["finishReason"], "STOP");
}

#[tokio::test]
async fn counting_agrees_with_the_generation_in_both_forms_of_request() {
    let house = House::with_script("[[reply]]\ntext = 'x'").await;
    let path = format!("/v1/models/{MODEL}:countTokens");

    let bare = house.gemini(&path, &hi()).await.json();
    let whole = json!({"model": format!("models/{MODEL}"), "contents": hi()["contents"]});
    let whole = house.gemini(&path, &json!({"generateContentRequest": whole})).await.json();
    let used = house.gemini(&generate(), &hi()).await.json()["usageMetadata"]["promptTokenCount"].clone();

    assert_eq!(bare["totalTokens"], used);
    assert_eq!(bare, whole);
    assert_eq!(bare["promptTokensDetails"][0]["tokenCount"], used);

    let other = json!({"model": "models/gemini-2.5-pro", "contents": hi()["contents"]});
    assert_eq!(house.gemini(&path, &other).await.error().0, 400, "a body that contradicts its path");
}

#[tokio::test]
async fn models_are_listed_in_pages_and_say_what_answers() {
    let house = House::new().await;
    let get = |path: &str| Request::get(path).header("x-goog-api-key", &house.key).body(Body::empty()).unwrap();

    let first = house.send(get("/v1beta/models?pageSize=2")).await.json();
    assert_eq!(first["models"][1]["name"], "models/gemini-2.5-flash");
    let token = first["nextPageToken"].as_str().unwrap();
    let second = house.send(get(&format!("/v1beta/models?pageSize=2&pageToken={token}"))).await.json();
    assert_eq!(second["models"].as_array().unwrap().len(), 2);
    assert_eq!(second["nextPageToken"], Value::Null);
    assert_eq!(house.send(get("/v1beta/models?pageToken=nonsense")).await.error().0, 400);

    let model = house.send(get("/v1/models/gemini-2.5-pro")).await.json();
    assert_eq!(model, second["models"][0]);
    assert_eq!(model["baseModelId"], "script");
    assert_eq!(model["supportedGenerationMethods"], json!(["generateContent", "countTokens", "bidiGenerateContent"]));
}

#[tokio::test]
async fn fields_cut_an_answer_and_nonsense_is_refused_before_anything_is_done() {
    let house = House::new().await;

    let cut = house.gemini(&format!("{}?fields=candidates.content.parts", generate()), &hi()).await;
    assert_eq!(cut.json(), json!({"candidates": [{"content": {"parts": [{"text": "Hello."}]}}]}));

    let path = format!("{}?keyId=never&fields=a)", crate::support::KEYS);
    assert_eq!(house.manage("POST", &path, Some(json!({}))).await.error().0, 400);
    assert_eq!(house.manage("GET", &format!("{}/never", crate::support::KEYS), None).await.error().0, 404);
}

#[tokio::test]
async fn an_unknown_model_is_not_found_in_the_words_of_its_path() {
    let house = House::new().await;

    let answer = house.gemini("/v1alpha/models/gemini-none:streamGenerateContent?alt=sse", &hi()).await;

    let message = "models/gemini-none is not found for API version v1alpha, or is not supported for streamGenerateContent. Call ListModels to see the list of available models and their supported methods.";
    assert_eq!(answer.json(), json!({"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}));
}

#[tokio::test]
async fn what_google_serves_and_we_do_not_is_asked_for_a_key_first() {
    let house = House::new().await;
    for (path, name, verb) in [
        ("/v1beta/models/gemini-2.5-flash:embedContent", "models/gemini-2.5-flash", "embedContent"),
        ("/v1beta/models/gemini-2.5-flash%3Apredict", "models/gemini-2.5-flash", "predict"),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine", "generateContent"),
    ] {
        let nobody = house.send(Request::post(path).body(Body::empty()).unwrap()).await;
        assert_eq!(nobody.error().0, 403, "{path}");
        let answer = house.gemini(path, &hi()).await.error();
        assert_eq!(answer.0, 404);
        let begin = format!("{name} is not found for API version v1beta, or is not supported for {verb}.");
        assert!(answer.2.starts_with(&begin), "{}", answer.2);
    }
}

#[tokio::test]
async fn every_field_that_is_not_honoured_is_refused_by_name_all_at_once() {
    let house = House::new().await;
    let body = json!({
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}, {}], "role": "robot"}, {}],
        "tools": [{"googleSearch": {}}],
        "cachedContent": "cachedContents/x",
        "generationConfig": {"candidateCount": 2, "logprobs": 3, "speechConfig": {"languageCode": "de"}, "temperature": 9,
            "responseModalities": ["AUDIO"], "stopSequences": ["a", "b", "c", "d", "e", "f"],
            "responseMimeType": "text/x.enum"},
    });

    let answer = house.gemini(&generate(), &body).await;

    assert_eq!(answer.error().0, 400);
    let error = answer.json();
    let violations = error["error"]["details"][0]["fieldViolations"].as_array().unwrap();
    let mut fields: Vec<&str> = violations.iter().map(|violation| violation["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "cached_content",
            "contents[0].parts[0].inline_data",
            "contents[0].parts[1]",
            "contents[0].role",
            "contents[1].parts",
            "generation_config.candidate_count",
            "generation_config.logprobs",
            "generation_config.response_mime_type",
            "generation_config.response_modalities",
            "generation_config.speech_config",
            "generation_config.stop_sequences",
            "generation_config.temperature",
            "tools[0].googleSearch",
        ]
    );
}

#[tokio::test]
async fn a_body_that_is_empty_broken_or_too_large_says_so() {
    let house = House::new().await;
    let send = async |body: String| {
        let request = Request::post(generate()).header("x-goog-api-key", &house.key).body(Body::from(body)).unwrap();
        house.send(request).await.error()
    };
    let invalid = |message: &str| (400, "INVALID_ARGUMENT".to_owned(), message.to_owned());

    assert_eq!(send(String::new()).await, invalid("* GenerateContentRequest.contents: contents is not specified\n"));
    assert!(send("{\"contents\": [".to_owned()).await.2.starts_with("Invalid JSON payload received. Unexpected end"));
    assert_eq!(
        send("[1]".to_owned()).await,
        invalid("Invalid JSON payload received. Unknown name \"\": Root element must be a message.")
    );
    assert_eq!(
        send(format!("{{\"contents\": \"{}\"}}", "x".repeat(BODY_BYTES_MAX))).await,
        invalid(&format!("Request payload size exceeds the limit: {BODY_BYTES_MAX} bytes."))
    );
}

#[tokio::test]
async fn a_browser_may_call_from_anywhere_and_read_refusals() {
    let house = House::new().await;
    let preflight = Request::options(generate())
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,user-agent,x-goog-api-client,x-goog-api-key");

    let answer = house.send(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.http, &answer.headers["access-control-allow-origin"]), (200, &"*".parse().unwrap()));
    let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
    assert_eq!(allowed, "content-type,user-agent,x-goog-api-client,x-goog-api-key");

    let refused = Request::post(generate()).header("origin", "https://app.example.com");
    let refused = house.send(refused.body(Body::empty()).unwrap()).await;
    assert_eq!((refused.http, &refused.headers["access-control-allow-origin"]), (403, &"*".parse().unwrap()));
}

#[tokio::test]
async fn a_call_that_takes_longer_than_its_client_waits_is_ended() {
    let house = House::with_script("[[reply]]\ntext = 'late'\ndelay_ms = 30000").await;
    // From here on time moves by itself as soon as everybody waits.
    tokio::time::pause();
    let request = |path: String| {
        let request = Request::post(path).header("x-goog-api-key", &house.key).header("x-server-timeout", "5");
        request.body(Body::from(hi().to_string())).unwrap()
    };

    assert_eq!(house.send(request(generate())).await.error().0, 504);
    let streamed = house.send(request(stream("?alt=sse"))).await;
    assert!(streamed.text().starts_with("data: {\"error\":{\"code\":504,"), "{}", streamed.text());
}
