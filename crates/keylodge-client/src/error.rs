//! What can go wrong on the way to a Keylodge and back.

use std::fmt;

/// Why a call gave no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not `http://host:port`.
    BadUrl {
        /// What was given.
        url: String,
    },
    /// The token or key holds a character that no header can carry.
    BadToken,
    /// Nobody answered. Nothing was sent if the connection failed; otherwise it is unknown what was done.
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server said no.
    Refused {
        /// The HTTP status.
        code: u16,
        /// The name, as `NOT_FOUND`.
        status: String,
        /// What the server says about it.
        message: String,
    },
    /// The answer is none of a Keylodge.
    Nonsense {
        /// What was wrong with it.
        what: &'static str,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl { url } => {
                write!(f, "'{url}' is no address of a Keylodge; it looks like http://127.0.0.1:8585")
            }
            Self::BadToken => f.write_str("the token holds a character that no token has; is the file damaged?"),
            Self::Unreachable { url, .. } => {
                write!(f, "no Keylodge answers at {url}; start one with 'keylodge up', or say where it is with --url")
            }
            Self::Refused { status, message, .. } => write!(f, "{status}: {message}"),
            Self::Nonsense { what } => write!(f, "the server sent {what}; is it a Keylodge, and of this version?"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable { cause, .. } => Some(cause.as_ref()),
            _ => None,
        }
    }
}
