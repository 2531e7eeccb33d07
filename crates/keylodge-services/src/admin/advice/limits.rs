//! What gives a call room that had none below limits.

use std::time::Duration;

use keylodge_api::admin::{Limit, ReachedLimit, Span, SuggestedChange};
use keylodge_api::timestamp;
use keylodge_rules::Timestamp;
use keylodge_rules::quota::{self, Limits, Metric, Mode, ModelName, Models, Window};
use serde_json::Value;

use super::{Place, quoted};

/// Whose limits they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Holder {
    Project,
    Key,
}

impl Holder {
    /// The word for it in what is noted with a refusal.
    const fn word(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Key => "key",
        }
    }
}

/// A limit that had no room, as it was noted with the refusal.
pub(in crate::admin) struct Reached {
    holder: Holder,
    metric: Metric,
    window: Window,
    /// The model that was called, where models are limited by themselves.
    model: Option<ModelName>,
    value: u64,
    used: u64,
    asked: u64,
    wait: Option<Duration>,
}

impl Reached {
    /// Reads what was noted with a refusal: all limits that had no room.
    pub(in crate::admin) fn all(facts: &Value) -> Vec<Self> {
        facts["limits"].as_array().into_iter().flatten().filter_map(Self::read).collect()
    }

    fn read(noted: &Value) -> Option<Self> {
        let text = |name: &str| noted[name].as_str();
        let number = |name: &str| noted[name].as_u64();
        let holder = text("holder")?;
        Some(Self {
            holder: [Holder::Project, Holder::Key].into_iter().find(|known| known.word() == holder)?,
            metric: Metric::parse(text("metric")?).ok()?,
            window: Window::parse(text("window")?).ok()?,
            model: text("model").map(ModelName::parse).transpose().ok()?,
            value: number("value")?,
            used: number("used")?,
            asked: number("asked")?,
            wait: noted["retryAfterSeconds"].as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        })
    }

    /// As it is shown; nothing where it is no limit.
    pub(in crate::admin) fn shown(&self) -> Option<ReachedLimit> {
        let models = self.model.clone().map_or(Models::All, Models::Named);
        let limit = quota::Limit::new(self.metric, self.window, models, self.value, Mode::Enforced).ok()?;
        Some(ReachedLimit {
            holder: self.holder.word().to_owned(),
            limit: Limit::of(&limit),
            used: self.metric.decimal(self.used),
            asked: self.metric.decimal(self.asked),
            retry_after: self.wait.map(Span),
        })
    }

    /// As much as the call would have needed.
    const fn enough(&self) -> u64 {
        self.used.saturating_add(self.asked)
    }

    /// Whether a limit is the one that was reached. One that has another value by now is not.
    fn is(&self, limit: &quota::Limit) -> bool {
        let is_for_model = match (limit.models(), &self.model) {
            (Models::All, None) | (Models::Each, Some(_)) => true,
            (Models::Named(name), Some(model)) => name == model,
            (Models::All, Some(_)) | (Models::Each | Models::Named(_), None) => false,
        };
        let found = (limit.metric(), limit.window(), limit.mode(), limit.value());
        is_for_model && found == (self.metric, self.window, Mode::Enforced, self.value)
    }

    fn describe(&self, is_there: bool, then: Timestamp) -> String {
        let metric = match self.metric {
            Metric::Requests => "requests",
            Metric::InputTokens => "input tokens",
            Metric::OutputTokens => "output tokens",
            Metric::Cost => "dollars",
        };
        let window = match self.window {
            Window::Minute => "per minute",
            Window::Day => "per day",
            Window::Month => "per month",
            Window::InFlight => "at the same time",
        };
        let model = self.model.as_ref().map(|model| format!(" of {model}")).unwrap_or_default();
        let (value, holder) = (self.metric.decimal(self.value), self.holder.word());
        let what = format!("The limit of {value} {metric} {window}{model} of the {holder} was reached");
        if !is_there {
            return format!("{what}; there is no such limit any more.");
        }
        let wait = self.wait.map(|wait| format!(", or wait until {}", timestamp::print(then.plus(wait))));
        format!("{what}. Raise it to at least {}{}.", self.metric.decimal(self.enough()), wait.unwrap_or_default())
    }
}

