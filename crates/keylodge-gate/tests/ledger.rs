//! What the ledger promises: no limit is passed, however many threads race for it, and the totals are the truth.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use keylodge_gate::{Charge, Clock, Holder, Holders, LeaseRow, Ledger, Short};
use keylodge_rules::quota::{Amounts, Limit, Limits, Metric, Mode, Models, Window};
use keylodge_rules::{KeyUid, ProjectNumber, Timestamp};
use tokio::time::Instant;

const THREADS: usize = 8;
const CALLS: usize = 10_000;
const FLASH: &str = "gemini-3-flash";
/// 2026-11-21 15:00 UTC.
const NOON: i64 = 1_795_273_200_000_000;

/// A clock that stands until it is moved.
#[derive(Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn at_noon() -> Self {
        Self(Arc::new(AtomicI64::new(NOON)))
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || Timestamp::from_micros(hand.0.load(Ordering::Relaxed)))
    }

    fn forward(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

/// A project and a key with limits.
struct Caller {
    project: ProjectNumber,
    project_limits: Arc<Limits>,
    key: KeyUid,
    key_limits: Arc<Limits>,
}

impl Caller {
    fn new(project: &[Limit], key: &[Limit]) -> Self {
        Self {
            project: ProjectNumber::from_random([1; 8]),
            project_limits: Arc::new(Limits::new(project.to_vec()).unwrap()),
            key: KeyUid::from_random([1; 16]),
            key_limits: Arc::new(Limits::new(key.to_vec()).unwrap()),
        }
    }

    fn holders(&self) -> Holders<'_> {
        Holders {
            project: self.project,
            project_limits: &self.project_limits,
            key: &self.key,
            key_limits: &self.key_limits,
        }
    }

    /// What is used of each limit that has no room for a call of everything: the project's first.
    fn used(&self, ledger: &Ledger) -> Vec<u64> {
        let all = Amounts { requests: u64::MAX, input_tokens: u64::MAX, output_tokens: u64::MAX, cost_nanos: u64::MAX };
        match ledger.take(self.holders(), FLASH, &all) {
            Err(Short::Exceeded(exceeded)) => exceeded.into_iter().map(|(_, exceeded)| exceeded.used).collect(),
            Ok(_) => Vec::new(),
            Err(Short::Unleased) => panic!("more than every limit"),
        }
    }
}

fn limit(metric: Metric, window: Window, value: u64) -> Limit {
    Limit::new(metric, window, Models::Each, value, Mode::Enforced).unwrap()
}

fn ledger(durable: bool) -> Ledger {
    Ledger::new(Hand::at_noon().clock(), durable)
}

const CALL: Amounts = Amounts { requests: 1, input_tokens: 0, output_tokens: 0, cost_nanos: 0 };
/// At worst 700 billionths of a dollar; in truth, below, 300.
const WORST: Amounts = Amounts { requests: 1, input_tokens: 50, output_tokens: 20, cost_nanos: 700 };
const TRUTH: Amounts = Amounts { requests: 1, input_tokens: 40, output_tokens: 30, cost_nanos: 300 };

