//! What limits promise, one account at a time: plain cases here, in `always` what holds for any order of calls and any
//! clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod always;

use std::time::Duration;

use keylodge_rules::Timestamp;
use keylodge_rules::quota::{
    Account, Amounts, Calendar, Exceeded, Limit, Limits, Metric, Mode, ModelName, Models, Reserved, Retry, Room, Window,
};

const MINUTE: i64 = 60 * SECOND;
const SECOND: i64 = 1_000_000;
/// 2026-11-21 15:00 UTC, a Saturday in California.
const NOON: i64 = 1_795_273_200 * SECOND;
const FLASH: &str = "gemini-3-flash";

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn limit(metric: Metric, window: Window, models: Models, value: u64) -> Limit {
    Limit::new(metric, window, models, value, Mode::Enforced).unwrap()
}

fn limits(list: &[Limit]) -> Limits {
    Limits::new(list.to_vec()).unwrap()
}

fn requests(window: Window, value: u64) -> Limits {
    limits(&[limit(Metric::Requests, window, Models::All, value)])
}

fn calls(requests: u64) -> Amounts {
    Amounts { requests, ..Amounts::ZERO }
}

fn take(account: &mut Account, limits: &Limits, model: &str, worst: Amounts, now: i64) -> Result<Reserved, Room> {
    match account.room(limits, model, &worst, at(now)) {
        Room::Free => Ok(account.reserve(limits, model, &worst, at(now))),
        room => Err(room),
    }
}

/// What is used of each limit, as a call for more than there can ever be is told.
fn used(account: &mut Account, limits: &Limits, model: &str, now: i64) -> Vec<u64> {
    let all = Amounts { requests: u64::MAX, input_tokens: u64::MAX, output_tokens: u64::MAX, cost_nanos: u64::MAX };
    exceeded(account.room(limits, model, &all, at(now))).into_iter().map(|exceeded| exceeded.used).collect()
}

fn exceeded(room: Room) -> Vec<Exceeded> {
    match room {
        Room::Exceeded(exceeded) => exceeded,
        Room::Free | Room::Unleased(_) => Vec::new(),
    }
}

#[test]
fn every_limit_without_room_is_named() {
    let limits = limits(&[
        limit(Metric::Requests, Window::Minute, Models::Each, 1),
        limit(Metric::Requests, Window::Day, Models::All, 1),
        limit(Metric::InputTokens, Window::Minute, Models::All, 1_000),
        limit(Metric::Requests, Window::InFlight, Models::All, 1),
        limit(Metric::Cost, Window::Month, Models::All, 5),
    ]);
    let mut account = Account::new(false);
    let _first = take(&mut account, &limits, FLASH, calls(1), NOON).unwrap();

    let worst = Amounts { requests: 1, input_tokens: 10, output_tokens: 0, cost_nanos: 6 };
    let told = exceeded(account.room(&limits, FLASH, &worst, at(NOON)));

    let told: Vec<_> = told
        .iter()
        .map(|told| (told.limit.metric(), told.limit.window(), told.model.as_ref().map(ModelName::as_str), told.retry))
        .collect();
    let midnight = Duration::from_micros((Calendar::Day.ends(at(NOON)).micros() - NOON).unsigned_abs());
    assert_eq!(
        told,
        [
            (Metric::Requests, Window::Minute, Some(FLASH), Retry::After(Duration::from_secs(61))),
            (Metric::Requests, Window::Day, None, Retry::After(midnight)),
            (Metric::Requests, Window::InFlight, None, Retry::WhenOneEnds),
            (Metric::Cost, Window::Month, None, Retry::Never),
        ]
    );
}

#[test]
fn a_limit_of_each_model_counts_models_apart_and_one_of_a_model_counts_only_that() {
    let each = limits(&[limit(Metric::Requests, Window::Minute, Models::Each, 1)]);
    let mut account = Account::new(false);
    let _first = take(&mut account, &each, FLASH, calls(1), NOON).unwrap();
    assert!(take(&mut account, &each, FLASH, calls(1), NOON).is_err());
    assert!(take(&mut account, &each, "gemini-3-pro", calls(1), NOON).is_ok());
    assert!(take(&mut account, &each, "", calls(9), NOON).is_ok(), "a call of no model");

    let flash = Models::Named(ModelName::parse(FLASH).unwrap());
    let named = limits(&[limit(Metric::Requests, Window::Day, flash, 1)]);
    let _first = take(&mut account, &named, FLASH, calls(1), NOON).unwrap();
    assert!(take(&mut account, &named, FLASH, calls(1), NOON).is_err());
    assert!(take(&mut account, &named, "gemini-3-pro", calls(9), NOON).is_ok());
}

