//! Several credentials of ours at one upstream: which one a call goes with.
//!
//! Credentials of one quota project share what the upstream lets through, so calls are spread over quota projects first:
//! to the one with the least in flight, of equals to the one that was not chosen for the longest time; within it the
//! same again. When the upstream says "too many", the whole quota project cools down for that model, as Google counts
//! for each project and model. When it says "wrong credential", that credential is set aside for a while.
//!
//! A credential that is alone always goes: what its upstream says of it is the truth, and nothing here could do better.
//! Its state is kept all the same, for whoever looks.

use std::time::Duration;

use super::until;
use crate::Timestamp;

/// How long a quota project cools down where the upstream does not say.
pub const COOLING_DEFAULT: Duration = Duration::from_secs(60);
/// The longest a quota project cools down, whatever the upstream says.
pub const COOLING_MAX: Duration = Duration::from_secs(60 * 60);
/// How long a credential that was refused is set aside.
pub const SET_ASIDE: Duration = Duration::from_secs(5 * 60);
/// How many models of one quota project cool down by themselves. Callers choose the models' names: for one more the whole
/// project cools down.
const MODELS_MAX: usize = 64;

/// A credential, as the pool knows it: without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// The project at the upstream that its calls count against. Empty where that is not known: then it is taken for one
    /// of its own.
    pub quota_project: String,
}

/// All credentials at one upstream, and how each fares.
#[derive(Debug, Default)]
pub struct Pool {
    projects: Vec<Project>,
    /// Counts choices.
    turn: u64,
    /// The number of the newest seat; none is given twice.
    newest: u64,
}

/// Credentials that share a quota.
#[derive(Debug)]
struct Project {
    seats: Vec<Seat>,
    chosen: u64,
    /// For a model, or for all.
    cooling: Vec<(Option<Box<str>>, Trouble)>,
}

#[derive(Debug)]
struct Seat {
    number: u64,
    member: Member,
    in_flight: u32,
    chosen: u64,
    aside: Option<Trouble>,
}

/// For how long and until when something is not used, and which choice it came after.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    length: Duration,
    end: Timestamp,
    turn: u64,
}

/// That a credential was chosen. It is in flight until the ticket is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    seat: u64,
    turn: u64,
}

/// Which credential a call goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// With this one.
    Take(Ticket),
    /// With none, since there is none.
    Without,
    /// Not now: all cool down or are set aside, and the first is free again after so long: whoever asks then is given one,
    /// unless there was new trouble. If the clock is set back meanwhile, it takes longer by that, but never longer from
    /// then on than a trouble was to last when it began.
    Wait(Duration, Why),
}

/// Why a credential is not used for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The upstream said that its quota project sends too many calls.
    TooMany,
    /// The upstream did not take it.
    Refused,
}

/// What an upstream said to a call, as far as its credential is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It took the credential.
    Good,
    /// Too many calls; try again after so long, if it says.
    TooMany(Option<Duration>),
    /// The credential is wrong, expired or blocked.
    Refused,
    /// Nothing that says how the credential fares.
    Other,
}

/// How one credential fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub member: Member,
    /// How it fares.
    pub state: State,
    /// How many calls go on with it now.
    pub in_flight: u32,
}

/// Whether a credential is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Good,
    /// Its quota project cools down.
    Cooling {
        /// Until then at the latest.
        until: Timestamp,
        /// For these models; for all of them if none is named.
        models: Vec<String>,
    },
    /// It was refused.
    SetAside {
        /// Until then.
        until: Timestamp,
    },
}

impl Pool {
    /// Takes these members in place of those it has. Who stays keeps its state and what is in flight.
    pub fn replace(&mut self, members: Vec<Member>) {
        let mut old = std::mem::take(&mut self.projects);
        let mut groups: Vec<Vec<Member>> = Vec::new();
        for member in members {
            match groups.iter_mut().find(|group| member.shares_with(&group[0])) {
                Some(group) => group.push(member),
                None => groups.push(vec![member]),
            }
        }
        for group in groups {
            let known =
                old.iter().position(|project| project.seats.iter().any(|seat| seat.member.shares_with(&group[0])));
            let known = known.map(|at| old.swap_remove(at));
            let (mut before, chosen, cooling) =
                known.map_or_else(Default::default, |known| (known.seats, known.chosen, known.cooling));
            let seats = group.into_iter().map(|member| {
                if let Some(at) = before.iter().position(|seat| seat.member == member) {
                    return before.swap_remove(at);
                }
                self.newest += 1;
                Seat { number: self.newest, member, in_flight: 0, chosen: 0, aside: None }
            });
            self.projects.push(Project { seats: seats.collect(), chosen, cooling });
        }
    }

