//! What calls took, counted in memory: calls that are alike together, in a row each.
//!
//! A call finds its row under a lock that threads do not share, and allocates only if it is the first of its kind since
//! the rows were last taken, once a second, by whoever writes them down ([`crate::metering`]).

use std::cell::Cell;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};
use http::{HeaderMap, HeaderValue};
use keylodge_rules::quota::Tokens;
use keylodge_rules::secret::{head, mask};
use keylodge_rules::{KeyUid, ProjectNumber, ServiceName, Timestamp};
use keylodge_store::meter::{CallRow, CallerFacts, Counts, DecisionRow};

/// How many rows a part holds until they are taken. Of more, caller and key are left out, so that totals stay true.
const ROWS_MAX: usize = 50_000;

/// How many refusals are kept for explanation until they are taken. Of more, only the count is.
const DECISIONS_MAX: usize = 1_000;

/// Parts, so that threads do not wait for each other.
const PARTS: usize = 16;

/// How much of a text that a caller sent is kept.
const TEXT_BYTES_MAX: usize = 512;

/// Counts calls.
#[derive(Debug, Default)]
pub struct Tally {
    parts: [Mutex<Part>; PARTS],
    decisions: Mutex<Vec<DecisionRow>>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug, Default)]
struct Part {
    rows: HashTable<CallRow>,
    /// What the program of the last new row called itself: mostly the next one's, too.
    client: Arc<str>,
}

impl Part {
    /// Counts a call in its row, or in a new one as long as there are fewer than so many.
    fn count(&mut self, call: &Counted<'_>, hasher: &DefaultHashBuilder, rows_max: usize) -> bool {
        let minute = call.ended.micros().div_euclid(60_000_000);
        let hash = |key: Option<KeyUid>, generation: u32, outcome: &str, method: &str| {
            hasher.hash_one((key, generation, outcome.len(), method.len()))
        };
        let of_call = hash(call.key, call.generation, call.outcome, call.method);
        if let Some(row) = self.rows.find_mut(of_call, |row| call.is(row, minute)) {
            call.add_to(&mut row.counts);
            return true;
        }
        if self.rows.len() >= rows_max {
            return false;
        }
        let mut row = call.row(minute, &self.client);
        self.client = Arc::clone(&row.caller.client);
        call.add_to(&mut row.counts);
        self.rows.insert_unique(of_call, row, |row| hash(row.key, row.generation, &row.outcome, &row.method));
        true
    }
}

/// What is counted of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'call> {
    pub(crate) key: Option<KeyUid>,
    pub(crate) generation: u32,
    pub(crate) project: Option<ProjectNumber>,
    pub(crate) service: &'call ServiceName,
    pub(crate) method: &'call Arc<str>,
    pub(crate) model: Option<&'call Arc<str>>,
    pub(crate) outcome: &'static str,
    pub(crate) shadow: &'static str,
    pub(crate) upstream: &'call Arc<str>,
    pub(crate) caller: &'call Caller,
    pub(crate) began: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) tokens: Tokens,
    pub(crate) cost_nanos: u64,
}

/// Who called, in headers that are shared with the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) address: Option<IpAddr>,
    client: Option<HeaderValue>,
    referrer: Option<HeaderValue>,
    android_package: Option<HeaderValue>,
    android_cert: Option<HeaderValue>,
    ios_bundle: Option<HeaderValue>,
}

impl Caller {
    pub(crate) fn of(headers: &HeaderMap, address: Option<IpAddr>) -> Self {
        let mut caller = Self { address, ..Self::default() };
        for (name, value) in headers {
            let place = match name.as_str() {
                "user-agent" => &mut caller.client,
                "referer" => &mut caller.referrer,
                "x-android-package" => &mut caller.android_package,
                "x-android-cert" => &mut caller.android_cert,
                "x-ios-bundle-identifier" => &mut caller.ios_bundle,
                _ => continue,
            };
            place.get_or_insert_with(|| value.clone());
        }
        caller
    }

    /// What the caller's program calls itself.
    pub(crate) fn client(&self) -> String {
        self.client.as_ref().map(text).unwrap_or_default()
    }

    fn texts(&self) -> [&Option<HeaderValue>; 5] {
        [&self.client, &self.referrer, &self.android_package, &self.android_cert, &self.ios_bundle]
    }

    fn is(&self, known: &CallerFacts) -> bool {
        let kept = [&known.client, &known.referrer, &known.android_package, &known.android_cert, &known.ios_bundle];
        self.address == known.address
            && self.texts().into_iter().zip(kept).all(|(given, kept)| match given {
                None => kept.is_empty(),
                // Only what is kept shorter, or masked, can differ and be the same.
                Some(given) => given.as_bytes() == kept.as_bytes() || *text(given) == **kept,
            })
    }

