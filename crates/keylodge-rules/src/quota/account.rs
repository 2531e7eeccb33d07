//! The counters of one holder, a project or a key.

use super::counter::{Counter, Mark, Measure, Measures};
use super::lane::{self, ALL, Lanes};
use super::reserved::Part;
use super::room::{asked, fits, place, retry};
use super::times::{Moment, Times};
use super::{Amounts, CounterKey, Exceeded, Lease, Limit, Limits, Metric, Mode, Reserved, Room, Window};
use crate::Timestamp;

/// All that is counted of one holder.
///
/// A counter belongs to a metric, a window and a model, not to a limit: change a limit's value, and what was used stays
/// used. Limits of the same metric, window and model share a counter. Counters are made when a limit first looks at them
/// and counted only where a limit looks, so a new limit begins at nothing unless another one counted the same.
///
/// Costs about a hundred nanoseconds for a call under three limits, nothing for one without; half a kilobyte for each
/// counter of a minute, about a hundred bytes for each other one. No answer depends on a clock that is set back: what has
/// left a window stays away, and a day that was begun is never followed by an older one.
#[derive(Debug)]
pub struct Account {
    pub(super) durable: bool,
    pub(super) closed: bool,
    pub(super) short: bool,
    pub(super) times: Times,
    pub(super) lanes: Lanes,
}

impl Account {
    /// How many models have counters of their own; all further ones share those of the model `other`. A model that a limit
    /// names always has its own.
    pub const MODELS_MAX: usize = lane::MODELS_MAX;

    /// An account with nothing counted. When it is durable, no calendar counter under an enforced limit goes above what
    /// [`Account::grant`] has granted; otherwise nothing is ever leased.
    #[must_use]
    pub fn new(durable: bool) -> Self {
        Self { durable, closed: false, short: false, times: Times::new(), lanes: Lanes::new() }
    }

    /// Whether all enforced limits have room for a call at its worst. An amount of zero has room anywhere. The model may
    /// be empty for a call of no model; then only limits of all models count.
    pub fn room(&mut self, limits: &Limits, model: &str, worst: &Amounts, now: Timestamp) -> Room {
        if limits.is_empty() {
            return Room::Free;
        }
        let moment = self.times.turn(now);
        let lane = self.lane(limits, model);
        self.look(limits, worst, &moment, |limit, _| place(limit, model, lane).map(|lane| (lane, true)))
    }

    /// Takes what [`Account::room`] has just found free, from the counters of every limit, those in shadow too. In-flight
    /// counters go up by one, whatever the amounts.
    pub fn reserve(&mut self, limits: &Limits, model: &str, worst: &Amounts, now: Timestamp) -> Reserved {
        let moment = self.times.turn(now);
        let lane = self.lane(limits, model);
        let first = Part { amounts: *worst, mark: Mark::at(&moment) };
        let (of_all, of_model) = (Measures::default(), Measures::default());
        let mut reserved = Reserved { first, later: Vec::new(), lane, of_all, of_model, shadows: 0 };

        for (bit, limit) in limits.iter().enumerate() {
            let Some(at) = place(limit, model, lane) else { continue };
            let measure = Measure::of(limit);
            if limit.mode() == Mode::Shadow {
                let used = self.lanes.get(at).counter(measure, &moment).used();
                reserved.shadows |= u32::from(!fits(limit, used, asked(limit, worst, true))) << bit;
            }
            if at == ALL { &mut reserved.of_all } else { &mut reserved.of_model }.insert(measure);
        }
        for lane in reserved.lanes() {
            self.lanes.get(lane).held += 1;
        }
        self.add(&reserved, worst, 1, &moment);
        reserved
    }

    /// Whether there is room for more of a call that has begun: tokens and money once its body was read. Looks at the
    /// limits under which it began; pass the same list.
    pub fn room_for_more(&mut self, limits: &Limits, reserved: &Reserved, more: &Amounts, now: Timestamp) -> Room {
        let moment = self.times.turn(now);
        self.look(limits, more, &moment, |limit, lanes| Some((reserved.place(limit, lanes)?, false)))
    }

    /// Takes what [`Account::room_for_more`] has just found free.
    pub fn reserve_more(&mut self, limits: &Limits, reserved: &mut Reserved, more: &Amounts, now: Timestamp) {
        let moment = self.times.turn(now);
        for (bit, limit) in limits.iter().enumerate().filter(|(_, limit)| limit.mode() == Mode::Shadow) {
            let Some(at) = reserved.place(limit, &mut self.lanes) else { continue };
            let used = self.lanes.get(at).counter(Measure::of(limit), &moment).used();
            reserved.shadows |= u32::from(!fits(limit, used, asked(limit, more, false))) << bit;
        }
        reserved.push(Part { amounts: *more, mark: Mark::at(&moment) });
        self.add(reserved, more, 0, &moment);
    }

