//! The end of a websocket to an upstream, which may be an answer to our credential: Google's servers agree to each websocket
//! and say in a close, after the first message, what they would have answered to a call.

use keylodge_rules::upstream::Answered;

use super::carry::TRIES_MAX;
use super::{Chosen, said};
use crate::relay::upstream::Upstream;

/// What the end of a websocket is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Our credential, which is refused or named: the caller would take it for his own.
    Credential,
    /// How much our credential lets through.
    TooMany,
    /// Anything else.
    Other,
}

impl Upstream {
    /// Takes in with which reason the upstream has ended a websocket, as answers to calls are taken in: a credential that is
    /// refused is set aside, and one of which there is too much cools down.
    pub(crate) fn ended(&self, chosen: Option<&Chosen>, reason: &str) -> Ended {
        if !said::is_google(self.settings.kind) {
            return Ended::Other;
        }
        let answered = said::by_close(reason);
        if let Some(chosen) = chosen {
            chosen.answered(answered);
        }
        match answered {
            Answered::Refused => Ended::Credential,
            _ if chosen.is_some_and(|chosen| chosen.is_named_or_begun_in(reason.as_bytes())) => Ended::Credential,
            Answered::TooMany(_) => Ended::TooMany,
            Answered::Good | Answered::Other => Ended::Other,
        }
    }

    /// Whether a websocket that was ended for the sake of its credential is worth opening once more, after so many tries.
    pub(crate) fn may_have_another(&self, tries: u32) -> bool {
        tries < TRIES_MAX && self.credentials.are_several()
    }
}
