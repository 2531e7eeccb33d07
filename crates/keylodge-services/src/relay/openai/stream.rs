//! A streamed chat completion as chunks of a Gemini answer, from bytes cut anywhere.

use std::collections::BTreeMap;

use keylodge_api::Status;
use serde_json::Value;

use super::answer::{Answering, End, ToolCalls, add_log_probabilities, candidate, text, usage};
use super::error;
use crate::relay::usage::Tokens;

/// The longest line that is read. A chunk has a few hundred bytes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The most that the tool calls of an answer may take while they are put together.
pub const TOOL_CALLS_BYTES_MAX: usize = 1024 * 1024;

/// What a tool call or a choice takes besides its text.
const ENTRY_BYTES: usize = 128;

/// Reads one streamed answer.
///
/// Text goes on with the line that brings it. What ends the answer (`finishReason`, tool calls put together, token
/// counts) comes in one last chunk, because servers say the counts after the end. After an error nothing more comes.
///
/// Each `data:` line is read by itself, as every such server writes them. It holds [`LINE_BYTES_MAX`] and
/// [`TOOL_CALLS_BYTES_MAX`] at most.
#[derive(Clone, Debug)]
pub struct ChatStream {
    answering: Answering,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    choices: BTreeMap<u64, Choice>,
    bytes_kept: usize,
    usage: Option<Value>,
    model: Option<String>,
    id: Option<String>,
    /// Bytes of what the model said, whether it goes on or not.
    bytes_said: u64,
    is_refused: bool,
    is_over: bool,
}

#[derive(Clone, Debug, Default)]
struct Choice {
    calls: ToolCalls,
    finish_reason: Option<String>,
}

/// A chunk of the answer (a `GenerateContentResponse`), or the error that it ends with.
type Chunk = Result<Value, Status>;

impl ChatStream {
    pub(super) fn new(answering: Answering) -> Self {
        Self {
            answering,
            line: Vec::new(),
            choices: BTreeMap::new(),
            bytes_kept: 0,
            usage: None,
            model: None,
            id: None,
            bytes_said: 0,
            is_refused: false,
            is_over: false,
        }
    }

