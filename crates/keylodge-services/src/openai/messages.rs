//! The messages of a chat completion as contents of generateContent, and what the model is told before them.

use serde_json::{Map, Value, json};

use super::request::Asked;

impl Asked {
    /// What the model is told before the conversation, and the conversation.
    pub(super) fn messages(&mut self) -> (Vec<Value>, Vec<Value>) {
        let (mut system, mut contents) = (Vec::new(), Vec::<Value>::new());
        let messages = match self.reading.given("messages") {
            Some(Value::Array(messages)) if !messages.is_empty() => messages.clone(),
            _ => {
                self.reading.refuse("messages", "messages is a list with at least one message");
                return (system, contents);
            }
        };
        // Names of the functions that were called, by the ids that results come back with.
        let mut called = Map::new();
        for (at, message) in messages.iter().enumerate() {
            let path = format!("messages[{at}]");
            let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
            let (role, parts) = match role {
                "system" | "developer" => {
                    let parts = self.parts(message, &path);
                    self.written(&parts, message, &path, "system_instruction", system.len());
                    system.extend(parts);
                    continue;
                }
                "user" => ("user", self.parts(message, &path)),
                "assistant" => ("model", self.said_before(message, &path, &mut called)),
                "tool" => ("user", vec![self.tool_result(message, &path, &called)]),
                _ => {
                    self.reading.refuse(&format!("{path}.role"), "it is system, developer, user, assistant or tool");
                    continue;
                }
            };
            if parts.is_empty() {
                continue;
            }
            // Results of several calls are one turn.
            let is_result = |content: &Value| content["parts"][0].get("functionResponse").is_some();
            let last_at = contents.len().saturating_sub(1);
            match contents.last_mut() {
                Some(last) if role == "user" && is_result(last) && parts[0].get("functionResponse").is_some() => {
                    if let Some(before) = last["parts"].as_array_mut() {
                        self.written(&parts, message, &path, &format!("contents[{last_at}]"), before.len());
                        before.extend(parts);
                    }
                }
                _ => {
                    let content = format!("contents[{}]", contents.len());
                    self.written(&parts, message, &path, &content, 0);
                    self.origins.made_of(content, path);
                    contents.push(json!({"role": role, "parts": parts}));
                }
            }
        }
        if contents.is_empty() && self.reading.is_good() {
            self.reading.refuse("messages", "there is nothing to answer: besides instructions there must be a message");
        }
        (system, contents)
    }

    /// Notes that these parts of a message come to stand in this content, behind so many others.
    fn written(&mut self, parts: &[Value], message: &Value, path: &str, content: &str, behind: usize) {
        let listed = message["content"].as_array().map_or(0, Vec::len);
        for at in 0..parts.len() {
            let written = if at < listed { format!("{path}.content[{at}]") } else { path.to_owned() };
            self.origins.made_of(format!("{content}.parts[{}]", behind + at), written);
        }
    }

    fn parts(&mut self, message: &Value, path: &str) -> Vec<Value> {
        match message.get("content") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => vec![json!({"text": text})],
            Some(Value::Array(parts)) => {
                let read = |(at, part)| self.part(part, &format!("{path}.content[{at}]"));
                parts.iter().enumerate().filter_map(read).collect()
            }
            Some(_) => {
                self.reading.refuse(&format!("{path}.content"), "it is a string or a list of parts");
                Vec::new()
            }
        }
    }

    fn part(&mut self, part: &Value, path: &str) -> Option<Value> {
        let text = |at: &Value| at.as_str().map(str::to_owned);
        match part.get("type").and_then(Value::as_str) {
            Some("text") => text(&part["text"]).map(|text| json!({"text": text})),
            Some("refusal") => text(&part["refusal"]).map(|text| json!({"text": text})),
            Some("image_url") => {
                let url = text(&part["image_url"]["url"]).or_else(|| text(&part["image_url"]));
                self.data_url(&url.unwrap_or_default(), &format!("{path}.image_url.url"))
            }
            Some("file") => {
                let data = text(&part["file"]["file_data"]).unwrap_or_default();
                self.data_url(&data, &format!("{path}.file.file_data"))
            }
            Some("input_audio") => {
                let (data, format) = (text(&part["input_audio"]["data"]), text(&part["input_audio"]["format"]));
                let of_format =
                    |(data, format)| json!({"inlineData": {"mimeType": format!("audio/{format}"), "data": data}});
                data.zip(format).map(of_format)
            }
            _ => {
                self.reading.refuse(&format!("{path}.type"), "it is text, image_url, input_audio or file");
                None
            }
        }
        .or_else(|| {
            if self.reading.is_good() {
                self.reading.refuse(path, "the part does not have what its type says");
            }
            None
        })
    }

    /// `data:image/png;base64,…`. Other URLs would make the server fetch what callers name, which it does not.
    fn data_url(&mut self, url: &str, path: &str) -> Option<Value> {
        let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let Some((kind, data)) = data else {
            self.reading.refuse(path, "it is a data URL with base64, as data:image/png;base64,…");
            return None;
        };
        Some(json!({"inlineData": {"mimeType": kind, "data": data}}))
    }

    fn said_before(&mut self, message: &Value, path: &str, called: &mut Map<String, Value>) -> Vec<Value> {
        let mut parts = self.parts(message, path);
        let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (at, call) in calls.iter().enumerate() {
            let path = format!("{path}.tool_calls[{at}].function");
            let function = &call["function"];
            let Some(name) = function["name"].as_str() else {
                self.reading.refuse(&format!("{path}.name"), "it is a string");
                continue;
            };
            let arguments = function["arguments"].as_str().unwrap_or("{}");
            let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
            let Ok(Value::Object(args)) = serde_json::from_str(arguments) else {
                self.reading.refuse(&format!("{path}.arguments"), "it is a JSON object as a string");
                continue;
            };
            let id = call["id"].as_str().unwrap_or_default();
            called.insert(id.to_owned(), name.into());
            let mut part = json!({"functionCall": {"id": id, "name": name, "args": args}});
            if let Some(signature) = call["extra_content"]["google"]["thought_signature"].as_str() {
                part["thoughtSignature"] = signature.into();
            }
            parts.push(part);
        }
        parts
    }

    fn tool_result(&mut self, message: &Value, path: &str, called: &Map<String, Value>) -> Value {
        let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
        let name = message.get("name").or_else(|| called.get(id)).and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            self.reading.refuse(&format!("{path}.tool_call_id"), "no message before has a call with this id");
        }
        let texts = self.parts(message, path);
        let text: String = texts.iter().filter_map(|part| part["text"].as_str()).collect();
        let response = match serde_json::from_str(&text) {
            Ok(Value::Object(result)) => Value::Object(result),
            _ => json!({"result": text}),
        };
        json!({"functionResponse": {"id": id, "name": name, "response": response}})
    }
}