    /// Whether there is exactly one member, which then always goes.
    fn is_lone(&self) -> bool {
        matches!(&*self.projects, [project] if project.seats.len() == 1)
    }

    /// Which credential a call for this model goes with now. A pool with no member or one does not look at the time.
    pub fn choose(&mut self, model: Option<&str>, now: Timestamp) -> Choice {
        self.turn += 1;
        if self.is_lone() {
            return Choice::Take(self.projects[0].take(0, self.turn));
        }
        let mut best: Option<(u64, u64, usize, usize)> = None;
        let mut soonest: Option<(Duration, Why)> = None;
        for (at, project) in self.projects.iter_mut().enumerate() {
            project.settle(now);
            let cools = project.cools(model, now);
            let free = project.seats.iter().enumerate();
            let free = free.filter(|(_, seat)| cools.is_none() && seat.left(now).is_none());
            match free.min_by_key(|(_, seat)| (seat.in_flight, seat.chosen)) {
                Some((seat, _)) => {
                    let in_flight = project.seats.iter().map(|seat| u64::from(seat.in_flight)).sum();
                    let this = (in_flight, project.chosen, at, seat);
                    best = Some(best.map_or(this, |best| best.min(this)));
                }
                None => {
                    let waits = project.seats.iter().map(|seat| seat.wait(cools, now));
                    soonest = waits.chain(soonest).min_by_key(|(wait, _)| *wait);
                }
            }
        }
        match (best, soonest) {
            (Some((_, _, project, seat)), _) => Choice::Take(self.projects[project].take(seat, self.turn)),
            (None, Some((wait, why))) => Choice::Wait(wait, why),
            (None, None) => Choice::Without,
        }
    }

    /// The credential for something that was made with this one and is found by its account alone: the same, or another of
    /// its quota project. It goes whatever the upstream said of it last, as nobody else can go; none where the account has
    /// no credential here any more.
    pub fn choose_of(&mut self, member: &Member, now: Timestamp) -> Option<Ticket> {
        self.turn += 1;
        let project = self.projects.iter_mut().find(|project| project.seats[0].member.shares_with(member))?;
        let fares = |seat: &Seat| (seat.left(now).is_some(), seat.in_flight, seat.chosen);
        let (seat, _) = project.seats.iter().enumerate().min_by_key(|(_, seat)| fares(seat))?;
        Some(project.take(seat, self.turn))
    }

    /// Takes in what the upstream answered to a call for this model. Gives whether a trouble began that was not known.
    pub fn answered(&mut self, ticket: Ticket, model: Option<&str>, answered: Answered, now: Timestamp) -> bool {
        let trouble = |length: Duration| Trouble { length, end: now.plus(length), turn: self.turn };
        let cooling = |asked: Option<Duration>| trouble(asked.unwrap_or(COOLING_DEFAULT).min(COOLING_MAX));
        let new = match answered {
            Answered::TooMany(asked) => Some(cooling(asked)),
            Answered::Refused => Some(trouble(SET_ASIDE)),
            Answered::Good | Answered::Other => None,
        };
        let Some((project, seat)) = self.find(ticket) else { return false };
        match (answered, new) {
            (Answered::TooMany(_), Some(new)) => {
                let is_news = project.cools(model, now).is_none();
                project.cool(model, new, now);
                is_news
            }
            (Answered::Refused, new) => {
                let is_news = project.seats[seat].left(now).is_none();
                project.seats[seat].aside = new;
                is_news
            }
            // A call that was under way when the trouble began says nothing about what came after.
            (Answered::Good, _) => {
                let is_over = |trouble: &Trouble| trouble.turn < ticket.turn;
                project.cooling.retain(|(of, trouble)| of.as_deref() != model || !is_over(trouble));
                let aside = &mut project.seats[seat].aside;
                *aside = aside.filter(|trouble| !is_over(trouble));
                false
            }
            _ => false,
        }
    }

    /// Who was chosen, unless it is gone.
    #[must_use]
    pub fn member(&self, ticket: Ticket) -> Option<&Member> {
        let seats = self.projects.iter().flat_map(|project| &project.seats);
        seats.filter(|seat| seat.number == ticket.seat).map(|seat| &seat.member).next()
    }