/// All threads make their calls at once; what passed is kept.
fn race(ledger: &Ledger, caller: &Caller, worst: &Amounts) -> Vec<Charge> {
    let start = Barrier::new(THREADS);
    let thread = || {
        start.wait();
        (0..CALLS / THREADS).filter_map(|_| ledger.take(caller.holders(), FLASH, worst).ok()).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Exactly so many of 10,000 racing calls pass; what is used before and after they are settled.
fn check(project: &[Limit], key: &[Limit], passed: usize, reserved: &[u64], settled: &[u64]) {
    let (ledger, caller) = (ledger(false), Caller::new(project, key));

    let charges = race(&ledger, &caller, &WORST);

    assert_eq!(charges.len(), passed);
    assert_eq!(caller.used(&ledger), reserved, "reserved");
    std::thread::scope(|scope| {
        for charge in charges {
            scope.spawn(move || charge.settle(&TRUTH));
        }
    });
    assert_eq!(caller.used(&ledger), settled, "settled");
}

#[test]
fn exactly_as_many_calls_pass_as_requests_per_minute_allow() {
    check(&[limit(Metric::Requests, Window::Minute, 120)], &[], 120, &[120], &[120]);
}

#[test]
fn exactly_as_many_calls_pass_as_requests_per_day_allow() {
    check(&[], &[limit(Metric::Requests, Window::Day, 77)], 77, &[77], &[77]);
}

#[test]
fn exactly_as_many_calls_pass_as_may_be_in_flight() {
    check(&[limit(Metric::Requests, Window::InFlight, 33)], &[], 33, &[33], &[]);
}

#[test]
fn exactly_as_many_calls_pass_as_a_budget_pays_for_at_worst() {
    check(&[limit(Metric::Cost, Window::Month, 70_000)], &[], 100, &[70_000], &[30_000]);
}

#[test]
fn a_call_passes_under_the_limits_of_project_and_key_or_takes_from_neither() {
    check(
        &[limit(Metric::Requests, Window::Minute, 200), limit(Metric::InputTokens, Window::Minute, 5_000)],
        &[limit(Metric::Requests, Window::Day, 90), limit(Metric::OutputTokens, Window::Day, 1_900)],
        90,
        &[90, 4_500, 90, 1_800],
        &[90, 3_600, 90, 2_700],
    );
}

#[test]
fn calls_that_end_make_room_for_exactly_as_many() {
    let (ledger, caller) = (ledger(false), Caller::new(&[limit(Metric::Requests, Window::InFlight, 4)], &[]));
    let (now, most, passed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));

    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..CALLS / THREADS {
                    let Ok(charge) = ledger.take(caller.holders(), FLASH, &CALL) else { continue };
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    passed.fetch_add(1, Ordering::SeqCst);
                    now.fetch_sub(1, Ordering::SeqCst);
                    charge.settle(&CALL);
                }
            });
        }
    });

    assert!(most.into_inner() <= 4 && passed.into_inner() >= CALLS / THREADS);
    assert_eq!(race(&ledger, &caller, &CALL).len(), 4);
}

#[test]
fn a_holder_without_limits_costs_nothing_not_even_a_look_at_the_clock() {
    let ledger = Ledger::new(Arc::new(|| panic!("nobody should ask")), true);
    let mut charge = ledger.take(Caller::new(&[], &[]).holders(), FLASH, &WORST).unwrap();

    charge.extend(&WORST).unwrap();

    assert_eq!((charge.left(Metric::Cost), charge.would_refuse().count(), ledger.accounts()), (None, 0, 0));
}

#[test]
fn a_charge_that_is_dropped_is_given_back() {
    let (ledger, caller) = (ledger(false), Caller::new(&[limit(Metric::Requests, Window::Day, 1)], &[]));

    drop(ledger.take(caller.holders(), FLASH, &CALL).unwrap());

    assert!(ledger.take(caller.holders(), FLASH, &CALL).is_ok());
}

#[test]
fn a_refusal_names_every_limit_and_its_holder() {
    let rpm = limit(Metric::Requests, Window::Minute, 0);
    let (ledger, caller) = (ledger(false), Caller::new(std::slice::from_ref(&rpm), std::slice::from_ref(&rpm)));

    let Err(Short::Exceeded(exceeded)) = ledger.take(caller.holders(), FLASH, &CALL) else { panic!() };

    let holders: Vec<_> = exceeded.into_iter().map(|(holder, exceeded)| (holder, exceeded.limit)).collect();
    assert_eq!(holders, [(Holder::Project(caller.project), rpm.clone()), (Holder::Key(caller.key), rpm)]);
}

