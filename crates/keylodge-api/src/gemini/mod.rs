//! The Gemini API's messages (package `google.ai.generativelanguage`), as far as Keylodge reads or writes them.

mod auth_token;
mod config;
mod content;
mod embed;
mod live;
mod model;
mod request;
mod response;
pub mod schema;
mod setup;

pub use auth_token::CreateAuthTokenRequest;
pub use config::{GenerationConfig, ThinkingConfig};
pub use content::{Content, Part, PartData};
pub use embed::{
    BatchEmbedContentsRequest, BatchEmbedContentsResponse, ContentEmbedding, EmbedContentRequest, EmbedContentResponse,
    EmbeddingUsageMetadata,
};
pub use live::{LiveMessage, RealtimeInput};
pub use model::{ListModelsResponse, Model};
pub use request::{CountTokensRequest, GenerateContentRequest, SafetySetting};
pub use response::{
    AnswerContent, AnswerPart, Candidate, CountTokensResponse, FinishReason, FunctionCall, GenerateContentResponse,
    Modality, ModalityTokenCount, UsageMetadata,
};
pub use setup::{Setup, SetupMask, camel_case};
