//! Writes down each second what calls took, apart from everything that must be durable at once.
//!
//! When the process is killed, what was counted since the last time is lost: at most [`WRITE_EVERY`] of it. While the
//! meter's file cannot be written, calls go on and rows wait, up to a bound.

use std::sync::Arc;
use std::time::Duration;

use keylodge_gate::{Holder, LeaseRow};
use keylodge_rules::Timestamp;
use keylodge_rules::quota::{Calendar, CounterKey, Lease, Metric, ModelName, Period};
use keylodge_store::StoreError;
use keylodge_store::meter::{self, Batch, CallRow, DecisionRow, LedgerRow};
use tokio::sync::watch;

use crate::Lodge;
use crate::observe::chain;

/// How often what was counted is written.
pub const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How long after the beginning of the clock's second it is written, in microseconds.
const AFTER_SECOND_MICROS: i64 = 20_000;

/// How often accounts of which nothing is counted any more are dropped.
const SWEEP_EVERY: u32 = 60;

/// How often old rows become coarser, and how long the clock must have been steady then.
const ROLL_EVERY: u32 = 3600;

/// How far the clock may go from one time to the next, ahead or back, in microseconds: five minutes. Times are a second
/// apart, and more only where the file is slow or the process was stopped.
const CLOCK_STEP_MICROS_MAX: u64 = 5 * 60 * 1_000_000;

/// How many rows wait at most while they cannot be written. More are lost, and the log says so.
const WAITING_MAX: usize = 200_000;

/// How much room is kept for what comes next, for each that there was this time.
const ROOM_PER_ROW_MAX: usize = 4;

/// What was counted and could not be written yet.
#[derive(Debug, Default)]
pub struct Unwritten(tokio::sync::Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    calls: Vec<CallRow>,
    decisions: Vec<DecisionRow>,
    lost: u64,
}

/// Writes what was counted, so that an answer about usage is fresh.
///
/// In a task of its own: who asks about usage may hang up, and what was taken out of memory is written all the same.
///
/// # Errors
/// When the meter's file cannot be written; what was counted waits for the next time then.
pub(crate) async fn write(lodge: &Lodge) -> Result<(), StoreError> {
    let lodge = lodge.clone();
    to_the_end(async move { write_all(&lodge).await }).await
}

/// Writes in a task of its own, which goes on when whoever waits for it hangs up.
pub(crate) async fn to_the_end(
    writing: impl Future<Output = Result<(), StoreError>> + Send + 'static,
) -> Result<(), StoreError> {
    tokio::spawn(writing).await.unwrap_or_else(|failed| match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // The runtime ends, and with it whoever asked.
        Err(_) => Ok(()),
    })
}

async fn write_all(lodge: &Lodge) -> Result<(), StoreError> {
    // One at a time, so that two never write the rows of one.
    let mut waiting = lodge.unwritten.0.lock().await;
    let (mut calls, mut decisions) = (std::mem::take(&mut waiting.calls), std::mem::take(&mut waiting.decisions));
    let waited = calls.len();
    lodge.tally.take(&mut calls, &mut decisions);
    lodge.uses.note_rows(&calls[waited..]);
    lodge.metrics.count_rows(&calls[waited..]);
    let batch = Batch { calls, ledger: Vec::new(), decisions };
    let written = lodge.meter.append(&batch).await;
    let Batch { mut calls, mut decisions, .. } = batch;
    if written.is_ok() {
        empty(&mut calls);
        empty(&mut decisions);
    } else {
        waiting.lost += u64::try_from(calls.len().saturating_sub(WAITING_MAX)).unwrap_or(u64::MAX);
        calls.truncate(WAITING_MAX);
        decisions.truncate(WAITING_MAX);
    }
    (waiting.calls, waiting.decisions) = (calls, decisions);
    written
}

