//! `POST /v1/models/*:batchEmbedContents`

use axum::body::Body;
use axum::response::Response;
use keylodge_api::gemini::{BatchEmbedContentsRequest, BatchEmbedContentsResponse, EmbeddingUsageMetadata};

use super::embedding::{self, Embedded, Wish};
use super::models::EmbeddingEntry;
use super::{Asked, Failure, with_embedder};
use crate::{Lodge, wire};

/// The official SDKs call this for a single text, too.
pub(super) async fn answer(
    lodge: &Lodge,
    mut asked: Asked<'_, EmbeddingEntry>,
    body: Body,
) -> Result<Response, Failure> {
    let request: BatchEmbedContentsRequest = wire::read(lodge, body).await?;
    let entry = asked.entry.clone()?;
    let wishes = Wish::of_batch(&request, &entry.name)?;
    let Embedded { embeddings, tokens } = embedding::embed(&mut asked, entry, wishes).await?;
    let answer = BatchEmbedContentsResponse { embeddings, usage_metadata: EmbeddingUsageMetadata::text(tokens) };
    Ok(with_embedder(wire::answer(&answer, asked.query)?, &entry.embedder))
}
