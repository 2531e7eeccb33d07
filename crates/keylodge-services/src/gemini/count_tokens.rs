//! `POST /v1/models/*:countTokens`

use axum::body::Body;
use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::gemini::{
    CountTokensRequest, CountTokensResponse, GenerateContentRequest, Modality, ModalityTokenCount,
};

use super::{Asked, in_time, prompt, with_engine};
use crate::{Lodge, wire};

/// Counts what the model would read, the chat template's own tokens included: the same number as `promptTokenCount`
/// of the generation.
pub(super) async fn answer(lodge: &Lodge, asked: Asked<'_>, body: Body) -> Result<Response, Status> {
    let request: CountTokensRequest = wire::read(lodge, body).await?;
    let entry = asked.entry?;
    let engine = entry.answering();
    let request = match request.generate_content_request {
        Some(whole) => GenerateContentRequest { model: whole.model.or(request.model), ..whole },
        None => GenerateContentRequest {
            model: request.model,
            contents: request.contents,
            ..GenerateContentRequest::default()
        },
    };
    let prompt = prompt::of_count(&request, &entry.name)?;
    let total_tokens = in_time(asked.deadline, engine.count(&entry.name, &prompt)).await?;
    let answer = CountTokensResponse {
        total_tokens,
        prompt_tokens_details: vec![ModalityTokenCount { modality: Modality::Text, token_count: total_tokens }],
    };
    Ok(with_engine(wire::answer(&answer, asked.query)?, engine))
}
