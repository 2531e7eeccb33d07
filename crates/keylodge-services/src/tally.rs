//! What calls took, counted in memory: calls that are alike together, in a row each.
//!
//! A call finds its row under a lock that threads do not share, and allocates only if it is the first of its kind since
//! the rows were last taken, once a second, by whoever writes them down ([`crate::metering`]). Rows of many keys share
//! their kind, and tables are used again: a row costs its own 220 bytes and no more.

use std::borrow::Cow;
use std::cell::Cell;
use std::hash::BuildHasher;
use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};
use http::{HeaderMap, HeaderValue};
use keylodge_rules::quota::Tokens;
use keylodge_rules::secret::{head, mask};
use keylodge_rules::{KeyUid, ProjectNumber, ServiceName, Timestamp};
use keylodge_store::meter::{CallKind, CallRow, CallerFacts, Counts, DecisionRow};

/// How many rows a part holds until they are taken. Of more, caller and key are left out, so that totals stay true.
const ROWS_MAX: usize = 50_000;

/// How much larger than what it held a table may be to be kept for the next rows.
const SPARE_PER_HELD_MAX: usize = 4;

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
    /// With their hashes.
    rows: HashTable<(u64, CallRow)>,
    /// Where the next rows are counted while these are emptied, so that tables are not made anew each second.
    spare: HashTable<(u64, CallRow)>,
    /// The kinds of the rows, once each.
    kinds: HashTable<Arc<CallKind>>,
    /// That of the last new row: mostly the next one's, too.
    last_kind: Arc<CallKind>,
}

impl Part {
    /// Counts a call in its row, or in a new one as long as there are fewer than so many.
    fn count(&mut self, call: &Counted<'_>, hasher: &DefaultHashBuilder, rows_max: usize) -> bool {
        let minute = call.ended.micros().div_euclid(60_000_000);
        // With all that a caller can choose freely, so that nobody makes rows that only differ where no hash looks.
        let Counted { key, generation, caller, .. } = call;
        let of_call =
            hasher.hash_one((key, generation, caller.address, caller.texts(), call.outcome.len(), call.method.len()));
        let is_same = |(_, row): &(u64, CallRow)| {
            row.key == call.key && row.minute == minute && row.generation == call.generation && call.is_of(&row.kind)
        };
        if let Some((_, row)) = self.rows.find_mut(of_call, is_same) {
            call.add_to(&mut row.counts);
            return true;
        }
        if self.rows.len() >= rows_max {
            return false;
        }
        let kind = self.kind(call, hasher);
        let mut row = CallRow { minute, key: call.key, generation: call.generation, kind, counts: Counts::default() };
        call.add_to(&mut row.counts);
        self.rows.insert_unique(of_call, (of_call, row), |(hash, _)| *hash);
        true
    }

    /// The kind of a new row, made only if no row has it.
    fn kind(&mut self, call: &Counted<'_>, hasher: &DefaultHashBuilder) -> Arc<CallKind> {
        if !call.is_of(&self.last_kind) {
            let of_call = call.hash_of_kind(hasher);
            let kinds = self.kinds.entry(of_call, |kind| call.is_of(kind), |kind| hash_of_kind(kind, hasher));
            let known = kinds.or_insert_with(|| Arc::new(call.kind(&self.last_kind)));
            self.last_kind = Arc::clone(known.get());
        }
        Arc::clone(&self.last_kind)
    }

    /// Takes rows and kinds, and goes on in the spare table.
    fn take(&mut self) -> (HashTable<(u64, CallRow)>, HashTable<Arc<CallKind>>) {
        let spare = mem::take(&mut self.spare);
        (mem::replace(&mut self.rows, spare), mem::take(&mut self.kinds))
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
        kept(&self.client).into_owned()
    }

    fn texts(&self) -> [&Option<HeaderValue>; 5] {
        [&self.client, &self.referrer, &self.android_package, &self.android_cert, &self.ios_bundle]
    }

    fn is(&self, known: &CallerFacts) -> bool {
        self.address == known.address
            && self.texts().into_iter().zip(texts(known)).all(|(given, known)| match given {
                None => known.is_empty(),
                // Only what is kept shorter, or masked, can differ and be the same.
                Some(header) => header.as_bytes() == known.as_bytes() || *kept(given) == *known,
            })
    }

    /// What is kept of it. Texts that are those of the caller before are shared with it.
    pub(crate) fn facts(&self, before: &CallerFacts) -> CallerFacts {
        let kept = |given: &Option<HeaderValue>, before| shared(&kept(given), before);
        CallerFacts {
            address: self.address,
            client: kept(&self.client, &before.client),
            referrer: kept(&self.referrer, &before.referrer),
            android_package: kept(&self.android_package, &before.android_package),
            android_cert: kept(&self.android_cert, &before.android_cert),
            ios_bundle: kept(&self.ios_bundle, &before.ios_bundle),
        }
    }
}

