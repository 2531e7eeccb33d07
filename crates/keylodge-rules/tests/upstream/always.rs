//! What holds for any order of calls, answers, reloads and times.

use std::time::Duration;

use keylodge_rules::Timestamp;
use keylodge_rules::upstream::pool::COOLING_MAX;
use keylodge_rules::upstream::{Answered, Choice, Pool, Standing, State, Ticket};
use proptest::prelude::*;

use crate::{at, members};

const ALL: [&str; 6] = ["a1@a", "a2@a", "b1@b", "b2@b", "c@", "d@"];
const MODELS: [Option<&str>; 3] = [None, Some("pro"), Some("flash")];

#[derive(Clone, Debug)]
enum Step {
    Choose(usize),
    Answer(usize, Answered),
    GiveBack(usize),
    Replace(Vec<bool>),
    Clock(i64),
}

fn answered() -> impl Strategy<Value = Answered> {
    prop_oneof![
        3 => Just(Answered::Good),
        1 => Just(Answered::Other),
        2 => Just(Answered::TooMany(None)),
        2 => (0_u64..10_000).prop_map(|seconds| Answered::TooMany(Some(Duration::from_secs(seconds)))),
        1 => Just(Answered::Refused),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..MODELS.len()).prop_map(Step::Choose),
        5 => (0_usize..20, answered()).prop_map(|(which, answered)| Step::Answer(which, answered)),
        5 => (0_usize..20).prop_map(Step::GiveBack),
        1 => prop::collection::vec(any::<bool>(), ALL.len()).prop_map(Step::Replace),
        3 => (-30_i64..120).prop_map(Step::Clock),
        1 => (-100_000_i64..100_000).prop_map(Step::Clock),
    ];
    prop::collection::vec(step, 1..200)
}

/// Whether a credential can take a call for this model now.
fn is_free(standing: &Standing, model: Option<&str>) -> bool {
    match &standing.state {
        State::Good => true,
        State::SetAside { .. } => false,
        State::Cooling { models, .. } => {
            model.is_some_and(|model| !models.is_empty() && !models.iter().any(|cools| cools == model))
        }
    }
}

struct World {
    pool: Pool,
    now: Timestamp,
    open: Vec<(Ticket, Option<&'static str>)>,
}

impl World {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Choose(model) => self.choose(MODELS[model])?,
            Step::Answer(which, answered) => {
                if let Some((ticket, model)) = self.open.get(which) {
                    self.pool.answered(*ticket, *model, answered, self.now);
                }
            }
            Step::GiveBack(which) => {
                if which < self.open.len() {
                    self.pool.give_back(self.open.swap_remove(which).0);
                }
            }
            Step::Replace(who) => {
                let named: Vec<&str> = ALL.into_iter().zip(who).filter(|(_, is)| *is).map(|(name, _)| name).collect();
                self.pool.replace(members(&named));
            }
            Step::Clock(seconds) => {
                let before = self.pool.standings(self.now);
                self.now = Timestamp::from_micros(self.now.micros() + seconds * 1_000_000);
                let after = self.pool.standings(self.now);
                let mut both = before.iter().zip(&after);
                let stays = seconds < 0 || both.all(|(old, new)| old.state != State::Good || new.state == State::Good);
                prop_assert!(stays, "time alone does no harm: {before:?} {after:?}");
            }
        }
        Ok(())
    }

    fn choose(&mut self, model: Option<&'static str>) -> Result<(), TestCaseError> {
        let before = self.pool.standings(self.now);
        let is_lone = before.len() == 1;
        match self.pool.choose(model, self.now) {
            Choice::Take(ticket) => {
                let after = self.pool.standings(self.now);
                let chosen: Vec<_> =
                    before.iter().zip(&after).filter(|(old, new)| old.in_flight < new.in_flight).collect();
                prop_assert_eq!(chosen.len(), 1, "one more is in flight, with one credential");
                prop_assert!(is_lone || is_free(chosen[0].0, model), "{:?} was chosen for {model:?}", chosen[0].0);
                self.open.push((ticket, model));
            }
            Choice::Wait(wait, _) => {
                prop_assert!(!before.iter().any(|standing| is_free(standing, model)), "{before:?} for {model:?}");
                prop_assert!(!is_lone && wait > Duration::ZERO && wait <= COOLING_MAX, "{wait:?}");
                let then = self.pool.choose(model, self.now.plus(wait));
                let Choice::Take(ticket) = then else { return Err(TestCaseError::fail(format!("{then:?}"))) };
                self.open.push((ticket, model));
            }
            Choice::Without => prop_assert!(before.is_empty()),
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn none_that_is_not_free_is_chosen_nobody_waits_longer_than_is_said_and_nothing_stays_in_flight(steps in steps()) {
        let mut world = World { pool: Pool::default(), now: at(Duration::ZERO), open: Vec::new() };
        world.pool.replace(members(&ALL));

        for step in steps {
            world.take(step)?;
        }

        for (ticket, _) in std::mem::take(&mut world.open) {
            world.pool.give_back(ticket);
        }
        for standing in world.pool.standings(world.now) {
            prop_assert_eq!(standing.in_flight, 0, "{:?}", standing);
        }
    }

    #[test]
    fn calls_that_last_alike_are_spread_evenly_over_quota_projects(calls in 1_usize..200) {
        let mut pool = Pool::default();
        pool.replace(members(&ALL));

        for _ in 0..calls {
            pool.choose(None, at(Duration::ZERO));
        }

        let mut projects = std::collections::HashMap::new();
        for standing in pool.standings(at(Duration::ZERO)) {
            let name = if standing.member.quota_project.is_empty() { standing.member.id } else { standing.member.quota_project };
            *projects.entry(name).or_insert(0) += standing.in_flight;
        }
        let (least, most) = (projects.values().min().unwrap(), projects.values().max().unwrap());
        prop_assert!(most - least <= 1, "{projects:?}");
    }
}
