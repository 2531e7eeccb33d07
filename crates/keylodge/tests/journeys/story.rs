//! Stories told by the real model.

use serde_json::{Value, json};

use crate::gate::{EXAMPLES, INTERACTION, run_example};
use crate::support::http::{Connection, MODEL, Request, contents, generate, get, post};
use crate::support::server::{Server, Start, with_model};
use crate::support::until;

/// A server whose stories are short enough to be told twice in a test.
fn with_short_stories() -> Start {
    with_model().set("model.output_tokens_max", "100")
}

/// Begins an answer that cannot be short, whatever the model would like: the grammar does not let it end. It takes many
/// seconds, and what a test does meanwhile a few milliseconds.
#[track_caller]
pub(crate) fn begin_a_long_answer(server: &Server) -> Connection {
    let mut body = contents("Count.");
    body["generationConfig"] = json!({
        "responseMimeType": "application/json",
        "responseSchema": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": 200},
    });
    let mut connection = server.connect();
    let request = post(format!("/v1/models/{MODEL}:streamGenerateContent?alt=sse"), &body);
    connection.begin(&request.key(&server.key())).good();
    assert!(connection.piece().is_some_and(|event| event.contains("text")));
    connection
}

/// Asks for a text with this `generationConfig`.
fn ask(text: &str, config: &Value) -> Request {
    let mut body = contents(text);
    body["generationConfig"] = config.clone();
    post(format!("/v1/models/{MODEL}:generateContent"), &body)
}

#[track_caller]
fn answer(server: &Server, request: Request) -> Value {
    server.call(&request.key(&server.key())).good().json()
}

fn text(answer: &Value) -> String {
    answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_story_about_a_magic_backpack_is_told_with_true_counts() {
    let server = with_short_stories().up().ready();

    let told = run_example(&server, EXAMPLES[0]);

    assert!(!text(&told).trim().is_empty(), "{told}");
    assert_eq!(told["modelVersion"], MODEL);
    let usage = &told["usageMetadata"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("promptTokenCount") + count("candidatesTokenCount"), count("totalTokenCount"));
    let counted = answer(
        &server,
        post(format!("/v1/models/{MODEL}:countTokens"), &contents("Write a story about a magic backpack.")),
    );
    assert_eq!(counted["totalTokens"], usage["promptTokenCount"]);
    assert!((7..200).contains(&count("promptTokenCount")), "{usage}");
    let words = text(&told).split_whitespace().count() as u64;
    assert!((words / 2..=text(&told).len() as u64).contains(&count("candidatesTokenCount")), "{words} words: {usage}");
}

#[test]
fn the_documents_interaction_is_answered_by_the_real_model() {
    let server = with_short_stories().up().ready();

    let made = run_example(&server, INTERACTION);

    let last = made["steps"].as_array().and_then(|steps| steps.last()).unwrap();
    assert!(!last["content"][0]["text"].as_str().unwrap().trim().is_empty(), "{made}");
    assert!(made["usage"]["total_output_tokens"].as_u64().unwrap() > 0, "{made}");
}

#[test]
fn a_streamed_story_comes_token_by_token_and_says_which_model_told_it() {
    let server = with_short_stories().up().ready();
    let mut connection = server.connect();

    let mut body = contents("Write a story about a magic backpack.");
    body["generationConfig"] = json!({"temperature": 0, "seed": 1});
    let request = post(format!("/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"), &body);
    let head = connection.begin(&request.key(&server.key())).good();
    let chunks: Vec<String> = std::iter::from_fn(|| connection.piece()).collect();

    assert!(head.header("x-keylodge-engine").is_some_and(|engine| engine.contains("SmolLM2")), "{head:?}");
    assert!(chunks.len() > 20, "{} chunks", chunks.len());
    let chunks: Vec<Value> =
        chunks.iter().map(|chunk| serde_json::from_str(chunk.strip_prefix("data: ").unwrap()).unwrap()).collect();
    let (last, before) = chunks.split_last().unwrap();
    assert!(before.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
    assert!(last["candidates"][0]["finishReason"].is_string(), "{last}");
    let listed = answer(&server, get(format!("/v1beta/models/{MODEL}")));
    assert!(listed["description"].as_str().is_some_and(|text| text.contains("SmolLM2")), "{listed}");
}

#[test]
fn a_caller_who_leaves_frees_the_model_for_others() {
    let server = with_model().set("model.slots", "1").up().ready();
    let connection = begin_a_long_answer(&server);
    assert_eq!(server.metric("generations_running"), 1.0, "the first token came long before the last");

    drop(connection);

    until("the generation ends", || server.metric("generations_running") == 0.0);
    answer(&server, ask("Hello", &json!({"maxOutputTokens": 5})));
}

#[test]
fn several_callers_at_a_time_all_get_their_stories() {
    let server = with_model().up().ready();

    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let request = ask(&format!("Name {caller} animals."), &json!({"maxOutputTokens": 40}));
                let server = &server;
                scope.spawn(move || answer(server, request))
            })
            .collect();
        for caller in callers {
            let told = caller.join().unwrap();
            assert!(!text(&told).is_empty() && told["candidates"][0]["finishReason"].is_string(), "{told}");
        }
    });
    until("all slots are free again", || server.metric("generations_running") == 0.0);
}

