//! Any calls, folded and rolled up at any moments, through any crashes, are counted exactly once.

use std::collections::BTreeMap;

use keylodge_store::meter::{
    CallKind, CallRow, CallerFacts, Counts, Group, MeterOptions, ShapeQuery, Step, UsageQuery, UsageRow,
};
use proptest::prelude::*;

use crate::support::{DAY, Kept, NOON, at, call, ever, key, project};

#[derive(Clone, Debug)]
enum Move {
    Append(Vec<CallRow>),
    Fold(i64),
    Roll(i64),
    Ask,
    /// Another process folds.
    Other,
    Crash,
}

fn text(texts: &'static [&'static str]) -> impl Strategy<Value = std::sync::Arc<str>> {
    prop::sample::select(texts).prop_map(Into::into)
}

fn one_call() -> impl Strategy<Value = CallRow> {
    let presented = prop::option::weighted(0.8, 0u16..6);
    let words = (
        text(&["gemini.example", "jules.example"]),
        text(&["", "a", "a\0b"]),
        text(&["", "flash", "pro", "ä\u{1f600}"]),
        text(&["ok", "http_503", "quota_exhausted"]),
        text(&["", "quota_exhausted"]),
        text(&["", "google"]),
    );
    let caller = (prop::option::of(any::<[u8; 1]>()), text(&["", "https://a.example/"]), text(&["", "curl/8"]));
    let taken = (1u64..5, 0u64..1000, 0u64..1_000_000_000_000, prop::collection::vec(0u64..40_000_000, 0..3));
    (NOON..NOON + 200, presented, words, caller, taken).prop_map(|(minute, which, words, caller, taken)| {
        let (service, method, model, outcome, shadow, upstream) = words;
        let (calls, tokens, cost_nanos, times) = taken;
        let mut counts = Counts {
            calls,
            input_tokens: tokens,
            output_tokens: tokens / 3,
            cached_tokens: tokens / 7,
            cost_nanos,
            ..Counts::default()
        };
        times.iter().for_each(|micros| counts.latency.add(*micros));
        let kind = CallKind {
            project: which.map(|which| project(which as u8 % 2)),
            service,
            method,
            model,
            outcome,
            shadow,
            upstream,
            caller: CallerFacts {
                address: caller.0.map(|[last]| [192, 0, 2, last].into()),
                referrer: caller.1,
                client: caller.2,
                ..CallerFacts::default()
            },
        };
        CallRow { minute, key: which.map(key), kind: kind.into(), counts, ..call(0) }
    })
}

fn one_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => prop::collection::vec(one_call(), 0..30).prop_map(Move::Append),
        2 => (NOON..NOON + 250).prop_map(Move::Fold),
        1 => (NOON..NOON + 250).prop_map(Move::Roll),
        1 => Just(Move::Ask),
        1 => Just(Move::Other),
        1 => Just(Move::Crash),
    ]
}

/// What calls are told apart by, minute aside.
type Told = (Option<u64>, Option<String>, [String; 6]);

fn sums(rows: impl IntoIterator<Item = (i64, Told, Counts)>) -> BTreeMap<(i64, Told), Vec<u64>> {
    let mut sums = BTreeMap::<(i64, Told), Counts>::new();
    rows.into_iter().for_each(|(hour, told, counts)| sums.entry((hour, told)).or_default().merge(&counts));
    let numbers = |counts: Counts| {
        let Counts { calls, input_tokens, output_tokens, cached_tokens, cost_nanos, latency } = counts;
        let numbers = [calls, input_tokens, output_tokens, cached_tokens, cost_nanos, latency.total_micros];
        numbers.into_iter().chain(latency.buckets).collect()
    };
    sums.into_iter().map(|(told, counts)| (told, numbers(counts))).collect()
}

