//! What a caller sees of an upstream's errors, and what whoever runs this Keylodge sees in the log.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};
use keylodge_api::{Code, Detail, Status};
use keylodge_rules::secret::{head, mask};
use serde_json::Value;

/// As much of an upstream's message is repeated.
pub const MESSAGE_BYTES_MAX: usize = 512;

/// How much of a body is looked at for a message.
const LOOKED_AT_BYTES_MAX: usize = 16 * 1024;

/// An upstream's error answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What the caller gets. It repeats the upstream's message only where the caller can do something about it.
    pub status: Status,
    /// `Retry-After` as the upstream said it, to be passed on.
    pub retry_after: Option<HeaderValue>,
    /// What the upstream said, for the log: masked and at most [`MESSAGE_BYTES_MAX`]. Empty where it is about our
    /// credential, which such messages repeat.
    pub said: String,
}

/// Reads an answer that is no success.
///
/// | upstream | caller |
/// |---|---|
/// | 400, 413, 422 | INVALID_ARGUMENT with the upstream's message |
/// | 404 | NOT_FOUND with the upstream's message: the model is not there |
/// | 429 | RESOURCE_EXHAUSTED, with the time to wait |
/// | 501 | UNIMPLEMENTED: to try again would be in vain |
/// | 401, 402, 403 | UNAVAILABLE: the credential that is wrong is ours, not the caller's |
/// | all else | UNAVAILABLE |
#[must_use]
pub fn refused(http: u16, headers: &HeaderMap, body: &[u8]) -> Refused {
    let said = match http {
        401..=403 => String::new(),
        _ => message(body),
    };
    let retry_after = headers.get(RETRY_AFTER).cloned();
    let seconds = retry_after.as_ref().and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Refused { status: status(http, &said, seconds.map(Duration::from_secs)), retry_after, said }
}

/// The error that an answer is, or that a stream ends with, although its HTTP status was a success.
pub(crate) fn in_answer(error: &Value) -> Status {
    let code = error.get("code").or_else(|| error.get("status")).and_then(Value::as_u64);
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let http = match code {
        Some(code @ 400..=599) => u16::try_from(code).unwrap_or(500),
        // Where no number is said, the kind is.
        _ if kind.contains("invalid_request") || kind.contains("badrequest") => 400,
        _ if kind.contains("rate_limit") => 429,
        _ => 500,
    };
    let said = if (401..=403).contains(&http) { String::new() } else { tidy(words(error).unwrap_or_default()) };
    status(http, &said, None)
}

/// Whether an answer is an error although its HTTP status was a success: then nothing was made.
pub(crate) fn is_error(body: &[u8]) -> bool {
    let answer = serde_json::from_slice::<Value>(body).unwrap_or_default();
    answer.get("choices").is_none() && answer.get("error").is_some_and(|error| !error.is_null())
}

/// The answer was no chat completion.
pub(crate) fn not_understood() -> Status {
    unavailable("The model's server gave an answer that cannot be understood.", Duration::from_secs(5))
}

/// The answer ended before its end.
pub(crate) fn broke_off() -> Status {
    unavailable("The model's server stopped before it finished its answer. Please try again.", Duration::from_secs(1))
}

fn status(http: u16, said: &str, retry: Option<Duration>) -> Status {
    let with_words = |words: &str| if said.is_empty() { format!("{words}.") } else { format!("{words}: {said}") };
    match http {
        400 | 413 | 422 => Status::new(Code::InvalidArgument, with_words("The model's server refused the request")),
        404 => Status::new(Code::NotFound, with_words("The model's server does not have this model")),
        429 => Status::new(
            Code::ResourceExhausted,
            "The model's server takes no more calls right now. Please try again later.",
        )
        .with(Detail::RetryInfo(retry.unwrap_or(Duration::from_secs(1)))),
        501 => Status::new(Code::Unimplemented, with_words("The model's server cannot do this")),
        401..=403 => unavailable(
            "The model cannot answer right now. Whoever runs this Keylodge finds the reason in its log.",
            retry.unwrap_or(Duration::from_secs(30)),
        ),
        _ => unavailable(
            "The model's server failed or has too much to do. Please try again later.",
            retry.unwrap_or(Duration::from_secs(2)),
        ),
    }
}

fn unavailable(message: &str, retry: Duration) -> Status {
    Status::new(Code::Unavailable, message).with(Detail::RetryInfo(retry))
}

/// The message of an error body in any of the forms that servers have.
fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT_BYTES_MAX)]);
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => tidy(words(&json).unwrap_or(&text)),
        Err(_) => tidy(&text),
    }
}

/// `{"error": {"message": …}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": "…"}`, `{"detail": [{"msg": …}]}`, or
/// one of these in an array.
fn words(json: &Value) -> Option<&str> {
    match json {
        Value::String(text) => Some(text),
        Value::Array(list) => words(list.first()?),
        Value::Object(fields) => {
            ["error", "message", "detail", "msg"].iter().find_map(|name| words(fields.get(*name)?))
        }
        _ => None,
    }
}

/// A message that may be repeated: no secret, no line ends, and not long. It is masked before it is cut, since half a
/// secret does not look like one.
fn tidy(text: &str) -> String {
    let masked = mask(head(text, LOOKED_AT_BYTES_MAX));
    let line: String = masked.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    head(&line, MESSAGE_BYTES_MAX).to_owned()
}
