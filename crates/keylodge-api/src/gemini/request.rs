//! What generateContent and countTokens are asked.

use serde_json::Value;

use super::{Content, GenerationConfig};
use crate::proto_json::{Fields, Message};

/// The body of `:generateContent` and `:streamGenerateContent`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateContentRequest {
    /// The model once more, as curl users and `generateContentRequest` send it.
    pub model: Option<String>,
    /// The conversation so far.
    pub contents: Vec<Content>,
    /// What the model is told before it.
    pub system_instruction: Option<Content>,
    /// How to generate.
    pub generation_config: GenerationConfig,
    /// Tools the model may use, unread.
    pub tools: Option<Value>,
    /// What it may do with them, unread.
    pub tool_config: Option<Value>,
    /// What must be blocked.
    pub safety_settings: Vec<SafetySetting>,
    /// A stored context.
    pub cached_content: Option<String>,
    /// Where an earlier answer broke off.
    pub continuation_token: Option<String>,
}

impl Message for GenerateContentRequest {
    const NAME: &str = "google.ai.generativelanguage.v1beta.GenerateContentRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        // Labels are for the caller's bill, the tier and `store` for Google's own house: they change no answer.
        fields.string_map("labels");
        fields.any("serviceTier");
        fields.boolean("store");
        Self {
            model: fields.string("model").filter(|model| !model.is_empty()),
            contents: fields.messages("contents"),
            system_instruction: fields.message("systemInstruction"),
            generation_config: fields.message("generationConfig").unwrap_or_default(),
            tools: fields.any("tools").cloned(),
            tool_config: fields.any("toolConfig").cloned(),
            safety_settings: fields.messages("safetySettings"),
            cached_content: fields.string("cachedContent").filter(|name| !name.is_empty()),
            continuation_token: fields.string("continuationToken").filter(|token| !token.is_empty()),
        }
    }
}

/// A category of harm and from what probability on it is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetySetting {
    /// The category.
    pub category: Option<&'static str>,
    /// The threshold.
    pub threshold: Option<&'static str>,
}

// In the order of their numbers in the proto, so that a number finds its name.
const CATEGORIES: &[&str] = &[
    "HARM_CATEGORY_UNSPECIFIED",
    "HARM_CATEGORY_DEROGATORY",
    "HARM_CATEGORY_TOXICITY",
    "HARM_CATEGORY_VIOLENCE",
    "HARM_CATEGORY_SEXUAL",
    "HARM_CATEGORY_MEDICAL",
    "HARM_CATEGORY_DANGEROUS",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
    "HARM_CATEGORY_JAILBREAK",
    "HARM_CATEGORY_IMAGE_HATE",
    "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
    "HARM_CATEGORY_IMAGE_HARASSMENT",
    "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
];
const THRESHOLDS: &[&str] = &[
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
];

impl Message for SafetySetting {
    const NAME: &str = "google.ai.generativelanguage.v1beta.SafetySetting";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        fields.string("method");
        Self {
            category: fields.enumeration(
                "category",
                "type.googleapis.com/google.ai.generativelanguage.v1beta.HarmCategory",
                CATEGORIES,
            ),
            threshold: fields.enumeration(
                "threshold",
                "type.googleapis.com/google.ai.generativelanguage.v1beta.SafetySetting.HarmBlockThreshold",
                THRESHOLDS,
            ),
        }
    }
}

/// The body of `:countTokens`: contents alone, or a whole request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CountTokensRequest {
    /// The model once more.
    pub model: Option<String>,
    /// The contents to count.
    pub contents: Vec<Content>,
    /// The request to count, instead of bare contents.
    pub generate_content_request: Option<GenerateContentRequest>,
}

impl Message for CountTokensRequest {
    const NAME: &str = "google.ai.generativelanguage.v1beta.CountTokensRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let model = fields.string("model").filter(|model| !model.is_empty());
        let contents = fields.messages("contents");
        let generate_content_request = fields.message("generateContentRequest");
        if !contents.is_empty() && generate_content_request.is_some() {
            fields.refuse(
                "generateContentRequest",
                "* CountTokensRequest: give either contents or generate_content_request, not both",
            );
        }
        Self { model, contents, generate_content_request }
    }
}
