//! What generateContent and countTokens answer.

use serde::Serialize;

/// A whole answer, or one chunk of a streamed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateContentResponse {
    /// The answers; Keylodge gives one.
    pub candidates: Vec<Candidate>,
    /// What it cost so far.
    pub usage_metadata: UsageMetadata,
    /// Which model answered.
    pub model_version: String,
    /// The same in all chunks of one answer.
    pub response_id: String,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// What was said.
    pub content: AnswerContent,
    /// Why it ended; only on the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Always 0 and, unlike other zeros, always written, as Google does.
    pub index: u32,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerContent {
    /// Its parts; absent when a chunk carries no text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<AnswerPart>,
    /// `model`.
    pub role: &'static str,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AnswerPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A call of a function that the request declared.
    #[serde(rename_all = "camelCase")]
    FunctionCall {
        /// The call.
        function_call: FunctionCall,
    },
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionCall {
    /// What its result comes back with.
    pub id: String,
    /// The function.
    pub name: String,
    /// With what it is called.
    pub args: serde_json::Map<String, serde_json::Value>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FinishReason {
    /// The model had nothing more to say, or met a stop sequence.
    Stop,
    /// The cap was reached.
    MaxTokens,
    /// A call of a function was demanded, and what came was none.
    MalformedFunctionCall,
}

/// True token counts of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageMetadata {
    /// Tokens that the model read: everything, with the chat template's own.
    pub prompt_token_count: u64,
    /// Tokens that the model wrote; absent until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates_token_count: Option<u64>,
    /// Both together.
    pub total_token_count: u64,
    /// What the prompt was made of.
    pub prompt_tokens_details: Vec<ModalityTokenCount>,
}

impl UsageMetadata {
    /// The usage of a call that read and wrote so many tokens of text.
    #[must_use]
    pub fn text(prompt: u64, candidates: u64) -> Self {
        Self {
            prompt_token_count: prompt,
            candidates_token_count: (candidates > 0).then_some(candidates),
            total_token_count: prompt + candidates,
            prompt_tokens_details: vec![ModalityTokenCount::text(prompt)],
        }
    }
}

/// Tokens of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModalityTokenCount {
    /// The kind.
    pub modality: Modality,
    /// How many.
    pub token_count: u64,
}

impl ModalityTokenCount {
    /// So many tokens of text.
    #[must_use]
    pub fn text(tokens: u64) -> Self {
        Self { modality: Modality::Text, token_count: tokens }
    }
}

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Modality {
    /// Plain text.
    Text,
}

/// The answer of countTokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountTokensResponse {
    /// How many tokens the model would read.
    pub total_tokens: u64,
    /// Of which kinds.
    pub prompt_tokens_details: Vec<ModalityTokenCount>,
}
