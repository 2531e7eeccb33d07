//! `POST /v1/models/*:countTokens`

use axum::body::Body;
use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::gemini::{CountTokensRequest, CountTokensResponse, GenerateContentRequest, ModalityTokenCount};
use keylodge_model::Prompt;

use super::models::EmbeddingEntry;
use super::{Asked, in_time, prompt, with_embedder, with_engine};
use crate::{Lodge, wire};

/// Counts what the model would read, the chat template's own tokens included: the same number as `promptTokenCount`
/// of the generation.
pub(super) async fn answer(lodge: &Lodge, asked: Asked<'_>, body: Body) -> Result<Response, Status> {
    let request: CountTokensRequest = wire::read(lodge, body).await?;
    let entry = asked.entry?;
    let engine = entry.answering();
    let prompt = prompt_of(request, &entry.name)?;
    let total_tokens = in_time(asked.deadline, engine.count(&entry.name, &prompt)).await?;
    Ok(with_engine(wire::answer(&counted(total_tokens), asked.query)?, engine))
}

/// Counts the tokens of each text, the marks at its ends included. Of a text that is too long all are counted, though not
/// all are read.
pub(super) async fn answer_embedder(
    lodge: &Lodge,
    asked: Asked<'_, EmbeddingEntry>,
    body: Body,
) -> Result<Response, Status> {
    let request: CountTokensRequest = wire::read(lodge, body).await?;
    let EmbeddingEntry { name, embedder } = asked.entry?;
    let Prompt { system, turns } = prompt_of(request, name)?;
    let mut total_tokens = 0;
    for text in system.iter().chain(turns.iter().map(|turn| &turn.text)) {
        total_tokens += in_time(asked.deadline, embedder.count(text)).await?;
    }
    Ok(with_embedder(wire::answer(&counted(total_tokens), asked.query)?, embedder))
}

fn prompt_of(request: CountTokensRequest, name: &str) -> Result<Prompt, Status> {
    let request = match request.generate_content_request {
        Some(whole) => GenerateContentRequest { model: whole.model.or(request.model), ..whole },
        None => GenerateContentRequest {
            model: request.model,
            contents: request.contents,
            ..GenerateContentRequest::default()
        },
    };
    prompt::of_count(&request, name)
}

fn counted(total_tokens: u64) -> CountTokensResponse {
    CountTokensResponse { total_tokens, prompt_tokens_details: vec![ModalityTokenCount::text(total_tokens)] }
}
