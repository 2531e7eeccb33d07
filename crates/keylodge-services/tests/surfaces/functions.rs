//! Functions that a model may call.

use serde_json::{Value, json};

use crate::support::{Answer, House, MODEL};

/// A model that calls a function when it is asked for the weather, and has words for what came of it.
const SCRIPT: &str = r#"
[[reply]]
contains = "gave back"
text = "It rains in Basel."

[[reply]]
contains = "weather"
tokens = ['{"name": "weather",', ' "args": {"city": "Basel"}}']

[[reply]]
contains = "cut"
tokens = ['{"name": "wea']
finish = "MAX_TOKENS"

[[reply]]
tokens = ["Hel", "lo", "."]
"#;

fn asked(text: &str, mode: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}],
        "tools": [{"functionDeclarations": [{"name": "weather", "description": "Tells the weather.",
            "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": mode}}})
}

fn call() -> Value {
    json!({"name": "weather", "args": {"city": "Basel"}})
}

impl House {
    async fn generate(&self, body: &Value) -> Answer {
        self.gemini(&format!("/v1beta/models/{MODEL}:generateContent"), body).await
    }

    async fn stream(&self, body: &Value) -> Vec<Value> {
        let answer = self.gemini(&format!("/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"), body).await;
        let text = answer.text();
        text.lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }
}

/// The only part of an answer, and why it ended.
#[track_caller]
fn part(answer: &Value) -> (Value, &str) {
    let candidate = &answer["candidates"][0];
    let parts = candidate["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(parts.len() <= 1, "{answer}");
    let mut part = parts.first().cloned().unwrap_or_default();
    if let Some(call) = part.get_mut("functionCall").and_then(Value::as_object_mut) {
        let id = call.remove("id").unwrap();
        assert!(id.as_str().unwrap().starts_with("call_"), "{answer}");
    }
    (part, candidate["finishReason"].as_str().unwrap())
}

#[tokio::test]
async fn a_call_is_a_part_and_its_result_goes_on() {
    let house = House::with_script(SCRIPT).await;

    for mode in ["AUTO", "ANY", "VALIDATED"] {
        let answer = house.generate(&asked("How is the weather?", mode)).await.ok();
        assert_eq!(part(&answer), (json!({"functionCall": call()}), "STOP"), "{mode}");
    }
    let mut turns = asked("How is the weather?", "AUTO");
    turns["contents"].as_array_mut().unwrap().extend([
        json!({"role": "model", "parts": [{"functionCall": call()}]}),
        json!({"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"rain": true}}}]}),
    ]);
    assert_eq!(part(&house.generate(&turns).await.ok()), (json!({"text": "It rains in Basel."}), "STOP"));
}

#[tokio::test]
async fn in_a_stream_words_come_as_they_are_said_and_a_call_at_once() {
    let house = House::with_script(SCRIPT).await;

    let called = house.stream(&asked("How is the weather?", "AUTO")).await;
    assert_eq!(called.len(), 1, "{called:?}");
    assert_eq!(part(&called[0]), (json!({"functionCall": call()}), "STOP"));

    let said = house.stream(&asked("Hi", "AUTO")).await;
    let texts: Vec<&Value> = said.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]["text"]).collect();
    assert_eq!(texts, ["Hel", "lo", ".", ""]);
}

#[tokio::test]
async fn where_a_call_is_demanded_anything_else_is_said_to_be_none() {
    let house = House::with_script(SCRIPT).await;

    assert_eq!(part(&house.generate(&asked("Hi", "ANY")).await.ok()), (Value::Null, "MALFORMED_FUNCTION_CALL"));
    assert_eq!(part(&house.generate(&asked("cut", "ANY")).await.ok()), (Value::Null, "MAX_TOKENS"));
    assert_eq!(part(&house.generate(&asked("Hi", "NONE")).await.ok()), (json!({"text": "Hello."}), "STOP"));
}

#[tokio::test]
async fn a_schema_for_the_answer_and_a_demanded_call_exclude_each_other() {
    let house = House::with_script(SCRIPT).await;
    let mut both = asked("Hi", "ANY");
    both["generationConfig"] = json!({"responseMimeType": "application/json"});

    let (http, _, message) = house.generate(&both).await.error();

    assert_eq!(
        (http, message.as_str()),
        (400, "Function calling with a response mime type: 'application/json' is unsupported")
    );
}

#[tokio::test]
async fn so_many_functions_can_be_declared_and_no_more() {
    let house = House::with_bodies(1 << 20).await;
    let declared = async |count: usize| {
        let declarations: Vec<Value> = (0..count).map(|number| json!({"name": format!("f{number}")})).collect();
        let mut body = asked("Hi", "AUTO");
        body["tools"] = json!([{"functionDeclarations": declarations}]);
        house.generate(&body).await
    };

    assert_eq!(declared(64).await.http, 200);
    assert_eq!(declared(10_000).await.wrong_fields(), ["tools"]);
}

#[tokio::test]
async fn declarations_count_as_input() {
    let house = House::with_script("[[reply]]\ntext = 'x'").await;
    let count = async |body: Value| {
        let body = json!({"generateContentRequest": body});
        let counted = house.gemini(&format!("/v1beta/models/{MODEL}:countTokens"), &body).await.ok();
        counted["totalTokens"].as_u64().unwrap()
    };

    let without = count(json!({"contents": [{"parts": [{"text": "Hi"}]}]})).await;
    assert!(count(asked("Hi", "AUTO")).await > without + 10);
}

#[tokio::test]
async fn an_interaction_waits_for_the_result_of_a_call() {
    let house = House::with_script(SCRIPT).await;
    let tools = json!([{"type": "function", "name": "weather", "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]);
    let interact = async |body: Value| house.gemini("/v1beta/interactions", &body).await.ok();

    let first = interact(json!({"model": MODEL, "input": "How is the weather?", "tools": tools})).await;
    assert_eq!(first["status"], "requires_action", "{first}");
    let step = first["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&step["type"], &step["name"], &step["arguments"]),
        (&json!("function_call"), &json!("weather"), &json!({"city": "Basel"}))
    );

    let result =
        json!([{"type": "function_result", "call_id": step["id"], "name": "weather", "result": {"rain": true}}]);
    let second =
        interact(json!({"model": MODEL, "input": result, "tools": tools, "previous_interaction_id": first["id"]}))
            .await;
    assert_eq!(second["status"], "completed", "{second}");
    assert_eq!(second["steps"][0]["content"][0]["text"], "It rains in Basel.");
}

#[tokio::test]
async fn a_chat_completion_has_tool_calls() {
    let house = House::with_script(SCRIPT).await;
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "How is the weather?"}], "tool_choice": "required",
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]});

    let answer = house.gemini("/v1beta/openai/chat/completions", &body).await.ok();

    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls", "{answer}");
    assert_eq!(
        choice["message"]["tool_calls"][0]["function"],
        json!({"name": "weather", "arguments": "{\"city\":\"Basel\"}"})
    );
}
