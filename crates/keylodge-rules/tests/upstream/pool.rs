use std::time::Duration;

use keylodge_rules::upstream::{Answered, Choice, Member, Pool, State, Ticket, Why};

use crate::{SECOND, at, members, pool, taken};

const PRO: Option<&str> = Some("gemini-2.5-pro");
const FLASH: Option<&str> = Some("gemini-2.5-flash");
const TOO_MANY: Answered = Answered::TooMany(None);

/// Who a call at the beginning goes with; it stays in flight.
#[track_caller]
fn choose(pool: &mut Pool, model: Option<&str>) -> (String, Ticket) {
    let ticket = taken(pool.choose(model, at(Duration::ZERO)));
    (pool.member(ticket).unwrap().id.clone(), ticket)
}

/// The same for calls that are over at once.
fn choices(pool: &mut Pool, calls: usize) -> Vec<String> {
    let mut one = || {
        let (id, ticket) = choose(pool, FLASH);
        pool.give_back(ticket);
        id
    };
    (0..calls).map(|_| one()).collect()
}

#[test]
fn calls_go_around_quota_projects_and_within_each_around_its_credentials() {
    let mut pool = pool(&["a1@a", "a2@a", "b1@b"]);

    assert_eq!(choices(&mut pool, 8), ["a1", "b1", "a2", "b1", "a1", "b1", "a2", "b1"]);
}

#[test]
fn a_call_goes_where_the_least_is_in_flight() {
    let mut pool = pool(&["a1@a", "a2@a", "b1@b"]);
    let (_, a1) = choose(&mut pool, FLASH);
    let (_, b1) = choose(&mut pool, FLASH);
    let (_, a2) = choose(&mut pool, FLASH);
    assert_eq!(choose(&mut pool, FLASH).0, "b1", "two are in flight for a, one for b");

    pool.give_back(a1);
    pool.give_back(a2);

    assert_eq!(choose(&mut pool, FLASH).0, "a1");
    pool.give_back(b1);
}

#[test]
fn credentials_without_a_quota_project_are_on_their_own() {
    let mut pool = pool(&["one@", "two@"]);
    let (id, ticket) = choose(&mut pool, FLASH);
    pool.answered(ticket, FLASH, TOO_MANY, at(Duration::ZERO));
    pool.give_back(ticket);

    assert_eq!((id.as_str(), choices(&mut pool, 3)), ("one", vec!["two".to_owned(); 3]));
}

#[test]
fn too_many_calls_let_the_whole_quota_project_cool_down_for_that_model() {
    let mut pool = pool(&["a1@a", "a2@a", "b1@b"]);
    let (_, ticket) = choose(&mut pool, PRO);
    pool.give_back(ticket);

    pool.answered(ticket, PRO, Answered::TooMany(Some(30 * SECOND)), at(Duration::ZERO));

    for _ in 0..3 {
        assert_eq!(choose(&mut pool, PRO).0, "b1");
    }
    let (id, flash) = choose(&mut pool, FLASH);
    assert_eq!(id, "a2", "another model is counted by itself");
    pool.give_back(flash);
    let cooling = State::Cooling { until: at(30 * SECOND), models: vec![PRO.unwrap().to_owned()] };
    let states: Vec<_> = pool.standings(at(29 * SECOND)).into_iter().map(|standing| standing.state).collect();
    assert_eq!(states, [cooling.clone(), cooling, State::Good]);
    assert!(pool.standings(at(30 * SECOND)).iter().all(|standing| standing.state == State::Good));
    let next = taken(pool.choose(PRO, at(30 * SECOND)));
    assert_eq!(pool.member(next).unwrap().quota_project, "a", "it has the least in flight");
}

#[test]
fn a_cooling_without_a_model_is_for_all_of_them() {
    let mut pool = pool(&["a1@a", "b1@b"]);
    let (_, ticket) = choose(&mut pool, None);
    pool.answered(ticket, None, TOO_MANY, at(Duration::ZERO));

    assert_eq!((choose(&mut pool, PRO).0, choose(&mut pool, None).0), ("b1".to_owned(), "b1".to_owned()));
}

#[test]
fn how_long_it_cools_down_is_what_the_upstream_says_within_bounds() {
    for (asked, expected) in [
        (None, 60 * SECOND),
        (Some(7 * SECOND), 7 * SECOND),
        (Some(Duration::from_secs(86_400)), 3600 * SECOND),
        (Some(Duration::MAX), 3600 * SECOND),
    ] {
        let mut pool = pool(&["a1@a", "a2@a"]);
        let (_, ticket) = choose(&mut pool, FLASH);
        pool.answered(ticket, FLASH, Answered::TooMany(asked), at(Duration::ZERO));

        assert_eq!(pool.choose(FLASH, at(Duration::ZERO)), Choice::Wait(expected, Why::TooMany), "{asked:?}");
        taken(pool.choose(FLASH, at(expected)));
    }
}

