//! What an upstream's answer took, read while it passes, for the bill of the call.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use keylodge_rules::quota::Tokens;
use serde_json::json;

use super::usage::{Kind, UsageReader};
use crate::bill::{BROKEN, Bill, outcome};
use crate::budget::Reserved;

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
    reserved: Option<Reserved>,
    /// Whether its bytes are what they say: no encoding lies over them.
    is_plain: bool,
    /// None where nothing can be added to an answer: one of the Interactions API tells its counts with its last event.
    ending: Option<Ending>,
}

/// What is counted of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counts {
    /// That there was one.
    Calls,
    /// The tokens that an answer of the Gemini API tells of, too. One that ends without a word of them is charged all that
    /// was reserved, if something was. Of one that breaks off before, it is what its bytes can be at most, and no more.
    Tokens(Option<Reserved>),
    /// The same for an answer of the Interactions API.
    OfInteraction(Option<Reserved>),
}

impl Counts {
    /// What was reserved for the tokens that are counted, if something was.
    pub(super) const fn reserved(&self) -> Option<Reserved> {
        match self {
            Self::Calls => None,
            Self::Tokens(reserved) | Self::OfInteraction(reserved) => *reserved,
        }
    }
}

impl Counting {
    pub(super) fn new(bill: Box<Bill>, counts: Counts, status: StatusCode, headers: &HeaderMap) -> Self {
        let reader: fn(Kind) -> UsageReader = match counts {
            Counts::OfInteraction(_) => UsageReader::of_interaction,
            Counts::Tokens(_) | Counts::Calls => UsageReader::new,
        };
        let is_read = status.is_success() && !matches!(counts, Counts::Calls);
        let reading = is_read.then(|| Box::new(Reading::new(headers, reader, &counts)));
        Self { bill: Some(bill), outcome: outcome(status), reading }
    }

    /// Reads the next piece. Where a stream has gone on for longer than was reserved, gives its last chunk: after it,
    /// nothing more may be passed on.
    pub(super) fn read(&mut self, bytes: &Bytes) -> Option<Bytes> {
        self.reading.as_mut()?.read(bytes)
    }

    /// The body came to its end.
    pub(super) fn done(mut self) {
        self.end(Some(self.outcome), Reading::complete);
    }

    /// The body broke off.
    pub(super) fn broken(mut self) {
        self.end(Some(BROKEN), Reading::broken_off);
    }

    fn end(&mut self, outcome: Option<&'static str>, tokens: fn(&Reading) -> Tokens) {
        let Some(mut bill) = self.bill.take() else { return };
        if let Some(outcome) = outcome {
            bill.outcome = outcome;
        }
        if let Some(reading) = &self.reading {
            bill.tokens = tokens(reading);
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.end(None, Reading::broken_off);
    }
}

impl Reading {
    fn new(headers: &HeaderMap, reader: fn(Kind) -> UsageReader, counts: &Counts) -> Self {
        let ending = matches!(counts, Counts::Tokens(_)).then(Ending::default);
        let (kind, is_plain) = (framing(headers), is_plain(headers));
        Self { reader: reader(kind), kind, reserved: counts.reserved(), is_plain, ending }
    }

    fn read(&mut self, bytes: &[u8]) -> Option<Bytes> {
        if !self.is_plain {
            return None;
        }
        self.reader.push(bytes);
        let reserved = self.reserved.filter(|reserved| reserved.streams && reserved.is_bound)?;
        self.ending.as_mut()?.read(bytes);
        self.last(reserved, bytes)
    }

    /// What an answer took that came to its end.
    fn complete(&self) -> Tokens {
        let reserved = || self.reserved.map(|reserved| reserved.whole()).unwrap_or_default();
        self.reader.tokens().map_or_else(reserved, |tokens| tokens.paid())
    }

    /// What an answer took that did not.
    fn broken_off(&self) -> Tokens {
        match (self.reader.tokens(), self.reserved) {
            (None, Some(reserved)) if self.is_plain => reserved.broken_off(self.reader.output_tokens_seen_max()),
            _ => self.complete(),
        }
    }

    /// A server that keeps to `maxOutputTokens` never comes here: more than was reserved cannot be answered then. One that
    /// has said why it ends needs nobody to end it.
    fn last(&self, reserved: Reserved, bytes: &[u8]) -> Option<Bytes> {
        let tokens = self.reader.tokens()?;
        let is_over = tokens.paid().output > reserved.output();
        if !is_over || self.ending.as_ref().is_none_or(|ending| ending.is_said) || !self.reader.is_between_chunks(bytes)
        {
            return None;
        }
        let candidates: Vec<_> = (0..reserved.worst.answers)
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

/// How an answer is framed, as its head says.
pub(crate) fn framing(headers: &HeaderMap) -> Kind {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_events = text.is_some_and(|text| text.starts_with("text/event-stream"));
    if is_events { Kind::Sse } else { Kind::Json }
}

/// Whether the bytes of an answer are what they say: no encoding lies over them.
pub(crate) fn is_plain(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity")
}

/// Notices that an answer says why it ends. The name in its quotes stands in no text: there, quotes are escaped.
#[derive(Default)]
struct Ending {
    is_said: bool,
    /// The end of what was read, where the name may have begun.
    tail: Vec<u8>,
}

impl Ending {
    const NAME: &[u8] = b"\"finishReason\"";

    fn read(&mut self, bytes: &[u8]) {
        let overlap = Self::NAME.len() - 1;
        self.tail.extend_from_slice(&bytes[..bytes.len().min(overlap)]);
        self.is_said |= [&self.tail, bytes].iter().any(|text| memchr::memmem::find(text, Self::NAME).is_some());
        if bytes.len() >= overlap {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - overlap..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(overlap));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_an_answer_ends_is_noticed_however_it_is_cut_and_not_in_a_text() {
        let is_said = |pieces: &[&str]| {
            let mut ending = Ending::default();
            pieces.iter().for_each(|piece| ending.read(piece.as_bytes()));
            ending.is_said
        };
        let text = r#"{"candidates": [{"finishReason": "STOP"}]}"#;

        for cut in 0..=text.len() {
            assert!(is_said(&[&text[..cut], &text[cut..]]), "{cut}");
        }
        assert!(is_said(&text.split("").collect::<Vec<_>>()));
        assert!(!is_said(&[r#"{"text": "\"finishReason\""}"#, r#"{"finish": 1}"#]));
    }
}
