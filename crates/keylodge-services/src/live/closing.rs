//! How sessions end: the code and the reason of a close, as Google's clients see them.

use http::StatusCode;
use keylodge_api::Status;
use serde_json::Value;

use crate::gemini::inside::Fault;

/// The longest reason that a close frame can have, in bytes of UTF-8 (RFC 6455, 5.5).
const REASON_BYTES_MAX: usize = 123;

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The other side is gone; there is nobody to tell.
    Gone,
    /// The other side has ended it, with these words.
    HungUp(Closing),
    /// What the client is told.
    Close(Closing),
}

/// What a client is told at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) code: u16,
    pub(super) reason: String,
}

/// All went well.
pub(super) const NORMAL: u16 = 1000;
/// The server stops.
const AWAY: u16 = 1001;
/// What the client sent is wrong, its key among it.
pub(super) const INVALID: u16 = 1007;
/// What the client sent is not allowed.
pub(super) const DENIED: u16 = 1008;
/// A message is larger than any may be.
pub(super) const TOO_LARGE: u16 = 1009;
/// It is on our side, or a limit has no room.
pub(super) const ERROR: u16 = 1011;

impl Closing {
    pub(super) fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: cut(reason).to_owned() }
    }

    /// The server stops.
    pub(super) fn away() -> Self {
        Self::new(AWAY, "The server stops. Connect again.")
    }

    /// For an error that a call over HTTP would have got.
    pub(super) fn of_status(status: &Status) -> Self {
        Self::of_http(status.code.http(), &status.message)
    }

    /// For an error of whoever answered.
    pub(super) fn of_fault(fault: &Fault) -> Self {
        let message = fault.error.get("message").and_then(Value::as_str).unwrap_or("Internal error encountered.");
        Self::of_http(fault.http.as_u16(), message)
    }

    /// The codes that Google's servers were seen to use for these.
    pub(super) fn of_http(http: u16, message: &str) -> Self {
        let code = match StatusCode::from_u16(http) {
            Ok(StatusCode::BAD_REQUEST) => INVALID,
            Ok(status) if status == StatusCode::TOO_MANY_REQUESTS => ERROR,
            Ok(status) if status.is_client_error() => DENIED,
            _ => ERROR,
        };
        Self::new(code, message.trim())
    }
}

impl From<Closing> for End {
    fn from(closing: Closing) -> Self {
        Self::Close(closing)
    }
}

/// As much of a reason as fits, whole characters only.
fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let of = |reason: &str| Closing::new(ERROR, reason).reason.len();

        assert_eq!(of("short"), 5);
        assert_eq!(of(&"x".repeat(200)), 123);
        assert_eq!(of(&format!("x{}", "ü".repeat(100))), 123);
        assert_eq!(of(&"ü".repeat(100)), 122);
    }

    #[test]
    fn an_error_has_the_code_that_google_closes_with() {
        for (http, code) in [(400, 1007), (401, 1008), (403, 1008), (404, 1008), (429, 1011), (500, 1011), (503, 1011)]
        {
            assert_eq!(Closing::of_http(http, "x").code, code, "{http}");
        }
    }
}
