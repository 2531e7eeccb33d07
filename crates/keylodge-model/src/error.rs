//! What goes wrong, in words a caller can act on.

use std::fmt;

/// Why there is no answer, or no more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// The model is not there yet; asking again later helps.
    Loading {
        /// What is being done: "fetching the model", "loading the model".
        what: String,
    },
    /// There is no model to ask now: it is down and waits to be restarted, or it could not be had at all.
    Unavailable {
        /// Why, for the operator.
        reason: String,
    },
    /// Too many calls are running and waiting already; nothing was started.
    Overloaded,
    /// The prompt does not fit; nothing was started.
    PromptTooLong {
        /// The length of the prompt. An estimate when the prompt was too long even to be counted.
        tokens: u64,
        /// The longest prompt that fits.
        tokens_max: u64,
    },
    /// The worker died, hung or talked nonsense while this call was in flight. The call can be made again.
    Lost,
    /// The schema could not be turned into a grammar, or a worker hung in following it, now or before.
    BadSchema {
        /// What is wrong with it.
        reason: String,
    },
    /// A fault that the script asked for.
    Scripted {
        /// The HTTP status the script names, 400 to 599.
        status: u16,
        /// The message the script gives, if it does.
        message: Option<String>,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading { what } => write!(f, "the model is not ready yet: {what}"),
            Self::Unavailable { reason } => write!(f, "the model is not available: {reason}"),
            Self::Overloaded => f.write_str("the model has too many calls waiting"),
            Self::PromptTooLong { tokens, tokens_max } => {
                write!(f, "the prompt has {tokens} tokens and the model takes at most {tokens_max}")
            }
            Self::Lost => f.write_str("the model's worker was lost while it answered this call"),
            Self::BadSchema { reason } => write!(f, "the JSON schema cannot be followed: {reason}"),
            Self::Scripted { status, message: Some(message) } => write!(f, "scripted fault {status}: {message}"),
            Self::Scripted { status, message: None } => write!(f, "scripted fault {status}"),
        }
    }
}

impl std::error::Error for ModelError {}
