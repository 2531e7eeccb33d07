//! What a relayed Gemini call may use before it is sent, and what it did use, read while the answer passes by.
//!
//! ```
//! use keylodge_services::relay::usage::{Kind, UsageReader, worst_case};
//!
//! let body = br#"{"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 64}}"#;
//! let before = worst_case(body).unwrap();
//! assert_eq!(before.output_cap, Some(64));
//!
//! let mut reader = UsageReader::new(Kind::Sse);
//! reader.push(b"data: {\"candidates\": [], \"usageMetadata\": {\"promptTokenCount\": 4, \"candi");
//! reader.push(b"datesTokenCount\": 2, \"totalTokenCount\": 6}}\r\n\r\n");
//! let after = reader.tokens().unwrap();
//! assert_eq!((after.input, after.output), (4, 2));
//! assert!(after.input <= before.input_tokens_max.unwrap());
//! ```
//!
//! Nothing here collects a body or changes a byte of it, except [`clamp_output`], which changes one number, and
//! [`rename_model`], which changes one name. Requests of the Interactions API have names and forms of their own:
//! [`InteractionRequest`].

mod clamp;
mod interaction;
mod json;
mod names;
mod reader;
mod rename;
mod weight;
mod worst_case;

pub use clamp::{clamp_interaction, clamp_output};
pub use interaction::{InteractionRequest, Previous, worst_case_of_interaction};
pub use json::Unreadable;
pub use reader::{Kind, USAGE_BYTES_MAX, UsageReader};
pub use rename::{Misnamed, rename_model};
pub use worst_case::{IMAGE_TOKENS_MAX, WorstCase, worst_case};

use keylodge_rules::quota;
use serde_json::{Map, Value};

/// What a call used, as the model's server counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens the model read: the prompt, with what is cached, and what its tools brought in.
    pub input: u64,
    /// Tokens of the answer, without thoughts.
    pub output: u64,
    /// Those of `input` that came from a cache.
    pub cached: u64,
    /// Tokens the model thought; billed as output.
    pub thoughts: u64,
    /// All together as the server says it, or the sum of input, output and thoughts if it does not.
    pub total: u64,
}

impl Tokens {
    /// What is paid for: thoughts are output, and so is what the total has beyond all that is named.
    #[must_use]
    pub fn paid(&self) -> quota::Tokens {
        let Self { input, output, cached, thoughts, total } = *self;
        let output = output.saturating_add(thoughts).max(total.saturating_sub(input));
        quota::Tokens { input, cached_input: cached, output }
    }

    /// Reads a `usageMetadata`. Counts that are absent are 0; numbers may come as strings.
    #[must_use]
    pub fn of_metadata(usage: &Map<String, Value>) -> Self {
        let count = |name: &str| usage.get(name).and_then(whole).unwrap_or(0);
        let input = count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount"));
        // The Live API's name for the answer is the second.
        let output = count("candidatesTokenCount").max(count("responseTokenCount"));
        let thoughts = count("thoughtsTokenCount");
        let sum = input.saturating_add(output).saturating_add(thoughts);
        let total = usage.get("totalTokenCount").and_then(whole).unwrap_or(sum);
        Self { input, output, cached: count("cachedContentTokenCount"), thoughts, total }
    }

    /// Reads the `usage` of an interaction, as [`Tokens::of_metadata`].
    #[must_use]
    pub fn of_interaction(usage: &Map<String, Value>) -> Self {
        let count = |name: &str| usage.get(name).and_then(whole).unwrap_or(0);
        let input = count("total_input_tokens").saturating_add(count("total_tool_use_tokens"));
        let (output, thoughts) = (count("total_output_tokens"), count("total_thought_tokens"));
        let sum = input.saturating_add(output).saturating_add(thoughts);
        let total = usage.get("total_tokens").and_then(whole).unwrap_or(sum);
        Self { input, output, cached: count("total_cached_tokens"), thoughts, total }
    }
}

/// A count in any of the forms that proto JSON gives to numbers.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(of_float)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn of_float(number: f64) -> Option<u64> {
    (0.0..9e15).contains(&number).then_some(number as u64)
}