    /// Puts the truth in the place of what was reserved, there where it was counted: what was too much is taken back from
    /// that second, day and month, unless they have passed by; what was too little is counted now, even above a limit. The
    /// call is no longer in flight. With [`Amounts::ZERO`] all is given back.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is settled once")]
    pub fn settle(&mut self, reserved: Reserved, truth: &Amounts, now: Timestamp) {
        let moment = self.times.turn(now);
        let taken = reserved.amounts();
        for (lane, measure) in reserved.counters() {
            let counter = self.lanes.get(lane).counter(measure, &moment);
            if measure.window() == Window::InFlight {
                counter.take_back(measure, &reserved.first.mark, 1);
                continue;
            }
            let (taken, truth) = (taken.of(measure.metric()), truth.of(measure.metric()));
            let mut back = taken.saturating_sub(truth);
            for part in reserved.parts() {
                let amount = part.amounts.of(measure.metric()).min(back);
                counter.take_back(measure, &part.mark, amount);
                back -= amount;
            }
            if truth > taken {
                counter.add(truth - taken);
                self.short |= self.durable && is_short(counter);
            }
        }
        for lane in reserved.lanes() {
            self.lanes.get(lane).held -= 1;
        }
    }

    /// How much is free under the enforced limits of a metric, in its unit and whatever is leased; none when there is no
    /// such limit.
    pub fn left(&mut self, metric: Metric, limits: &Limits, model: &str, now: Timestamp) -> Option<u64> {
        let lane = self.lane(limits, model);
        self.least(metric, limits, now, |limit, _| place(limit, model, lane))
    }

    /// The same for a call that has begun, beyond what it has reserved.
    pub fn left_for(&mut self, metric: Metric, limits: &Limits, reserved: &Reserved, now: Timestamp) -> Option<u64> {
        self.least(metric, limits, now, |limit, lanes| reserved.place(limit, lanes))
    }

    /// Drops counters whose window is over. To be called now and then; costs a look at each counter.
    pub fn sweep(&mut self, now: Timestamp) {
        let moment = self.times.turn(now);
        self.lanes.sweep(&moment);
    }

    /// Whether nothing is counted and nothing reserved, so that a new account would answer the same.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lanes.is_idle()
    }

    fn lane(&mut self, limits: &Limits, model: &str) -> u32 {
        if model.is_empty() || !limits.by_model() { ALL } else { self.lanes.of(model, limits.name(model)) }
    }

    /// Looks at the limits that have a place, which also says whether the call would be one more in flight.
    fn look(
        &mut self,
        limits: &Limits,
        amounts: &Amounts,
        moment: &Moment,
        place: impl Fn(&Limit, &mut Lanes) -> Option<(u32, bool)>,
    ) -> Room {
        let (mut exceeded, mut unleased) = (Vec::new(), Vec::new());
        for limit in limits {
            let Some((at, begins)) = place(limit, &mut self.lanes) else { continue };
            let measure = Measure::of(limit);
            let lane = self.lanes.get(at);
            let counter = lane.counter(measure, moment);
            if let Counter::Leased(leased) = counter {
                leased.limited_to(limit.value());
            }
            let asked = asked(limit, amounts, begins);
            if limit.mode() == Mode::Shadow || asked == 0 {
                continue;
            }
            let used = counter.used();
            if !fits(limit, used, asked) {
                let retry = retry(limit, counter, asked, moment);
                exceeded.push(Exceeded { limit: limit.clone(), model: lane.name.clone(), used, asked, retry });
            } else if self.durable
                && let Counter::Leased(leased) = counter
                && !leased.covers(asked)
            {
                unleased.push((at, measure, asked));
            }
        }
        if !exceeded.is_empty() {
            return Room::Exceeded(exceeded);
        }
        if unleased.is_empty() {
            return Room::Free;
        }
        self.short = true;
        Room::Unleased(
            unleased.into_iter().filter_map(|(at, measure, asked)| self.ask(at, measure, asked, moment)).collect(),
        )
    }

    fn ask(&mut self, lane: u32, measure: Measure, asked: u64, moment: &Moment) -> Option<Lease> {
        let lane = self.lanes.get(lane);
        let calendar = measure.window().calendar()?;
        let counter = CounterKey { metric: measure.metric(), calendar, model: lane.name.clone() };
        let Counter::Leased(leased) = lane.counter(measure, moment) else { return None };
        let granted = leased.ask(asked, moment.now);
        Some(Lease { counter, period: leased.period(), used: leased.used(), granted })
    }

    fn add(&mut self, reserved: &Reserved, amounts: &Amounts, calls: u64, moment: &Moment) {
        for (lane, measure) in reserved.counters() {
            let counter = self.lanes.get(lane).counter(measure, moment);
            counter.add(if measure.window() == Window::InFlight { calls } else { amounts.of(measure.metric()) });
            self.short |= self.durable && is_short(counter);
        }
    }

    fn least(
        &mut self,
        metric: Metric,
        limits: &Limits,
        now: Timestamp,
        place: impl Fn(&Limit, &mut Lanes) -> Option<u32>,
    ) -> Option<u64> {
        let moment = self.times.turn(now);
        let is_meant = |limit: &&Limit| limit.metric() == metric && limit.mode() == Mode::Enforced;
        limits
            .iter()
            .filter(is_meant)
            .filter_map(|limit| {
                let lane = place(limit, &mut self.lanes)?;
                let used = self.lanes.get(lane).counter(Measure::of(limit), &moment).used();
                Some(limit.value().saturating_sub(used))
            })
            .min()
    }
}

const fn is_short(counter: &Counter) -> bool {
    matches!(counter, Counter::Leased(leased) if leased.is_short())
}
