//! What would have become of a limit, had there been one: on what was used already.

use std::collections::BTreeMap;

use super::{Amounts, Calendar, Limit, Models, Window};
use crate::Timestamp;

/// What calls of one model used in one minute of the clock, or in an hour where no more is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used<'text> {
    /// Minutes since 1970-01-01 UTC.
    pub minute: i64,
    /// The model; empty where none was named.
    pub model: &'text str,
    /// What they used.
    pub amounts: Amounts,
}

/// What would have become of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// How many minutes, days or months had calls; those of each model by itself where it is limited so.
    pub periods: u64,
    /// How many of them passed the limit.
    pub over: u64,
    /// The most that one of them had.
    pub peak: u64,
    /// When the first that had so much began.
    pub peak_begins: Option<Timestamp>,
    /// For limits by the minute: the most that any span of 60 seconds can have had. Such a span lies in two minutes of
    /// the clock, so it is true to that: at least [`Trial::peak`], at most this.
    pub sliding_at_most: Option<u64>,
}

/// Tries a limit. Calls in flight cannot be tried: what was used does not tell them, and gives nothing.
///
/// What is known by the hour must not be given for a limit by the minute.
#[must_use]
pub fn rehearse<'text>(limit: &Limit, used: impl IntoIterator<Item = Used<'text>>) -> Option<Trial> {
    let period = |minute: i64| match limit.window() {
        Window::Minute => Some(minute),
        Window::Day => Some(Calendar::Day.period(at(minute)).0),
        Window::Month => Some(Calendar::Month.period(at(minute)).0),
        Window::InFlight => None,
    };
    period(0)?;
    let mut sums: BTreeMap<(&str, i64), u64> = BTreeMap::new();
    for Used { minute, model, amounts } in used {
        let of = match limit.models() {
            Models::All => "",
            Models::Each => model,
            Models::Named(name) if name.as_str() == model => model,
            Models::Named(_) => continue,
        };
        let sum = sums.entry((of, period(minute)?)).or_default();
        *sum = sum.saturating_add(amounts.of(limit.metric()));
    }
    let mut trial = Trial::default();
    for ((_, number), sum) in &sums {
        trial.periods += 1;
        trial.over += u64::from(*sum > limit.value());
        if *sum > trial.peak {
            trial.peak = *sum;
            trial.peak_begins = Some(match limit.window().calendar() {
                Some(calendar) => calendar.begins(super::Period(*number)),
                None => at(*number),
            });
        }
    }
    if limit.window() == Window::Minute {
        let with_next = sums.iter().map(|((model, minute), sum)| {
            sum.saturating_add(sums.get(&(*model, minute + 1)).copied().unwrap_or_default())
        });
        trial.sliding_at_most = Some(with_next.max().unwrap_or_default());
    }
    Some(trial)
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_micros(minute.saturating_mul(60_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{Metric, Mode, ModelName};

    fn check(window: Window, models: Models, value: u64, used: &[(i64, &'static str, u64)]) -> Option<Trial> {
        let limit = Limit::new(Metric::Requests, window, models, value, Mode::Enforced).unwrap();
        let used = used.iter().map(|(minute, model, requests)| Used {
            minute: *minute,
            model,
            amounts: Amounts { requests: *requests, ..Amounts::ZERO },
        });
        rehearse(&limit, used)
    }

    const USED: &[(i64, &str, u64)] = &[(10, "a", 3), (10, "b", 4), (11, "a", 5), (13, "a", 2), (13, "", 1)];

    #[test]
    fn minutes_over_the_limit_are_counted_and_any_sixty_seconds_lie_in_two_of_them() {
        let trial = check(Window::Minute, Models::All, 4, USED).unwrap();

        assert_eq!((trial.periods, trial.over, trial.peak, trial.sliding_at_most), (3, 2, 7, Some(12)));
        assert_eq!(trial.peak_begins, Some(at(10)));
    }

    #[test]
    fn models_are_tried_each_by_itself_or_one_alone() {
        let each = check(Window::Minute, Models::Each, 4, USED).unwrap();
        assert_eq!((each.periods, each.over, each.peak, each.sliding_at_most), (5, 1, 5, Some(8)));

        let named = Models::Named(ModelName::parse("b").unwrap());
        let named = check(Window::Minute, named, 4, USED).unwrap();
        assert_eq!((named.periods, named.over, named.peak, named.sliding_at_most), (1, 0, 4, Some(4)));
    }

    #[test]
    fn a_day_is_one_in_california() {
        // 2026-01-31T07:59Z and 08:00Z: the last minute of a day there, and the first of the next.
        let midnight = 1_769_846_400 / 60;
        let trial =
            check(Window::Day, Models::All, 4, &[(midnight - 1, "a", 4), (midnight, "a", 5), (midnight + 60, "b", 1)]);

        let trial = trial.unwrap();
        assert_eq!((trial.periods, trial.over, trial.peak, trial.sliding_at_most), (2, 1, 6, None));
        assert_eq!(trial.peak_begins, Some(at(midnight)));
    }

    #[test]
    fn without_calls_nothing_is_over_and_calls_in_flight_cannot_be_tried() {
        assert_eq!(check(Window::Month, Models::All, 0, &[]), Some(Trial::default()));
        assert_eq!(check(Window::InFlight, Models::All, 0, USED), None);
    }
}
