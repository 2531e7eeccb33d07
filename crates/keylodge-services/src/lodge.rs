//! What all handlers share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keylodge_gate::{Clock, Entropy, IndexReader, Judge, Names};
use keylodge_rules::Timestamp;
use keylodge_rules::quota::PriceTable;
use keylodge_store::meter::Meter;
use keylodge_store::{Act, Interactions, MasterKey, Store, Vault};

use crate::interactions::background::Background;
use crate::management::route::KEYLODGE;
use crate::observe::Metrics;
use crate::service_usage::Catalogue;
use crate::uses::Uses;
use crate::{AuthTokens, Feed, LiveLimits, Models, Sessions, Tally, Unwritten, Upstreams};

/// Everything the surfaces work on. Cheap to clone.
#[derive(Clone)]
pub struct Lodge(Arc<LodgeParts>);

/// What a [`Lodge`] is made of.
pub struct LodgeParts {
    /// What is kept.
    pub store: Store,
    /// Seals key strings and gives the pepper.
    pub master: MasterKey,
    /// Opens and seals, from the same master key.
    pub vault: Vault,
    /// The gate's keys.
    pub index: IndexReader,
    /// Decides who may call what.
    pub judge: Judge,
    /// Names requests.
    pub requests: Names,
    /// Tells when the gate has caught up with a change.
    pub feed: Feed,
    /// The models that can be called.
    pub models: Models,
    /// The servers that answer in our place.
    pub upstreams: Upstreams,
    /// What tokens cost.
    pub prices: PriceTable,
    /// The services that projects can switch on.
    pub catalogue: Catalogue,
    /// Bounds on what comes from outside.
    pub limits: Limits,
    /// What operators find in their workspaces.
    pub workspace: WorkspaceRules,
    /// One newcomer after the other, so that nobody gets two projects.
    pub newcomers: tokio::sync::Mutex<()>,
    /// What calls took since it was last written.
    pub tally: Tally,
    /// What calls took and could not be written yet.
    pub unwritten: Unwritten,
    /// Where it is written.
    pub meter: Meter,
    /// Conversations that callers want kept.
    pub interactions: Interactions,
    /// Short-lived tokens that stand for keys.
    pub auth_tokens: AuthTokens,
    /// Live sessions.
    pub live: Sessions,
    /// Those that are being answered while nobody waits.
    pub background: Background,
    /// Who used which key and token since it was last written.
    pub uses: Uses,
    /// Where people reach this server, without a slash at the end; for links in answers.
    pub public_url: String,
    /// Where the planes listen.
    pub listens_at: ListensAt,
    /// Tells the time.
    pub clock: Clock,
    /// Gives randomness.
    pub entropy: Entropy,
    /// Counts what happens.
    pub metrics: Metrics,
}

/// The URLs that the listeners answer on; both the same where there is one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListensAt {
    /// What keys open.
    pub data: String,
    /// Management, administration, metrics.
    pub control: String,
}

/// Bounds on what comes from outside. Reaching one is an error with its own words, never a surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// How long reading a body may take.
    pub body_time_max: Duration,
    /// How long one generation may take, from the request to its last token.
    pub generation_time_max: Duration,
    /// How long an interaction is kept.
    pub interactions_kept: Duration,
    /// Bounds on Live sessions.
    pub live: LiveLimits,
}

/// What operators find in their workspaces. The defaults are AI Studio's and Jules's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRules {
    /// The version of the terms that operators accept.
    pub terms_version: String,
    /// The most projects a workspace lists.
    pub projects_max: u32,
    /// The most keys a workspace lists.
    pub keys_max: u32,
    /// The most projects that one call makes.
    pub projects_at_once_max: u32,
    /// The most keys for Jules that an operator has.
    pub jules_keys_max: u64,
}

impl Default for WorkspaceRules {
    fn default() -> Self {
        Self {
            terms_version: "1".to_owned(),
            projects_max: 50,
            keys_max: 100,
            projects_at_once_max: 10,
            jules_keys_max: 3,
        }
    }
}

impl Lodge {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: LodgeParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The act of something that Keylodge does by itself, for its audit line.
    pub(crate) fn own_act(&self, method: &'static str) -> Act {
        let principal = "serviceAccount:keylodge".to_owned();
        Act {
            principal,
            service: KEYLODGE,
            method,
            permission: "",
            request_id: String::new(),
            caller_ip: String::new(),
            user_agent: String::new(),
            request: BTreeMap::new(),
            at: self.now(),
        }
    }

    /// So many random bytes.
    #[must_use]
    pub fn random<const COUNT: usize>(&self) -> [u8; COUNT] {
        keylodge_gate::source::random(&self.entropy)
    }
}

impl std::ops::Deref for Lodge {
    type Target = LodgeParts;

    fn deref(&self) -> &LodgeParts {
        &self.0
    }
}

impl fmt::Debug for Lodge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lodge").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl fmt::Debug for LodgeParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LodgeParts").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}
