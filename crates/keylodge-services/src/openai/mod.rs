//! The OpenAI-compatible surface, as Google has it under `/v1beta/openai/`: calls are said to the Gemini surface in its
//! own words ([`crate::gemini::inside`]) and its answers in OpenAI's. Errors are Google's, in an array of one.

mod answer;
mod embeddings;
mod identify;
mod messages;
mod request;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_core::Stream;
use http::Request;
use http::header::RETRY_AFTER;
use keylodge_api::status::json_bytes;
use keylodge_api::{Envelope, Status};
use keylodge_gate::{Pass, Surface};
use serde_json::{Value, json};

use crate::Lodge;
use crate::bill::outcome;
use crate::calling::Calling;
use crate::gemini::identify::Verb;
use crate::gemini::inside::{self, Fault, Heard, Pieces, Said, Unanswered};
use crate::wire::{self, EVENTS};
use answer::{Answering, Chunking};
use embeddings::Embeddings;
use identify::Call;
pub(crate) use identify::target;

/// What the surface works with.
#[derive(Clone, Debug)]
pub(crate) struct OpenAi {
    pub(crate) lodge: Lodge,
    pub(crate) surface: Surface,
}

/// Answers a call that the gate let through, unless a limit has no room for it.
pub(crate) async fn handle(State(openai): State<OpenAi>, pass: Pass, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let (version, call) = match identify::call(&parts.method, &parts.uri) {
        Ok(call) => call,
        Err(status) => return status.response(Envelope::Array),
    };
    let mut calling = Calling::new(&openai.lodge, &openai.surface, parts, pass, version);
    let answered = match call {
        Call::ChatCompletions => chat(&mut calling, body).await,
        Call::ListModels => models(&calling, None).await,
        Call::GetModel(model) => models(&calling, Some(&model)).await,
        Call::Embeddings => embeddings(&mut calling, body).await,
    };
    match answered {
        Ok(response) => response,
        Err(Unanswered::Fault(fault)) => said_no(&fault),
        Err(Unanswered::Refused(refusal)) => calling.refuse(refusal, Envelope::Array),
    }
}

async fn chat(calling: &mut Calling<'_>, body: Body) -> Result<Response, Unanswered> {
    let lodge = calling.lodge;
    let chat = match wire::bytes(lodge, body).await.and_then(|bytes| request::read(&bytes)) {
        Ok(chat) => chat,
        Err(status) => return fail(calling, &status).await,
    };
    calling.of_model(&chat.model, chat.streams.then(|| identify::streaming(&calling.version)))?;
    let mut bill = calling.bill().await?;
    let verb = if chat.streams { Verb::StreamGenerateContent } else { Verb::GenerateContent };
    let heard = calling.ask(&chat.model, verb, &chat.body, &mut bill).await;
    let Heard { said, headers } = inside::named(heard, &chat.origins)?;
    let answering = Answering::new(&chat, lodge.now().micros().div_euclid(1_000_000));
    let mut response = match said {
        Said::Whole(said) => wire::json(&answering.whole(&said)),
        Said::Pieces(pieces) => streamed(pieces, answering.stream()),
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

async fn embeddings(calling: &mut Calling<'_>, body: Body) -> Result<Response, Unanswered> {
    let asked = match wire::bytes(calling.lodge, body).await.and_then(|bytes| Embeddings::read(&bytes)) {
        Ok(asked) => asked,
        Err(status) => return fail(calling, &status).await,
    };
    calling.of_model(&asked.model, None)?;
    let mut bill = calling.bill().await?;
    let heard = calling.ask(&asked.model, Verb::BatchEmbedContents, &asked.body, &mut bill).await;
    let Heard { said, headers } = inside::named(heard, &asked.origins)?;
    let mut response = match said {
        Said::Whole(said) => wire::json(&asked.answer(&said)),
        // Vectors come whole.
        Said::Pieces(_) => return Err(Fault::of_status(&Status::internal()).into()),
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

/// An error of this surface itself.
async fn fail<T>(calling: &Calling<'_>, status: &Status) -> Result<T, Unanswered> {
    let fault = Fault::of_status(status);
    calling.count(fault.http).await?;
    Err(fault.into())
}

/// The models that there are, or the one of this name, in OpenAI's form.
async fn models(calling: &Calling<'_>, name: Option<&str>) -> Result<Response, Unanswered> {
    let Calling { lodge, version, deadline, .. } = calling;
    let mut bill = calling.bill().await?;
    let found = match name {
        None => {
            let models = inside::list_models(lodge, version, *deadline).await;
            models.map(|models| json!({"object": "list", "data": models.iter().map(model).collect::<Vec<_>>()}))
        }
        Some(name) => inside::get_model(lodge, version, name, *deadline).await.map(|found| model(&found)),
    };
    if let Some(bill) = &mut bill {
        bill.outcome = found.as_ref().map_or_else(|fault| outcome(fault.http), |_| "ok");
    }
    Ok(wire::json(&found?))
}

/// A model in OpenAI's form. Whether Google's ids begin with `models/` is UNCONFIRMED; both forms are taken.
fn model(of_gemini: &Value) -> Value {
    json!({
        "id": of_gemini.get("name").cloned().unwrap_or_default(),
        "object": "model",
        "owned_by": "google",
        "display_name": of_gemini.get("displayName").cloned().unwrap_or_default(),
    })
}

/// An error, as Google sends it here.
fn said_no(fault: &Fault) -> Response {
    let mut response = wire::json(&json!([{"error": fault.error}]));
    *response.status_mut() = fault.http;
    if let Some(retry_after) = &fault.retry_after {
        response.headers_mut().insert(RETRY_AFTER, retry_after.clone());
    }
    response
}

fn streamed(pieces: Pieces, chunking: Chunking) -> Response {
    let chunks = Chunks { pieces: Some(pieces), chunking, ready: VecDeque::new() };
    wire::streamed(Body::from_stream(chunks), EVENTS)
}

/// The body of a streamed answer.
struct Chunks {
    pieces: Option<Pieces>,
    chunking: Chunking,
    ready: VecDeque<Bytes>,
}

impl Chunks {
    fn push(&mut self, data: &[u8]) {
        self.ready.push_back([b"data: ", data, b"\n\n"].concat().into());
    }

    fn push_json(&mut self, json: &Value) {
        self.push(&json_bytes(json, false));
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
            match std::task::ready!(Pin::new(pieces).poll_next(cx)) {
                Some(Ok(piece)) => {
                    if let Some(chunk) = this.chunking.piece(&piece) {
                        this.push_json(&chunk);
                    }
                }
                // What Google sends here is UNCONFIRMED; clients raise at an `error` in a chunk.
                Some(Err(fault)) => {
                    this.pieces = None;
                    this.push_json(&json!({"error": fault.error}));
                }
                None => {
                    this.pieces = None;
                    if let Some(chunk) = this.chunking.end() {
                        this.push_json(&chunk);
                    }
                    this.push(b"[DONE]");
                }
            }
        }
    }
}
