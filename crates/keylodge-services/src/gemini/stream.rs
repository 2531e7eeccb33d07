//! A running generation as the bytes of a streamed answer.
//!
//! Server-sent events must be bare: only `data: ` lines and blank lines, no comment, no sentinel; each of those makes
//! Python's client raise. Dropping the stream drops the generation, which frees its slot.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_core::Stream;
use keylodge_api::gemini::{
    AnswerContent, AnswerPart, Candidate, FinishReason, GenerateContentResponse, UsageMetadata,
};
use keylodge_api::status::{JSON, json_bytes};
use keylodge_model::{Event, Finish, Generation};
use tokio::time::{Instant, Sleep};

use super::functions::{Answered, Functions};
use crate::bill::{BROKEN, Bill};
use crate::query::Query;
use crate::wire::{self, EVENTS};
use crate::{Lodge, ModelEntry, failure};

/// Makes the chunks of one answer. When it is dropped, the tokens that were really used are counted.
pub(super) struct Answering {
    model: String,
    response_id: String,
    prompt_tokens: u64,
    output_tokens: u64,
    bill: Option<Box<Bill>>,
}

impl Answering {
    pub(super) fn new(lodge: &Lodge, entry: &ModelEntry, bill: Option<Box<Bill>>) -> Self {
        Self {
            bill,
            model: entry.name.clone(),
            response_id: URL_SAFE_NO_PAD.encode(lodge.random::<16>()),
            prompt_tokens: 0,
            output_tokens: 0,
        }
    }

    /// The prompt was read.
    pub(super) fn begin(&mut self, prompt_tokens: u64) {
        self.prompt_tokens = prompt_tokens;
    }

    /// So many tokens were made, whether they are told or not.
    pub(super) fn wrote(&mut self, output_tokens: u64) {
        self.output_tokens = output_tokens;
    }

    /// How the answer ended.
    pub(super) fn ended(&mut self, outcome: &'static str) {
        if let Some(bill) = &mut self.bill {
            bill.outcome = outcome;
        }
    }

    /// The parts of the end of an answer, from what was not told of it yet, and why it ended.
    pub(super) fn last_parts(
        &self,
        functions: Option<&Functions>,
        text: String,
        finish: Finish,
    ) -> (Vec<AnswerPart>, FinishReason) {
        let reason = match finish {
            Finish::Stop => FinishReason::Stop,
            Finish::MaxTokens => FinishReason::MaxTokens,
        };
        let answered = match functions {
            Some(functions) => functions.answered(text, &format!("call_{}", self.response_id)),
            None => Answered::Part(AnswerPart::Text { text }),
        };
        match answered {
            Answered::Part(part) => (vec![part], reason),
            // Cut off, it could not be a call yet.
            Answered::Malformed if finish == Finish::MaxTokens => (Vec::new(), reason),
            Answered::Malformed => (Vec::new(), FinishReason::MalformedFunctionCall),
        }
    }

    /// A chunk with new parts; the last one says why it is the last.
    pub(super) fn chunk(
        &mut self,
        parts: Vec<AnswerPart>,
        finish_reason: Option<FinishReason>,
        output_tokens: u64,
    ) -> GenerateContentResponse {
        self.output_tokens = output_tokens;
        if finish_reason.is_some() {
            self.ended("ok");
        }
        let content = AnswerContent { parts, role: "model" };
        GenerateContentResponse {
            candidates: vec![Candidate { content, finish_reason, index: 0 }],
            usage_metadata: UsageMetadata::text(self.prompt_tokens, output_tokens),
            model_version: self.model.clone(),
            response_id: self.response_id.clone(),
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(bill) = &mut self.bill {
            bill.tokens.input = self.prompt_tokens;
            bill.tokens.output = self.output_tokens;
        }
    }
}

/// How chunks are put one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `data: {…}` and a blank line for each chunk.
    Sse,
    /// `[{…}`, then `,\r\n{…}` for each chunk, then `]`.
    Array,
}

impl Framing {
    /// How a call wants its chunks.
    pub(super) fn of(query: &Query) -> Self {
        if query.get("alt") == Some("sse") { Self::Sse } else { Self::Array }
    }

    /// A streamed answer with this body.
    pub(super) fn response(self, body: Body) -> Response {
        let content_type = match self {
            Self::Sse => EVENTS,
            Self::Array => JSON,
        };
        wire::streamed(body, content_type)
    }

