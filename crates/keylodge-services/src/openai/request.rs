//! A chat completion's request as one of generateContent.
//!
//! Nothing that was asked for is dropped in silence: what has no counterpart is INVALID_ARGUMENT with the field's path, and
//! all such mistakes come together. Wire facts: the documentation of Gemini's OpenAI compatibility, and what the `openai`
//! packages send.

use keylodge_api::Status;
use serde_json::{Map, Value, json};

use crate::reading::Reading;

/// What a chat completion asks, in Gemini's words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chat {
    /// Without `models/`.
    pub(super) model: String,
    /// As the caller wrote it.
    pub(super) asked_model: String,
    pub(super) streams: bool,
    /// Whether the last chunk of a stream tells what was used.
    pub(super) tells_usage: bool,
    /// The body of generateContent.
    pub(super) body: Value,
}

/// What changes no answer here: taken, and of no effect.
const WITHOUT_EFFECT: [&str; 8] = [
    "user",
    "service_tier",
    "store",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "verbosity",
];

/// What has a place in a request, besides those.
const KNOWN: [&str; 21] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "tool_choice",
    "response_format",
    "reasoning_effort",
    "modalities",
    "extra_body",
    "google",
    "cached_content",
];

/// How many tokens each level of effort may think, as Google's page maps them.
const EFFORTS: [(&str, i64); 5] = [("none", 0), ("minimal", 1024), ("low", 1024), ("medium", 8192), ("high", 24576)];

/// Reads the body of a request.
///
/// # Errors
/// INVALID_ARGUMENT with every mistake that was found.
pub(super) fn read(bytes: &[u8]) -> Result<Chat, Status> {
    let mut asked = Asked(Reading::new(bytes)?);
    let chat = asked.chat();
    asked.0.done(chat)
}

struct Asked(Reading);

impl Asked {
    fn chat(&mut self) -> Chat {
        self.0.refuse_unknown(&[&KNOWN, &WITHOUT_EFFECT]);
        let (asked_model, model) = self.0.model();
        let (system, contents) = self.messages();
        let mut body = Map::new();
        body.insert("contents".to_owned(), contents.into());
        if !system.is_empty() {
            body.insert("systemInstruction".to_owned(), json!({"parts": system}));
        }
        let config = self.config();
        if !config.is_empty() {
            body.insert("generationConfig".to_owned(), config.into());
        }
        self.tools(&mut body);
        if let Some(name) = self.extra("cached_content").and_then(|name| name.as_str().map(str::to_owned)) {
            body.insert("cachedContent".to_owned(), name.into());
        }
        let options = self.0.given("stream_options").cloned().unwrap_or_default();
        Chat {
            model,
            asked_model,
            streams: self.0.flag("stream", false),
            tells_usage: options.get("include_usage").and_then(Value::as_bool).unwrap_or(false),
            body: body.into(),
        }
    }

    /// A field of Google's own: in `extra_body.google`, in `google`, or beside the others (the last is UNCONFIRMED).
    fn extra(&self, name: &str) -> Option<&Value> {
        let of_google = |value: &'_ Value| value.get(name).is_some_and(|value| !value.is_null());
        let extra = self.0.given("extra_body").and_then(|extra| extra.get("google")).filter(|google| of_google(google));
        let google = extra.or_else(|| self.0.given("google").filter(|google| of_google(google)));
        google.and_then(|google| google.get(name)).or_else(|| self.0.given(name))
    }

