//! Steps of a conversation as contents of generateContent.

use std::collections::HashMap;

use keylodge_api::Status;
use keylodge_api::proto_json::MISTAKES_MAX;
use keylodge_api::status::FieldViolation;
use serde_json::{Map, Value, json};

use crate::origins::Origins;

/// Whether something in an input is a step, and not a content.
pub(super) fn is_step(item: &Map<String, Value>) -> bool {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    ["user_input", "model_output", "thought"].contains(&kind) || kind.ends_with("_call") || kind.ends_with("_result")
}

/// The forms that an input has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A text, or a content.
    One,
    Contents,
    Step,
    Steps,
}

/// Where in a request a step was written.
#[derive(Clone)]
struct Place {
    step: String,
    contents: String,
    /// Whether its content was written without a list around it.
    is_one: bool,
}

impl Place {
    fn content(&self, at: usize) -> String {
        if self.is_one { self.contents.clone() } else { format!("{}[{at}]", self.contents) }
    }
}

impl Form {
    fn place(self, step: usize) -> Place {
        let place = |step: &str, contents: &str, is_one| Place { step: step.into(), contents: contents.into(), is_one };
        match self {
            Self::One => place("input", "input", true),
            Self::Contents => place("input", "input", false),
            Self::Step => place("input", "input.content", false),
            Self::Steps => place(&format!("input[{step}]"), &format!("input[{step}].content"), false),
        }
    }
}

/// The contents of a conversation: what was said before, and what is said now, with where that was written.
///
/// # Errors
/// INVALID_ARGUMENT with every step of `now` that cannot be said, by its place.
pub(super) fn of_steps(before: &[Value], now: &[Value], form: Form) -> Result<(Vec<Value>, Origins), Status> {
    let mut telling = Telling::default();
    let earlier = "previous_interaction_id";
    for step in before {
        // Was taken once, or is a model's own: what cannot be said again is left out.
        telling.step(step, &Place { step: earlier.into(), contents: earlier.into(), is_one: true });
    }
    telling.mistakes.clear();
    for (at, step) in now.iter().enumerate() {
        telling.step(step, &form.place(at));
    }
    let Telling { contents, origins, mistakes, .. } = telling;
    if mistakes.is_empty() { Ok((contents, origins)) } else { Err(Status::bad_request(mistakes)) }
}

#[derive(Default)]
struct Telling {
    contents: Vec<Value>,
    origins: Origins,
    /// Names of the functions that were called, by the ids that results come back with.
    called: HashMap<String, String>,
    /// The signature of a thought goes with what the model did after it.
    signature: Option<Value>,
    mistakes: Vec<FieldViolation>,
}

impl Telling {
    fn refuse(&mut self, path: &str, why: &str) {
        if self.mistakes.len() < MISTAKES_MAX {
            let description = format!("Invalid value at '{path}': {why}.");
            self.mistakes.push(FieldViolation { field: path.to_owned(), description });
        }
    }

    fn step(&mut self, step: &Value, place: &Place) {
        let path = &place.step;
        let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        match step["type"].as_str() {
            Some(kind @ ("user_input" | "model_output")) => {
                let content = &step["content"];
                let place = &Place { is_one: place.is_one || !content.is_array(), ..place.clone() };
                let parts = self.parts(content, place);
                let role = if kind == "user_input" { "user" } else { "model" };
                self.push(role, parts, |at| place.content(at));
            }
            Some("thought") => {
                self.signature = step.get("signature").filter(|signature| signature.is_string()).cloned()
            }
            Some("function_call") => {
                let (id, name) = (text("id"), text("name"));
                if name.is_empty() {
                    return self.refuse(&format!("{path}.name"), "a call names its function");
                }
                let arguments = step.get("arguments").filter(|arguments| arguments.is_object()).cloned();
                let call = json!({"id": id, "name": name, "args": arguments.unwrap_or_else(|| json!({}))});
                self.called.insert(id, name);
                self.push("model", vec![json!({"functionCall": call})], |_| path.clone());
            }
            Some("function_result") => {
                let id = text("call_id");
                let name = Some(text("name")).filter(|name| !name.is_empty()).or_else(|| self.called.get(&id).cloned());
                let Some(name) = name else {
                    return self.refuse(&format!("{path}.call_id"), "no step before has a call with this id");
                };
                let response = match step.get("result") {
                    Some(Value::Object(result)) => Value::Object(result.clone()),
                    Some(Value::Array(items)) if items.iter().all(|item| item["type"] == "text") => {
                        json!({"result": texts(items)})
                    }
                    Some(Value::Array(items)) if items.iter().any(is_data) => {
                        return self.refuse(&format!("{path}.result"), "results are said as text or JSON here");
                    }
                    result => json!({"result": result.cloned().unwrap_or_default()}),
                };
                let response = if step["is_error"] == true { json!({"error": response}) } else { response };
                let result = json!({"functionResponse": {"id": id, "name": name, "response": response}});
                self.push("user", vec![result], |_| path.clone());
            }
            Some("code_execution_call") => {
                let (code, language) = (&step["arguments"]["code"], &step["arguments"]["language"]);
                let language = language.as_str().unwrap_or("python").to_ascii_uppercase();
                let call = json!({"executableCode": {"language": language, "code": code}});
                self.push("model", vec![call], |_| path.clone());
            }
            Some("code_execution_result") => {
                let outcome = if step["is_error"] == true { "OUTCOME_FAILED" } else { "OUTCOME_OK" };
                let result = json!({"outcome": outcome, "output": text("result")});
                self.push("model", vec![json!({"codeExecutionResult": result})], |_| path.clone());
            }
            _ => self.refuse(
                &format!("{path}.type"),
                "steps of this type cannot be said to the models behind this Keylodge",
            ),
        }
    }

