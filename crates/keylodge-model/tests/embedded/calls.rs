//! What the real model says where it can say nothing but a call: the shape that a demanded call has.

use serde_json::{Value, json};

use super::{Finish, Generate, Grammar, Sampling, Shape, answer, asking, engine};

fn weather() -> Value {
    json!({"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "maxLength": 30}, "unit": {"enum": ["celsius", "fahrenheit"]}}})
}

fn lamp() -> Value {
    json!({"type": "object", "required": ["brightness", "rooms"], "propertyOrdering": ["brightness", "rooms"],
        "properties": {"brightness": {"type": "number", "minimum": 0, "maximum": 1},
            "rooms": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"enum": ["kitchen", "hall"]}}}})
}

fn call_of(declared: &[(&str, Value)]) -> Grammar {
    let call = |(name, args): &(&str, Value)| {
        let args = Shape::of_json_schema(args).expect("a schema").objects().expect("an object");
        Shape::object([("name", Shape::constant((*name).into())), ("args", args)])
    };
    Shape::either(declared.iter().map(call)).grammar().expect("a grammar")
}

#[track_caller]
fn check(call: &Value) {
    let args = call["args"].as_object().unwrap_or_else(|| panic!("{call}"));
    assert_eq!(call.as_object().map(serde_json::Map::len), Some(2), "{call}");
    match call["name"].as_str() {
        Some("weather") => {
            let unit = args.get("unit").is_none_or(|unit| unit == "celsius" || unit == "fahrenheit");
            assert!(args["city"].as_str().is_some_and(|city| city.chars().count() <= 30) && unit, "{call}");
            assert!(args.keys().all(|name| name == "city" || name == "unit"), "{call}");
        }
        Some("lamp") => {
            assert!(args["brightness"].as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)), "{call}");
            let rooms = args["rooms"].as_array().expect("a list");
            assert!(
                (1..=3).contains(&rooms.len()) && rooms.iter().all(|room| room == "kitchen" || room == "hall"),
                "{call}"
            );
            assert_eq!(args.len(), 2, "{call}");
        }
        Some("now") => assert!(args.is_empty(), "{call}"),
        _ => panic!("no such function: {call}"),
    }
}

pub(super) async fn a_demanded_call_is_of_a_declared_function_with_arguments_that_fit() {
    let engine = engine().await;
    let nothing = || json!({"type": "object", "properties": {}});
    let sets = [
        vec![("weather", weather())],
        vec![("lamp", lamp())],
        vec![("weather", weather()), ("lamp", lamp()), ("now", nothing())],
    ];
    for declared in sets {
        for (seed, temperature) in [(1, 0.0), (2, 1.0), (3, 2.0)] {
            let request = Generate {
                grammar: Some(call_of(&declared)),
                sampling: Sampling { temperature, seed, ..Sampling::default() },
                ..asking("What is the weather in Paris? Turn the light in the hall down.", 300)
            };
            let said = answer(&engine, request).await;

            assert_eq!(said.finish, Finish::Stop, "{}", said.text);
            let call = serde_json::from_str(&said.text).unwrap_or_else(|error| panic!("{error}: {}", said.text));
            check(&call);
            assert!(
                said.text.starts_with("{") && said.text.find("\"name\"") < said.text.find("\"args\""),
                "{}",
                said.text
            );
        }
    }
}