#[test]
fn more_for_a_call_is_taken_from_project_and_key_or_from_neither() {
    let tokens = |value| limit(Metric::InputTokens, Window::Minute, value);
    let (ledger, caller) = (ledger(false), Caller::new(&[tokens(100)], &[tokens(10)]));
    let more = |input_tokens| Amounts { input_tokens, ..Amounts::ZERO };
    let mut charge = ledger.take(caller.holders(), FLASH, &CALL).unwrap();

    assert!(matches!(charge.extend(&more(11)), Err(Short::Exceeded(exceeded)) if exceeded.len() == 1));
    assert_eq!(charge.amounts(), CALL);
    charge.extend(&more(10)).unwrap();
    assert_eq!(caller.used(&ledger), [10, 10]);

    drop(charge);
    assert_eq!(caller.used(&ledger), [0, 0]);
}

#[test]
fn a_charge_knows_what_is_affordable_and_what_shadows_would_have_refused() {
    let shadow = Limit::new(Metric::Cost, Window::Day, Models::All, 600, Mode::Shadow).unwrap();
    let project = [limit(Metric::Cost, Window::Month, 1_000), shadow.clone()];
    let caller = Caller::new(&project, &[limit(Metric::Cost, Window::Day, 800)]);
    let ledger = ledger(false);

    let charge = ledger.take(caller.holders(), FLASH, &WORST).unwrap();

    assert_eq!(charge.left(Metric::Cost), Some(100));
    assert!(charge.would_refuse().eq([(&Holder::Project(caller.project), &shadow)]));
}

#[test]
fn accounts_of_which_nothing_is_counted_are_swept() {
    let hand = Hand::at_noon();
    let ledger = Ledger::new(hand.clock(), false);
    let caller = Caller::new(&[limit(Metric::Requests, Window::Minute, 9)], &[limit(Metric::Requests, Window::Day, 9)]);
    ledger.take(caller.holders(), FLASH, &CALL).unwrap().settle(&CALL);
    let open = ledger.take(caller.holders(), FLASH, &CALL).unwrap();

    hand.forward(Duration::from_secs(61));
    ledger.sweep();
    assert_eq!(ledger.accounts(), 2, "a call is open");
    drop(open);
    ledger.sweep();
    assert_eq!(ledger.accounts(), 1, "the day is not over");
    hand.forward(Duration::from_secs(86_400));
    ledger.sweep();
    assert_eq!(ledger.accounts(), 0);
}

#[test]
fn strangers_do_not_pile_up() {
    let hand = Hand::at_noon();
    let ledger = Ledger::new(hand.clock(), false);
    let mut caller = Caller::new(&[], &[limit(Metric::Requests, Window::Minute, 1)]);
    for key in 0..40_000_u64 {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&key.to_be_bytes());
        caller.key = KeyUid::from_random(bytes);
        ledger.take(caller.holders(), FLASH, &CALL).unwrap().settle(&CALL);
        hand.forward(Duration::from_secs(1));
    }
    assert!(ledger.accounts() < 10_000, "{}", ledger.accounts());
}

/// A disk, and the task that writes to it.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<HashMap<String, LeaseRow>>>);

impl Disk {
    fn put(&self, rows: &[LeaseRow]) {
        let mut disk = self.0.lock().unwrap();
        disk.extend(rows.iter().map(|row| (format!("{:?} {:?}", row.holder, row.lease.counter), row.clone())));
    }