#[test]
fn a_changed_value_keeps_what_is_used() {
    let mut account = Account::new(false);
    let _first = take(&mut account, &requests(Window::Day, 10), FLASH, calls(5), NOON).unwrap();

    assert_eq!(used(&mut account, &requests(Window::Day, 3), FLASH, NOON), [5]);
    assert!(take(&mut account, &requests(Window::Day, 5), FLASH, calls(1), NOON).is_err());
    assert!(take(&mut account, &requests(Window::Day, 6), FLASH, calls(1), NOON).is_ok());
}

#[test]
fn a_shadow_refuses_nothing_and_tells_what_it_would_have_refused() {
    let shadow = Limit::new(Metric::Requests, Window::Minute, Models::All, 1, Mode::Shadow).unwrap();
    let both = limits(&[shadow.clone(), limit(Metric::Requests, Window::Minute, Models::All, 3)]);
    let mut account = Account::new(false);

    let first = take(&mut account, &both, FLASH, calls(1), NOON).unwrap();
    let second = take(&mut account, &both, FLASH, calls(1), NOON).unwrap();

    assert_eq!(first.would_refuse(&both).count(), 0);
    assert!(second.would_refuse(&both).eq([&shadow]));
    assert_eq!(used(&mut account, &both, FLASH, NOON), [2], "the counter they share counts once");
}

#[test]
fn what_is_added_later_is_all_or_nothing_and_given_back_with_the_rest() {
    let limits = limits(&[
        limit(Metric::Requests, Window::Minute, Models::All, 10),
        limit(Metric::InputTokens, Window::Minute, Models::Each, 100),
        limit(Metric::Cost, Window::Month, Models::All, 1_000),
    ]);
    let mut account = Account::new(false);
    let mut reserved = take(&mut account, &limits, FLASH, calls(1), NOON).unwrap();

    let more = Amounts { input_tokens: 60, cost_nanos: 700, ..Amounts::ZERO };
    let later = at(NOON + 2 * SECOND);
    assert_eq!(account.room_for_more(&limits, &reserved, &more, later), Room::Free);
    account.reserve_more(&limits, &mut reserved, &more, later);
    assert_eq!(account.left(Metric::Cost, &limits, FLASH, later), Some(300));
    assert_eq!(exceeded(account.room_for_more(&limits, &reserved, &more, later)).len(), 2);
    assert_eq!(used(&mut account, &limits, FLASH, NOON + 2 * SECOND), [1, 60, 700]);

    account.settle(reserved, &Amounts { requests: 1, input_tokens: 50, output_tokens: 3, cost_nanos: 0 }, later);
    assert_eq!(used(&mut account, &limits, FLASH, NOON + 2 * SECOND), [1, 50, 0]);
}

#[test]
fn more_than_was_reserved_is_counted_all_the_same() {
    let month = limits(&[limit(Metric::Cost, Window::Month, Models::All, 100)]);
    let mut account = Account::new(false);
    let reserved = take(&mut account, &month, FLASH, calls(1), NOON).unwrap();

    account.settle(reserved, &Amounts { cost_nanos: 130, ..Amounts::ZERO }, at(NOON));

    assert_eq!(used(&mut account, &month, FLASH, NOON), [130]);
    assert_eq!(account.left(Metric::Cost, &month, FLASH, at(NOON)), Some(0));
    assert!(take(&mut account, &month, FLASH, calls(1), NOON).is_ok(), "a call that costs nothing has room");
}

#[test]
fn a_new_day_begins_at_nothing_and_takes_nothing_back_from_the_old_one() {
    let day = requests(Window::Day, 10);
    let mut account = Account::new(false);
    let yesterday = take(&mut account, &day, FLASH, calls(7), NOON).unwrap();
    let tomorrow = Calendar::Day.ends(at(NOON)).micros();
    let _today = take(&mut account, &day, FLASH, calls(4), tomorrow).unwrap();

    account.settle(yesterday, &Amounts::ZERO, at(tomorrow));

    assert_eq!(used(&mut account, &day, FLASH, tomorrow), [4]);
    assert_eq!(used(&mut account, &day, FLASH, NOON), [4], "a clock set back reopens no day");
}

#[test]
fn models_beyond_the_bound_share_a_counter_but_for_those_a_limit_names() {
    let named = Models::Named(ModelName::parse("late").unwrap());
    let limits = limits(&[
        limit(Metric::Requests, Window::Day, Models::Each, 1),
        limit(Metric::Requests, Window::Month, named, 5),
    ]);
    let mut account = Account::new(false);
    for model in 0..Account::MODELS_MAX {
        let _kept = take(&mut account, &limits, &format!("m{model}"), calls(1), NOON).unwrap();
    }

    let _kept = take(&mut account, &limits, "one-more", calls(1), NOON).unwrap();
    let Err(Room::Exceeded(told)) = take(&mut account, &limits, "another", calls(1), NOON) else { panic!() };
    assert_eq!(told[0].model.as_ref().unwrap().as_str(), "other");
    assert!(take(&mut account, &limits, "models/not a name", calls(1), NOON).is_err());
    assert!(take(&mut account, &limits, "late", calls(1), NOON).is_ok());
    assert!(take(&mut account, &limits, "m7", calls(1), NOON).is_err());
}

