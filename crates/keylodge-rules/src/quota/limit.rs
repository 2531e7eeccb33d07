//! One limit: what is counted, over which time, for which models, how much, and whether it refuses.

use std::fmt;
use std::sync::Arc;

use super::{Calendar, money};
use crate::NameError;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Calls.
    Requests,
    /// Tokens that go in.
    InputTokens,
    /// Tokens that come out.
    OutputTokens,
    /// Money, in billionths of a US dollar.
    Cost,
}

/// Over which time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// Any span of 60 seconds: a sliding window, not the minutes of a clock.
    Minute,
    /// A day in California, as Gemini counts requests per day.
    Day,
    /// A month in California.
    Month,
    /// The calls that have begun and not ended; for [`Metric::Requests`] only.
    InFlight,
}

/// For which models a limit counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Models {
    /// All calls together, those that name no model too.
    All,
    /// The calls of each model by itself.
    Each,
    /// The calls of this model.
    Named(ModelName),
}

/// What a limit does when it has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Counts and tells what it would have refused, refuses nothing.
    Shadow,
    /// Refuses.
    Enforced,
}

/// A model's name as limits and counters have it. Clones share their text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Arc<str>);

/// So much of a metric in a window and no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit {
    metric: Metric,
    window: Window,
    models: Models,
    mode: Mode,
    value: u64,
}

/// Metric and window do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitError;

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only requests can be limited in flight; tokens and cost take minute, day or month")
    }
}

impl std::error::Error for LimitError {}

impl Limit {
    /// A limit. The value is in the unit of the metric; zero lets nothing through.
    ///
    /// # Errors
    /// When anything but requests should be counted in flight.
    pub fn new(metric: Metric, window: Window, models: Models, value: u64, mode: Mode) -> Result<Self, LimitError> {
        if window == Window::InFlight && metric != Metric::Requests {
            return Err(LimitError);
        }
        Ok(Self { metric, window, models, mode, value })
    }

    /// What is counted.
    #[must_use]
    pub const fn metric(&self) -> Metric {
        self.metric
    }

    /// Over which time.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// For which models.
    #[must_use]
    pub const fn models(&self) -> &Models {
        &self.models
    }

    /// How much there may be, in the unit of the metric.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// Whether it refuses.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }
}

impl Metric {
    /// An amount of it as a decimal number; money in dollars.
    #[must_use]
    pub fn decimal(self, amount: u64) -> String {
        match self {
            Self::Cost => money::dollars(amount),
            Self::Requests | Self::InputTokens | Self::OutputTokens => amount.to_string(),
        }
    }
}

impl Window {
    /// The calendar this window goes by; none for the sliding minute and for calls in flight, which live in memory only.
    #[must_use]
    pub const fn calendar(self) -> Option<Calendar> {
        match self {
            Self::Day => Some(Calendar::Day),
            Self::Month => Some(Calendar::Month),
            Self::Minute | Self::InFlight => None,
        }
    }
}

impl Models {
    /// The word for the kind: `all`, `each` or `named`. The name itself is [`Models::name`].
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Each => "each",
            Self::Named(_) => "named",
        }
    }

    /// The one model, where it is one.
    #[must_use]
    pub const fn name(&self) -> Option<&ModelName> {
        match self {
            Self::Named(name) => Some(name),
            Self::All | Self::Each => None,
        }
    }

    /// Reads what [`Models::as_str`] and [`Models::name`] give.
    ///
    /// # Errors
    /// When the word is unknown, the name is not one, or there is a name where none belongs or none where one does.
    pub fn parse(word: &str, name: Option<&str>) -> Result<Self, NameError> {
        match (word, name) {
            ("all", None) => Ok(Self::All),
            ("each", None) => Ok(Self::Each),
            ("named", Some(name)) => ModelName::parse(name).map(Self::Named),
            _ => Err(NameError { rule: "models is all, each, or named together with a name" }),
        }
    }
}

impl ModelName {
    /// Reads a name, as `gemini-3-flash`.
    ///
    /// # Errors
    /// When it is not 1 to 100 of letters, digits, dots, underscores and hyphens.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=100).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.into()));
        }
        Err(NameError { rule: "a model name has 1 to 100 letters, digits, dots, underscores and hyphens" })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::borrow::Borrow<str> for ModelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

macro_rules! words {
    ($type:ident, $rule:literal, $($variant:ident = $word:literal),+) => {
        impl $type {
            /// The word for it in storage and messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Reads the word.
            ///
            /// # Errors
            /// When it is none of those [`Self::as_str`] gives.
            pub fn parse(word: &str) -> Result<Self, NameError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(NameError { rule: $rule }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

words!(
    Metric,
    "a metric is requests, input_tokens, output_tokens or cost",
    Requests = "requests",
    InputTokens = "input_tokens",
    OutputTokens = "output_tokens",
    Cost = "cost"
);
words!(
    Window,
    "a window is minute, day, month or in_flight",
    Minute = "minute",
    Day = "day",
    Month = "month",
    InFlight = "in_flight"
);
words!(Mode, "a mode is enforced or shadow", Enforced = "enforced", Shadow = "shadow");

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: [Metric; 4] = [Metric::Requests, Metric::InputTokens, Metric::OutputTokens, Metric::Cost];
    const WINDOWS: [Window; 4] = [Window::Minute, Window::Day, Window::Month, Window::InFlight];

    #[test]
    fn every_word_reads_back() {
        for metric in METRICS {
            assert_eq!(Metric::parse(metric.as_str()), Ok(metric));
        }
        for window in WINDOWS {
            assert_eq!(Window::parse(window.as_str()), Ok(window));
        }
        for mode in [Mode::Enforced, Mode::Shadow] {
            assert_eq!(Mode::parse(mode.as_str()), Ok(mode));
        }
        for models in [Models::All, Models::Each, Models::Named(ModelName::parse("gemini-3").unwrap())] {
            assert_eq!(Models::parse(models.as_str(), models.name().map(ModelName::as_str)), Ok(models));
        }
        assert!(Metric::parse("Requests").is_err());
    }

    #[test]
    fn only_requests_are_counted_in_flight() {
        for metric in METRICS {
            let limit = Limit::new(metric, Window::InFlight, Models::All, 1, Mode::Enforced);
            assert_eq!(limit.is_ok(), metric == Metric::Requests, "{metric}");
        }
    }

    #[test]
    fn a_model_name_is_short_and_plain() {
        for good in ["a", "gemini-3.1_pro", &"m".repeat(100)] {
            assert!(ModelName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "models/gemini", "a b", "ü", &"m".repeat(101)] {
            assert!(ModelName::parse(bad).is_err(), "{bad}");
        }
        assert!(Models::parse("all", Some("gemini-3")).is_err());
        assert!(Models::parse("named", None).is_err());
    }
}
