//! How to generate.

use serde_json::Value;

use crate::proto_json::{Fields, Message};

/// `generationConfig`. Fields that only other kinds of models know are kept by name, to be refused or ignored knowingly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationConfig {
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// 0 to 1.
    pub top_p: Option<f64>,
    /// 1 and up.
    pub top_k: Option<i32>,
    /// How many answers.
    pub candidate_count: Option<i32>,
    /// Cap of the answer, in tokens.
    pub max_output_tokens: Option<i32>,
    /// At most five texts that end the answer.
    pub stop_sequences: Vec<String>,
    /// Makes sampling repeatable.
    pub seed: Option<i32>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// `text/plain`, `application/json` or `text/x.enum`.
    pub response_mime_type: Option<String>,
    /// Google's subset of OpenAPI.
    pub response_schema: Option<Value>,
    /// JSON Schema.
    pub response_json_schema: Option<Value>,
    /// Kinds of answer asked for; empty means text.
    pub response_modalities: Vec<String>,
    /// Whether log probabilities are asked for.
    pub response_logprobs: bool,
    /// How many of them for each token.
    pub logprobs: Option<i32>,
    /// How much the model may think.
    pub thinking_config: Option<ThinkingConfig>,
    /// Fields present that concern speech, images, routing and the like, in snake_case.
    pub other: Vec<&'static str>,
}

/// `thinkingConfig`: an upper limit on thinking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThinkingConfig {
    /// Whether summaries of thoughts are wanted.
    pub include_thoughts: Option<bool>,
    /// At most so many tokens; 0 is off, -1 leaves it to the model.
    pub thinking_budget: Option<i32>,
    /// A level instead of a budget.
    pub thinking_level: Option<String>,
}

const OTHER: [(&str, &str); 9] = [
    ("mediaResolution", "media_resolution"),
    ("speechConfig", "speech_config"),
    ("imageConfig", "image_config"),
    ("audioTimestamp", "audio_timestamp"),
    ("enableEnhancedCivicAnswers", "enable_enhanced_civic_answers"),
    ("routingConfig", "routing_config"),
    ("modelSelectionConfig", "model_selection_config"),
    ("audioTranscriptionConfig", "audio_transcription_config"),
    ("generationOutputConfig", "generation_output_config"),
];

impl Message for GenerationConfig {
    const NAME: &str = "google.ai.generativelanguage.v1beta.GenerationConfig";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let schema = fields.any("responseJsonSchema").or(fields.any("_responseJsonSchema"));
        Self {
            temperature: fields.float("temperature"),
            top_p: fields.float("topP"),
            top_k: fields.int32("topK"),
            candidate_count: fields.int32("candidateCount"),
            max_output_tokens: fields.int32("maxOutputTokens"),
            stop_sequences: fields.strings("stopSequences"),
            seed: fields.int32("seed"),
            presence_penalty: fields.float("presencePenalty"),
            frequency_penalty: fields.float("frequencyPenalty"),
            response_mime_type: fields.string("responseMimeType").filter(|kind| !kind.is_empty()),
            response_schema: fields.any("responseSchema").cloned(),
            response_json_schema: schema.cloned(),
            response_modalities: fields.strings("responseModalities"),
            response_logprobs: fields.boolean("responseLogprobs").unwrap_or(false),
            logprobs: fields.int32("logprobs"),
            thinking_config: fields.message("thinkingConfig"),
            other: OTHER
                .iter()
                .filter(|(camel, _)| fields.any(camel).is_some_and(asks))
                .map(|(_, snake)| *snake)
                .collect(),
        }
    }
}

/// Whether a value asks for anything. Clients also send defaults.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty() && !text.ends_with("_UNSPECIFIED"),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

impl Message for ThinkingConfig {
    const NAME: &str = "google.ai.generativelanguage.v1beta.ThinkingConfig";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            include_thoughts: fields.boolean("includeThoughts"),
            thinking_budget: fields.int32("thinkingBudget"),
            thinking_level: fields.string("thinkingLevel"),
        }
    }
}