/// Empties a list and keeps its room for the next time, when there will be about as many; not what a bad hour needed.
fn empty<T>(list: &mut Vec<T>) {
    let held = list.len();
    list.clear();
    list.shrink_to(held.saturating_mul(ROOM_PER_ROW_MAX));
}

/// Writes until `stop` turns true or is dropped, and once more then.
pub async fn run(lodge: Lodge, mut stop: watch::Receiver<bool>) {
    let mut failing = false;
    let mut folded = minute(&lodge);
    let mut clock = SteadyClock { last: lodge.now(), rounds: 0 };
    for round in 1_u32.. {
        let stopping = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = tokio::time::sleep(to_next_second(lodge.now())) => false,
        };
        let is_roll_due = clock.is_roll_due(lodge.now());
        let done = write_and_fold(&lodge, round, &mut folded, is_roll_due, stopping).await;
        // One line when it begins to fail and one when it is over, not one a second.
        match &done {
            Err(error) if !failing => {
                tracing::warn!(error = chain(error), "cannot write usage; calls go on, and what they took waits");
            }
            Ok(()) if failing => {
                let lost = std::mem::take(&mut lodge.unwritten.0.lock().await.lost);
                tracing::info!(rows.lost = lost, "usage is written again");
            }
            Ok(()) | Err(_) => {}
        }
        failing = done.is_err();
        if stopping {
            return;
        }
    }
}

/// `folded` is the minute up to which usage was folded. It is folded when a minute is over, by the clock and not by rounds,
/// so that it stays half a minute apart from writing who used which key: both take memory.
async fn write_and_fold(
    lodge: &Lodge,
    round: u32,
    folded: &mut i64,
    is_roll_due: bool,
    stopping: bool,
) -> Result<(), StoreError> {
    write(lodge).await?;
    let minute = minute(lodge);
    if round.is_multiple_of(SWEEP_EVERY) {
        lodge.judge.ledger().sweep();
    }
    if stopping || minute != *folded {
        lodge.meter.fold(minute).await?;
        *folded = minute;
    }
    if is_roll_due {
        lodge.meter.roll(lodge.now()).await?;
    }
    Ok(())
}

/// What tells when the clock can be believed about what is old. To forget cannot be undone, and a clock may be far ahead
/// for a while: that of a virtual machine that was resumed, for one, until somebody corrects it. So nothing is rolled up
/// but after an hour in which it went evenly; one that is wrong for longer is believed.
struct SteadyClock {
    last: Timestamp,
    /// How often it went evenly, since it last did not or rows were rolled up.
    rounds: u32,
}

impl SteadyClock {
    /// Looks at the clock, once each round.
    fn is_roll_due(&mut self, now: Timestamp) -> bool {
        let step = now.micros().abs_diff(self.last.micros());
        self.last = now;
        self.rounds = if step > CLOCK_STEP_MICROS_MAX { 0 } else { self.rounds + 1 };
        let is_due = self.rounds == ROLL_EVERY;
        if is_due {
            self.rounds = 0;
        }
        is_due
    }
}

/// How long it is until the next time to write: a moment after the clock's second begins. What is written then is nearly
/// all of one minute, so that rows of two do not take the room of both; and it is never a moment before.
fn to_next_second(now: Timestamp) -> Duration {
    let every = i64::try_from(WRITE_EVERY.as_micros()).unwrap_or(i64::MAX);
    let since = (now.micros() - AFTER_SECOND_MICROS).rem_euclid(every);
    Duration::from_micros((every - since).unsigned_abs())
}

fn minute(lodge: &Lodge) -> i64 {
    lodge.now().micros().div_euclid(60_000_000)
}

