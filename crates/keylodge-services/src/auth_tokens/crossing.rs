//! Where a client asks for something else than its token fixes.
//!
//! Such a session is refused, so that nobody takes for granted what it does not get. Left out or asked for as it is fixed,
//! a field is no crossing. Where all is fixed (there is no mask), what the token leaves at its default is not either, since
//! Google's clients promise that it is ignored there (the example in their documentation is `outputAudioTranscription`);
//! only tools and instructions are, because with them the model is another one.

use keylodge_api::gemini::camel_case;
use serde_json::{Map, Value};

use super::path::{RESUMPTION, entry, find, reach};

/// What makes a session wider where a token that fixes all of it has none.
const WIDENING: [&str; 2] = ["tools", "systemInstruction"];

/// The first of the paths that a mask names at which something else is asked for.
pub(super) fn of_paths(
    asked: &Map<String, Value>,
    fixed: &Map<String, Value>,
    paths: &[Vec<String>],
) -> Option<String> {
    let mut paths = paths.iter().filter(|path| path[0] != RESUMPTION);
    paths.find_map(|path| {
        if is_said_twice(asked, path) {
            return Some(path.join("."));
        }
        let path = reach(path, [asked, fixed]);
        of_value(find(asked, path)?, find(fixed, path), true, &path.join("."))
    })
}

/// Whether a name on the path stands there in both spellings: one could be what is fixed, and the other what is meant.
fn is_said_twice(asked: &Map<String, Value>, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let mut of_name = asked.iter().filter(|(spelled, _)| camel_case(spelled) == *first).map(|(_, value)| value);
    match (of_name.next(), of_name.next()) {
        (_, Some(_)) => true,
        (Some(Value::Object(inner)), None) => is_said_twice(inner, rest),
        (_, None) => false,
    }
}

/// The first field at which something else is asked for where all is fixed.
pub(super) fn of_whole(asked: &Map<String, Value>, fixed: &Map<String, Value>) -> Option<String> {
    let crossed =
        |(name, value): (&String, &Value)| of_value(value, fixed.get(name), WIDENING.contains(&name.as_str()), name);
    asked.iter().filter(|(name, _)| *name != RESUMPTION).find_map(crossed)
}

/// Looks at a value and what is in it. A strict look takes what is not set for something that is fixed, too.
fn of_value(asked: &Value, fixed: Option<&Value>, is_strict: bool, path: &str) -> Option<String> {
    let crossing = || path.to_owned();
    if is_unset(asked) {
        return None;
    }
    match (asked, fixed) {
        (_, None) => is_strict.then(crossing),
        (Value::Object(asked), Some(Value::Object(fixed))) => asked.iter().find_map(|(spelled, value)| {
            let name = camel_case(spelled);
            // Whose words an instruction is changes nothing, and the clients differ in whether they say it.
            let is_read = !(path == "systemInstruction" && name == "role");
            let fixed = entry(fixed, &name).map(|(_, value)| value);
            is_read.then(|| of_value(value, fixed, is_strict, &format!("{path}.{name}"))).flatten()
        }),
        (Value::String(asked), Some(Value::String(fixed))) if path == "model" => {
            let bare = |model: &str| model.strip_prefix("models/").unwrap_or(model).to_owned();
            (bare(asked) != bare(fixed)).then(crossing)
        }
        (asked, Some(fixed)) => (!is_same(asked, fixed)).then(crossing),
    }
}