    /// What is kept of it. A client that calls itself as the one before shares its text.
    pub(crate) fn facts(&self, client_before: &Arc<str>) -> CallerFacts {
        let shared =
            |given: &Option<HeaderValue>| given.as_ref().map(|given| Arc::from(text(given))).unwrap_or_default();
        CallerFacts {
            address: self.address,
            client: match &self.client {
                Some(client) if client.as_bytes() == client_before.as_bytes() => Arc::clone(client_before),
                client => shared(client),
            },
            referrer: shared(&self.referrer),
            android_package: shared(&self.android_package),
            android_cert: shared(&self.android_cert),
            ios_bundle: shared(&self.ios_bundle),
        }
    }
}

/// A header as it is kept: bounded, and without a key that somebody put there by mistake.
fn text(given: &HeaderValue) -> String {
    mask(head(given.to_str().unwrap_or_default(), TEXT_BYTES_MAX)).into_owned()
}

impl Tally {
    /// Counts a call that is over. A look into a table under a lock of this thread's own.
    pub(crate) fn count(&self, call: &Counted<'_>) {
        let mut part = self.parts[own_part()].lock().unwrap_or_else(PoisonError::into_inner);
        if !part.count(call, &self.hasher, ROWS_MAX) {
            let nobody = Caller::default();
            part.count(&Counted { key: None, generation: 0, caller: &nobody, ..*call }, &self.hasher, usize::MAX);
        }
    }

    /// Keeps a refusal for explanation, unless there are very many. The row is made only if it is kept.
    pub(crate) fn keep(&self, decision: impl FnOnce() -> DecisionRow) {
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() < DECISIONS_MAX {
            decisions.push(decision());
        }
    }

    /// Takes all that was counted since the last time.
    pub(crate) fn take(&self) -> (Vec<CallRow>, Vec<DecisionRow>) {
        let mut calls = Vec::new();
        for part in &self.parts {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            // The next rows will be about as many: a table that grows moves them all.
            let next = HashTable::with_capacity(part.rows.len());
            let rows = std::mem::replace(&mut part.rows, next);
            drop(part);
            calls.extend(rows);
        }
        let decisions = std::mem::take(&mut *self.decisions.lock().unwrap_or_else(PoisonError::into_inner));
        (calls, decisions)
    }
}

impl Counted<'_> {
    fn is(&self, row: &CallRow, minute: i64) -> bool {
        let same = |one: &str, other: &str| std::ptr::eq(one, other) || one == other;
        row.key == self.key
            && row.minute == minute
            && row.generation == self.generation
            && row.project == self.project
            && same(&row.outcome, self.outcome)
            && same(&row.method, self.method)
            && same(&row.service, self.service.as_str())
            && same(&row.model, self.model.map(|model| &**model).unwrap_or_default())
            && same(&row.shadow, self.shadow)
            && same(&row.upstream, self.upstream)
            && self.caller.is(&row.caller)
    }

    fn row(&self, minute: i64, client_before: &Arc<str>) -> CallRow {
        CallRow {
            minute,
            key: self.key,
            generation: self.generation,
            project: self.project,
            service: self.service.shared(),
            method: Arc::clone(self.method),
            model: self.model.cloned().unwrap_or_default(),
            outcome: shared(self.outcome),
            shadow: shared(self.shadow),
            upstream: Arc::clone(self.upstream),
            caller: self.caller.facts(client_before),
            counts: Counts::default(),
        }
    }

    fn add_to(&self, counts: &mut Counts) {
        let Tokens { input, output, cached_input } = self.tokens;
        counts.calls = counts.calls.saturating_add(1);
        counts.input_tokens = counts.input_tokens.saturating_add(input);
        counts.output_tokens = counts.output_tokens.saturating_add(output);
        counts.cached_tokens = counts.cached_tokens.saturating_add(cached_input);
        counts.cost_nanos = counts.cost_nanos.saturating_add(self.cost_nanos);
        counts.latency.add(u64::try_from(self.ended.micros().saturating_sub(self.began.micros())).unwrap_or(0));
    }
}

/// A fixed word as rows have it. The words that most calls end with are made once.
fn shared(word: &'static str) -> Arc<str> {
    static OK: LazyLock<Arc<str>> = LazyLock::new(|| "ok".into());
    match word {
        "" => Arc::default(),
        "ok" => Arc::clone(&OK),
        word => word.into(),
    }
}

/// The part of this thread.
fn own_part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % PARTS);
        }
        own.get()
    })
}
