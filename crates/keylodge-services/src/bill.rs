//! A call that was let through, until it is over: what it took is counted when its bill is dropped, however it ended.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use keylodge_gate::{Charge, Pass, Peer, Refused, Target};
use keylodge_rules::quota::{Amounts, Exceeded, Metric, ModelName, Price, Retry, Tokens};
use keylodge_rules::{Refusal, Timestamp};
use keylodge_store::meter::{CallerFacts, DecisionRow};

use crate::Lodge;
use crate::tally::{Caller, Counted};

/// What a call will have taken.
pub(crate) struct Bill {
    lodge: Lodge,
    pass: Pass,
    model: Option<Arc<str>>,
    caller: Caller,
    /// Who answered: an upstream's name, or nothing where it was an engine of ours.
    pub(crate) upstream: Arc<str>,
    began: Timestamp,
    /// How it ended, as far as is known.
    pub(crate) outcome: &'static str,
    /// What it took, as far as is known.
    pub(crate) tokens: Tokens,
    /// What it took from limits.
    charge: Option<Charge>,
    is_unsent: bool,
    is_void: bool,
}

/// How long a call waits at most until it is written down that a limit by the day or month is used.
pub(crate) const LEASE_WAIT_MAX: Duration = Duration::from_secs(5);

/// What a call takes from limits before anything of it is read.
pub(crate) const ONE_CALL: Amounts = Amounts { requests: 1, ..Amounts::ZERO };

/// The outcome of a call whose caller went away.
pub(crate) const CALLER_GONE: &str = "caller_gone";

/// The outcome of a call whose upstream could not be reached.
pub(crate) const UNREACHABLE: &str = "unreachable";

/// The outcome of a call whose answer broke off.
pub(crate) const BROKEN: &str = "broken";

impl Bill {
    pub(crate) fn new(
        lodge: &Lodge,
        pass: Pass,
        target: &Target,
        caller: Caller,
        upstream: &Arc<str>,
        began: Timestamp,
    ) -> Box<Self> {
        // On the heap, as it goes along with answers that are moved about.
        Box::new(Self {
            lodge: lodge.clone(),
            pass,
            model: target.model.clone(),
            caller,
            upstream: Arc::clone(upstream),
            began,
            outcome: CALLER_GONE,
            tokens: Tokens::default(),
            charge: None,
            is_unsent: false,
            is_void: false,
        })
    }

    /// Takes a call from the limits of its project and key.
    ///
    /// # Errors
    /// When one has no room. The bill is still one of a call that was let through: drop it with [`Bill::void`].
    pub(crate) async fn take(&mut self) -> Result<(), Refusal> {
        let model = self.model.as_deref();
        let charge = self.lodge.judge.take(&self.pass, model, &ONE_CALL, LEASE_WAIT_MAX).await?;
        self.charge = Some(charge);
        Ok(())
    }

    /// Takes more from the same limits, once it is known what the call may use at most.
    ///
    /// # Errors
    /// When one has no room.
    pub(crate) async fn take_more(&mut self, more: &Amounts) -> Result<(), Refusal> {
        match &mut self.charge {
            Some(charge) => self.lodge.judge.take_more(&self.pass, charge, more, LEASE_WAIT_MAX).await,
            None => Ok(()),
        }
    }

    /// How much the limits of a metric leave, beyond what the call has taken; none where there is no such limit.
    pub(crate) fn left(&self, metric: Metric) -> Option<u64> {
        self.charge.as_ref()?.left(metric)
    }

    /// Whether a limit counts what the call uses, and not only that it is one.
    pub(crate) fn counts_use(&self) -> bool {
        self.charge.as_ref().is_some_and(Charge::counts_use)
    }

    /// What the model's tokens cost, where the settings say so.
    pub(crate) fn price(&self) -> Option<Price> {
        self.lodge.prices.price(self.model.as_deref()?).copied()
    }

    /// Nothing was asked of anybody: when the call is over, all it took is given back.
    pub(crate) const fn unsent(&mut self) {
        self.is_unsent = true;
    }

    /// The call never went on: all it took is given back, and nothing is counted here. Gives what was asked, for whoever
    /// counts the refusal.
    pub(crate) fn void(mut self: Box<Self>) -> Asked {
        self.charge = None;
        self.is_void = true;
        let target = Target { model: self.model.clone(), ..Target::new(Arc::clone(self.pass.shared_method())) };
        Asked { target, caller: std::mem::take(&mut self.caller), began: self.began }
    }

    /// The model whose tokens are counted, where that is known only after limits were asked.
    pub(crate) fn of_model(&mut self, model: &str) {
        self.model = Some(model.into());
    }

    /// The model that was called, if one was.
    pub(crate) fn model(&self) -> Option<&Arc<str>> {
        self.model.as_ref()
    }