/// Whether this says no more than leaving the field out.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Whether two values are the same one in JSON of protocol buffers: names in either spelling, numbers in any form.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other = |(name, value): (&String, &Value)| {
                entry(other, &camel_case(name)).is_some_and(|(_, other)| is_same(value, other))
            };
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        _ => one == other || number(one).is_some_and(|one| number(other) == Some(one)),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keylodge_api::gemini::{Setup, SetupMask};
    use keylodge_api::proto_json;
    use serde_json::json;

    #[track_caller]
    fn check(fixed: &Value, mask: Option<&str>, asked: &Value, expected: Option<&str>) {
        let read = |setup: &Value| proto_json::parse::<Setup>(setup.to_string().as_bytes()).unwrap().0;
        let crossed = match mask {
            None => of_whole(&read(asked), &read(fixed)),
            Some(mask) => of_paths(&read(asked), &read(fixed), SetupMask::parse(mask).unwrap().paths()),
        };

        assert_eq!(crossed.as_deref(), expected, "{asked}");
    }

    fn fixed() -> Value {
        json!({
            "model": "models/a",
            "generationConfig": {"temperature": 0.5, "topK": 3, "responseModalities": ["TEXT"]},
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        })
    }

    #[test]
    fn what_is_left_out_or_asked_for_as_it_is_fixed_crosses_nothing() {
        for mask in [None, Some("model,generationConfig,systemInstruction,tools")] {
            check(&fixed(), mask, &fixed(), None);
            check(&fixed(), mask, &json!({}), None);
            check(&fixed(), mask, &json!({"model": "a", "tools": [], "generationConfig": {}}), None);
            let spelled = json!({
                "generation_config": {"top_k": 3.0, "response_modalities": ["TEXT"]},
                "system_instruction": {"role": "user", "parts": [{"text": "Be brief."}]},
                "tools": [{"function_declarations": [{"name": "f"}]}],
            });
            check(&fixed(), mask, &spelled, None);
        }
    }

    #[test]
    fn something_else_than_is_fixed_is_named() {
        for mask in [None, Some("model,generationConfig,systemInstruction,tools")] {
            let check = |asked: Value, expected: &str| check(&fixed(), mask, &asked, Some(expected));
            check(json!({"model": "models/b"}), "model");
            check(json!({"generationConfig": {"temperature": 2}}), "generationConfig.temperature");
            check(
                json!({"generationConfig": {"responseModalities": ["AUDIO"]}}),
                "generationConfig.responseModalities",
            );
            check(json!({"systemInstruction": {"parts": [{"text": "Be rude."}]}}), "systemInstruction.parts");
            check(json!({"tools": [{"googleSearch": {}}]}), "tools");
            let more = json!({"tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]});
            check(more, "tools");
        }
    }

    #[test]
    fn where_all_is_fixed_tools_and_instructions_cross_it_and_other_defaults_do_not() {
        let fixed = json!({"model": "models/a", "generationConfig": {"temperature": 0.5}});
        let check = |asked: Value, expected: Option<&str>| check(&fixed, None, &asked, expected);

        check(json!({"tools": [{"googleSearch": {}}]}), Some("tools"));
        check(json!({"systemInstruction": {"parts": [{"text": "Be rude."}]}}), Some("systemInstruction"));
        check(json!({"generationConfig": {"topK": 1}, "outputAudioTranscription": {}, "labels": {"a": "b"}}), None);
        check(json!({"sessionResumption": {"handle": "h"}}), None);
    }

    #[test]
    fn of_a_mask_also_what_nobody_sets_is_fixed_and_what_it_does_not_name_is_free() {
        let fixed = json!({"model": "models/a"});
        let check = |asked: Value, expected: Option<&str>| check(&fixed, Some("model,top_k"), &asked, expected);

        check(json!({"generationConfig": {"topK": 1}}), Some("generationConfig.topK"));
        check(json!({"generationConfig": {"temperature": 1}, "tools": [{"googleSearch": {}}]}), None);
    }

    #[test]
    fn a_path_into_a_list_fixes_the_list() {
        let paths = "model,tools.functionDeclarations,tools.googleSearch,systemInstruction.parts.text,\
                     historyConfig.unheard.of";
        let check = |asked: Value, expected: Option<&str>| check(&fixed(), Some(paths), &asked, expected);

        check(json!({"tools": [{"googleSearch": {}}]}), Some("tools"));
        check(json!({"tools": [{"functionDeclarations": [{"name": "g"}]}]}), Some("tools"));
        check(json!({"systemInstruction": {"parts": [{"text": "Be rude."}]}}), Some("systemInstruction.parts"));
        check(json!({"historyConfig": {"unheard": [{"of": 1}]}}), Some("historyConfig.unheard"));
        check(json!({"tools": fixed()["tools"], "systemInstruction": fixed()["systemInstruction"]}), None);
    }

    #[test]
    fn what_a_mask_fixes_cannot_be_said_a_second_time_in_the_other_spelling() {
        let fixed =
            json!({"model": "models/a", "generationConfig": {"topK": 1, "speechConfig": {"languageCode": "de"}}});
        let Setup(fixed) = proto_json::parse(fixed.to_string().as_bytes()).unwrap();
        // As it came: an upstream may know fields that nobody here knows, and then nobody here has read the others.
        let check = |path: &str, asked: Value, expected: Option<&str>| {
            let crossed = of_paths(asked.as_object().unwrap(), &fixed, SetupMask::parse(path).unwrap().paths());
            assert_eq!(crossed.as_deref(), expected, "{asked}");
        };

        check("top_k", json!({"generationConfig": {"topK": 1, "top_k": 9}}), Some("generationConfig.topK"));
        check("top_k", json!({"generationConfig": {"topK": 1, "topP": 1, "top_p": 1}}), None);
        check(
            "speechConfig.language_code",
            json!({"generationConfig": {"speechConfig": {"languageCode": "de"}, "speech_config": {"languageCode": "fr"}}}),
            Some("generationConfig.speechConfig.languageCode"),
        );
    }

    #[test]
    fn which_session_goes_on_is_the_client_s() {
        let asked = json!({"sessionResumption": {"handle": "h", "transparent": true}});

        for mask in [None, Some("model,sessionResumption")] {
            check(&json!({"model": "models/a", "sessionResumption": {}}), mask, &asked, None);
        }
    }
}