#[test]
fn a_refused_credential_is_set_aside_and_its_neighbours_go_on() {
    let mut pool = pool(&["a1@a", "a2@a"]);
    let (_, ticket) = choose(&mut pool, FLASH);
    pool.give_back(ticket);

    pool.answered(ticket, FLASH, Answered::Refused, at(Duration::ZERO));

    assert_eq!(choices(&mut pool, 3), ["a2", "a2", "a2"]);
    assert_eq!(pool.standings(at(SECOND))[0].state, State::SetAside { until: at(300 * SECOND) });
    let next = taken(pool.choose(FLASH, at(300 * SECOND)));
    assert_eq!(pool.member(next).unwrap().id, "a1");
}

#[test]
fn where_none_is_free_the_wait_is_for_the_one_that_is_free_first() {
    let mut pool = pool(&["a1@a", "b1@b", "b2@b"]);
    let tickets: Vec<Ticket> = (0..3).map(|_| choose(&mut pool, FLASH).1).collect();
    pool.answered(tickets[0], FLASH, Answered::Refused, at(Duration::ZERO));
    taken(pool.choose(FLASH, at(Duration::ZERO)));
    pool.answered(tickets[1], FLASH, Answered::TooMany(Some(20 * SECOND)), at(Duration::ZERO));

    assert_eq!(pool.choose(FLASH, at(5 * SECOND)), Choice::Wait(15 * SECOND, Why::TooMany));
    pool.answered(tickets[1], FLASH, Answered::TooMany(Some(400 * SECOND)), at(5 * SECOND));
    assert_eq!(pool.choose(FLASH, at(5 * SECOND)), Choice::Wait(295 * SECOND, Why::Refused));
}

#[test]
fn who_waits_as_long_as_is_said_finds_a_free_one_also_after_the_clock_was_set_back() {
    let mut pool = pool(&["a1@a", "a2@a"]);
    let late = at(500 * SECOND);
    let (_, ticket) = choose(&mut pool, FLASH);
    pool.answered(ticket, PRO, Answered::TooMany(Some(1000 * SECOND)), late);
    pool.answered(ticket, FLASH, Answered::TooMany(Some(3143 * SECOND)), late);

    let said = pool.choose(None, at(Duration::ZERO));

    assert_eq!(said, Choice::Wait(3143 * SECOND, Why::TooMany), "as long as the upstream asked for, from now on");
    taken(pool.choose(None, at(3143 * SECOND)));
}

#[test]
fn a_trouble_lasts_as_long_again_at_most_however_far_the_clock_is_set_back() {
    for (answered, longest, why) in [
        (Answered::TooMany(Some(7 * SECOND)), 7 * SECOND, Why::TooMany),
        (TOO_MANY, 60 * SECOND, Why::TooMany),
        (Answered::Refused, 300 * SECOND, Why::Refused),
    ] {
        for back in [Duration::from_micros(1), SECOND, 1800 * SECOND, 86_400 * SECOND] {
            let mut pool = pool(&["a1@a", "b1@b"]);
            for _ in 0..2 {
                let (_, ticket) = choose(&mut pool, FLASH);
                pool.answered(ticket, FLASH, answered, at(back));
            }

            let until = pool.standings(at(Duration::ZERO)).into_iter().map(|standing| match standing.state {
                State::Cooling { until, .. } | State::SetAside { until } => Some(until),
                State::Good => None,
            });

            assert_eq!(until.collect::<Vec<_>>(), [Some(at(longest)); 2], "{answered:?} {back:?}");
            assert_eq!(pool.choose(FLASH, at(Duration::ZERO)), Choice::Wait(longest, why), "{back:?}");
            taken(pool.choose(FLASH, at(longest)));
        }
    }
}

#[test]
fn a_trouble_that_is_over_does_not_come_again_when_the_clock_is_set_back() {
    let mut pool = pool(&["a1@a", "a2@a"]);
    let (_, ticket) = choose(&mut pool, FLASH);
    for answered in [TOO_MANY, Answered::Refused] {
        pool.answered(ticket, FLASH, answered, at(Duration::ZERO));
    }
    taken(pool.choose(FLASH, at(300 * SECOND)));

    assert!(pool.standings(at(SECOND)).iter().all(|standing| standing.state == State::Good));
}

#[test]
fn a_refused_credential_is_set_aside_also_for_a_call_that_read_the_clock_just_before() {
    let mut pool = pool(&["a1@a", "a2@a"]);
    let (_, ticket) = choose(&mut pool, FLASH);
    pool.give_back(ticket);
    pool.answered(ticket, FLASH, Answered::Refused, at(Duration::from_micros(1)));

    assert_eq!(choices(&mut pool, 3), ["a2", "a2", "a2"]);
    assert_ne!(pool.standings(at(299 * SECOND))[0].state, State::Good);
}

