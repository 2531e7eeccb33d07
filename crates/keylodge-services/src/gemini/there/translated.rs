//! Calls that are translated for a server with OpenAI's interface, and its answers back: generations as chat completions.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use keylodge_api::Status;
use keylodge_api::status::{JSON, json_bytes};
use keylodge_rules::quota::Tokens;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::super::identify::Verb;
use super::super::stream::Framing;
use super::super::{Failure, with_clamp, with_upstream};
use super::{Call, embedded};
use crate::bill::{BROKEN, Bill, outcome};
use crate::budget::Reserved;
use crate::relay::openai::{self, ChatStream, Refused, to_chat};
use crate::relay::usage::Tokens as Said;
use crate::relay::{Answer, Counts, Outgoing, Underway, UpstreamError};
use crate::{failure, wire};

/// The largest answer that is translated in one piece, in bytes: images inside an answer are not among what these servers
/// can be asked for.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How many frames are read after the end of what they say: the last one of a chunked body is empty.
const FRAMES_LEFT_MAX: usize = 4;

/// How much of an error is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn answer(call: &mut Call<'_>, body: Body) -> Result<Response, Failure> {
    let framing = match call.verb {
        Verb::GenerateContent => None,
        Verb::StreamGenerateContent => Some(Framing::of(call.query)),
        Verb::EmbedContent | Verb::BatchEmbedContents => return embedded::answer(call, body).await,
        // There is no word for it among what all such servers understand.
        Verb::CountTokens | Verb::NotServed { .. } => return Err(call.not_served().into()),
    };
    let upstream = Arc::clone(&call.elsewhere.upstream);
    let settings = &upstream.settings;
    let asked = openai::Upstream {
        asked: call.model,
        model: call.elsewhere.model(call.model),
        takes_top_k: settings.takes_top_k,
        takes_effort: settings.takes_effort,
    };
    let how = if framing.is_some() { openai::Framing::Stream } else { openai::Framing::Whole };
    let bytes = Bytes::from(wire::bytes(call.lodge, body).await?);
    // Mistakes are told before anything is taken for them.
    to_chat(&bytes, asked, how)?;
    let affordable = call.reserve(bytes).await?;
    let (reserved, clamped) = (affordable.reserved, affordable.clamped);
    let chat = to_chat(&affordable.body, asked, how)?;

    let asked_there = match ask(call, "/chat/completions", chat.body, reserved).await {
        Ok(asked) => asked,
        Err(response) => return Ok(response),
    };
    let response = match framing {
        None => {
            wire::answer(&asked_there.whole(call.deadline, |bytes| chat.answering.whole(bytes)).await?, call.query)?
        }
        Some(framing) => {
            let deadline = Box::pin(sleep_until(call.deadline));
            let Asked { taking, body } = asked_there;
            let chat = chat.answering.stream();
            let chunks = Chunks { body: Some(body), chat, taking, pieces: 0, framing, deadline, first: true };
            framing.response(Body::from_stream(chunks))
        }
    };
    Ok(with_clamp(with_upstream(response, &upstream), clamped))
}

/// An answer of an upstream that said yes, before it was read.
pub(super) struct Asked {
    pub(super) taking: Taking,
    pub(super) body: Answer,
}

/// Asks the upstream. Where it says no or nothing, gives the answer that the caller gets.
pub(super) async fn ask(
    call: &mut Call<'_>,
    path: &str,
    body: Bytes,
    reserved: Option<Reserved>,
) -> Result<Asked, Response> {
    let upstream = Arc::clone(&call.elsewhere.upstream);
    let mut request = Request::new(Outgoing::Whole(Some(body)));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    let bill = call.bill.take().map(|bill| (bill, Counts::Tokens(reserved)));
    let mut slot = Some(request);
    let mut underway = Underway::new(&mut slot, bill, &upstream);
    let pair = Arc::default();
    let asking = upstream.ask(&mut underway, path, &pair);
    let answered = timeout_at(call.deadline, asking).await.unwrap_or(Err(UpstreamError::TooSlow));
    let response = match answered {
        Ok(response) => response,
        Err(error) => {
            underway.unanswered(&error);
            return Err(failure::of_upstream(&upstream.name, &error, call.envelope));
        }
    };
    let bill = underway.answered().map(|(bill, _)| bill);
    if !response.status().is_success() {
        return Err(refused(call, bill, response).await);
    }
    let (_, body) = response.into_parts();
    Ok(Asked { taking: Taking { bill, reserved, took: Took::Seen(0) }, body })
}

impl Asked {
    /// Reads an answer that comes in one piece.
    ///
    /// # Errors
    /// It is too long or too late, or `read` does not know what it says.
    pub(super) async fn whole(
        self,
        deadline: Instant,
        read: impl FnOnce(&[u8]) -> Result<Value, Status>,
    ) -> Result<Value, Status> {
        let Self { mut taking, body } = self;
        let whole = async {
            let bytes =
                Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|_| openai::broke_off())?.to_bytes();
            if openai::is_error(&bytes) {
                taking.took = Took::Nothing;
            }
            read(&bytes)
        };
        let whole = timeout_at(deadline, whole).await.unwrap_or_else(|_| Err(failure::too_slow()));
        let whole = whole.inspect_err(|_| taking.ended(BROKEN))?;
        if let Some(usage) = whole.get("usageMetadata").and_then(Value::as_object) {
            taking.took = Took::Said(Said::of_metadata(usage));
        }
        taking.ended("ok");
        Ok(whole)
    }
}

