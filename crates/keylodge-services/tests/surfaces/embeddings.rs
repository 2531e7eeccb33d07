//! Vectors: the Gemini surface and the OpenAI-compatible one, with the scripted model.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Answer, EMBEDDING_MODEL, House, MODEL};

/// As many numbers as the script's vectors have.
const DIMENSIONS: usize = 3072;

fn path(verb: &str) -> String {
    format!("/v1beta/models/{EMBEDDING_MODEL}:{verb}")
}

/// A request for the vector of this text.
fn request(text: &str) -> Value {
    json!({"model": format!("models/{EMBEDDING_MODEL}"), "content": {"parts": [{"text": text}]}})
}

fn with(mut request: Value, more: &Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

impl House {
    async fn embed(&self, body: &Value) -> Answer {
        self.gemini(&path("embedContent"), body).await
    }

    async fn embed_all(&self, requests: &[Value]) -> Answer {
        self.gemini(&path("batchEmbedContents"), &json!({ "requests": requests })).await
    }

    async fn embeddings(&self, body: &Value) -> Answer {
        let request =
            Request::post("/v1beta/openai/embeddings").header("authorization", format!("Bearer {}", self.key));
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[tokio::test]
async fn a_text_becomes_a_vector_of_length_1_with_its_count() {
    let house = House::new().await;

    let answer = house.embed(&request("Hello, world")).await;

    let body = answer.ok();
    assert_eq!(answer.headers["x-keylodge-engine"], "script");
    let values = numbers(&body["embedding"]["values"]);
    assert_eq!(values.len(), DIMENSIONS);
    assert!((length(&values) - 1.0).abs() < 1e-3, "{}", length(&values));
    assert_eq!(body["usageMetadata"], json!({"promptTokenCount": 3}));
    for version in ["v1", "v1alpha"] {
        let path = format!("/{version}/models/{EMBEDDING_MODEL}:embedContent");
        assert_eq!(house.gemini(&path, &request("Hello, world")).await.ok(), body);
    }
}

#[tokio::test]
async fn a_batch_gives_the_vectors_in_order_and_one_count() {
    let house = House::new().await;
    let alone = house.embed(&request("b")).await.ok();

    let body = house.embed_all(&["a", "b", "a c"].map(request)).await.ok();

    let embeddings = body["embeddings"].as_array().unwrap();
    assert_eq!((embeddings.len(), &embeddings[1]), (3, &alone["embedding"]));
    assert_ne!(embeddings[0], embeddings[2]);
    assert_eq!(body["usageMetadata"]["promptTokenCount"], 4);
}

#[tokio::test]
async fn both_spellings_are_taken() {
    let house = House::new().await;
    let camel = json!({"taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 8.0, "title": "t"});
    let snake = json!({"task_type": "RETRIEVAL_DOCUMENT", "output_dimensionality": "8", "title": "t"});

    let [camel, snake] = [camel, snake].map(|more| with(request("a"), &more));

    let vector = house.embed(&camel).await.ok();
    assert_eq!(numbers(&vector["embedding"]["values"]).len(), 8);
    assert_eq!(house.embed(&snake).await.ok(), vector);
}

#[tokio::test]
async fn a_shorter_vector_is_the_beginning_of_the_whole_one_at_length_1() {
    let house = House::new().await;
    let whole = numbers(&house.embed(&request("a")).await.ok()["embedding"]["values"]);

    let short = house.embed(&with(request("a"), &json!({"outputDimensionality": 16}))).await.ok();

    let short = numbers(&short["embedding"]["values"]);
    assert_eq!(short.len(), 16);
    assert!((length(&short) - 1.0).abs() < 1e-3);
    let scale = length(&whole[..16]);
    assert!(short.iter().zip(&whole).all(|(short, whole)| (short - whole / scale).abs() < 1e-4));
}

#[tokio::test]
async fn a_title_is_read_and_a_task_changes_nothing() {
    let house = House::new().await;
    let vector = async |more: Value| house.embed(&with(request("a"), &more)).await.ok()["embedding"].clone();
    let plain = vector(json!({})).await;

    for task in [
        "RETRIEVAL_QUERY",
        "RETRIEVAL_DOCUMENT",
        "SEMANTIC_SIMILARITY",
        "CLASSIFICATION",
        "CLUSTERING",
        "QUESTION_ANSWERING",
        "FACT_VERIFICATION",
        "CODE_RETRIEVAL_QUERY",
        "TASK_TYPE_UNSPECIFIED",
    ] {
        assert_eq!(vector(json!({"taskType": task})).await, plain, "{task}");
    }
    let titled = vector(json!({"taskType": "RETRIEVAL_DOCUMENT", "title": "On a"})).await;
    assert_ne!(titled, plain);
}

#[tokio::test]
async fn every_mistake_is_named_with_its_place_all_at_once() {
    let house = House::new().await;
    let requests = [
        request("good"),
        json!({"model": format!("models/{MODEL}"), "content": {"parts": [{"text": "a"}]}}),
        json!({}),
        json!({"content": {}}),
        request(" "),
        json!({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}, {"text": "a"}]}}),
        with(request("a"), &json!({"title": "t", "taskType": "CLUSTERING"})),
        with(request("a"), &json!({"title": "t"})),
        with(request("a"), &json!({"outputDimensionality": 0})),
        with(request("a"), &json!({"outputDimensionality": -5})),
    ];

    let fields = house.embed_all(&requests).await.wrong_fields();

    assert_eq!(
        fields,
        [
            "requests[1].model",
            "requests[2].content",
            "requests[3].content.parts",
            "requests[4].content",
            "requests[5].content.parts[0].inline_data",
            "requests[6].title",
            "requests[7].title",
            "requests[8].output_dimensionality",
            "requests[9].output_dimensionality",
        ]
    );
    let check = async |more: Value, field: &str| {
        assert_eq!(house.embed(&with(request("a"), &more)).await.wrong_fields(), [field], "{more}");
    };
    check(json!({"taskType": "GUESSING"}), "task_type").await;
    check(json!({"outputDimensionality": DIMENSIONS + 1}), "output_dimensionality").await;
    check(json!({"outputDimensionality": "many"}), "output_dimensionality").await;
    check(json!({"model": MODEL}), "model").await;
    check(json!({"contents": []}), "").await;
    let too_long = with(request("a"), &json!({"outputDimensionality": DIMENSIONS + 1}));
    assert_eq!(
        house.embed_all(&[request("a"), too_long]).await.error().2,
        "Invalid value at 'requests[1].output_dimensionality': it must be from 1 to 3072, which is all that script has."
    );
}

#[tokio::test]
async fn a_batch_has_from_1_to_100_requests() {
    let house = House::with_bodies(1 << 20).await;

    assert_eq!(house.embed_all(&[]).await.wrong_fields(), ["requests"]);
    let hundred = house.embed_all(&vec![request("a"); 100]).await.ok();
    assert_eq!(hundred["embeddings"].as_array().unwrap().len(), 100);
    let more = house.embed_all(&vec![request("a"); 101]).await;
    assert_eq!(more.wrong_fields(), ["requests"]);
    assert_eq!(more.error().2, "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n");
}

#[tokio::test]
async fn models_of_text_and_of_vectors_are_not_taken_for_each_other() {
    let house = House::new().await;
    let hi = json!({"contents": [{"parts": [{"text": "Hi"}]}]});
    for (name, verb, body) in [
        (EMBEDDING_MODEL, "generateContent", &hi),
        (EMBEDDING_MODEL, "streamGenerateContent?alt=sse", &hi),
        (EMBEDDING_MODEL, "asyncBatchEmbedContent", &json!({})),
        (MODEL, "embedContent", &json!({"content": {"parts": [{"text": "Hi"}]}})),
        (MODEL, "batchEmbedContents", &json!({"requests": []})),
        ("nothing", "embedContent", &json!({})),
    ] {
        let (http, status, message) = house.gemini(&format!("/v1beta/models/{name}:{verb}"), body).await.error();
        assert_eq!((http, status.as_str()), (404, "NOT_FOUND"), "{name}:{verb}");
        let verb = verb.split('?').next().unwrap();
        let begin = format!("models/{name} is not found for API version v1beta, or is not supported for {verb}. ");
        assert!(message.starts_with(&begin), "{message}");
    }
}

#[tokio::test]
async fn the_list_of_models_says_which_of_them_make_vectors() {
    let house = House::new().await;
    let request = Request::get(format!("/v1beta/models/{EMBEDDING_MODEL}")).header("x-goog-api-key", &house.key);

    let shown = house.send(request.body(Body::empty()).unwrap()).await.ok();

    assert_eq!(shown["supportedGenerationMethods"], json!(["embedContent", "batchEmbedContents", "countTokens"]));
    assert_eq!((&shown["inputTokenLimit"], &shown["outputTokenLimit"]), (&json!(2048), &Value::Null));
    let listed = Request::get("/v1/models").header("x-goog-api-key", &house.key);
    let listed = house.send(listed.body(Body::empty()).unwrap()).await.ok();
    assert!(listed["models"].as_array().unwrap().contains(&shown));
}

#[tokio::test]
async fn tokens_of_a_text_can_be_counted_before() {
    let house = House::new().await;

    let counted =
        house.gemini(&path("countTokens"), &json!({"contents": [{"parts": [{"text": "Hello, world"}]}]})).await;

    assert_eq!(counted.ok(), json!({"totalTokens": 3, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]}));
}

#[tokio::test]
async fn what_is_read_is_taken_from_limits_before_and_counted_after() {
    let house = House::new().await;
    let limit = json!([{"metric": "INPUT_TOKENS", "window": "MINUTE", "model": "*", "value": "10"}]);
    let limits = "/keylodge/v1/projects/default-project/limits";
    house.manage("PUT", limits, Some(json!({ "limits": limit }))).await.ok();

    house.embed_all(&["one two three", "four five"].map(request)).await.ok();
    let refused = house.embed(&request("one two three four five six")).await;
    house.embed(&request("one two three four five")).await.ok();

    assert_eq!(refused.http, 429, "5 of 10 are left, and not 6");
    assert_eq!(house.embed(&request("one")).await.http, 429);
}

#[tokio::test]
async fn what_was_read_for_a_caller_who_did_not_wait_for_the_end_is_counted() {
    let house = House::with_script("[[reply]]\ncontains = 'slow'\ntext = 'x'\ndelay_ms = 60000").await;
    let limit = json!([{"metric": "INPUT_TOKENS", "window": "MINUTE", "model": "*", "value": "10"}]);
    let limits = "/keylodge/v1/projects/default-project/limits";
    house.manage("PUT", limits, Some(json!({ "limits": limit }))).await.ok();
    let slow = ["one two", "slow", "never read"].map(request);

    let body = json!({ "requests": slow }).to_string();
    let request_in_time = Request::post(path("batchEmbedContents")).header("x-goog-api-key", &house.key);
    let in_time = request_in_time.header("x-server-timeout", "1").body(Body::from(body)).unwrap();
    assert_eq!(house.send(in_time).await.http, 504);
    let gone = tokio::time::timeout(std::time::Duration::from_secs(1), house.embed_all(&slow)).await;
    assert!(gone.is_err(), "the caller hung up");

    // Three tokens each time, and none of what was not begun.
    assert_eq!(house.embed(&request("one two three four five")).await.http, 429);
    house.embed(&request("one two three four")).await.ok();
}

#[tokio::test]
async fn a_budget_is_reckoned_by_what_is_read() {
    let house = House::new().await;
    // A dollar for a million tokens: four of them.
    let limit = json!([{"metric": "COST", "window": "DAY", "value": "0.000004"}]);
    let limits = "/keylodge/v1/projects/default-project/limits";
    house.manage("PUT", limits, Some(json!({ "limits": limit }))).await.ok();

    house.embed(&request("one two three")).await.ok();
    assert_eq!(house.embed(&request("one two")).await.http, 429);
    house.embed(&request("one")).await.ok();
}

#[tokio::test]
async fn a_fault_of_the_script_holds_for_vectors_too() {
    let house = House::with_script("[[reply]]\ncontains = 'quota'\nstatus = 429").await;

    assert_eq!(house.embed(&request("my quota")).await.error().0, 429);
    assert_eq!(house.embed_all(&[request("fine"), request("QUOTA")]).await.error().0, 429);
    house.embed(&request("fine")).await.ok();
}

#[tokio::test]
async fn openai_s_embeddings_have_openai_s_shape() {
    let house = House::new().await;
    let vector = house.embed(&request("Hello")).await.ok()["embedding"]["values"].clone();

    let answer = house.embeddings(&json!({"model": EMBEDDING_MODEL, "input": "Hello", "user": "me"})).await;

    assert_eq!(answer.headers["x-keylodge-engine"], "script");
    assert_eq!(
        answer.ok(),
        json!({
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": vector}],
            "model": EMBEDDING_MODEL,
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        })
    );
}

#[tokio::test]
async fn openai_s_packages_get_their_vectors_as_bytes() {
    let house = House::new().await;
    let body = json!({"model": format!("models/{EMBEDDING_MODEL}"), "input": ["a", "b"], "dimensions": 4});
    let plain = house.embeddings(&body).await.ok();

    let coded = house.embeddings(&with(body, &json!({"encoding_format": "base64"}))).await.ok();

    for at in 0..2 {
        let bytes = STANDARD.decode(coded["data"][at]["embedding"].as_str().unwrap()).unwrap();
        let floats: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        #[expect(clippy::cast_possible_truncation, reason = "it was of single precision before")]
        let expected: Vec<f32> =
            numbers(&plain["data"][at]["embedding"]).into_iter().map(|value| value as f32).collect();
        assert_eq!(floats, expected);
    }
    assert_eq!(coded["usage"]["prompt_tokens"], 2);
}

#[tokio::test]
async fn openai_s_mistakes_come_in_an_array_of_one() {
    let house = House::new().await;
    let check = async |body: Value, http: u16, begin: &str| {
        let answer = house.embeddings(&body).await;
        let error = answer.json()[0]["error"].clone();
        assert_eq!((answer.http, &error["code"]), (http, &json!(http)), "{error}");
        assert!(error["message"].as_str().unwrap().starts_with(begin), "{error}");
    };

    check(json!({"model": EMBEDDING_MODEL, "input": [[1, 2]]}), 400, "Invalid value at 'input[0]': tokens are").await;
    check(json!({"model": MODEL, "input": "a"}), 404, &format!("models/{MODEL} is not found")).await;
    let many = json!({"model": EMBEDDING_MODEL, "input": "a", "dimensions": 9999});
    check(many, 400, "Invalid value at 'dimensions': it must be from 1 to 3072").await;
    let input = json!({"model": EMBEDDING_MODEL, "input": ["a", " ", ""], "dimensions": 0});
    let answer = house.embeddings(&input).await;
    let violations = answer.json()[0]["error"]["details"][0]["fieldViolations"].clone();
    let fields = violations.as_array().unwrap().iter().map(|violation| violation["field"].as_str().unwrap());
    assert_eq!(fields.collect::<Vec<_>>(), ["dimensions", "input[1]", "input[2]"]);
    let input = json!({"model": EMBEDDING_MODEL, "input": ""});
    check(input, 400, "* input: there is no text in it to embed").await;
}

#[tokio::test]
async fn a_key_that_may_not_embed_may_not_in_other_words_either() {
    let house = House::new().await;
    let key = format!("{}/default-key", crate::support::KEYS);
    let restrictions = json!({"apiTargets": [
        {"service": "generativelanguage.googleapis.com", "methods": ["GenerateContent"]},
    ]});
    let body = json!({ "restrictions": restrictions });
    house.manage("PATCH", &format!("{key}?updateMask=restrictions"), Some(body)).await.ok();

    assert_eq!(house.embed(&request("a")).await.http, 403);
    assert_eq!(house.embeddings(&json!({"model": EMBEDDING_MODEL, "input": "a"})).await.http, 403);
}

#[tokio::test]
async fn what_was_read_before_the_model_failed_is_not_charged() {
    let house = House::with_script("[[reply]]\ncontains = 'breaks'\ntext = 'x'\nstatus = 503").await;
    let limit = json!([{"metric": "INPUT_TOKENS", "window": "MINUTE", "model": "*", "value": "10"}]);
    let limits = "/keylodge/v1/projects/default-project/limits";
    house.manage("PUT", limits, Some(json!({ "limits": limit }))).await.ok();

    let failed = house.embed_all(&["one two three", "breaks"].map(request)).await;

    assert_eq!(failed.http, 503);
    house.embed(&request("one two three four five six seven eight nine ten")).await.ok();
}
