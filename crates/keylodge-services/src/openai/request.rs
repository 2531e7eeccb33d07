//! A chat completion's request as one of generateContent.
//!
//! Nothing that was asked for is dropped in silence: what has no counterpart is INVALID_ARGUMENT with the field's path, and
//! all such mistakes come together. Wire facts: the documentation of Gemini's OpenAI compatibility, and what the `openai`
//! packages send.

use keylodge_api::Status;
use serde_json::{Map, Value, json};

use crate::origins::Origins;
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
    /// Where it was written.
    pub(super) origins: Origins,
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

/// Numbers of a generation: theirs, ours, and ours as errors name it.
const NUMBERS: [(&str, &str, &str); 8] = [
    ("temperature", "temperature", "temperature"),
    ("top_p", "topP", "top_p"),
    ("max_tokens", "maxOutputTokens", "max_output_tokens"),
    ("max_completion_tokens", "maxOutputTokens", "max_output_tokens"),
    ("n", "candidateCount", "candidate_count"),
    ("seed", "seed", "seed"),
    ("presence_penalty", "presencePenalty", "presence_penalty"),
    ("frequency_penalty", "frequencyPenalty", "frequency_penalty"),
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
    let mut asked = Asked { reading: Reading::new(bytes)?, origins: Origins::default() };
    let chat = asked.chat();
    asked.reading.done(chat)
}

/// A request, and where in it was written what is made of it.
pub(super) struct Asked {
    pub(super) reading: Reading,
    pub(super) origins: Origins,
}

impl Asked {
    fn chat(&mut self) -> Chat {
        self.reading.refuse_unknown(&[&KNOWN, &WITHOUT_EFFECT]);
        let (asked_model, model) = self.reading.model();
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
        self.origins.made_of("tool_config", "tool_choice");
        let options = self.reading.given("stream_options").cloned().unwrap_or_default();
        Chat {
            model,
            asked_model,
            streams: self.reading.flag("stream", false),
            tells_usage: options.get("include_usage").and_then(Value::as_bool).unwrap_or(false),
            body: body.into(),
            origins: std::mem::take(&mut self.origins),
        }
    }

    /// A field of Google's own: in `extra_body.google`, in `google`, or beside the others (the last is UNCONFIRMED).
    fn extra(&self, name: &str) -> Option<&Value> {
        let of_google = |value: &'_ Value| value.get(name).is_some_and(|value| !value.is_null());
        let extra =
            self.reading.given("extra_body").and_then(|extra| extra.get("google")).filter(|google| of_google(google));
        let google = extra.or_else(|| self.reading.given("google").filter(|google| of_google(google)));
        google.and_then(|google| google.get(name)).or_else(|| self.reading.given(name))
    }

    fn config(&mut self) -> Map<String, Value> {
        let mut config = Map::new();
        for (theirs, ours, named) in NUMBERS {
            match self.reading.given(theirs).cloned() {
                None => {}
                Some(number @ Value::Number(_)) => {
                    self.origins.made_of(format!("generation_config.{named}"), theirs);
                    config.insert(ours.to_owned(), number);
                }
                Some(_) => self.reading.refuse(theirs, "it is a number"),
            }
        }
        match self.reading.given("stop").cloned() {
            None => {}
            Some(Value::String(stop)) => {
                config.insert("stopSequences".to_owned(), json!([stop]));
            }
            Some(stops @ Value::Array(_)) => {
                config.insert("stopSequences".to_owned(), stops);
            }
            Some(_) => self.reading.refuse("stop", "it is a string or a list of strings"),
        }
        self.origins.made_of("generation_config.stop_sequences", "stop");
        self.origins.made_of("generation_config.response_modalities", "modalities");
        self.response_format(&mut config);
        self.thinking(&mut config);
        if let Some(modalities) = self.reading.given("modalities").and_then(Value::as_array) {
            let upper = modalities.iter().filter_map(Value::as_str).map(str::to_ascii_uppercase);
            config.insert("responseModalities".to_owned(), upper.collect::<Vec<_>>().into());
        }
        config
    }

    fn response_format(&mut self, config: &mut Map<String, Value>) {
        let Some(format) = self.reading.given("response_format").cloned() else { return };
        let mut json = |schema: Option<Value>| {
            config.insert("responseMimeType".to_owned(), "application/json".into());
            schema.map(|schema| config.insert("responseJsonSchema".to_owned(), schema));
        };
        self.origins.made_of("generation_config.response_mime_type", "response_format");
        self.origins.moved("generation_config.response_json_schema", "response_format.json_schema.schema");
        match format.get("type").and_then(Value::as_str) {
            Some("text") => {}
            Some("json_object") => json(None),
            Some("json_schema") => match format["json_schema"].get("schema") {
                Some(schema) => json(Some(schema.clone())),
                None => self.reading.refuse("response_format.json_schema.schema", "it is a JSON schema"),
            },
            _ => self.reading.refuse("response_format.type", "it is text, json_object or json_schema"),
        }
    }

    fn thinking(&mut self, config: &mut Map<String, Value>) {
        if let Some(thinking) = self.extra("thinking_config").cloned() {
            self.origins.moved("generation_config.thinking_config", "extra_body.google.thinking_config");
            config.insert("thinkingConfig".to_owned(), thinking);
            return;
        }
        let Some(effort) = self.reading.text("reasoning_effort") else { return };
        match EFFORTS.iter().find(|(word, _)| *word == effort) {
            Some((_, budget)) => {
                self.origins.made_of("generation_config.thinking_config", "reasoning_effort");
                config.insert("thinkingConfig".to_owned(), json!({"thinkingBudget": budget}));
            }
            None => self.reading.refuse("reasoning_effort", "it is none, minimal, low, medium or high"),
        }
    }

    fn tools(&mut self, body: &mut Map<String, Value>) {
        if let Some(tools) = self.reading.given("tools").and_then(Value::as_array).cloned() {
            let mut declarations = Vec::with_capacity(tools.len());
            for (at, tool) in tools.iter().enumerate() {
                let function = &tool["function"];
                if tool["type"] != "function" || !function["name"].is_string() {
                    self.reading
                        .refuse(&format!("tools[{at}]"), "it has the type function, and a function with a name");
                    continue;
                }
                let mut declaration = json!({"name": function["name"]});
                if let Some(description) = function.get("description").filter(|text| text.is_string()) {
                    declaration["description"] = description.clone();
                }
                if let Some(parameters) = function.get("parameters").filter(|schema| schema.is_object()) {
                    declaration["parametersJsonSchema"] = parameters.clone();
                }
                let (place, written) = (
                    format!("tools[0].function_declarations[{}]", declarations.len()),
                    format!("tools[{at}].function"),
                );
                self.origins.moved(format!("{place}.parameters_json_schema"), format!("{written}.parameters"));
                self.origins.moved(place, written);
                declarations.push(declaration);
            }
            if !declarations.is_empty() {
                body.insert("tools".to_owned(), json!([{"functionDeclarations": declarations}]));
            }
        }
        let Some(choice) = self.reading.given("tool_choice").cloned() else { return };
        let calling = match (choice.as_str(), choice["function"]["name"].as_str()) {
            (Some("none"), _) => json!({"mode": "NONE"}),
            (Some("auto"), _) => json!({"mode": "AUTO"}),
            (Some("required"), _) => json!({"mode": "ANY"}),
            (None, Some(name)) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
            _ => return self.reading.refuse("tool_choice", "it is none, auto, required or the name of a function"),
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
