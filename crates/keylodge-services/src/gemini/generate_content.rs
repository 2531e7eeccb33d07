//! `POST /v1/models/*:generateContent`

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use keylodge_api::gemini::GenerateContentRequest;
use keylodge_model::{Event, Finish, Generation, ModelError};

use super::prompt::Wanted;
use super::stream::Answering;
use super::{Asked, Failure, afford, held_in_time, prompt, with_clamp, with_engine};
use crate::bill::{BROKEN, outcome};
use crate::{Lodge, wire};

pub(super) async fn answer(lodge: &Lodge, mut asked: Asked<'_>, body: Body) -> Result<Response, Failure> {
    let request: GenerateContentRequest = wire::read(lodge, body).await?;
    let entry = asked.entry.clone()?;
    let engine = entry.answering();
    let Wanted { mut generate, functions, schema } = prompt::of_generation(&request, &entry.name, engine, lodge)?;
    let is_capped = request.generation_config.max_output_tokens.is_some();
    let clamped = afford(&mut asked, engine, &mut generate, is_capped).await?;
    let mut answering = Answering::new(lodge, entry, asked.bill.take());
    let whole = held_in_time(asked.deadline, &schema, async {
        let mut generation = engine.generate(generate).await?;
        answering.begin(generation.prompt_tokens);
        let (text, finish, output_tokens) = collect(&mut generation, &mut answering).await?;
        let (parts, reason) = answering.last_parts(functions.as_ref(), text, finish);
        Ok(answering.chunk(parts, Some(reason), output_tokens))
    });
    let whole = whole.await.inspect_err(|status| {
        answering.ended(StatusCode::from_u16(status.code.http()).map_or(BROKEN, outcome));
    })?;
    Ok(with_clamp(with_engine(wire::answer(&whole, asked.query)?, engine), clamped))
}

/// Waits for the whole text. Dropping this half-way ends the generation.
async fn collect(generation: &mut Generation, answering: &mut Answering) -> Result<(String, Finish, u64), ModelError> {
    let mut whole = String::new();
    while let Some(event) = generation.next().await {
        match event? {
            Event::Piece { text, output_tokens } => {
                whole.push_str(&text);
                // Whoever leaves has had them made.
                answering.wrote(output_tokens);
            }
            Event::Finished { reason, output_tokens } => return Ok((whole, reason, output_tokens)),
        }
    }
    Err(ModelError::Lost)
}
