//! Where a model is between "not there yet" and "never again", and what callers are told there.

use std::time::Duration;

use crate::{ModelError, State};

/// A stage in the life of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody has asked for it yet.
    Asleep,
    /// Being fetched or loaded.
    Loading { what: String },
    /// A worker answers.
    Ready,
    /// The worker was lost; another is started after `retry`, which is zero while that is being decided.
    Down { reason: String, retry: Duration },
    /// It cannot work and starting it again would not help.
    Failed { reason: String },
    /// It was told to end.
    Closed,
}

const CLOSED: &str = "the model has been shut down";

impl Phase {
    /// What a call is told, when it cannot be taken.
    pub(super) fn refusal(&self) -> Option<ModelError> {
        match self {
            Self::Ready => None,
            Self::Asleep => Some(ModelError::Loading { what: "starting".to_owned() }),
            Self::Loading { what } => Some(ModelError::Loading { what: what.clone() }),
            Self::Down { reason, .. } | Self::Failed { reason } => {
                Some(ModelError::Unavailable { reason: reason.clone() })
            }
            Self::Closed => Some(ModelError::Unavailable { reason: CLOSED.to_owned() }),
        }
    }

    pub(super) fn state(&self) -> State {
        match self {
            Self::Ready => State::Ready,
            Self::Asleep => State::Asleep,
            Self::Loading { what } => State::Starting { what: what.clone() },
            Self::Down { reason, retry: Duration::ZERO } => State::Starting { what: format!("restarting: {reason}") },
            Self::Down { reason, retry } => State::Starting { what: format!("restarting in {retry:?}: {reason}") },
            Self::Failed { reason } => State::Failed { reason: reason.clone() },
            Self::Closed => State::Failed { reason: CLOSED.to_owned() },
        }
    }

    /// It is on its way, or it is being found out whether it is.
    pub(super) fn is_coming(&self) -> bool {
        matches!(self, Self::Asleep | Self::Loading { .. } | Self::Down { retry: Duration::ZERO, .. })
    }

    /// No change is to be waited for.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Self::Ready | Self::Failed { .. } | Self::Closed)
    }
}
