//! How an answer is to be made: settings of the generation, its form, tools and safety, in Gemini's words.

use serde_json::{Map, Value, json};

use super::request::Asked;

/// Settings of a generation: theirs, ours.
const SETTINGS: [(&str, &str); 5] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("seed", "seed"),
    ("max_output_tokens", "maxOutputTokens"),
    ("stop_sequences", "stopSequences"),
];

impl Asked {
    pub(super) fn generation_config(&mut self, config: &mut Map<String, Value>, body: &mut Map<String, Value>) {
        let given = match self.reading.given("generation_config").cloned() {
            None => return,
            Some(Value::Object(given)) => given,
            Some(_) => return self.reading.refuse("generation_config", "it is an object"),
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
                    self.reading.refuse(&path, "it is none of the levels there are")
                }
                ("tool_choice", _) => self.tool_choice(&value, body),
                ("speech_config" | "image_config" | "video_config" | "transcription_config", _) => {
                    self.reading.refuse(&path, "the models behind this Keylodge answer here with text only");
                }
                _ => self.reading.refuse_name("generation_config", &name),
            }
        }
        if !thinking.is_empty() {
            self.origins.made_of("generation_config.thinking_config", "generation_config.thinking_level");
            config.insert("thinkingConfig".to_owned(), thinking.into());
        }
    }

    fn tool_choice(&mut self, choice: &Value, body: &mut Map<String, Value>) {
        let allowed = choice.get("allowed_tools");
        let mode = choice.as_str().or_else(|| allowed?.get("mode")?.as_str()).unwrap_or("auto").to_ascii_lowercase();
        if !["auto", "any", "none", "validated"].contains(&mode.as_str()) || !(choice.is_string() || allowed.is_some())
        {
            let why = "it is auto, any, none, validated or {\"allowed_tools\": {\"mode\": ..., \"tools\": [...]}}";
            return self.reading.refuse("generation_config.tool_choice", why);
        }
        let names_tools = allowed.and_then(|allowed| allowed.get("tools")).is_some_and(Value::is_array);
        // Only these modes of generateContent allow some functions; a model may answer in words in both.
        let mode = if mode == "auto" && names_tools { "validated" } else { &mode };
        let mut calling = json!({"mode": mode.to_ascii_uppercase()});
        if let Some(tools) = allowed.and_then(|allowed| allowed.get("tools")).filter(|tools| tools.is_array()) {
            calling["allowedFunctionNames"] = tools.clone();
        }
        self.origins.made_of("tool_config", "generation_config.tool_choice");
        body.insert("toolConfig".to_owned(), json!({"functionCallingConfig": calling}));
    }

    /// One format or a list of them; the bare schema of the first SDKs, with the deprecated `response_mime_type`, too.
    pub(super) fn response_format(&mut self, config: &mut Map<String, Value>) {
        if let Some(kind) = self.reading.text("response_mime_type") {
            self.origins.made_of("generation_config.response_mime_type", "response_mime_type");
            config.insert("responseMimeType".to_owned(), kind.into());
        }
        if let Some(Value::Array(modalities)) = self.reading.given("response_modalities").cloned() {
            let upper = modalities.iter().filter_map(Value::as_str).map(str::to_ascii_uppercase);
            self.origins.made_of("generation_config.response_modalities", "response_modalities");
            config.insert("responseModalities".to_owned(), upper.collect::<Vec<_>>().into());
        }
        let (is_list, formats) = match self.reading.given("response_format").cloned() {
            None => return,
            Some(Value::Array(formats)) => (true, formats),
            Some(format) => (false, vec![format]),
        };
        for (at, format) in formats.into_iter().enumerate() {
            let path = if is_list { format!("response_format[{at}]") } else { "response_format".to_owned() };
            match (format["type"].as_str(), format.is_object()) {
                (Some("text"), _) => {
                    if let Some(kind) = format["mime_type"].as_str() {
                        self.origins.made_of("generation_config.response_mime_type", format!("{path}.mime_type"));
                        config.insert("responseMimeType".to_owned(), kind.into());
                    }
                    if let Some(schema) = format.get("schema").filter(|schema| !schema.is_null()) {
                        config.entry("responseMimeType").or_insert_with(|| "application/json".into());
                        self.origins.moved("generation_config.response_json_schema", format!("{path}.schema"));
                        config.insert("responseJsonSchema".to_owned(), schema.clone());
                    }
                }
                (Some("image" | "audio" | "video"), _) => {
                    self.reading.refuse(&path, "the models behind this Keylodge answer here with text only");
                }
                (_, true) => {
                    self.origins.moved("generation_config.response_json_schema", path);
                    config.insert("responseMimeType".to_owned(), "application/json".into());
                    config.insert("responseJsonSchema".to_owned(), format);
                }
                _ => self.reading.refuse(&path, "it is an object with a type"),
            }
        }
    }

    pub(super) fn tools(&mut self, body: &mut Map<String, Value>) {
        let tools = match self.reading.given("tools").cloned() {
            None => return,
            Some(Value::Array(tools)) => tools,
            Some(_) => return self.reading.refuse("tools", "it is a list"),
        };
        let (mut declarations, mut others, mut functions_at) = (Vec::new(), Vec::new(), Vec::new());
        for (at, tool) in tools.iter().enumerate() {
            let path = format!("tools[{at}]");
            match tool["type"].as_str() {
                Some("function") => {
                    if !tool["name"].is_string() {
                        self.reading.refuse(&format!("{path}.name"), "a function has a name");
                        continue;
                    }
                    let mut declaration = json!({"name": tool["name"]});
                    if let Some(description) = tool.get("description").filter(|text| text.is_string()) {
                        declaration["description"] = description.clone();
                    }
                    if let Some(parameters) = tool.get("parameters").filter(|schema| schema.is_object()) {
                        declaration["parametersJsonSchema"] = parameters.clone();
                    }
                    functions_at.push(at);
                    declarations.push(declaration);
                }
                Some(kind @ ("google_search" | "code_execution" | "url_context")) => {
                    let name = match kind {
                        "google_search" => "googleSearch",
                        "code_execution" => "codeExecution",
                        _ => "urlContext",
                    };
                    self.origins.made_of(format!("tools[{}]", others.len()), path);
                    others.push(json!({name: {}}));
                }
                Some("computer_use" | "mcp_server" | "file_search" | "google_maps" | "retrieval") => {
                    self.reading.refuse(&path, "nobody behind this Keylodge has this tool");
                }
                _ => self.reading.refuse(&format!("{path}.type"), "it is none of the tools there are"),
            }
        }
        if !declarations.is_empty() {
            for (number, at) in functions_at.into_iter().enumerate() {
                let place = format!("tools[{}].function_declarations[{number}]", others.len());
                self.origins.moved(format!("{place}.parameters_json_schema"), format!("tools[{at}].parameters"));
                self.origins.moved(place, format!("tools[{at}]"));
            }
            others.push(json!({"functionDeclarations": declarations}));
        }
        if !others.is_empty() {
            body.insert("tools".to_owned(), others.into());
        }
    }

    pub(super) fn safety_settings(&mut self, body: &mut Map<String, Value>) {
        let settings = match self.reading.given("safety_settings").cloned() {
            None => return,
            Some(Value::Array(settings)) => settings,
            Some(_) => return self.reading.refuse("safety_settings", "it is a list"),
        };
        let mut said = Vec::with_capacity(settings.len());
        for (at, setting) in settings.iter().enumerate() {
            let (Some(kind), Some(threshold)) = (setting["type"].as_str(), setting["threshold"].as_str()) else {
                self.reading.refuse(&format!("safety_settings[{at}]"), "it has a type and a threshold");
                continue;
            };
            let category = format!("HARM_CATEGORY_{}", kind.to_ascii_uppercase());
            said.push(json!({"category": category, "threshold": threshold.to_ascii_uppercase()}));
        }
        body.insert("safetySettings".to_owned(), said.into());
    }
}
