//! What is metered, as values. Texts are shared, so that whoever counts calls need not copy them.

use std::net::IpAddr;
use std::sync::Arc;

use keylodge_rules::{KeyUid, ProjectNumber, Revision, Timestamp};

use super::Latency;

/// What one step brings: it is written whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Calls, those that are alike counted together.
    pub calls: Vec<CallRow>,
    /// What may be spent from now on.
    pub ledger: Vec<LedgerRow>,
    /// Refusals that can be explained, the oldest first.
    pub decisions: Vec<DecisionRow>,
}

/// Calls that were alike, in one minute. Texts that are too long are cut when they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallRow {
    /// Minutes since 1970-01-01 UTC.
    pub minute: i64,
    /// The key that was presented, where it is one of ours.
    pub key: Option<KeyUid>,
    /// Which of its strings; 0 without a key.
    pub generation: u32,
    /// What they have in common with calls of other keys; rows of one kind share it.
    pub kind: Arc<CallKind>,
    /// How many calls, and what they took.
    pub counts: Counts,
}

/// What calls of many keys have in common. There are few kinds and many keys, so that a row is small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallKind {
    /// Whose limits and whose bill.
    pub project: Option<ProjectNumber>,
    /// As `generativelanguage.googleapis.com`.
    pub service: Arc<str>,
    /// Its full name; empty where there is none.
    pub method: Arc<str>,
    /// The model; empty where there is none.
    pub model: Arc<str>,
    /// A fixed word: `ok`, that of a refusal, `http_503` and the like.
    pub outcome: Arc<str>,
    /// The word of the restriction or limit that would have refused, were it enforced; empty for none.
    pub shadow: Arc<str>,
    /// Who answered; empty for nobody.
    pub upstream: Arc<str>,
    /// Who called.
    pub caller: CallerFacts,
}

/// What is known of a caller; empty where it did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallerFacts {
    /// Where the call came from.
    pub address: Option<IpAddr>,
    /// The page, for browser keys.
    pub referrer: Arc<str>,
    /// The package, for Android keys.
    pub android_package: Arc<str>,
    /// The fingerprint of its certificate.
    pub android_cert: Arc<str>,
    /// The bundle, for iOS keys.
    pub ios_bundle: Arc<str>,
    /// What the program calls itself.
    pub client: Arc<str>,
}

/// Calls, and what they took. Whoever adds up never overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many calls.
    pub calls: u64,
    /// Tokens that were read.
    pub input_tokens: u64,
    /// Tokens that were made.
    pub output_tokens: u64,
    /// Tokens that were read from a cache; part of those that were read.
    pub cached_tokens: u64,
    /// In billionths of a US dollar.
    pub cost_nanos: u64,
    /// How long they took.
    pub latency: Latency,
}

impl Counts {
    /// Counts what others counted.
    pub fn merge(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.calls, other.calls);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.cached_tokens, other.cached_tokens);
        add(&mut self.cost_nanos, other.cost_nanos);
        self.latency.merge(&other.latency);
    }
}

/// Who has a limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A project.
    Project(ProjectNumber),
    /// A key.
    Key(KeyUid),
}

/// What of a limit by the day or month may be spent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerRow {
    /// Whose limit.
    pub holder: Holder,
    /// The word of what is counted.
    pub metric: Arc<str>,
    /// The word of the window.
    pub window: Arc<str>,
    /// The model that is counted by itself; empty for none.
    pub model: Arc<str>,
    /// Which day or month, as whoever counts numbers them.
    pub period: i64,
    /// How much was granted for spending, from the period's beginning on.
    pub granted: u64,
    /// Whether exactly that was used. Written so, it replaces what was granted; otherwise that never sinks.
    pub exact: bool,
}

/// A refusal that can be explained.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRow {
    /// What the caller was told to ask for. A second decision of one id is forgotten.
    pub id: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// The key that was presented, where it is one of ours.
    pub key: Option<KeyUid>,
    /// Its project.
    pub project: Option<ProjectNumber>,
    /// As `generativelanguage.googleapis.com`.
    pub service: Arc<str>,
    /// Its full name; empty where there is none.
    pub method: Arc<str>,
    /// The model; empty where there is none.
    pub model: Arc<str>,
    /// The word of the refusal.
    pub refusal: Arc<str>,
    /// What it was decided on: the caller, the limit that was exceeded. No secrets belong in here.
    pub facts: serde_json::Value,
    /// The newest change that the gate knew.
    pub revision: Revision,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Listed<T, Place> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_small_as_there_may_be_many() {
        assert!(size_of::<CallRow>() <= 216, "{}", size_of::<CallRow>());
    }
}