#[test]
fn a_credential_that_is_alone_always_goes_and_its_state_is_kept() {
    let mut pool = pool(&["one@a"]);
    for answered in [TOO_MANY, Answered::Refused] {
        let (_, ticket) = choose(&mut pool, FLASH);
        pool.answered(ticket, FLASH, answered, at(Duration::ZERO));
        assert_ne!(pool.standings(at(Duration::ZERO))[0].state, State::Good);
    }

    let (_, ticket) = choose(&mut pool, FLASH);
    pool.answered(ticket, FLASH, Answered::Good, at(SECOND));

    assert_eq!(pool.standings(at(SECOND))[0].state, State::Good, "what worked since is good");
}

#[test]
fn a_call_that_was_under_way_before_the_trouble_does_not_end_it() {
    let mut pool = pool(&["a1@a", "b1@b"]);
    let (_, slow) = choose(&mut pool, FLASH);
    choose(&mut pool, FLASH);
    let (id, refused) = choose(&mut pool, FLASH);
    pool.answered(refused, FLASH, TOO_MANY, at(Duration::ZERO));

    pool.answered(slow, FLASH, Answered::Good, at(SECOND));

    assert_eq!((id.as_str(), choose(&mut pool, FLASH).0.as_str()), ("a1", "b1"));
}

#[test]
fn a_pool_without_members_gives_none() {
    let mut pool = Pool::default();
    assert_eq!(pool.choose(FLASH, at(Duration::ZERO)), Choice::Without);

    pool.replace(members(&["one@"]));
    let (_, ticket) = choose(&mut pool, FLASH);
    pool.replace(Vec::new());
    pool.answered(ticket, FLASH, TOO_MANY, at(Duration::ZERO));
    pool.give_back(ticket);

    assert_eq!(pool.choose(FLASH, at(Duration::ZERO)), Choice::Without);
}

#[test]
fn who_stays_keeps_its_state_and_what_is_in_flight_and_who_comes_back_begins_anew() {
    let mut pool = pool(&["a1@a", "b1@b", "b2@b"]);
    let (_, a1) = choose(&mut pool, FLASH);
    let (_, b1) = choose(&mut pool, FLASH);
    pool.answered(b1, FLASH, TOO_MANY, at(Duration::ZERO));

    pool.replace(members(&["b3@b", "b1@b", "c1@c"]));

    let standings = pool.standings(at(SECOND));
    let ids: Vec<_> = standings.iter().map(|standing| (standing.member.id.as_str(), standing.in_flight)).collect();
    assert_eq!(ids, [("b3", 0), ("b1", 1), ("c1", 0)]);
    assert!(standings[..2].iter().all(|standing| matches!(standing.state, State::Cooling { .. })));
    pool.replace(members(&["a1@a"]));
    pool.give_back(a1);
    assert_eq!(pool.standings(at(SECOND))[0].in_flight, 0, "a ticket of before is not this one's");
}

#[test]
fn models_that_callers_name_do_not_fill_the_memory() {
    let mut pool = pool(&["a1@a", "b1@b"]);
    let (_, ticket) = choose(&mut pool, FLASH);
    for which in 0..10_000 {
        pool.answered(ticket, Some(&format!("model-{which}")), TOO_MANY, at(Duration::ZERO));
    }

    assert_eq!(pool.standings(at(SECOND))[0].state, State::Cooling { until: at(60 * SECOND), models: Vec::new() });
    assert_eq!(choose(&mut pool, Some("one-more")).0, "b1", "the whole project cools down");
}

#[test]
fn what_an_account_made_goes_with_that_account_alone_while_it_has_a_credential() {
    let mut pool = pool(&["a1@a", "a2@a", "b1@b", "c1@"]);
    let member = |id: &str, quota_project: &str| Member { id: id.to_owned(), quota_project: quota_project.to_owned() };
    let with = |pool: &mut Pool, of: &Member| {
        let ticket = pool.choose_of(of, at(Duration::ZERO))?;
        pool.answered(ticket, FLASH, TOO_MANY, at(Duration::ZERO));
        pool.give_back(ticket);
        Some(pool.member(ticket)?.id.clone())
    };

    let a1 = member("a1", "a");
    assert_eq!(with(&mut pool, &a1).as_deref(), Some("a1"));
    assert_eq!(with(&mut pool, &a1).as_deref(), Some("a2"), "it is the same account, cooling down or not");
    let c1 = member("c1", "");
    assert_eq!(with(&mut pool, &c1).as_deref(), Some("c1"));
    assert_eq!(with(&mut pool, &c1).as_deref(), Some("c1"), "nobody else can go");
    assert_eq!(with(&mut pool, &member("gone", "")), None);
    assert_eq!(with(&mut pool, &member("gone", "b")).as_deref(), Some("b1"), "the account has another credential");
}