impl Place<'_> {
    /// What would have given a call room below the limits of a holder, which are these now. A command sets all limits of a
    /// holder, so there is one change for all that were reached.
    pub(in crate::admin) fn advise_limits(
        self,
        holder: Holder,
        reached: &[Reached],
        limits: &Limits,
        then: Timestamp,
    ) -> Option<SuggestedChange> {
        let reached: Vec<&Reached> = reached.iter().filter(|reached| reached.holder == holder).collect();
        if reached.is_empty() {
            return None;
        }
        let is_there = |reached: &&Reached| limits.iter().any(|limit| reached.is(limit));
        let sentences: Vec<String> = reached.iter().map(|reached| reached.describe(is_there(reached), then)).collect();
        let command =
            if reached.iter().any(is_there) { self.set_limits(holder, limits, &reached) } else { String::new() };
        Some(SuggestedChange { rule: "limit".to_owned(), description: sentences.join(" "), command })
    }

    fn set_limits(self, holder: Holder, limits: &Limits, reached: &[&Reached]) -> String {
        let Self { project, key } = self;
        let mut command = match holder {
            Holder::Project => format!("keylodge limits set --project {project}"),
            Holder::Key => format!("keylodge keys rules set {key} --project {project}"),
        };
        for limit in limits {
            let enough = reached.iter().filter(|reached| reached.is(limit)).map(|reached| reached.enough()).max();
            let mut shown = Limit::of(limit);
            if let Some(enough) = enough {
                shown.value = limit.metric().decimal(enough);
            }
            command.push_str(&format!(" --limit {}", quoted(&shown.to_string())));
        }
        command
    }
}

/// What lets a call pass whose limits could not be checked.
pub(in crate::admin) fn of_ledger() -> SuggestedChange {
    let description = "The call had room below its limits, but that it takes some could not be written down in time: the disk was slow, full or away. Nothing is wrong with call or key. Try again; if it stays so, look at the log of the server.";
    SuggestedChange { rule: "limit".to_owned(), description: description.to_owned(), command: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLACE: Place<'_> = Place { project: "team-blue", key: "ci" };

    fn limit(metric: Metric, window: Window, models: Models, value: u64, mode: Mode) -> quota::Limit {
        quota::Limit::new(metric, window, models, value, mode).unwrap()
    }

    fn limits() -> Limits {
        Limits::new(vec![
            limit(Metric::Requests, Window::Minute, Models::Each, 10, Mode::Enforced),
            limit(Metric::Requests, Window::Minute, Models::Each, 5, Mode::Shadow),
            limit(Metric::Cost, Window::Day, Models::All, 500_000_000, Mode::Enforced),
        ])
        .unwrap()
    }

    fn requests(holder: &str) -> Value {
        json!({"holder": holder, "metric": "requests", "window": "minute", "model": "gemini-3", "value": 10, "used": 10,
            "asked": 1, "retryAfterSeconds": 42.0})
    }

    fn cost(holder: &str) -> Value {
        json!({"holder": holder, "metric": "cost", "window": "day", "model": null, "value": 500_000_000,
            "used": 400_000_000, "asked": 200_000_001, "retryAfterSeconds": null})
    }

    fn check(holder: Holder, noted: &[Value]) -> (String, String) {
        let reached = Reached::all(&json!({ "limits": noted }));
        let advice = PLACE.advise_limits(holder, &reached, &limits(), Timestamp::from_micros(0)).unwrap();
        (advice.description, advice.command)
    }

    #[test]
    fn a_limit_is_raised_just_enough_and_the_others_stay() {
        assert_eq!(
            check(Holder::Key, &[requests("key"), cost("project")]),
            (
                "The limit of 10 requests per minute of gemini-3 of the key was reached. Raise it to at least 11, or wait until 1970-01-01T00:00:42Z.".to_owned(),
                "keylodge keys rules set ci --project team-blue --limit 'requests/minute/*=5,shadow' --limit 'requests/minute/*=11' --limit cost/day=0.5".to_owned(),
            )
        );
    }

    #[test]
    fn all_limits_of_a_holder_are_raised_by_one_command() {
        let (description, command) = check(Holder::Project, &[requests("project"), cost("project")]);

        assert!(
            description.ends_with(
                "The limit of 0.5 dollars per day of the project was reached. Raise it to at least 0.600000001."
            ),
            "{description}"
        );
        assert_eq!(
            command,
            "keylodge limits set --project team-blue --limit 'requests/minute/*=5,shadow' --limit 'requests/minute/*=11' --limit cost/day=0.600000001"
        );
    }

    #[test]
    fn a_limit_that_is_another_by_now_needs_nothing() {
        let mut noted = requests("key");
        noted["value"] = json!(9);
        let (description, command) = check(Holder::Key, &[noted]);

        assert!(description.ends_with("was reached; there is no such limit any more."), "{description}");
        assert_eq!(command, "");
        assert!(PLACE.advise_limits(Holder::Key, &[], &limits(), Timestamp::from_micros(0)).is_none());
        assert!(Reached::all(&json!({"limits": [{}]})).is_empty());
    }
}