/// A header as it is kept: bounded, and without a key that somebody put there by mistake. Empty where there is none.
fn kept(given: &Option<HeaderValue>) -> Cow<'_, str> {
    let text = given.as_ref().and_then(|given| given.to_str().ok()).unwrap_or_default();
    mask(head(text, TEXT_BYTES_MAX))
}

/// A text as rows have it: that of the one before, if it is the same.
fn shared(text: &str, before: &Arc<str>) -> Arc<str> {
    match text {
        "" => Arc::default(),
        text if *text == **before => Arc::clone(before),
        text => text.into(),
    }
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

    /// Takes all that was counted since the last time, and puts it behind what is there.
    pub(crate) fn take(&self, calls: &mut Vec<CallRow>, decisions: &mut Vec<DecisionRow>) {
        for part in &self.parts {
            let lock = || part.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut rows, kinds) = lock().take();
            drop(kinds);
            let held = rows.len();
            calls.extend(rows.drain().map(|(_, row)| row));
            // The next rows will be about as many. What a busy moment needed is not kept for ever.
            if rows.capacity() <= held.saturating_mul(SPARE_PER_HELD_MAX) {
                lock().spare = rows;
            }
        }
        decisions.append(&mut self.decisions.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Counted<'_> {
    fn words(&self) -> [&str; 6] {
        let model = self.model.map(|model| &**model).unwrap_or_default();
        [self.outcome, self.method, self.service.as_str(), model, self.shadow, self.upstream]
    }

    fn is_of(&self, kind: &CallKind) -> bool {
        // Each call comes by here. Word for word it takes 60 ns less than going through lists of words.
        let same = |one: &str, other: &str| std::ptr::eq(one, other) || one == other;
        kind.project == self.project
            && same(&kind.outcome, self.outcome)
            && same(&kind.method, self.method)
            && same(&kind.service, self.service.as_str())
            && same(&kind.model, self.model.map(|model| &**model).unwrap_or_default())
            && same(&kind.shadow, self.shadow)
            && same(&kind.upstream, self.upstream)
            && self.caller.is(&kind.caller)
    }

    /// The hash of its kind, which may not be made yet.
    fn hash_of_kind(&self, hasher: &DefaultHashBuilder) -> u64 {
        let texts = self.caller.texts().map(kept);
        hasher.hash_one((self.project, self.caller.address, self.words(), texts.each_ref().map(|text| &**text)))
    }

    fn kind(&self, before: &CallKind) -> CallKind {
        CallKind {
            project: self.project,
            service: self.service.shared(),
            method: Arc::clone(self.method),
            model: self.model.cloned().unwrap_or_default(),
            outcome: shared(self.outcome, &before.outcome),
            shadow: shared(self.shadow, &before.shadow),
            upstream: Arc::clone(self.upstream),
            caller: self.caller.facts(&before.caller),
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

/// The words of a kind, in the order of [`Counted::words`].
fn words(kind: &CallKind) -> [&str; 6] {
    [&kind.outcome, &kind.method, &kind.service, &kind.model, &kind.shadow, &kind.upstream]
}

/// The texts of a caller, in the order of [`Caller::texts`].
fn texts(known: &CallerFacts) -> [&str; 5] {
    [&known.client, &known.referrer, &known.android_package, &known.android_cert, &known.ios_bundle]
}

fn hash_of_kind(kind: &CallKind, hasher: &DefaultHashBuilder) -> u64 {
    hasher.hash_one((kind.project, kind.caller.address, words(kind), texts(&kind.caller)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(which: u8) -> KeyUid {
        KeyUid::from_random([which; 16])
    }

    /// Somebody with this address and this program.
    fn caller(last: u8, client: &'static str) -> Caller {
        let headers = HeaderMap::from_iter([(http::header::USER_AGENT, HeaderValue::from_static(client))]);
        Caller::of(&headers, Some([192, 0, 2, last].into()))
    }

    fn count(tally: &Tally, key: KeyUid, caller: &Caller, outcome: &'static str) {
        tally.count(&Counted {
            key: Some(key),
            generation: 1,
            project: Some(ProjectNumber::from_random([1; 8])),
            service: &ServiceName::parse("generativelanguage.googleapis.com").unwrap(),
            method: &"GenerateContent".into(),
            model: Some(&"gemini-flash".into()),
            outcome,
            shadow: "",
            upstream: &"google".into(),
            caller,
            began: Timestamp::from_micros(0),
            ended: Timestamp::from_micros(2_000),
            tokens: Tokens::default(),
            cost_nanos: 0,
        });
    }

    fn taken(tally: &Tally) -> Vec<CallRow> {
        let mut calls = Vec::new();
        tally.take(&mut calls, &mut Vec::new());
        calls
    }

    /// What is spare after calls of so many keys were taken, in the part that has most.
    fn spare_after(tally: &Tally, keys: u8) -> usize {
        (0..keys).for_each(|which| count(tally, key(which), &caller(1, "curl/8"), "ok"));
        assert_eq!(taken(tally).len(), usize::from(keys));
        tally.parts.iter().map(|part| part.lock().unwrap().spare.capacity()).max().unwrap()
    }

    #[test]
    fn every_call_is_taken_once_however_often_tables_are_used_again() {
        let tally = Tally::default();
        for round in 1..=5 {
            for which in (0..20).chain(0..round) {
                count(&tally, key(which), &caller(which % 3, "curl/8"), "ok");
            }
            let rows = taken(&tally);
            assert_eq!((rows.len(), rows.iter().map(|row| row.counts.calls).sum()), (20, 20 + u64::from(round)));
        }
        assert_eq!(taken(&tally), []);
    }

    #[test]
    fn what_was_taken_comes_behind_what_is_there() {
        let tally = Tally::default();
        let mut calls = Vec::new();
        for (which, outcome) in [(1, "ok"), (2, "http_503")] {
            count(&tally, key(which), &caller(1, "curl/8"), outcome);
            tally.take(&mut calls, &mut Vec::new());
        }

        assert_eq!(calls.iter().map(|row| row.key).collect::<Vec<_>>(), [Some(key(1)), Some(key(2))]);
    }

    #[test]
    fn rows_of_different_keys_share_their_kind() {
        let tally = Tally::default();
        for which in 0..20 {
            // Others come between: it need not be the kind of the row before.
            count(&tally, key(which), &caller(1, "curl/8"), "ok");
            count(&tally, key(which), &caller(1, "curl/8"), "http_503");
        }

        let rows = taken(&tally);
        for outcome in ["ok", "http_503"] {
            let kinds: Vec<_> = rows.iter().map(|row| &row.kind).filter(|kind| *kind.outcome == *outcome).collect();
            assert_eq!(kinds.len(), 20);
            assert!(kinds.iter().all(|kind| Arc::ptr_eq(kind, kinds[0])));
        }
    }

    #[test]
    fn different_callers_are_different_rows_that_share_their_texts() {
        let tally = Tally::default();
        for caller in [caller(1, "curl/8"), caller(2, "curl/8"), caller(2, "python"), caller(1, "curl/8")] {
            count(&tally, key(1), &caller, "ok");
        }

        let mut rows = taken(&tally);
        rows.sort_by_key(|row| (row.kind.caller.address, Arc::clone(&row.kind.caller.client)));
        let told = |row: &CallRow| (row.kind.caller.client.to_string(), row.counts.calls);
        let expected = [("curl/8", 2), ("curl/8", 1), ("python", 1)].map(|(client, calls)| (client.to_owned(), calls));
        assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
        assert!(Arc::ptr_eq(&rows[0].kind.caller.client, &rows[1].kind.caller.client));
    }

    #[test]
    fn a_key_in_a_callers_text_is_not_kept_and_its_calls_are_one_row() {
        let tally = Tally::default();
        let careless = caller(1, "curl/8 AIzaSyA0123456789abcdefghijklmnopqrstuv");
        (1..=2).for_each(|_| count(&tally, key(1), &careless, "ok"));
        count(&tally, key(2), &careless, "ok");

        let rows = taken(&tally);
        assert_eq!(rows.len(), 2);
        assert!(!rows[0].kind.caller.client.contains("0123456789"), "{}", rows[0].kind.caller.client);
        assert!(Arc::ptr_eq(&rows[0].kind, &rows[1].kind));
    }

    #[test]
    fn a_table_is_kept_for_the_next_rows_but_not_what_a_busy_moment_needed() {
        let tally = Tally::default();
        (0..2).for_each(|_| assert!(spare_after(&tally, 200) >= 200));
        // Two tables take turns.
        (0..2).for_each(|_| assert_eq!(spare_after(&tally, 3), 0));
        assert!((3..200).contains(&spare_after(&tally, 3)));
        (0..2).for_each(|_| assert_eq!(spare_after(&tally, 0), 0));
    }
}
