//! The decision: who calls, with which key, and may they?

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Response};
use keylodge_api::DECISION_HEADER;
use keylodge_rules::admit::rehearse;
use keylodge_rules::quota::{Amounts, Exceeded};
use keylodge_rules::secret::sha256;
use keylodge_rules::{Call, Pepper, Presented, Refusal, Timestamp, admit};
use tokio::time::Instant;

use crate::caller::call;
use crate::source::Names;
use crate::status::{answers, retry_after, status};
use crate::{
    Charge, Clock, Credentials, Entropy, Holder, IndexReader, Ledger, OnBehalf, Pass, Peer, Refused, Short, Surface,
    Target,
};

/// What every gate of a node decides by: the keys it knows, the pepper they are hashed under, and the time. Cheap to
/// clone.
#[derive(Clone)]
pub struct Judge(Arc<Bench>);

struct Bench {
    index: IndexReader,
    pepper: Pepper,
    clock: Clock,
    decisions: Names,
    ledger: Arc<Ledger>,
}

impl Judge {
    /// A judge who knows these keys and takes from this ledger. Entropy is asked once, for the names of decisions.
    #[must_use]
    pub fn new(index: IndexReader, pepper: Pepper, ledger: Arc<Ledger>, clock: Clock, entropy: &Entropy) -> Self {
        Self(Arc::new(Bench { index, pepper, clock, decisions: Names::new(entropy), ledger }))
    }

    /// Takes what a call may use at most from the limits of its project and key, from all or from none. Waits for nothing
    /// but a lease of the day's or month's counters, which is rare.
    ///
    /// # Errors
    /// When a limit has no room, or when it could not be written down within `wait_max` that it is used.
    pub async fn take(
        &self,
        pass: &Pass,
        model: Option<&str>,
        worst: &Amounts,
        wait_max: Duration,
    ) -> Result<Charge, Refusal> {
        let model = model.unwrap_or_default();
        let holders = pass.holders();
        let taken = match self.0.ledger.take(holders, model, worst) {
            // In a box, as it is rare, and calls would carry it about.
            Err(Short::Unleased) => {
                Box::pin(self.0.ledger.take_leased(holders, model, worst, Instant::now() + wait_max)).await
            }
            taken => taken,
        };
        taken.map_err(|short| refusal(pass, short))
    }

    /// Takes more for the same call, once its body was read.
    ///
    /// # Errors
    /// As [`Judge::take`]; what was taken before stays taken.
    pub async fn take_more(
        &self,
        pass: &Pass,
        charge: &mut Charge,
        more: &Amounts,
        wait_max: Duration,
    ) -> Result<(), Refusal> {
        charge.extend_leased(more, Instant::now() + wait_max).await.map_err(|short| refusal(pass, short))
    }

    /// The time that it judges by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// What is used of limits.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Decides about a request whose credentials were taken out of it and that comes from this peer, at this time.
    ///
    /// A request with an ephemeral token is decided for the key behind it, where somebody has answered for the token.
    ///
    /// It costs one HMAC, a look-up in memory and the rules; no I/O.
    ///
    /// # Errors
    /// The first rule that speaks against the call.
    pub fn admit(
        &self,
        credentials: Option<&Credentials>,
        surface: &Surface,
        target: &Target,
        headers: &HeaderMap,
        peer: Option<&Peer>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        let call = Call { model: target.model.as_deref(), ..call(&surface.service, &target.method, headers, peer) };
        let credentials = credentials.ok_or(Refusal::NoCredential)?;
        if let Some(behalf) = credentials.behalf() {
            return self.admit_by_hash(behalf, surface, target, &call, now);
        }
        let key = credentials.key().map_err(Clone::clone)?;
        let hash = self.0.pepper.hash(key);
        self.0.index.read(|index| {
            let known = admit(index.find(&hash, || sha256(key)), &call, now)?;
            let shadow = known.terms.rules.shadow.as_deref().and_then(|shadow| rehearse(shadow, &call, now));
            let foreign = known.is_foreign.then_some(hash);
            Ok(Pass::new(&known, target, &surface.service, foreign, shadow, index.revision()))
        })
    }

    /// Decides about a call with an ephemeral token: all rules are asked about the key that stands behind it, and then
    /// whether the token is for the call.
    fn admit_by_hash(
        &self,
        behalf: &OnBehalf,
        surface: &Surface,
        target: &Target,
        call: &Call<'_>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        self.0.index.read(|index| {
            let known = admit(index.find_hash(&behalf.key), call, now)?;
            behalf.check(target, Presented { key: known.key, project: known.project.number })?;
            let shadow = known.terms.rules.shadow.as_deref().and_then(|shadow| rehearse(shadow, call, now));
            Ok(Pass::new(&known, target, &surface.service, None, shadow, index.revision()))
        })
    }

    /// The answer to a refused call. It carries the decision's name for the caller, and [`Refused`] for the log.
    pub fn refuse<A: From<Vec<u8>>>(&self, refusal: Refusal, surface: &Surface, target: &Target) -> Response<A> {
        let decision = self.0.decisions.next();
        let mut response = match answers(&refusal, surface) {
            Some(answer) => surface.prepared.response(answer, surface, target.envelope),
            None => status(&refusal, surface, target).response(target.envelope),
        };
        if let Some(seconds) = retry_after(&refusal) {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if let Ok(value) = HeaderValue::from_str(&decision) {
            response.headers_mut().insert(DECISION_HEADER, value);
        }
        response.extensions_mut().insert(target.clone());
        response.extensions_mut().insert(Refused { decision, service: surface.service.clone(), refusal });
        response
    }
}

fn refusal(pass: &Pass, short: Short) -> Refusal {
    let presented = Presented { key: pass.key(), project: pass.project() };
    let exceeded = match short {
        Short::Unleased => return Refusal::LedgerAway(presented),
        Short::Exceeded(exceeded) => exceeded,
    };
    let (of_project, of_key): (Vec<_>, Vec<_>) =
        exceeded.into_iter().partition(|(holder, _)| matches!(holder, Holder::Project(_)));
    let limits = |side: Vec<(Holder, Exceeded)>| side.into_iter().map(|(_, exceeded)| exceeded).collect();
    Refusal::LimitExceeded { presented, of_project: limits(of_project), of_key: limits(of_key) }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}