    pub(super) fn chunk(self, json: &[u8], first: bool) -> Vec<u8> {
        let (before, after): (&[u8], &[u8]) = match (self, first) {
            (Self::Sse, _) => (b"data: ", b"\r\n\r\n"),
            (Self::Array, true) => (b"[", b""),
            (Self::Array, false) => (b",\r\n", b""),
        };
        [before, json, after].concat()
    }

    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::Sse => b"",
            Self::Array => b"]",
        }
    }
}

/// The body of a streamed answer.
pub(super) struct Chunks {
    generation: Option<Generation>,
    answering: Answering,
    functions: Option<Functions>,
    /// The path of the schema that the answer is held to.
    schema: String,
    /// What is not told yet: it may become a call.
    held: String,
    framing: Framing,
    deadline: Pin<Box<Sleep>>,
    first: bool,
}

impl Chunks {
    pub(super) fn new(
        generation: Generation,
        answering: Answering,
        functions: Option<Functions>,
        schema: String,
        framing: Framing,
        deadline: Instant,
    ) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(deadline));
        let (generation, held) = (Some(generation), String::new());
        Self { generation, answering, functions, schema, held, framing, deadline, first: true }
    }

    /// What of the text can be told now: nothing as long as it may become a call.
    fn release(&mut self, text: String) -> Option<String> {
        let Some(functions) = &self.functions else { return Some(text) };
        self.held.push_str(&text);
        if functions.is_open(&self.held) {
            return None;
        }
        self.functions = None;
        Some(std::mem::take(&mut self.held))
    }

    /// Frames a chunk; the last one takes the end of the stream along.
    fn frame(&mut self, json: &[u8], last: bool) -> Bytes {
        let mut bytes = self.framing.chunk(json, self.first);
        self.first = false;
        if last {
            self.generation = None;
            bytes.extend_from_slice(self.framing.end());
        }
        bytes.into()
    }

    fn break_off(&mut self, status: &keylodge_api::Status) -> Bytes {
        self.answering.ended(BROKEN);
        self.frame(&status.stream_chunk(), true)
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunks = &mut *self;
        if chunks.generation.is_none() {
            return Poll::Ready(None);
        }
        if chunks.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Ok(chunks.break_off(&failure::too_slow()))));
        }
        loop {
            let Some(generation) = &mut chunks.generation else { return Poll::Ready(None) };
            let bytes = match std::task::ready!(generation.poll_next(cx)) {
                Some(Ok(Event::Piece { text, output_tokens })) => {
                    let Some(text) = chunks.release(text) else {
                        chunks.answering.wrote(output_tokens);
                        continue;
                    };
                    let chunk = chunks.answering.chunk(vec![AnswerPart::Text { text }], None, output_tokens);
                    chunks.frame(&json_bytes(&chunk, chunks.framing == Framing::Array), false)
                }
                Some(Ok(Event::Finished { reason, output_tokens })) => {
                    // An empty text rather than no part: callers print the text of every chunk.
                    let held = std::mem::take(&mut chunks.held);
                    let (parts, reason) = chunks.answering.last_parts(chunks.functions.as_ref(), held, reason);
                    let chunk = chunks.answering.chunk(parts, Some(reason), output_tokens);
                    chunks.frame(&json_bytes(&chunk, chunks.framing == Framing::Array), true)
                }
                Some(Err(error)) => chunks.break_off(&failure::model(&error, &chunks.schema)),
                None => chunks.break_off(&failure::model(&keylodge_model::ModelError::Lost, "")),
            };
            return Poll::Ready(Some(Ok(bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_bare_and_end_with_a_blank_line() {
        let framed = [Framing::Sse.chunk(b"{}", true), Framing::Sse.chunk(b"{}", false)].concat();

        assert_eq!(framed, b"data: {}\r\n\r\ndata: {}\r\n\r\n");
    }

    #[test]
    fn an_array_of_any_length_is_json() {
        for count in 1..4 {
            let mut framed: Vec<u8> = (0..count).flat_map(|at| Framing::Array.chunk(b"{}", at == 0)).collect();
            framed.extend_from_slice(Framing::Array.end());
            let read: Vec<serde_json::Value> = serde_json::from_slice(&framed).unwrap();
            assert_eq!(read.len(), count);
        }
    }
}