    /// The bill of a request that the gate let through to one of our own surfaces.
    pub(crate) fn of_request(lodge: &Lodge, pass: Pass, parts: &http::request::Parts) -> Option<Box<Self>> {
        let target = parts.extensions.get::<Target>()?;
        let address = Peer::of(&parts.extensions).map(Peer::ip);
        let caller = Caller::of(&parts.headers, address);
        Some(Self::new(lodge, pass, target, caller, &Arc::default(), lodge.now()))
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        let Tokens { input, output, .. } = self.tokens;
        let cost_nanos = self.price().map_or(0, |price| price.cost(self.tokens));
        if input > 0 || output > 0 {
            self.lodge.metrics.count_tokens(input, output);
        }
        let mut shadow = self.pass.shadow().unwrap_or_default();
        if let Some(charge) = self.charge.take() {
            if charge.would_refuse().next().is_some() && shadow.is_empty() {
                shadow = "limit_exceeded";
            }
            if self.is_unsent {
                drop(charge);
            } else {
                charge.settle(&Amounts { requests: 1, input_tokens: input, output_tokens: output, cost_nanos });
            }
        }
        if self.is_void {
            return;
        }
        let pass = &self.pass;
        self.lodge.tally.count(&Counted {
            key: Some(pass.key()),
            generation: pass.generation(),
            project: Some(pass.project()),
            service: pass.service(),
            method: pass.shared_method(),
            model: self.model.as_ref(),
            outcome: self.outcome,
            shadow,
            upstream: &self.upstream,
            caller: &self.caller,
            began: self.began,
            ended: self.lodge.now(),
            tokens: self.tokens,
            cost_nanos,
        });
    }
}

/// What was asked of the gate.
pub(crate) struct Asked {
    pub(crate) target: Target,
    pub(crate) caller: Caller,
    pub(crate) began: Timestamp,
}

/// Counts a refused call, and keeps it for explanation.
pub(crate) fn refused(lodge: &Lodge, refused: &Refused, target: &Target, caller: &Caller, began: Timestamp) {
    let Refused { decision, service, refusal } = refused;
    let (key, project, ended) = (refusal.key().copied(), refusal.project(), lodge.now());
    lodge.tally.count(&Counted {
        key,
        generation: 0,
        project,
        service,
        method: &target.method,
        model: target.model.as_ref(),
        outcome: refusal.word(),
        shadow: "",
        upstream: &Arc::default(),
        caller,
        began,
        ended,
        tokens: Tokens::default(),
        cost_nanos: 0,
    });
    lodge.tally.keep(|| DecisionRow {
        id: decision.as_str().into(),
        at: ended,
        key,
        project,
        service: service.shared(),
        method: Arc::clone(&target.method),
        model: target.model.clone().unwrap_or_default(),
        refusal: refusal.word().into(),
        facts: facts(&caller.facts(&CallerFacts::default()), refusal),
        revision: lodge.index.revision(),
    });
}

/// What a decision was made on.
fn facts(caller: &CallerFacts, refusal: &Refusal) -> serde_json::Value {
    let texts = [
        ("referrer", &caller.referrer),
        ("androidPackage", &caller.android_package),
        ("androidCert", &caller.android_cert),
        ("iosBundle", &caller.ios_bundle),
        ("client", &caller.client),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut facts: serde_json::Map<_, _> = texts.map(|(name, text)| (name.to_owned(), (**text).into())).collect();
    if let Some(address) = caller.address {
        facts.insert("address".to_owned(), address.to_string().into());
    }
    if let Refusal::LimitExceeded { of_project, of_key, .. } = refusal {
        let named = of_project.iter().map(|exceeded| ("project", exceeded));
        let limits = named.chain(of_key.iter().map(|exceeded| ("key", exceeded))).map(limit_facts);
        facts.insert("limits".to_owned(), limits.collect());
    }
    facts.into()
}

fn limit_facts((holder, exceeded): (&str, &Exceeded)) -> serde_json::Value {
    let limit = &exceeded.limit;
    let retry_after = match exceeded.retry {
        Retry::After(duration) => Some(duration.as_secs_f64()),
        Retry::WhenOneEnds | Retry::Never => None,
    };
    serde_json::json!({
        "holder": holder,
        "metric": limit.metric().as_str(),
        "window": limit.window().as_str(),
        "model": exceeded.model.as_ref().map(ModelName::as_str),
        "value": limit.value(),
        "used": exceeded.used,
        "asked": exceeded.asked,
        "retryAfterSeconds": retry_after,
    })
}

/// A fixed word for a status: outcomes are few, whatever upstreams answer.
pub(crate) const fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=299 => "ok",
        300..=399 => "http_3xx",
        400 => "http_400",
        401 => "http_401",
        403 => "http_403",
        404 => "http_404",
        408 => "http_408",
        409 => "http_409",
        429 => "http_429",
        500 => "http_500",
        501 => "http_501",
        502 => "http_502",
        503 => "http_503",
        504 => "http_504",
        505.. => "http_5xx",
        _ => "http_4xx",
    }
}