    /// Parts of a turn, each with the place where it was written; what one side says in several steps is one turn.
    fn push(&mut self, role: &str, mut parts: Vec<Value>, written: impl Fn(usize) -> String) {
        if parts.is_empty() {
            return;
        }
        if role == "model"
            && let Some(signature) = self.signature.take()
        {
            parts[0]["thoughtSignature"] = signature;
        }
        if self.contents.last().is_none_or(|last| last["role"] != role) {
            self.contents.push(json!({"role": role, "parts": []}));
        }
        let content = format!("contents[{}]", self.contents.len() - 1);
        if let Some(said) = self.contents.last_mut().and_then(|last| last["parts"].as_array_mut()) {
            for at in 0..parts.len() {
                self.origins.made_of(format!("{content}.parts[{}]", said.len() + at), written(at));
            }
            said.extend(parts);
        }
    }

    fn parts(&mut self, content: &Value, place: &Place) -> Vec<Value> {
        match content {
            Value::String(text) => vec![json!({"text": text})],
            Value::Array(contents) => {
                let read = |(at, content)| self.part(content, &place.content(at));
                contents.iter().enumerate().filter_map(read).collect()
            }
            content @ Value::Object(_) => self.part(content, &place.contents).into_iter().collect(),
            _ => {
                self.refuse(&place.contents, "it is a list of contents");
                Vec::new()
            }
        }
    }

    fn part(&mut self, content: &Value, path: &str) -> Option<Value> {
        let text = |name: &str| content[name].as_str();
        match content["type"].as_str() {
            Some("text") => {
                if text("text").is_none() {
                    self.refuse(&format!("{path}.text"), "it is a string");
                }
                text("text").map(|text| json!({"text": text}))
            }
            Some("image" | "audio" | "video" | "document") => match (text("data"), text("uri"), text("mime_type")) {
                (Some(data), _, Some(kind)) => Some(json!({"inlineData": {"mimeType": kind, "data": data}})),
                (None, Some(uri), kind) => Some(json!({"fileData": {"mimeType": kind, "fileUri": uri}})),
                _ => {
                    self.refuse(path, "it has data with its mime_type, or a uri");
                    None
                }
            },
            _ => {
                self.refuse(&format!("{path}.type"), "it is text, image, audio, video or document");
                None
            }
        }
    }
}

fn is_data(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("image" | "audio" | "video" | "document"))
}

/// A step with nothing in it but what is said to a model, which is all that is kept of it.
pub(super) fn known(step: &Value) -> Value {
    let kept: &[&str] = match step["type"].as_str() {
        Some("user_input" | "model_output") => &["type", "content"],
        Some("thought") => &["type", "signature"],
        Some("function_call") => &["type", "id", "name", "arguments"],
        Some("function_result") => &["type", "call_id", "name", "result", "is_error"],
        Some("code_execution_call") => &["type", "id", "arguments"],
        Some("code_execution_result") => &["type", "call_id", "result", "is_error"],
        _ => &["type"],
    };
    let mut known = only(step, kept);
    if let Some(content) = known.get_mut("content") {
        let item = |item: &Value| match item {
            Value::Object(_) => only(item, &["type", "text", "data", "uri", "mime_type"]),
            other => other.clone(),
        };
        *content = match &*content {
            Value::Array(items) => items.iter().map(item).collect(),
            single => item(single),
        };
    }
    known
}

