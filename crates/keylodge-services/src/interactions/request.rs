//! What a caller asks of the Interactions API, in Gemini's words.
//!
//! All names are those of the wire, with underscores; a field that there is not is `parameter_unknown`. Nothing that was
//! asked for is dropped in silence: what has no counterpart is refused with its path.

use keylodge_api::Status;
use serde_json::{Map, Value, json};

use super::contents;
use crate::reading::Reading;

/// What `POST interactions` asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Create {
    /// Without `models/`.
    pub(super) model: String,
    /// As the caller wrote it.
    pub(super) asked_model: String,
    /// What the caller says now, as steps.
    pub(super) input: Vec<Value>,
    pub(super) previous: Option<String>,
    pub(super) streams: bool,
    pub(super) stores: bool,
    pub(super) in_background: bool,
    /// What is told again in the answer.
    pub(super) echoed: Map<String, Value>,
    /// The body of generateContent, without its contents.
    body: Map<String, Value>,
}

const KNOWN: [&str; 16] = [
    "model",
    "agent",
    "input",
    "system_instruction",
    "previous_interaction_id",
    "store",
    "background",
    "stream",
    "generation_config",
    "tools",
    "response_format",
    "response_modalities",
    "response_mime_type",
    "cached_content",
    "safety_settings",
    "labels",
];

/// Known to Google, and of no effect here; what is not of the model itself.
const WITHOUT_EFFECT: [&str; 1] = ["service_tier"];

/// Known to Google, and refused by name: nobody here does this.
const ELSEWHERE: [&str; 4] = ["webhook_config", "environment", "agent_config", "continuation_token"];

/// Settings of a generation: theirs, ours.
const SETTINGS: [(&str, &str); 5] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("seed", "seed"),
    ("max_output_tokens", "maxOutputTokens"),
    ("stop_sequences", "stopSequences"),
];

/// How many labels an interaction has, and how long they are, and other texts that are told again, in bytes.
const LABELS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 256;

/// How deep what is said may be nested: it is read again from where it is kept, some levels deeper.
const DEPTH_MAX: usize = 100;

/// Reads the body of a request.
///
/// # Errors
/// INVALID_ARGUMENT with every mistake that was found.
pub(super) fn read(bytes: &[u8]) -> Result<Create, Status> {
    let mut asked = Asked(Reading::new(bytes)?);
    let create = asked.create();
    asked.0.done(create)
}

impl Create {
    /// The body of generateContent for a conversation that these steps came before.
    ///
    /// # Errors
    /// INVALID_ARGUMENT where a step cannot be said.
    pub(super) fn body(&self, before: &[Value]) -> Result<Value, Status> {
        let mut body = self.body.clone();
        body.insert("contents".to_owned(), contents::of_steps(before, &self.input)?.into());
        Ok(body.into())
    }
}

struct Asked(Reading);