/// Writes down what may be used of limits by the day and month before it is used, until `stop` turns true or is
/// dropped; then what was used exactly. Calls must have ended by then.
pub async fn lease(lodge: Lodge, mut stop: watch::Receiver<bool>) {
    let ledger = lodge.judge.ledger();
    loop {
        let stopping = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = ledger.lease_needed() => false,
        };
        let rows = if stopping { ledger.close() } else { ledger.wanted() };
        let batch = Batch { ledger: rows.iter().map(|row| row_of(row, stopping)).collect(), ..Batch::default() };
        match lodge.meter.append(&batch).await {
            Ok(()) => ledger.granted(&rows),
            Err(error) if stopping => {
                // What was granted stays written: more than was used, never less.
                tracing::warn!(
                    error = chain(&error),
                    "cannot write what was used of limits; what was set aside for use counts as used"
                );
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot write what is used of limits; calls that need it wait");
                tokio::time::sleep(WRITE_EVERY).await;
            }
        }
        if stopping {
            return;
        }
    }
}

/// Takes over what was used of limits by the day and month before this start.
///
/// # Errors
/// When the meter's file cannot be read.
pub async fn restore(lodge: &Lodge) -> Result<(), StoreError> {
    let now = lodge.now();
    let current =
        [Calendar::Day, Calendar::Month].map(|calendar| (Arc::from(calendar.as_str()), calendar.period(now).0));
    let rows: Vec<_> = lodge.meter.ledger(&current).await?.iter().filter_map(lease_of).collect();
    lodge.judge.ledger().restore(&rows);
    lodge.meter.sweep_ledger(&current).await?;
    Ok(())
}

fn row_of(row: &LeaseRow, exact: bool) -> LedgerRow {
    let CounterKey { metric, calendar, model } = &row.lease.counter;
    LedgerRow {
        holder: match &row.holder {
            Holder::Project(number) => meter::Holder::Project(*number),
            Holder::Key(uid) => meter::Holder::Key(*uid),
        },
        metric: metric.as_str().into(),
        window: calendar.as_str().into(),
        model: model.as_ref().map(|model| model.as_str().into()).unwrap_or_default(),
        period: row.lease.period.0,
        granted: if exact { row.lease.used } else { row.lease.granted },
        exact,
    }
}

/// A lease as it was written; nothing where its words mean nothing any more.
fn lease_of(row: &LedgerRow) -> Option<LeaseRow> {
    let holder = match &row.holder {
        meter::Holder::Project(number) => Holder::Project(*number),
        meter::Holder::Key(uid) => Holder::Key(*uid),
    };
    let model = if row.model.is_empty() { None } else { Some(ModelName::parse(&row.model).ok()?) };
    let (metric, calendar) = (Metric::parse(&row.metric).ok()?, Calendar::parse(&row.window).ok()?);
    let counter = CounterKey { metric, calendar, model };
    Some(LeaseRow {
        holder,
        lease: Lease { counter, period: Period(row.period), used: row.granted, granted: row.granted },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In which rounds rows are rolled up, where the clock shows so many seconds more than the rounds that have been.
    fn rolls(rounds: i64, ahead: impl Fn(i64) -> i64) -> Vec<i64> {
        let at = |round: i64| Timestamp::from_micros((1_700_000_000 + round + ahead(round)) * 1_000_000);
        let mut clock = SteadyClock { last: at(0), rounds: 0 };
        (1..=rounds).filter(|round| clock.is_roll_due(at(*round))).collect()
    }

    #[test]
    fn rows_are_rolled_up_once_an_hour() {
        assert_eq!(rolls(10_000, |_| 0), [3600, 7200]);
        assert_eq!(rolls(4_000, |round| round / 60 * 90), [3600], "some waiting is no jump");
    }

    #[test]
    fn a_clock_that_was_far_ahead_within_the_hour_rolls_nothing_up() {
        let year = 365 * 24 * 3600;
        assert_eq!(rolls(10_000, |round| if (3_000..6_000).contains(&round) { year } else { 0 }), [9600]);
        assert_eq!(
            rolls(4_000, |round| if round < 2_000 { year } else { 0 }),
            [0; 0],
            "nor one that was so from the start"
        );
    }
}