    /// Takes the next bytes and gives the chunks that they complete. An error is the last of them.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<Value, Status>> {
        let mut chunks = Vec::new();
        let mut rest = bytes;
        while !self.is_over && !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after.get(1..).unwrap_or_default();
            if self.line.len() + piece.len() > LINE_BYTES_MAX {
                chunks.push(self.fail(error::not_understood()));
            } else if end.is_none() {
                self.line.extend_from_slice(piece);
            } else if self.line.is_empty() {
                chunks.extend(self.read_line(piece));
            } else {
                self.line.extend_from_slice(piece);
                let mut line = std::mem::take(&mut self.line);
                chunks.extend(self.read_line(&line));
                // Its memory serves the next one.
                line.clear();
                self.line = line;
            }
        }
        chunks
    }

    /// The upstream closed the connection. That is an end like any other if the answer had said why it ends, even
    /// without `[DONE]`; else it is an error.
    pub fn finish(&mut self) -> Vec<Result<Value, Status>> {
        let mut chunks = Vec::new();
        if self.is_over {
            return chunks;
        }
        let line = std::mem::take(&mut self.line);
        chunks.extend(self.read_line(&line));
        if !self.is_over {
            let has_ended = self.choices.values().all(|choice| choice.finish_reason.is_some());
            chunks.push(if has_ended { self.end() } else { self.fail(error::broke_off()) });
        }
        chunks
    }

    /// Ends the answer here, as if it had reached its cap.
    pub fn cut(&mut self) -> Option<Result<Value, Status>> {
        if self.is_over {
            return None;
        }
        for choice in self.choices.values_mut() {
            choice.finish_reason = Some("length".to_owned());
        }
        Some(self.end())
    }

    /// Ends the answer with this error.
    pub fn stop(&mut self, status: Status) -> Result<Value, Status> {
        self.fail(status)
    }

    /// Whether nothing more will come, so that there is no need to read on.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The token counts, once the upstream has said them.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        self.usage.as_ref().and_then(Value::as_object).map(Tokens::of_metadata)
    }

    /// An upper estimate of the tokens that were answered so far, for when an answer breaks off before it says its counts:
    /// one for each byte that the model said, thoughts and calls of functions included.
    #[must_use]
    pub fn output_tokens_seen_max(&self) -> u64 {
        self.bytes_said
    }

    /// Whether the upstream answered with an error before the model said anything.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    fn read_line(&mut self, line: &[u8]) -> Option<Chunk> {
        let line = line.trim_ascii_end();
        if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.trim_ascii_start();
            return if data == b"[DONE]" { Some(self.end()) } else { self.read_data(data) };
        }
        // Older llama.cpp has errors in a field of their own, and others send them bare.
        let said = line.strip_prefix(b"error:").or_else(|| line.starts_with(b"{").then_some(line))?;
        let error = serde_json::from_slice::<Value>(said).unwrap_or_default();
        Some(self.refuse(error.get("error").unwrap_or(&error)))
    }

    fn read_data(&mut self, data: &[u8]) -> Option<Chunk> {
        if data.is_empty() {
            return None;
        }
        let Ok(chunk) = serde_json::from_slice::<Value>(data) else {
            return Some(self.fail(error::not_understood()));
        };
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Some(self.refuse(error));
        }
        if let Some(counts) = chunk.get("usage").and_then(usage) {
            self.usage = Some(counts);
        }
        for (kept, name) in [(&mut self.model, "model"), (&mut self.id, "id")] {
            if kept.is_none() {
                *kept = text(&chunk, name).map(str::to_owned);
            }
        }
        let mut candidates = Vec::new();
        for (at, choice) in chunk.get("choices").and_then(Value::as_array).into_iter().flatten().enumerate() {
            candidates.extend(self.read_choice(choice, at));
        }
        if self.bytes_kept > TOOL_CALLS_BYTES_MAX {
            return Some(self.fail(error::not_understood()));
        }
        (!candidates.is_empty()).then(|| Ok(self.response(candidates)))
    }

    /// Keeps what a choice says about its end, and gives what can go on at once.
    fn read_choice(&mut self, choice: &Value, at: usize) -> Option<Value> {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(at as u64);
        let delta = &choice["delta"];
        self.bytes_said += bytes_said(delta);
        let kept = self.choices.entry(index).or_insert_with(|| {
            self.bytes_kept += ENTRY_BYTES;
            Choice::default()
        });
        for piece in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.bytes_kept += ENTRY_BYTES + bytes_of(piece);
            if self.bytes_kept > TOOL_CALLS_BYTES_MAX {
                return None;
            }
            kept.calls.grow(piece);
        }
        if let Some(reason) = text(choice, "finish_reason") {
            kept.finish_reason = Some(reason.chars().take(ENTRY_BYTES / 4).collect());
        }
        let parts = self.answering.parts(delta);
        if parts.is_empty() {
            return None;
        }
        let mut candidate = candidate(parts, index);
        add_log_probabilities(&mut candidate, choice);
        Some(Value::Object(candidate))
    }

    /// The last chunk.
    fn end(&mut self) -> Chunk {
        if self.choices.is_empty() {
            return self.fail(error::broke_off());
        }
        let mut candidates = Vec::new();
        for (index, choice) in std::mem::take(&mut self.choices) {
            let end = End::of(choice.finish_reason.as_deref(), &choice.calls);
            let mut candidate = candidate(end.calls, index);
            candidate.insert("finishReason".to_owned(), end.reason.into());
            if let Some(message) = end.message {
                candidate.insert("finishMessage".to_owned(), message.into());
            }
            candidates.push(Value::Object(candidate));
        }
        self.is_over = true;
        Ok(self.response(candidates))
    }

    fn response(&self, candidates: Vec<Value>) -> Value {
        self.answering.response(candidates, self.usage.clone(), self.model.as_deref(), self.id.as_deref())
    }

    /// Ends the answer with an error of the upstream's own.
    fn refuse(&mut self, error: &Value) -> Chunk {
        self.is_refused = self.bytes_said == 0;
        self.fail(error::in_answer(error))
    }

    fn fail(&mut self, status: Status) -> Chunk {
        self.is_over = true;
        self.line = Vec::new();
        self.choices.clear();
        Err(status)
    }
}

/// How many bytes of a piece are the model's: all its texts but the words that every piece has.
fn bytes_said(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(values) => values.iter().map(bytes_said).sum(),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "role" | "type" | "id"));
            said.map(|(_, value)| bytes_said(value)).sum()
        }
        _ => 0,
    }
}

/// What a piece of a tool call adds to the call.
fn bytes_of(piece: &Value) -> usize {
    let function = &piece["function"];
    let texts = [&piece["id"], &function["name"], &function["arguments"]];
    texts.iter().map(|text| text.as_str().map_or_else(|| text.to_string().len(), str::len)).sum()
}