impl Asked {
    fn create(&mut self) -> Create {
        self.0.refuse_unknown(&[&KNOWN, &WITHOUT_EFFECT, &ELSEWHERE]);
        for name in ELSEWHERE {
            if self.0.given(name).is_some() {
                self.0.refuse(name, "nobody behind this Keylodge does this");
            }
        }
        let (asked_model, model) = if self.0.given("agent").is_some() {
            self.0.refuse("agent", "there are no agents here; name a model");
            Default::default()
        } else {
            self.0.model()
        };
        let input: Vec<Value> = self.input().iter().map(contents::known).collect();
        if !input.iter().all(|step| contents::is_flat(step, DEPTH_MAX)) {
            self.0.refuse("input", &format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        let mut body = Map::new();
        if let Some(system) = self.0.text("system_instruction").filter(|text| !text.is_empty()) {
            body.insert("systemInstruction".to_owned(), json!({"parts": [{"text": system}]}));
        }
        let mut config = Map::new();
        self.generation_config(&mut config, &mut body);
        self.response_format(&mut config);
        if !config.is_empty() {
            body.insert("generationConfig".to_owned(), config.into());
        }
        self.tools(&mut body);
        self.safety_settings(&mut body);
        if let Some(name) = self.0.text("cached_content") {
            body.insert("cachedContent".to_owned(), name.into());
        }
        let (stores, in_background) = (self.0.flag("store", true), self.0.flag("background", false));
        if in_background && !stores {
            self.0.refuse("store", "what is answered in the background must be stored");
        }
        let previous = self.0.text("previous_interaction_id").filter(|id| !id.is_empty());
        if previous.as_ref().is_some_and(|id| id.len() > TEXT_BYTES_MAX) {
            self.0.refuse("previous_interaction_id", "it is the id of an interaction");
        }
        let mut echoed = Map::new();
        if let Some(previous) = &previous {
            echoed.insert("previous_interaction_id".to_owned(), previous.clone().into());
        }
        if let Some(tier) = self.0.text("service_tier") {
            if tier.len() > TEXT_BYTES_MAX {
                self.0.refuse("service_tier", "it is flex, standard, priority or deferred");
            }
            echoed.insert("service_tier".to_owned(), tier.into());
        }
        if let Some(labels) = self.labels() {
            echoed.insert("labels".to_owned(), labels);
        }
        Create {
            model,
            asked_model,
            input,
            previous,
            streams: self.0.flag("stream", false),
            stores,
            in_background,
            echoed,
            body,
        }
    }

    /// What callers tell interactions apart by.
    fn labels(&mut self) -> Option<Value> {
        let labels = self.0.given("labels")?.clone();
        let is_short = |text: &str| text.len() <= TEXT_BYTES_MAX;
        let fits = labels.as_object().is_some_and(|labels| {
            labels.len() <= LABELS_MAX
                && labels.iter().all(|(name, value)| is_short(name) && value.as_str().is_some_and(is_short))
        });
        if !fits {
            let why = format!("it is an object of at most {LABELS_MAX} strings of at most {TEXT_BYTES_MAX} bytes");
            self.0.refuse("labels", &why);
        }
        Some(labels)
    }

    /// The input as steps: a text, a content, contents, or steps.
    fn input(&mut self) -> Vec<Value> {
        let said = |content: Value| vec![json!({"type": "user_input", "content": content})];
        let Some(input) = self.0.given("input").cloned() else {
            self.0.refuse("input", "input is not specified");
            return Vec::new();
        };
        match input {
            Value::String(text) => said(json!([{"type": "text", "text": text}])),
            Value::Object(content) => {
                if contents::is_step(&content) {
                    vec![content.into()]
                } else {
                    said(json!([content]))
                }
            }
            Value::Array(items) if items.is_empty() => {
                self.0.refuse("input", "it is empty");
                Vec::new()
            }
            Value::Array(items) => {
                let is_turn = |item: &Value| item.get("role").is_some() && item.get("type").is_none();
                if items.iter().any(is_turn) {
                    let why = "turns with a role are of the legacy schema; send steps, as {\"type\": \"user_input\", \"content\": [...]}";
                    self.0.refuse("input", why);
                    return Vec::new();
                }
                let is_step = |item: &Value| item.as_object().is_some_and(contents::is_step);
                match items.iter().filter(|item| is_step(item)).count() {
                    0 => said(items.into()),
                    steps if steps == items.len() => items,
                    _ => {
                        self.0.refuse(
                            "input",
                            "steps and contents cannot be mixed; put contents into a step of type user_input",
                        );
                        Vec::new()
                    }
                }
            }
            _ => {
                self.0.refuse("input", "it is a text, a content, a list of contents or a list of steps");
                Vec::new()
            }
        }
    }

    fn generation_config(&mut self, config: &mut Map<String, Value>, body: &mut Map<String, Value>) {
        let given = match self.0.given("generation_config").cloned() {
            None => return,
            Some(Value::Object(given)) => given,
            Some(_) => return self.0.refuse("generation_config", "it is an object"),
        };
        let mut thinking = Map::new();
        for (name, value) in given.into_iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("generation_config.{name}");
            if let Some((_, ours)) = SETTINGS.iter().find(|(theirs, _)| *theirs == name) {
                config.insert((*ours).to_owned(), value);
                continue;
            }
            match (name.as_str(), value.as_str()) {
                ("thinking_level", Some(level)) => {
                    thinking.insert("thinkingLevel".to_owned(), level.to_ascii_uppercase().into());
                }
                ("thinking_summaries", Some(word @ ("auto" | "none"))) => {
                    thinking.insert("includeThoughts".to_owned(), (word == "auto").into());
                }
                ("thinking_level" | "thinking_summaries", _) => {
                    self.0.refuse(&path, "it is none of the levels there are")
                }
                ("tool_choice", _) => self.tool_choice(&value, body),
                ("speech_config" | "image_config" | "video_config" | "transcription_config", _) => {
                    self.0.refuse(&path, "the models behind this Keylodge answer here with text only");
                }
                _ => self.0.refuse_name("generation_config", &name),
            }
        }
        if !thinking.is_empty() {
            config.insert("thinkingConfig".to_owned(), thinking.into());
        }
    }

    fn tool_choice(&mut self, choice: &Value, body: &mut Map<String, Value>) {
        let allowed = choice.get("allowed_tools");
        let mode = choice.as_str().or_else(|| allowed?.get("mode")?.as_str()).unwrap_or("auto").to_ascii_lowercase();
        if !["auto", "any", "none", "validated"].contains(&mode.as_str()) || !(choice.is_string() || allowed.is_some())
        {
            let why = "it is auto, any, none, validated or {\"allowed_tools\": {\"mode\": ..., \"tools\": [...]}}";
            return self.0.refuse("generation_config.tool_choice", why);
        }
        let names_tools = allowed.and_then(|allowed| allowed.get("tools")).is_some_and(Value::is_array);
        // Only these modes of generateContent allow some functions; a model may answer in words in both.
        let mode = if mode == "auto" && names_tools { "validated" } else { &mode };
        let mut calling = json!({"mode": mode.to_ascii_uppercase()});
        if let Some(tools) = allowed.and_then(|allowed| allowed.get("tools")).filter(|tools| tools.is_array()) {
            calling["allowedFunctionNames"] = tools.clone();
        }
        body.insert("toolConfig".to_owned(), json!({"functionCallingConfig": calling}));
    }

    /// One format or a list of them; the bare schema of the first SDKs, with the deprecated `response_mime_type`, too.
    fn response_format(&mut self, config: &mut Map<String, Value>) {
        if let Some(kind) = self.0.text("response_mime_type") {
            config.insert("responseMimeType".to_owned(), kind.into());
        }
        if let Some(Value::Array(modalities)) = self.0.given("response_modalities").cloned() {
            let upper = modalities.iter().filter_map(Value::as_str).map(str::to_ascii_uppercase);
            config.insert("responseModalities".to_owned(), upper.collect::<Vec<_>>().into());
        }
        let formats = match self.0.given("response_format").cloned() {
            None => return,
            Some(Value::Array(formats)) => formats,
            Some(format) => vec![format],
        };
        for (at, format) in formats.into_iter().enumerate() {
            let path = format!("response_format[{at}]");
            match (format["type"].as_str(), format.is_object()) {
                (Some("text"), _) => {
                    if let Some(kind) = format["mime_type"].as_str() {
                        config.insert("responseMimeType".to_owned(), kind.into());
                    }
                    if let Some(schema) = format.get("schema").filter(|schema| !schema.is_null()) {
                        config.entry("responseMimeType").or_insert_with(|| "application/json".into());
                        config.insert("responseJsonSchema".to_owned(), schema.clone());
                    }
                }
                (Some("image" | "audio" | "video"), _) => {
                    self.0.refuse(&path, "the models behind this Keylodge answer here with text only");
                }
                (_, true) => {
                    config.insert("responseMimeType".to_owned(), "application/json".into());
                    config.insert("responseJsonSchema".to_owned(), format);
                }
                _ => self.0.refuse(&path, "it is an object with a type"),
            }
        }
    }

    fn tools(&mut self, body: &mut Map<String, Value>) {
        let tools = match self.0.given("tools").cloned() {
            None => return,
            Some(Value::Array(tools)) => tools,
            Some(_) => return self.0.refuse("tools", "it is a list"),
        };
        let (mut declarations, mut others) = (Vec::new(), Vec::new());
        for (at, tool) in tools.iter().enumerate() {
            let path = format!("tools[{at}]");
            match tool["type"].as_str() {
                Some("function") => {
                    if !tool["name"].is_string() {
                        self.0.refuse(&format!("{path}.name"), "a function has a name");
                        continue;
                    }
                    let mut declaration = json!({"name": tool["name"]});
                    if let Some(description) = tool.get("description").filter(|text| text.is_string()) {
                        declaration["description"] = description.clone();
                    }
                    if let Some(parameters) = tool.get("parameters").filter(|schema| schema.is_object()) {
                        declaration["parametersJsonSchema"] = parameters.clone();
                    }
                    declarations.push(declaration);
                }
                Some("google_search") => others.push(json!({"googleSearch": {}})),
                Some("code_execution") => others.push(json!({"codeExecution": {}})),
                Some("url_context") => others.push(json!({"urlContext": {}})),
                Some("computer_use" | "mcp_server" | "file_search" | "google_maps" | "retrieval") => {
                    self.0.refuse(&path, "nobody behind this Keylodge has this tool");
                }
                _ => self.0.refuse(&format!("{path}.type"), "it is none of the tools there are"),
            }
        }
        if !declarations.is_empty() {
            others.push(json!({"functionDeclarations": declarations}));
        }
        if !others.is_empty() {
            body.insert("tools".to_owned(), others.into());
        }
    }

    fn safety_settings(&mut self, body: &mut Map<String, Value>) {
        let settings = match self.0.given("safety_settings").cloned() {
            None => return,
            Some(Value::Array(settings)) => settings,
            Some(_) => return self.0.refuse("safety_settings", "it is a list"),
        };
        let mut said = Vec::with_capacity(settings.len());
        for (at, setting) in settings.iter().enumerate() {
            let (Some(kind), Some(threshold)) = (setting["type"].as_str(), setting["threshold"].as_str()) else {
                self.0.refuse(&format!("safety_settings[{at}]"), "it has a type and a threshold");
                continue;
            };
            let category = format!("HARM_CATEGORY_{}", kind.to_ascii_uppercase());
            said.push(json!({"category": category, "threshold": threshold.to_ascii_uppercase()}));
        }
        body.insert("safetySettings".to_owned(), said.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: Value) -> Result<Create, Status> {
        let mut request = json!({"model": "m", "input": "Hi"});
        let Value::Object(more) = more else { unreachable!() };
        request.as_object_mut().unwrap().extend(more);
        read(request.to_string().as_bytes())
    }

    fn body(more: Value) -> Value {
        asked(more).unwrap().body(&[]).unwrap()
    }

    fn mistakes(more: Value) -> String {
        asked(more).unwrap_err().message
    }

    #[test]
    fn an_input_of_any_form_is_steps() {
        let step = json!({"type": "user_input", "content": [{"type": "text", "text": "Hi"}]});
        let content = json!({"type": "text", "text": "Hi"});
        for input in [json!("Hi"), content.clone(), json!([content]), step.clone(), json!([step])] {
            assert_eq!(asked(json!({"input": input})).unwrap().input, std::slice::from_ref(&step), "{input}");
        }
        for (input, why) in [
            (json!([]), "empty"),
            (json!(7), "a text"),
            (json!([{"role": "user", "content": "Hi"}]), "legacy"),
            (json!([step, {"type": "text", "text": "x"}]), "mixed"),
            (Value::Null, "not specified"),
        ] {
            assert!(mistakes(json!({"input": input})).contains(why), "{input}");
        }
    }

    #[test]
    fn settings_have_their_names_at_google() {
        let said = body(json!({"model": "models/m", "system_instruction": "Be brief.",
            "generation_config": {"temperature": 0.5, "top_p": 0.9, "seed": 7, "max_output_tokens": 9,
                "stop_sequences": ["X"], "thinking_level": "low", "thinking_summaries": "auto", "tool_choice": "any"},
            "response_format": {"type": "text", "mime_type": "application/json", "schema": {"type": "object"}},
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
            "safety_settings": [{"type": "harassment", "threshold": "block_none"}]}));
        assert_eq!(
            said,
            json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "generationConfig": {"temperature": 0.5, "topP": 0.9, "seed": 7, "maxOutputTokens": 9, "stopSequences": ["X"],
                    "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true},
                    "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
                "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
                "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]}],
                "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]})
        );
    }

    #[test]
    fn by_default_it_is_stored_and_answered_at_once() {
        let create = asked(json!({})).unwrap();
        assert_eq!((create.stores, create.in_background, create.streams), (true, false, false));
        assert!(mistakes(json!({"store": false, "background": true})).contains("'store'"));
    }

    #[test]
    fn a_field_that_there_is_not_is_named() {
        assert_eq!(
            mistakes(json!({"made_up": 1, "generation_config": {"top_k": 3}})),
            "Invalid JSON payload received. Unknown name \"made_up\": Cannot find field.\n\
             Invalid JSON payload received. Unknown name \"top_k\" at 'generation_config': Cannot find field."
        );
        assert!(
            mistakes(json!({"systemInstruction": "x"})).contains("\"systemInstruction\""),
            "names have underscores"
        );
    }

    #[test]
    fn what_nobody_here_does_is_refused_with_its_path() {
        for (more, path) in [
            (json!({"agent": "deep-research"}), "'agent'"),
            (json!({"webhook_config": {"uris": []}}), "'webhook_config'"),
            (json!({"tools": [{"type": "mcp_server", "url": "x"}]}), "'tools[0]'"),
            (json!({"tools": [{"type": "function"}]}), "'tools[0].name'"),
            (json!({"response_format": {"type": "image"}}), "'response_format[0]'"),
            (json!({"generation_config": {"speech_config": {}}}), "'generation_config.speech_config'"),
            (json!({"model": ""}), "'model'"),
        ] {
            let said = mistakes(more);
            assert!(said.contains(path), "{path}: {said}");
        }
    }
}
