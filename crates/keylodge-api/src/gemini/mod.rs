//! The Gemini API's messages (package `google.ai.generativelanguage`), as far as Keylodge reads or writes them.

mod config;
mod content;
mod embed;
mod model;
mod request;
mod response;
pub mod schema;

pub use config::{GenerationConfig, ThinkingConfig};
pub use content::{Content, Part, PartData};
pub use embed::{
    BatchEmbedContentsRequest, BatchEmbedContentsResponse, ContentEmbedding, EmbedContentRequest, EmbedContentResponse,
    EmbeddingUsageMetadata,
};
pub use model::{ListModelsResponse, Model};
pub use request::{CountTokensRequest, GenerateContentRequest, SafetySetting};
pub use response::{
    AnswerContent, AnswerPart, Candidate, CountTokensResponse, FinishReason, FunctionCall, GenerateContentResponse,
    Modality, ModalityTokenCount, UsageMetadata,
};