#[test]
fn the_cap_on_tokens_is_kept_and_told() {
    let server = with_model().up().ready();

    let told = answer(&server, ask("Tell me a long story.", &json!({"maxOutputTokens": 5})));

    assert_eq!(told["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert!((1..=5).contains(&told["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap()), "{told}");
}

#[test]
fn a_stop_sequence_ends_the_answer_and_is_not_in_it() {
    let server = with_model().up().ready();
    let config = |stops: Value| json!({"temperature": 0, "seed": 1, "maxOutputTokens": 60, "stopSequences": stops});
    let whole = text(&answer(&server, ask("Tell me about the sea.", &config(json!([])))));
    let stop = whole.split_whitespace().nth(6).expect("more than six words").to_owned();

    let stopped = answer(&server, ask("Tell me about the sea.", &config(json!([stop]))));

    assert_eq!(text(&stopped), whole[..whole.find(&stop).unwrap()], "the answer up to {stop:?}");
    assert_eq!(stopped["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let server = with_model().up().ready();
    let told = |seed: i32| {
        let config = json!({"temperature": 1.5, "topK": 60, "topP": 0.99, "seed": seed, "maxOutputTokens": 30});
        text(&answer(&server, ask("Invent a name for a ship and say why.", &config)))
    };

    assert_eq!(told(7), told(7));
    assert!((8..12).any(|seed| told(seed) != told(7)), "other seeds give other answers");
}

#[test]
fn a_system_instruction_and_earlier_turns_are_read() {
    let server = with_model().up().ready();
    let count = |body: &Value| {
        let path = format!("/v1beta/models/{MODEL}:countTokens");
        let counted = answer(&server, post(path, &json!({"generateContentRequest": body})));
        counted["totalTokens"].as_u64().unwrap()
    };
    let mut body = json!({"contents": [
        {"role": "user", "parts": [{"text": "My name is Ada."}]},
        {"role": "model", "parts": [{"text": "Hello, Ada."}]},
        {"role": "user", "parts": [{"text": "What is my name?"}]},
    ]});
    body["model"] = json!(format!("models/{MODEL}"));

    let without = count(&body);
    body["systemInstruction"] = json!({"parts": [{"text": "Answer in one short sentence, as a pirate would."}]});
    assert_ne!(count(&body), without, "the instruction is part of the prompt");
    body["generationConfig"] = json!({"maxOutputTokens": 30});
    let told = answer(&server, post(format!("/v1beta/models/{MODEL}:generateContent"), &body));

    assert!(!text(&told).is_empty());
    body.as_object_mut().unwrap().remove("generationConfig");
    assert_eq!(told["usageMetadata"]["promptTokenCount"], count(&body));
}

#[test]
fn a_prompt_over_the_window_is_400_with_both_counts() {
    let server = with_model().set("model.window_tokens", "256").up().ready();

    let refused = server.call(&generate(&"backpack ".repeat(400)).key(&server.key()));

    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["status"]), (400, &json!("INVALID_ARGUMENT")));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("The input token count ("), "{message}");
    assert!(message.ends_with(") exceeds the maximum number of tokens allowed 255."), "{message}");
    answer(&server, ask("Hello", &json!({"maxOutputTokens": 5})));
}

#[test]
fn with_no_place_left_in_the_queue_callers_are_told_when_to_come_back() {
    let server = with_model().set("model.slots", "1").set("model.queue_max", "0").up().ready();
    let connection = begin_a_long_answer(&server);

    let refused = server.call(&generate("Hello").key(&server.key()));

    assert_eq!(
        (refused.status, refused.json()),
        (
            503,
            json!({"error": {
                "code": 503, "status": "UNAVAILABLE",
                "message": "This model is currently experiencing high demand. Spikes in demand are usually temporary. Please try again later.",
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}],
            }})
        )
    );
    drop(connection);
    until("the slot is free again", || server.metric("generations_running") == 0.0);
    answer(&server, ask("Hello", &json!({"maxOutputTokens": 5})));
}