    /// Gives a ticket back: the call is over.
    pub fn give_back(&mut self, ticket: Ticket) {
        if let Some((project, seat)) = self.find(ticket) {
            let seat = &mut project.seats[seat];
            seat.in_flight = seat.in_flight.saturating_sub(1);
        }
    }

    /// How each member fares, those of one quota project together.
    #[must_use]
    pub fn standings(&self, now: Timestamp) -> Vec<Standing> {
        let each = self.projects.iter().flat_map(|project| project.seats.iter().map(move |seat| (project, seat)));
        let each = each.map(|(project, seat)| Standing {
            member: seat.member.clone(),
            state: project.state(seat, now),
            in_flight: seat.in_flight,
        });
        each.collect()
    }

    /// The seat of a ticket, unless its member is gone.
    fn find(&mut self, ticket: Ticket) -> Option<(&mut Project, usize)> {
        self.projects.iter_mut().find_map(|project| {
            let seat = project.seats.iter().position(|seat| seat.number == ticket.seat)?;
            Some((project, seat))
        })
    }
}

impl Member {
    fn shares_with(&self, other: &Self) -> bool {
        match (&*self.quota_project, &*other.quota_project) {
            ("", "") => self.id == other.id,
            (one, other) => one == other,
        }
    }
}

impl Project {
    fn take(&mut self, seat: usize, turn: u64) -> Ticket {
        self.chosen = turn;
        let seat = &mut self.seats[seat];
        seat.chosen = turn;
        seat.in_flight = seat.in_flight.saturating_add(1);
        Ticket { seat: seat.number, turn }
    }

    /// How long it cools down yet for a model; for a call without one, as long as it does for any.
    fn cools(&self, model: Option<&str>, now: Timestamp) -> Option<Duration> {
        let concerns = |of: Option<&str>| of.is_none() || model.is_none() || of == model;
        let concerned = self.cooling.iter().filter(|(of, _)| concerns(of.as_deref()));
        concerned.filter_map(|(_, trouble)| trouble.left(now)).max()
    }

    /// Forgets what is over, and lets no trouble end later than is said of it now, whatever the clock does after that.
    fn settle(&mut self, now: Timestamp) {
        self.cooling.retain_mut(|(_, trouble)| trouble.at(now).map(|still| *trouble = still).is_some());
        for seat in &mut self.seats {
            seat.aside = seat.aside.and_then(|trouble| trouble.at(now));
        }
    }

    fn cool(&mut self, model: Option<&str>, new: Trouble, now: Timestamp) {
        self.settle(now);
        self.cooling.retain(|(of, _)| of.as_deref() != model);
        let model = model.filter(|_| self.cooling.len() < MODELS_MAX);
        if model.is_none() {
            self.cooling.retain(|(of, _)| of.is_some());
            self.cooling.truncate(MODELS_MAX);
        }
        self.cooling.push((model.map(Into::into), new));
    }

    fn state(&self, seat: &Seat, now: Timestamp) -> State {
        if let Some(aside) = seat.aside.and_then(|trouble| trouble.at(now)) {
            return State::SetAside { until: aside.end };
        }
        let cooling = || self.cooling.iter().filter_map(|(of, trouble)| Some((of, trouble.at(now)?)));
        let Some(until) = cooling().map(|(_, trouble)| trouble.end).max() else { return State::Good };
        let models: Option<Vec<String>> = cooling().map(|(of, _)| of.as_deref().map(str::to_owned)).collect();
        State::Cooling { until, models: models.unwrap_or_default() }
    }
}

impl Trouble {
    /// What it is at this moment, unless it is over. More than its whole length is left only where the clock was set back,
    /// or for a call that read the clock just before the trouble began: then its length is left. It is never taken for
    /// over by that, since it would begin anew as the clock goes on.
    fn at(self, now: Timestamp) -> Option<Self> {
        let end = self.end.min(now.plus(self.length));
        (end > now).then_some(Self { end, ..self })
    }

    fn left(self, now: Timestamp) -> Option<Duration> {
        until(self.at(now)?.end, now)
    }
}

impl Seat {
    /// How long it is set aside yet.
    fn left(&self, now: Timestamp) -> Option<Duration> {
        self.aside?.left(now)
    }

    /// How long until it is free, where its project cools down for so long.
    fn wait(&self, cools: Option<Duration>, now: Timestamp) -> (Duration, Why) {
        let (cools, aside) = (cools.unwrap_or_default(), self.left(now).unwrap_or_default());
        if cools < aside { (aside, Why::Refused) } else { (cools, Why::TooMany) }
    }
}
