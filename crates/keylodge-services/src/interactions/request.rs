//! What a caller asks of the Interactions API, in Gemini's words.
//!
//! All names are those of the wire, with underscores; a field that there is not is `parameter_unknown`. Nothing that was
//! asked for is dropped in silence: what has no counterpart is refused with its path.

use keylodge_api::Status;
use serde_json::{Map, Value, json};

use super::contents::{self, Form};
use crate::origins::Origins;
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
    form: Form,
    pub(super) previous: Option<String>,
    pub(super) streams: bool,
    pub(super) stores: bool,
    pub(super) in_background: bool,
    /// What is told again in the answer.
    pub(super) echoed: Map<String, Value>,
    /// The body of generateContent, without its contents.
    body: Map<String, Value>,
    /// Where it was written.
    origins: Origins,
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
    let mut asked = Asked { reading: Reading::new(bytes)?, origins: Origins::default() };
    let create = asked.create();
    asked.reading.done(create)
}

impl Create {
    /// The body of generateContent for a conversation that these steps came before, and where it was written.
    ///
    /// # Errors
    /// INVALID_ARGUMENT where a step cannot be said.
    pub(super) fn body(&self, before: &[Value]) -> Result<(Value, Origins), Status> {
        let mut body = self.body.clone();
        let (contents, mut origins) = contents::of_steps(before, &self.input, self.form)?;
        origins.extend(&self.origins);
        body.insert("contents".to_owned(), contents.into());
        Ok((body.into(), origins))
    }
}

/// A request, and where in it was written what is made of it.
pub(super) struct Asked {
    pub(super) reading: Reading,
    pub(super) origins: Origins,
}

impl Asked {
    fn create(&mut self) -> Create {
        self.reading.refuse_unknown(&[&KNOWN, &WITHOUT_EFFECT, &ELSEWHERE]);
        for name in ELSEWHERE {
            if self.reading.given(name).is_some() {
                self.reading.refuse(name, "nobody behind this Keylodge does this");
            }
        }
        let (asked_model, model) = if self.reading.given("agent").is_some() {
            self.reading.refuse("agent", "there are no agents here; name a model");
            Default::default()
        } else {
            self.reading.model()
        };
        let (form, input) = self.input();
        let input: Vec<Value> = input.iter().map(contents::known).collect();
        if !input.iter().all(|step| contents::is_flat(step, DEPTH_MAX)) {
            self.reading.refuse("input", &format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        let mut body = Map::new();
        if let Some(system) = self.reading.text("system_instruction").filter(|text| !text.is_empty()) {
            self.origins.made_of("system_instruction", "system_instruction");
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
        if let Some(name) = self.reading.text("cached_content") {
            body.insert("cachedContent".to_owned(), name.into());
        }
        let (stores, in_background) = (self.reading.flag("store", true), self.reading.flag("background", false));
        if in_background && !stores {
            self.reading.refuse("store", "what is answered in the background must be stored");
        }
        let previous = self.reading.text("previous_interaction_id").filter(|id| !id.is_empty());
        if previous.as_ref().is_some_and(|id| id.len() > TEXT_BYTES_MAX) {
            self.reading.refuse("previous_interaction_id", "it is the id of an interaction");
        }
        let mut echoed = Map::new();
        if let Some(previous) = &previous {
            echoed.insert("previous_interaction_id".to_owned(), previous.clone().into());
        }
        if let Some(tier) = self.reading.text("service_tier") {
            if tier.len() > TEXT_BYTES_MAX {
                self.reading.refuse("service_tier", "it is flex, standard, priority or deferred");
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
            form,
            previous,
            streams: self.reading.flag("stream", false),
            stores,
            in_background,
            echoed,
            body,
            origins: std::mem::take(&mut self.origins),
        }
    }

    /// What callers tell interactions apart by.
    fn labels(&mut self) -> Option<Value> {
        let labels = self.reading.given("labels")?.clone();
        let is_short = |text: &str| text.len() <= TEXT_BYTES_MAX;
        let fits = labels.as_object().is_some_and(|labels| {
            labels.len() <= LABELS_MAX
                && labels.iter().all(|(name, value)| is_short(name) && value.as_str().is_some_and(is_short))
        });
        if !fits {
            let why = format!("it is an object of at most {LABELS_MAX} strings of at most {TEXT_BYTES_MAX} bytes");
            self.reading.refuse("labels", &why);
        }
        Some(labels)
    }

    /// The input as steps: a text, a content, contents, or steps.
    fn input(&mut self) -> (Form, Vec<Value>) {
        let said = |content: Value| vec![json!({"type": "user_input", "content": content})];
        let Some(input) = self.reading.given("input").cloned() else {
            self.reading.refuse("input", "input is not specified");
            return (Form::One, Vec::new());
        };
        match input {
            Value::String(text) => (Form::One, said(json!([{"type": "text", "text": text}]))),
            Value::Object(content) => {
                if contents::is_step(&content) {
                    (Form::Step, vec![content.into()])
                } else {
                    (Form::One, said(json!([content])))
                }
            }
            Value::Array(items) if items.is_empty() => {
                self.reading.refuse("input", "it is empty");
                (Form::Contents, Vec::new())
            }
            Value::Array(items) => {
                let is_turn = |item: &Value| item.get("role").is_some() && item.get("type").is_none();
                if items.iter().any(is_turn) {
                    let why = "turns with a role are of the legacy schema; send steps, as {\"type\": \"user_input\", \"content\": [...]}";
                    self.reading.refuse("input", why);
                    return (Form::Contents, Vec::new());
                }
                let is_step = |item: &Value| item.as_object().is_some_and(contents::is_step);
                match items.iter().filter(|item| is_step(item)).count() {
                    0 => (Form::Contents, said(items.into())),
                    steps if steps == items.len() => (Form::Steps, items),
                    _ => {
                        self.reading.refuse(
                            "input",
                            "steps and contents cannot be mixed; put contents into a step of type user_input",
                        );
                        (Form::Steps, Vec::new())
                    }
                }
            }
            _ => {
                self.reading.refuse("input", "it is a text, a content, a list of contents or a list of steps");
                (Form::One, Vec::new())
            }
        }
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
        asked(more).unwrap().body(&[]).unwrap().0
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
            (json!({"response_format": {"type": "image"}}), "'response_format'"),
            (json!({"response_format": [{"type": "image"}]}), "'response_format[0]'"),
            (json!({"generation_config": {"speech_config": {}}}), "'generation_config.speech_config'"),
            (json!({"model": ""}), "'model'"),
        ] {
            let said = mistakes(more);
            assert!(said.contains(path), "{path}: {said}");
        }
    }
}