#[test]
fn an_account_forgets_what_is_over_and_keeps_what_is_not() {
    let each = limits(&[
        limit(Metric::Requests, Window::Minute, Models::Each, 9),
        limit(Metric::Requests, Window::Day, Models::All, 9),
    ]);
    let mut account = Account::new(false);
    for model in 0..5 {
        let reserved = take(&mut account, &each, &format!("m{model}"), calls(1), NOON).unwrap();
        account.settle(reserved, &calls(1), at(NOON));
    }

    account.sweep(at(NOON + 2 * MINUTE));
    assert!(!account.is_idle());
    assert_eq!(used(&mut account, &each, "m0", NOON + 2 * MINUTE), [0, 5]);

    account.sweep(Calendar::Day.ends(at(NOON)));
    assert!(account.is_idle());
}

#[test]
fn a_durable_account_spends_nothing_the_disk_does_not_know() {
    let month = limits(&[limit(Metric::Cost, Window::Month, Models::All, 1_000)]);
    let cost = |cost_nanos| Amounts { cost_nanos, ..Amounts::ZERO };
    let mut account = Account::new(true);

    let Err(Room::Unleased(wanted)) = take(&mut account, &month, FLASH, cost(40), NOON) else { panic!() };
    assert_eq!(wanted.len(), 1);
    assert!(wanted[0].granted >= 40 && wanted[0].granted <= 1_000);
    assert!(account.runs_short());
    assert_eq!(account.leases(at(NOON)), wanted);

    account.grant(&wanted[0], at(NOON));
    let reserved = take(&mut account, &month, FLASH, cost(40), NOON).unwrap();
    account.settle(reserved, &cost(30), at(NOON));

    let closed = account.close(at(NOON));
    assert_eq!((closed[0].used, closed[0].granted), (30, 30));
    assert!(matches!(take(&mut account, &month, FLASH, cost(1), NOON), Err(Room::Unleased(_))));

    let mut restarted = Account::new(true);
    restarted.restore(&closed[0], at(NOON));
    assert_eq!(used(&mut restarted, &month, FLASH, NOON), [30]);
}

#[test]
fn a_shadow_waits_for_no_disk_but_is_written_too() {
    let shadow = Limit::new(Metric::Cost, Window::Day, Models::All, 5, Mode::Shadow).unwrap();
    let mut account = Account::new(true);

    let _first =
        take(&mut account, &limits(&[shadow]), FLASH, Amounts { cost_nanos: 9, ..Amounts::ZERO }, NOON).unwrap();

    assert_eq!(account.leases(at(NOON)).iter().map(|lease| lease.granted).collect::<Vec<_>>(), [9]);
}

#[test]
fn leases_grow_with_the_pace_and_stay_a_small_part_of_the_limit() {
    let day = requests(Window::Day, 1_000_000);
    let mut account = Account::new(true);
    let (mut writes, mut now, mut widest) = (0, NOON, 0);
    // A thousand calls a second for a minute.
    for _ in 0..60_000 {
        now += SECOND / 1_000;
        while account.runs_short() || account.room(&day, FLASH, &calls(1), at(now)) != Room::Free {
            let leases = account.leases(at(now));
            writes += 1;
            widest = leases.iter().map(|lease| lease.granted - lease.used).max().unwrap_or(0).max(widest);
            leases.iter().for_each(|lease| account.grant(lease, at(now)));
        }
        let reserved = account.reserve(&day, FLASH, &calls(1), at(now));
        account.settle(reserved, &calls(1), at(now));
    }

    assert!(writes < 40, "{writes} writes in a minute");
    assert!(widest <= 12_000, "a kill would have cost {widest}");
}

#[test]
fn the_writer_is_not_asked_for_nothing() {
    let day = requests(Window::Day, 1_000_000);
    let (mut account, mut now, mut asked) = (Account::new(true), NOON, 0);
    // Ten seconds of a thousand calls each, then one call a second for some hours.
    for call in 0..40_000 {
        now += if call < 10_000 { SECOND / 1_000 } else { SECOND };
        if account.runs_short() || account.room(&day, FLASH, &calls(1), at(now)) != Room::Free {
            asked += 1;
            account.leases(at(now)).iter().for_each(|lease| account.grant(lease, at(now)));
        }
        let reserved = account.reserve(&day, FLASH, &calls(1), at(now));
        account.settle(reserved, &calls(1), at(now));
    }

    assert!(asked <= 40, "asked {asked} times");
}
