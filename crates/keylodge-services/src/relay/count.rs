//! What an upstream's answer took, read while it passes, for the bill of the call.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use keylodge_rules::quota::Tokens;
use serde_json::json;

use super::usage::{Kind, UsageReader};
use crate::bill::{BROKEN, Bill, outcome};
use crate::budget::Worst;

/// The bill of a call whose answer is on its way. Dropped half-way it counts what has passed until then.
pub(super) struct Counting {
    /// Until it was ended.
    bill: Option<Box<Bill>>,
    /// How the call ended if the body comes to its end.
    outcome: &'static str,
    /// In a box, as most calls have none.
    reading: Option<Box<Reading>>,
}

/// Reads the counts of an answer of the Gemini API.
struct Reading {
    reader: UsageReader,
    kind: Kind,
    reserved: Option<Worst>,
}

/// What is counted of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counts {
    /// That there was one.
    Calls,
    /// The tokens that an answer of the Gemini API tells of, too. Those of an answer that breaks off before it told are
    /// what its bytes can be at most, and no more than was reserved.
    Tokens {
        /// What was reserved, if something was.
        reserved: Option<Worst>,
    },
}

impl Counting {
    pub(super) fn new(bill: Box<Bill>, counts: Counts, status: StatusCode, headers: &HeaderMap) -> Self {
        let reading = match counts {
            Counts::Tokens { reserved } if status.is_success() => Some(Box::new(Reading::new(headers, reserved))),
            Counts::Tokens { .. } | Counts::Calls => None,
        };
        Self { bill: Some(bill), outcome: outcome(status), reading }
    }

    /// Reads the next piece. Where a stream has gone on for longer than was reserved, gives its last chunk: after it,
    /// nothing more may be passed on.
    pub(super) fn read(&mut self, bytes: &Bytes) -> Option<Bytes> {
        let reading = self.reading.as_mut()?;
        reading.reader.push(bytes);
        reading.last(bytes)
    }

    /// The body came to its end.
    pub(super) fn done(mut self) {
        self.end(Some(self.outcome));
    }

    /// The body broke off.
    pub(super) fn broken(mut self) {
        self.end(Some(BROKEN));
    }

    fn end(&mut self, outcome: Option<&'static str>) {
        let Some(mut bill) = self.bill.take() else { return };
        if let Some(outcome) = outcome {
            bill.outcome = outcome;
        }
        if let Some(reading) = &self.reading {
            bill.tokens = reading.tokens();
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl Reading {
    fn new(headers: &HeaderMap, reserved: Option<Worst>) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_events = content_type.is_some_and(|text| text.starts_with("text/event-stream"));
        let kind = if is_events { Kind::Sse } else { Kind::Json };
        Self { reader: UsageReader::new(kind), kind, reserved }
    }

    fn tokens(&self) -> Tokens {
        match (self.reader.tokens(), self.reserved) {
            (Some(tokens), _) => tokens.paid(),
            (None, None) => Tokens::default(),
            (None, Some(reserved)) => {
                let output = self.reader.output_tokens_seen_max().min(reserved.output.saturating_mul(reserved.answers));
                Tokens { input: reserved.input, cached_input: 0, output }
            }
        }
    }

    /// A server that keeps to `maxOutputTokens` never comes here: more than was reserved cannot be answered then.
    fn last(&self, bytes: &Bytes) -> Option<Bytes> {
        let reserved = self.reserved?;
        let tokens = self.reader.tokens()?;
        let is_over = tokens.paid().output > reserved.output.saturating_mul(reserved.answers);
        if !is_over || !self.reader.is_between_chunks(bytes) {
            return None;
        }
        let candidates: Vec<_> = (0..reserved.answers)
            .map(|index| json!({"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": index}))
            .collect();
        let usage = json!({
            "promptTokenCount": tokens.input,
            "candidatesTokenCount": tokens.output,
            "thoughtsTokenCount": tokens.thoughts,
            "totalTokenCount": tokens.total,
        });
        let chunk = json!({"candidates": candidates, "usageMetadata": usage});
        let text = match self.kind {
            Kind::Sse => format!("\r\ndata: {chunk}\r\n\r\n"),
            Kind::Json => format!(",\r\n{chunk}]"),
        };
        Some(text.into())
    }
}
