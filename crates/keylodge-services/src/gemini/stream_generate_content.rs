//! `POST /v1/models/*:streamGenerateContent`, as server-sent events or as one JSON array.

use axum::body::Body;
use axum::response::Response;
use keylodge_api::gemini::GenerateContentRequest;

use super::prompt::Wanted;
use super::stream::{Answering, Chunks, Framing};
use super::{Asked, Failure, afford, held_in_time, prompt, with_clamp, with_engine};
use crate::{Lodge, wire};

/// What can be known before the first byte is a plain HTTP error; what breaks later is told inside the stream.
pub(super) async fn answer(lodge: &Lodge, mut asked: Asked<'_>, body: Body) -> Result<Response, Failure> {
    let request: GenerateContentRequest = wire::read(lodge, body).await?;
    let entry = asked.entry.clone()?;
    let engine = entry.answering();
    let Wanted { mut generate, functions, schema } = prompt::of_generation(&request, &entry.name, engine, lodge)?;
    let is_capped = request.generation_config.max_output_tokens.is_some();
    let clamped = afford(&mut asked, engine, &mut generate, is_capped).await?;
    let framing = Framing::of(asked.query);

    let generation = held_in_time(asked.deadline, &schema, engine.generate(generate)).await?;
    let mut answering = Answering::new(lodge, entry, asked.bill.take());
    answering.begin(generation.prompt_tokens);
    let chunks = Chunks::new(generation, answering, functions, schema, framing, asked.deadline);

    let response = framing.response(Body::from_stream(chunks));
    Ok(with_clamp(with_engine(response, engine), clamped))
}
