//! What answers under which name: the model, the script, or the script where the model cannot be had.

use serde_json::{Value, json};

use crate::support::http::{EMBEDDING_MODEL, MODEL, contents, generate, get, post};
use crate::support::server::{again, scripted, with_script, without_model};
use crate::support::{printed, until};

#[test]
fn without_a_model_the_script_answers_and_says_that_it_is_one() {
    let server = without_model("auto").up();
    until("it is known that there is no model", || server.call(&get("/readyz")).status == 200);

    let answer = server.call(&generate("Hello").key(&server.key())).good();

    assert_eq!(answer.header("x-keylodge-engine"), Some("script"));
    assert!(answer.text().contains("No language model has read it."), "{}", answer.text());
    let model = server.call(&get(format!("/v1/models/{MODEL}")).key(&server.key())).good().json();
    assert!(model["description"].as_str().is_some_and(|text| text.contains("script")), "{model}");
}

#[test]
fn where_only_the_model_will_do_its_absence_is_503_with_the_reason_for_the_owner() {
    let server = without_model("embedded").up();
    let engine = || server.call(&get("/readyz")).json()["engines"][0].clone();
    until("it is known that there is no model", || engine()["state"] == "failed");

    let ready = server.call(&get("/readyz"));
    let answer = server.call(&generate("Hello").key(&server.key()));

    assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)));
    let reason = engine()["reason"].as_str().unwrap().to_owned();
    assert!(reason.len() > 20, "{reason}");
    assert_eq!((answer.status, &answer.json()["error"]["status"]), (503, &json!("UNAVAILABLE")));
    assert!(!answer.text().contains(&reason), "the reason is not the caller's");
    server.call(&get("/v1/models").key(&server.key())).good();
}

#[test]
fn the_table_of_models_is_the_whole_list() {
    let table = "[models]\n\"my-model\" = \"script\"\n\"my.other_1\" = \"script\"\n\"my-vectors\" = \"embedding\"\n";
    let server = scripted().settings(table).up();

    let listed = server.call(&get("/v1/models").key(&server.key())).good().json();

    let names: Vec<&Value> = listed["models"].as_array().unwrap().iter().map(|model| &model["name"]).collect();
    assert_eq!(names, ["models/my-model", "models/my.other_1", "models/my-vectors"]);
    let ask = |model: &str| {
        let path = format!("/v1/models/{model}:generateContent");
        server.call(&post(path, &contents("Hello")).key(&server.key())).status
    };
    assert_eq!((ask("my-model"), ask("my.other_1"), ask("my-vectors"), ask(MODEL)), (200, 200, 404, 404));
    let embed = |model: &str| {
        let body = json!({"content": {"parts": [{"text": "Hello"}]}});
        server.call(&post(format!("/v1/models/{model}:embedContent"), &body).key(&server.key())).status
    };
    assert_eq!((embed("my-vectors"), embed("my-model"), embed(EMBEDDING_MODEL)), (200, 404, 404));
}

#[test]
fn a_script_answers_by_model_and_text_and_the_same_each_time() {
    let server = with_script(
        r#"
        [[reply]]
        model = "gemini-2.5-*"
        contains = "Weather"
        text = "Sunny."

        [[reply]]
        model = "gemini-2.0-flash"
        contains = "weather"
        text = "Rain."
        prompt_tokens = 11
        finish = "MAX_TOKENS"
        "#,
    )
    .up();
    let ask = |model: &str, text: &str| {
        let path = format!("/v1/models/{model}:generateContent");
        let answer = server.call(&post(path, &contents(text)).key(&server.key())).good().json();
        let text = answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap().to_owned();
        (text, answer["candidates"][0]["finishReason"].clone(), answer["usageMetadata"]["promptTokenCount"].clone())
    };

    for _ in 0..3 {
        assert_eq!(ask("gemini-2.5-pro", "the WEATHER, please"), ("Sunny.".to_owned(), json!("STOP"), json!(4)));
        assert_eq!(ask(MODEL, "weather?"), ("Rain.".to_owned(), json!("MAX_TOKENS"), json!(11)));
        assert!(ask(MODEL, "time?").0.contains("scripted model"));
    }
}

#[test]
fn a_script_with_mistakes_is_not_started_and_every_mistake_is_named() {
    let folder = scripted().up().folder.clone();
    let file = folder.write("script.toml", "[[reply]]\nstatus = 200\n\n[[reply]]\ntxet = 'Hello'\ndelay_ms = -1\n");

    let started = again(&folder).set("script.file", &file.to_string_lossy()).output();

    assert!(!started.status.success());
    let (stdout, stderr) = printed(&started);
    assert_eq!(stdout, "");
    for mistake in [
        "reply 1: `status` must be a whole number from 400 to 599",
        "reply 2: `txet` is not known; known are: ",
        "reply 2: `text` is missing; a reply needs `text`, `tokens` or `status`",
        "reply 2: `delay_ms` must be a whole number from 0 to 60000",
    ] {
        assert!(stderr.contains(mistake), "{mistake} in:\n{stderr}");
    }
}

#[cfg(feature = "embedded-model")]
mod with_the_real_model {
    use super::*;
    use crate::support::server::{Server, with_model};

    fn ask(server: &Server, more: &Value) -> crate::support::http::Answer {
        let mut body = contents("What is the weather in Paris? Turn the light in the hall down.");
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        server.call(&post(format!("/v1beta/models/{MODEL}:generateContent"), &body).key(&server.key()))
    }

    #[test]
    fn a_demanded_call_and_a_demanded_shape_are_what_comes() {
        let server = with_model().up().ready();
        let lamp = json!({"type": "OBJECT", "required": ["brightness"], "propertyOrdering": ["room", "brightness"],
            "properties": {"brightness": {"type": "NUMBER", "minimum": 0, "maximum": 1},
                "room": {"type": "STRING", "enum": ["kitchen", "hall"], "nullable": true}}});
        let tools = json!([{"functionDeclarations": [
            {"name": "set_lamp", "description": "Sets a lamp.", "parameters": lamp}, {"name": "weather"}]}]);
        let any = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["set_lamp"]}});

        let called = ask(&server, &json!({"tools": tools, "toolConfig": any})).good().json();
        let shaped = json!({"responseMimeType": "application/json", "responseSchema": lamp, "seed": 5});
        let shaped = ask(&server, &json!({"generationConfig": shaped})).good().json();

        let call = &called["candidates"][0]["content"]["parts"][0]["functionCall"];
        assert_eq!((&call["name"], &called["candidates"][0]["finishReason"]), (&json!("set_lamp"), &json!("STOP")));
        let text = shaped["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
        for said in [&call["args"], &serde_json::from_str(text).unwrap()] {
            assert!(said["brightness"].as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)), "{said}");
            assert!(["kitchen", "hall"].iter().any(|room| said["room"] == *room) || said["room"].is_null(), "{said}");
        }
    }

    #[test]
    fn a_schema_that_cannot_be_followed_is_refused_where_it_stands() {
        let server = with_model().up();
        let schema = json!({"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": true}}});

        let refused = ask(
            &server,
            &json!({"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}),
        );

        let error = &refused.json()["error"];
        assert_eq!((refused.status, &error["status"]), (400, &json!("INVALID_ARGUMENT")), "{error}");
        let field = "generation_config.response_json_schema.properties[tags].uniqueItems";
        assert_eq!(error["details"][0]["fieldViolations"][0]["field"], field, "{error}");
    }
}