fn of_call(call: &CallRow) -> (i64, Told, Counts) {
    let kind = &call.kind;
    let words = [&kind.service, &kind.method, &kind.model, &kind.outcome, &kind.shadow, &kind.upstream];
    let told = (
        kind.project.map(|project| project.get()),
        call.key.as_ref().map(ToString::to_string),
        words.map(ToString::to_string),
    );
    (call.minute - call.minute % 60, told, call.counts)
}

fn of_row(row: &UsageRow) -> (i64, Told, Counts) {
    let words = [&row.service, &row.method, &row.model, &row.outcome, &row.shadow, &row.upstream];
    let told = (
        row.project.map(|project| project.get()),
        row.key.as_ref().map(ToString::to_string),
        words.map(|word| word.as_ref().unwrap().to_string()),
    );
    (row.start, told, row.counts)
}

async fn run(moves: Vec<Move>) {
    let mut kept = Kept::empty().await;
    let mut appended = Vec::new();
    for step in moves {
        match step {
            Move::Append(calls) => {
                appended.extend(calls.iter().cloned());
                kept.append(calls).await;
            }
            Move::Fold(before) => drop(kept.meter.fold(before).await.unwrap()),
            Move::Roll(minute) => drop(kept.meter.roll(at(minute + 7 * DAY)).await.unwrap()),
            Move::Ask => assert_eq!(kept.calls().await, appended.iter().map(|call| call.counts.calls).sum::<u64>()),
            Move::Other => kept.opened_again().await.unwrap().close().await,
            Move::Crash => kept = kept.after_a_crash().await,
        }
    }

    let group_by = [
        Group::Project,
        Group::Key,
        Group::Service,
        Group::Method,
        Group::Model,
        Group::Outcome,
        Group::Shadow,
        Group::Upstream,
    ];
    let query = UsageQuery {
        filter: ever(),
        step: Step::Hour,
        group_by: group_by.into(),
        size: 10_000,
        ..UsageQuery::default()
    };
    let rows = kept.meter.usage(&query).await.unwrap().items;
    assert_eq!(sums(rows.iter().map(of_row)), sums(appended.iter().map(of_call)));

    let query = ShapeQuery { to: i64::MAX, size: 10_000, ..ShapeQuery::default() };
    let shapes = kept.meter.shapes(&query).await.unwrap();
    let ours = appended.iter().filter(|call| call.key.is_some());
    assert_eq!(
        shapes.rows.iter().map(|row| row.calls).sum::<u64>(),
        ours.clone().map(|call| call.counts.calls).sum::<u64>()
    );
    for which in 0..6 {
        let last = ours.clone().filter(|call| call.key == Some(key(which))).map(|call| call.minute).max();
        assert_eq!(kept.meter.last_used(&key(which)).await.unwrap(), last);
    }
}

/// The bound leaves things out, so only what no bound touches can be compared: the total.
async fn run_bounded(moves: Vec<Move>) {
    let options = MeterOptions { usage_rows_per_minute_max: 1, shapes_max: 8, ..MeterOptions::default() };
    let mut kept = Kept::with(options).await;
    let mut total = Counts::default();
    for step in moves {
        match step {
            Move::Append(calls) => {
                calls.iter().for_each(|call| total.merge(&call.counts));
                kept.append(calls).await;
            }
            Move::Fold(before) => drop(kept.meter.fold(before).await.unwrap()),
            Move::Roll(minute) => drop(kept.meter.roll(at(minute + 7 * DAY)).await.unwrap()),
            Move::Ask => assert_eq!(kept.total(&ever()).await, total),
            Move::Other => kept.opened_again().await.unwrap().close().await,
            Move::Crash => kept = kept.after_a_crash().await,
        }
    }
    assert_eq!(kept.total(&ever()).await, total);
    assert!(kept.rows("shapes").await <= 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn totals_are_what_was_appended_whatever_happens_between(moves in prop::collection::vec(one_move(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(moves));
    }

    #[test]
    fn totals_stay_even_where_rows_are_bounded(moves in prop::collection::vec(one_move(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run_bounded(moves));
    }
}
