//! `POST /v1/models/*:embedContent`

use axum::body::Body;
use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::gemini::{EmbedContentRequest, EmbedContentResponse, EmbeddingUsageMetadata};

use super::embedding::{self, Embedded, Wish};
use super::models::EmbeddingEntry;
use super::{Asked, Failure, with_embedder};
use crate::{Lodge, wire};

pub(super) async fn answer(
    lodge: &Lodge,
    mut asked: Asked<'_, EmbeddingEntry>,
    body: Body,
) -> Result<Response, Failure> {
    let request: EmbedContentRequest = wire::read(lodge, body).await?;
    let entry = asked.entry.clone()?;
    let wish = Wish::of_one(&request, &entry.name)?;
    let Embedded { mut embeddings, tokens } = embedding::embed(&mut asked, entry, vec![wish]).await?;
    let embedding = embeddings.pop().ok_or_else(Status::internal)?;
    let answer = EmbedContentResponse { embedding, usage_metadata: EmbeddingUsageMetadata::text(tokens) };
    Ok(with_embedder(wire::answer(&answer, asked.query)?, &entry.embedder))
}