    fn rows(&self) -> Vec<LeaseRow> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    async fn follow(self, ledger: Arc<Ledger>) {
        loop {
            ledger.lease_needed().await;
            let rows = ledger.wanted();
            self.put(&rows);
            ledger.granted(&rows);
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn exactly_as_many_calls_pass_when_every_one_must_be_leased() {
    const BUDGET: u64 = 700 * 2_000;
    let (ledger, disk) = (Arc::new(ledger(true)), Disk::default());
    let day = limit(Metric::Requests, Window::Day, 5_000);
    let caller = Arc::new(Caller::new(&[limit(Metric::Cost, Window::Month, BUDGET)], &[day]));
    let writer = tokio::spawn(disk.clone().follow(Arc::clone(&ledger)));

    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (ledger, caller) = (Arc::clone(&ledger), Arc::clone(&caller));
            tokio::spawn(async move { ledger.take_leased(caller.holders(), FLASH, &WORST, soon()).await })
        })
        .collect();
    let mut charges = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(charge) => charges.push(charge),
            Err(Short::Exceeded(_)) => {}
            Err(Short::Unleased) => panic!("nobody wrote the lease"),
        }
    }

    assert_eq!(charges.len(), 2_000);
    assert_eq!(caller.used(&ledger), [BUDGET, 2_000]);
    assert!(
        disk.rows()
            .iter()
            .all(|row| row.lease.granted >= if row.holder == Holder::Project(caller.project) { BUDGET } else { 2_000 })
    );

    for charge in charges {
        charge.settle(&TRUTH);
    }
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    disk.put(&ledger.close());
    let restarted = Ledger::new(Hand::at_noon().clock(), true);
    restarted.restore(&disk.rows());
    assert_eq!(caller.used(&restarted), [2_000 * 300, 2_000]);
}

#[tokio::test]
async fn a_call_waits_for_its_lease_until_the_deadline() {
    let ledger = ledger(true);
    let caller = Caller::new(&[limit(Metric::Requests, Window::Day, 10)], &[]);

    let short = ledger.take_leased(caller.holders(), FLASH, &CALL, Instant::now()).await.unwrap_err();
    assert_eq!(short, Short::Unleased);

    ledger.lease_needed().await;
    let rows = ledger.wanted();
    let (charge, ()) = tokio::join!(ledger.take_leased(caller.holders(), FLASH, &CALL, soon()), async {
        ledger.granted(&rows);
    });
    assert_eq!(charge.unwrap().amounts(), CALL);
}

#[tokio::test]
async fn more_for_a_call_waits_for_its_lease_too() {
    let ledger = ledger(true);
    let caller = Caller::new(&[limit(Metric::Cost, Window::Month, 1_000)], &[]);
    let mut charge = ledger.take(caller.holders(), FLASH, &CALL).unwrap();

    let (extended, ()) = tokio::join!(charge.extend_leased(&WORST, soon()), async {
        ledger.lease_needed().await;
        ledger.granted(&ledger.wanted());
    });
    extended.unwrap();

    assert_eq!(charge.left(Metric::Cost), Some(300));
}

#[tokio::test]
async fn rows_that_were_not_written_are_wanted_again() {
    let ledger = ledger(true);
    let caller = Caller::new(&[limit(Metric::Requests, Window::Day, 10)], &[]);
    assert!(ledger.take(caller.holders(), FLASH, &CALL).is_err());
    ledger.lease_needed().await;
    let lost = ledger.wanted();
    assert_eq!(lost.len(), 1);
    assert!(ledger.wanted().is_empty());

    assert!(ledger.take(caller.holders(), FLASH, &CALL).is_err());

    ledger.lease_needed().await;
    assert_eq!(ledger.wanted().len(), 1);
}

#[tokio::test]
async fn a_closed_ledger_lets_nobody_wait() {
    let ledger = ledger(true);
    let caller = Caller::new(&[limit(Metric::Requests, Window::Day, 10)], &[]);
    assert!(ledger.take(caller.holders(), FLASH, &CALL).is_err());
    let rows = ledger.wanted();

    let (short, closed) =
        tokio::join!(ledger.take_leased(caller.holders(), FLASH, &CALL, soon()), async { ledger.close() });

    assert_eq!((short.unwrap_err(), closed), (Short::Unleased, vec![]));
    ledger.granted(&rows);
    assert_eq!(ledger.take(caller.holders(), FLASH, &CALL).unwrap_err(), Short::Unleased);
}