fn only(object: &Value, names: &[&str]) -> Value {
    let fields = object.as_object().into_iter().flatten().filter(|(name, _)| names.contains(&name.as_str()));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Whether a value is nested no deeper than so many levels.
pub(super) fn is_flat(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_flat(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| is_flat(field, levels - 1)),
        _ => true,
    }
}

fn texts(contents: &[Value]) -> String {
    contents.iter().filter_map(|content| content["text"].as_str()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "what is asked and said is written where it is used")]

    use super::*;

    fn told(before: Value, now: Value) -> Value {
        of_steps(before.as_array().unwrap(), now.as_array().unwrap(), Form::Steps).unwrap().0.into()
    }

    #[test]
    fn a_conversation_keeps_its_turns() {
        let text = |text: &str| json!([{"type": "text", "text": text}]);
        let before = json!([
            {"type": "user_input", "content": text("Look")},
            {"type": "thought", "signature": "sig"},
            {"type": "model_output", "content": text("A cat.")}]);
        let now = json!([{"type": "user_input", "content": [{"type": "text", "text": "And this?"},
            {"type": "image", "data": "AAAA", "mime_type": "image/png"}]}]);
        assert_eq!(
            told(before, now),
            json!([{"role": "user", "parts": [{"text": "Look"}]},
                {"role": "model", "parts": [{"text": "A cat.", "thoughtSignature": "sig"}]},
                {"role": "user", "parts": [{"text": "And this?"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}])
        );
    }

    #[test]
    fn a_result_finds_its_call() {
        let before = json!([{"type": "function_call", "id": "a", "name": "f", "arguments": {"x": 1}}]);
        let now = json!([{"type": "function_result", "call_id": "a", "result": {"y": 2}}]);
        assert_eq!(
            told(before.clone(), now),
            json!([{"role": "model", "parts": [{"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f", "response": {"y": 2}}}]}])
        );
        assert!(
            of_steps(
                before.as_array().unwrap(),
                &[json!({"type": "function_result", "call_id": "a",
            "result": [{"type": "image", "data": "AAAA", "mime_type": "image/png"}]})],
                Form::Steps
            )
            .is_err()
        );
        for (result, response) in [
            (json!([{"city": "Paris"}]), json!({"result": [{"city": "Paris"}]})),
            (json!("fine"), json!({"result": "fine"})),
            (json!([{"type": "text", "text": "fi"}, {"type": "text", "text": "ne"}]), json!({"result": "fine"})),
        ] {
            let now = json!([{"type": "function_result", "call_id": "a", "result": result}]);
            assert_eq!(told(before.clone(), now)[1]["parts"][0]["functionResponse"]["response"], response);
        }
    }

    #[test]
    fn of_a_step_is_kept_what_is_said() {
        let step = json!({"type": "user_input", "note": "x",
            "content": [{"type": "text", "text": "Hi", "annotations": [1]}, "odd"]});
        assert_eq!(known(&step), json!({"type": "user_input", "content": [{"type": "text", "text": "Hi"}, "odd"]}));
        assert_eq!(
            known(&json!({"type": "thought", "signature": "s", "summary": [1]})),
            json!({"type": "thought", "signature": "s"})
        );
    }

    #[test]
    fn what_cannot_be_said_is_refused_where_it_stands() {
        for (step, path) in [
            (json!({"type": "function_result", "call_id": "nobody", "result": "x"}), "'input[0].call_id'"),
            (json!({"type": "function_call", "id": "a"}), "'input[0].name'"),
            (json!({"type": "google_search_call", "id": "a"}), "'input[0].type'"),
            (json!({"type": "user_input", "content": [{"type": "text"}]}), "'input[0].content[0].text'"),
            (json!({"type": "user_input", "content": [{"type": "image"}]}), "'input[0].content[0]'"),
            (json!({"type": "user_input"}), "'input[0].content'"),
        ] {
            let said = of_steps(&[], &[step], Form::Steps).unwrap_err().message;
            assert!(said.contains(path), "{path}: {said}");
        }
    }
}