    /// What the model is told before the conversation, and the conversation.
    fn messages(&mut self) -> (Vec<Value>, Vec<Value>) {
        let (mut system, mut contents) = (Vec::new(), Vec::<Value>::new());
        let messages = match self.0.given("messages") {
            Some(Value::Array(messages)) if !messages.is_empty() => messages.clone(),
            _ => {
                self.0.refuse("messages", "messages is a list with at least one message");
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
                    system.extend(self.parts(message, &path));
                    continue;
                }
                "user" => ("user", self.parts(message, &path)),
                "assistant" => ("model", self.said_before(message, &path, &mut called)),
                "tool" => ("user", vec![self.tool_result(message, &path, &called)]),
                _ => {
                    self.0.refuse(&format!("{path}.role"), "it is system, developer, user, assistant or tool");
                    continue;
                }
            };
            if parts.is_empty() {
                continue;
            }
            // Results of several calls are one turn.
            let is_result = |content: &Value| content["parts"][0].get("functionResponse").is_some();
            match contents.last_mut() {
                Some(last) if role == "user" && is_result(last) && parts[0].get("functionResponse").is_some() => {
                    if let Some(before) = last["parts"].as_array_mut() {
                        before.extend(parts);
                    }
                }
                _ => contents.push(json!({"role": role, "parts": parts})),
            }
        }
        if contents.is_empty() && self.0.is_good() {
            self.0.refuse("messages", "there is nothing to answer: besides instructions there must be a message");
        }
        (system, contents)
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
                self.0.refuse(&format!("{path}.content"), "it is a string or a list of parts");
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
                let (data, format) = (text(&part["input_audio"]["data"])?, text(&part["input_audio"]["format"])?);
                Some(json!({"inlineData": {"mimeType": format!("audio/{format}"), "data": data}}))
            }
            _ => {
                self.0.refuse(&format!("{path}.type"), "it is text, image_url, input_audio or file");
                None
            }
        }
        .or_else(|| {
            if self.0.is_good() {
                self.0.refuse(path, "the part does not have what its type says");
            }
            None
        })
    }

    /// `data:image/png;base64,…`. Other URLs would make the server fetch what callers name, which it does not.
    fn data_url(&mut self, url: &str, path: &str) -> Option<Value> {
        let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let Some((kind, data)) = data else {
            self.0.refuse(path, "it is a data URL with base64, as data:image/png;base64,…");
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
                self.0.refuse(&format!("{path}.name"), "it is a string");
                continue;
            };
            let arguments = function["arguments"].as_str().unwrap_or("{}");
            let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
            let Ok(Value::Object(args)) = serde_json::from_str(arguments) else {
                self.0.refuse(&format!("{path}.arguments"), "it is a JSON object as a string");
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
            self.0.refuse(&format!("{path}.tool_call_id"), "no message before has a call with this id");
        }
        let texts = self.parts(message, path);
        let text: String = texts.iter().filter_map(|part| part["text"].as_str()).collect();
        let response = match serde_json::from_str(&text) {
            Ok(Value::Object(result)) => Value::Object(result),
            _ => json!({"result": text}),
        };
        json!({"functionResponse": {"id": id, "name": name, "response": response}})
    }

    fn config(&mut self) -> Map<String, Value> {
        const NUMBERS: [(&str, &str); 8] = [
            ("temperature", "temperature"),
            ("top_p", "topP"),
            ("max_tokens", "maxOutputTokens"),
            ("max_completion_tokens", "maxOutputTokens"),
            ("n", "candidateCount"),
            ("seed", "seed"),
            ("presence_penalty", "presencePenalty"),
            ("frequency_penalty", "frequencyPenalty"),
        ];
        let mut config = Map::new();
        for (theirs, ours) in NUMBERS {
            match self.0.given(theirs).cloned() {
                None => {}
                Some(number @ Value::Number(_)) => {
                    config.insert(ours.to_owned(), number);
                }
                Some(_) => self.0.refuse(theirs, "it is a number"),
            }
        }
        match self.0.given("stop").cloned() {
            None => {}
            Some(Value::String(stop)) => {
                config.insert("stopSequences".to_owned(), json!([stop]));
            }
            Some(stops @ Value::Array(_)) => {
                config.insert("stopSequences".to_owned(), stops);
            }
            Some(_) => self.0.refuse("stop", "it is a string or a list of strings"),
        }
        self.response_format(&mut config);
        self.thinking(&mut config);
        if let Some(modalities) = self.0.given("modalities").and_then(Value::as_array) {
            let upper = modalities.iter().filter_map(Value::as_str).map(str::to_ascii_uppercase);
            config.insert("responseModalities".to_owned(), upper.collect::<Vec<_>>().into());
        }
        config
    }

    fn response_format(&mut self, config: &mut Map<String, Value>) {
        let Some(format) = self.0.given("response_format").cloned() else { return };
        let mut json = |schema: Option<Value>| {
            config.insert("responseMimeType".to_owned(), "application/json".into());
            schema.map(|schema| config.insert("responseJsonSchema".to_owned(), schema));
        };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => {}
            Some("json_object") => json(None),
            Some("json_schema") => match format["json_schema"].get("schema") {
                Some(schema) => json(Some(schema.clone())),
                None => self.0.refuse("response_format.json_schema.schema", "it is a JSON schema"),
            },
            _ => self.0.refuse("response_format.type", "it is text, json_object or json_schema"),
        }
    }

    fn thinking(&mut self, config: &mut Map<String, Value>) {
        if let Some(thinking) = self.extra("thinking_config").cloned() {
            config.insert("thinkingConfig".to_owned(), thinking);
            return;
        }
        let Some(effort) = self.0.text("reasoning_effort") else { return };
        match EFFORTS.iter().find(|(word, _)| *word == effort) {
            Some((_, budget)) => {
                config.insert("thinkingConfig".to_owned(), json!({"thinkingBudget": budget}));
            }
            None => self.0.refuse("reasoning_effort", "it is none, minimal, low, medium or high"),
        }
    }

    fn tools(&mut self, body: &mut Map<String, Value>) {
        if let Some(tools) = self.0.given("tools").and_then(Value::as_array).cloned() {
            let mut declarations = Vec::with_capacity(tools.len());
            for (at, tool) in tools.iter().enumerate() {
                let function = &tool["function"];
                if tool["type"] != "function" || !function["name"].is_string() {
                    self.0.refuse(&format!("tools[{at}]"), "it has the type function, and a function with a name");
                    continue;
                }
                let mut declaration = json!({"name": function["name"]});
                if let Some(description) = function.get("description").filter(|text| text.is_string()) {
                    declaration["description"] = description.clone();
                }
                if let Some(parameters) = function.get("parameters").filter(|schema| schema.is_object()) {
                    declaration["parametersJsonSchema"] = parameters.clone();
                }
                declarations.push(declaration);
            }
            if !declarations.is_empty() {
                body.insert("tools".to_owned(), json!([{"functionDeclarations": declarations}]));
            }
        }
        let Some(choice) = self.0.given("tool_choice").cloned() else { return };
        let calling = match (choice.as_str(), choice["function"]["name"].as_str()) {
            (Some("none"), _) => json!({"mode": "NONE"}),
            (Some("auto"), _) => json!({"mode": "AUTO"}),
            (Some("required"), _) => json!({"mode": "ANY"}),
            (None, Some(name)) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
            _ => return self.0.refuse("tool_choice", "it is none, auto, required or the name of a function"),
        };
        body.insert("toolConfig".to_owned(), json!({"functionCallingConfig": calling}));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "what is asked and said is written where it is used")]

    use super::*;

    fn body(request: Value) -> Value {
        read(request.to_string().as_bytes()).unwrap().body
    }

    fn mistakes(request: Value) -> String {
        read(request.to_string().as_bytes()).unwrap_err().message
    }

    fn asked(more: Value) -> Value {
        let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
        let Value::Object(more) = more else { unreachable!() };
        request.as_object_mut().unwrap().extend(more);
        request
    }

    #[test]
    fn a_conversation_keeps_its_turns_and_its_instructions() {
        let said = body(json!({"model": "models/m", "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "content": "A cat."},
            {"role": "user", "content": "Sure?"}]}));
        assert_eq!(
            said,
            json!({"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [
                {"role": "user", "parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                {"role": "model", "parts": [{"text": "A cat."}]},
                {"role": "user", "parts": [{"text": "Sure?"}]}]})
        );
    }

    #[test]
    fn calls_and_their_results_find_each_other() {
        let call = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{\"x\": 1}"}});
        let said = body(json!({"model": "m", "messages": [
            {"role": "user", "content": "Both?"},
            {"role": "assistant", "content": null, "tool_calls": [call("a", "one"), call("b", "two")]},
            {"role": "tool", "tool_call_id": "a", "content": "{\"y\": 2}"},
            {"role": "tool", "tool_call_id": "b", "content": "fine"}]}));
        assert_eq!(
            said["contents"][1]["parts"][0]["functionCall"],
            json!({"id": "a", "name": "one", "args": {"x": 1}})
        );
        assert_eq!(
            said["contents"][2]["parts"],
            json!([{"functionResponse": {"id": "a", "name": "one", "response": {"y": 2}}},
                {"functionResponse": {"id": "b", "name": "two", "response": {"result": "fine"}}}])
        );
    }

    #[test]
    fn settings_have_their_names_at_google() {
        let said =
            body(asked(json!({"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 9, "stop": "X", "seed": 7,
            "reasoning_effort": "none", "response_format": {"type": "json_schema", "json_schema": {"name": "n",
                "schema": {"type": "object"}}}, "user": "u", "stream_options": null})));
        assert_eq!(
            said["generationConfig"],
            json!({"temperature": 0.5, "topP": 0.9, "maxOutputTokens": 9, "stopSequences": ["X"], "seed": 7,
                "thinkingConfig": {"thinkingBudget": 0}, "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object"}})
        );
    }

    #[test]
    fn tools_are_declarations() {
        let said = body(asked(json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d",
            "parameters": {"type": "object"}}}], "tool_choice": {"type": "function", "function": {"name": "f"}}})));
        assert_eq!(
            said["tools"],
            json!([{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]}])
        );
        let calling = json!({"mode": "ANY", "allowedFunctionNames": ["f"]});
        assert_eq!(said["toolConfig"]["functionCallingConfig"], calling);
    }

    #[test]
    fn google_s_own_fields_come_in_extra_body() {
        let said = body(asked(json!({"extra_body": {"google": {"thinking_config": {"thinking_budget": 5},
            "cached_content": "cachedContents/x"}}})));
        assert_eq!(said["generationConfig"]["thinkingConfig"], json!({"thinking_budget": 5}));
        assert_eq!(said["cachedContent"], "cachedContents/x");
    }

    #[test]
    fn all_mistakes_come_together() {
        let said = mistakes(asked(json!({"made_up": 1, "temperature": "hot", "tool_choice": 5})));
        assert_eq!(said.lines().count(), 3, "{said}");
        assert!(said.contains("Unknown name \"made_up\": Cannot find field."), "{said}");
        for (bad, field) in [
            (json!({"messages": []}), "messages"),
            (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]}]}),
                "messages[0].content[0].image_url.url",
            ),
            (json!({"messages": [{"role": "tool", "tool_call_id": "a", "content": "x"}]}), "messages[0].tool_call_id"),
            (json!({"model": null}), "model"),
        ] {
            let said = mistakes(asked(bad));
            assert!(said.contains(&format!("'{field}'")), "{field}: {said}");
        }
        assert!(read(b"[1]").is_err() && read(b"{").is_err());
    }
}