/// The answer where the upstream said no. What it said that is not for callers is in the log.
async fn refused(call: &Call<'_>, bill: Option<Box<Bill>>, response: http::Response<Answer>) -> Response {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ERROR_BYTES_MAX).collect();
    let body = timeout_at(call.deadline, body).await.ok().and_then(Result::ok).map(|body| body.to_bytes());
    let Refused { status, retry_after, said } =
        openai::refused(head.status.as_u16(), &head.headers, &body.unwrap_or_default());
    tracing::warn!(
        upstream = &*call.elsewhere.upstream.name,
        http.status = head.status.as_u16(),
        said,
        "an upstream refused a call"
    );
    if let Some(mut bill) = bill {
        bill.outcome = outcome(head.status);
    }
    let mut response = status.response(call.envelope);
    if let Some(retry_after) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, retry_after);
    }
    response
}

/// What a call takes, until it is over.
pub(super) struct Taking {
    bill: Option<Box<Bill>>,
    reserved: Option<Reserved>,
    took: Took,
}

/// What is known of what a call took.
#[derive(Clone, Copy)]
enum Took {
    /// No more output than this has come so far. An answer in one piece that tells nothing is charged all that was reserved.
    Seen(u64),
    /// What the upstream counted.
    Said(Said),
    /// The upstream did nothing.
    Nothing,
}

impl Taking {
    fn ended(&mut self, outcome: &'static str) {
        if let Some(bill) = &mut self.bill {
            bill.outcome = outcome;
        }
    }

    /// Whether a stream of so many pieces, each of them a token at least, goes on for longer than a limit lets it.
    fn is_overdrawn(&self, pieces: u64) -> bool {
        self.reserved.is_some_and(|reserved| reserved.is_bound && pieces > reserved.output())
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let tokens = match (self.took, self.reserved) {
            (Took::Said(said), _) => said.paid(),
            (Took::Seen(seen), Some(reserved)) => reserved.broken_off(seen),
            (Took::Seen(_), None) | (Took::Nothing, _) => Tokens::default(),
        };
        if let Some(bill) = &mut self.bill {
            bill.tokens = tokens;
        }
    }
}

/// The body of a streamed answer.
struct Chunks {
    body: Option<Answer>,
    chat: ChatStream,
    taking: Taking,
    pieces: u64,
    framing: Framing,
    deadline: Pin<Box<Sleep>>,
    first: bool,
}

impl Chunks {
    /// Frames chunks, and the end where nothing follows.
    fn frame(&mut self, chunks: Vec<Result<Value, Status>>) -> Bytes {
        let mut bytes = Vec::new();
        let mut outcome = "ok";
        for chunk in chunks {
            let json = match chunk {
                Ok(chunk) => json_bytes(&chunk, self.framing == Framing::Array),
                Err(status) => {
                    outcome = BROKEN;
                    status.stream_chunk()
                }
            };
            bytes.extend_from_slice(&self.framing.chunk(&json, self.first));
            self.first = false;
        }
        if self.chat.is_over() {
            self.taking.ended(outcome);
            bytes.extend_from_slice(self.framing.end());
        }
        bytes.into()
    }

    /// What is known by now of what the call took.
    fn took(&self) -> Took {
        match self.chat.tokens() {
            Some(said) if self.chat.is_over() => Took::Said(said),
            _ if self.chat.is_refused() => Took::Nothing,
            _ => Took::Seen(self.chat.output_tokens_seen_max()),
        }
    }

    /// Reads the little that is left of a body, so that its connection serves the next call; if it is not here by now, the
    /// connection is closed.
    fn read_out(&mut self, cx: &mut Context<'_>) {
        let Some(mut body) = self.body.take() else { return };
        for _ in 0..FRAMES_LEFT_MAX {
            if !matches!(http_body::Body::poll_frame(Pin::new(&mut body), cx), Poll::Ready(Some(Ok(_)))) {
                return;
            }
        }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            let mut chunks = if this.deadline.as_mut().poll(cx).is_ready() {
                this.body = None;
                vec![this.chat.stop(failure::too_slow())]
            } else {
                let frame = std::task::ready!(http_body::Body::poll_frame(Pin::new(body), cx));
                if !matches!(frame, Some(Ok(_))) {
                    this.body = None;
                }
                match frame {
                    Some(Ok(frame)) => this.chat.push(&frame.into_data().unwrap_or_default()),
                    Some(Err(_)) => vec![this.chat.stop(openai::broke_off())],
                    None => this.chat.finish(),
                }
            };
            this.pieces += chunks.len() as u64;
            if !this.chat.is_over() && this.taking.is_overdrawn(this.pieces) {
                // The server goes on for longer than it was told to.
                this.body = None;
                chunks.extend(this.chat.cut());
            }
            this.taking.took = this.took();
            if this.chat.is_over() {
                this.read_out(cx);
            }
            if !chunks.is_empty() || this.chat.is_over() {
                return Poll::Ready(Some(Ok(this.frame(chunks))));
            }
        }
    }
}
