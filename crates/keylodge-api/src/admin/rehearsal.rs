//! Trying restrictions and limits on what was called already.

use keylodge_rules::quota::trial::Trial;
use keylodge_rules::quota::{self, Limits, Window};
use keylodge_rules::{Shadow, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits::{Asked, narrowed};
use super::{CallerInfo, Count, Limit, Time};
use crate::apikeys;
use crate::proto_json::{Fields, Message};

/// What a key would be narrowed to, and on how many days of calls to try it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RehearseKeyRequest {
    /// As `restrictions` of API Keys v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub restrictions: Option<apikeys::Restrictions>,
    /// The models it could call, as `gemini-2.5-*`; any where the list is empty.
    pub allowed_models: Vec<String>,
    /// When it could be used, as `mon-fri 08:00-18:30 +01:00`; at any time where the list is empty.
    pub allowed_hours: Vec<String>,
    /// How much it could be used; each limit is tried by itself, whatever its mode. Calls in flight cannot be tried.
    pub limits: Vec<Limit>,
    /// On the calls of how many days; 7 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 14))]
    pub days: Option<u32>,
}

/// The same as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rehearse {
    /// Restrictions, models and hours.
    pub narrowed: Shadow,
    /// Limits, in the order in which they were given.
    pub limits: Vec<quota::Limit>,
    /// How many days back.
    pub days: Option<i32>,
}

/// A limit that can be tried, or nothing where a mistake was noted.
struct Tried(Option<quota::Limit>);

impl Message for Tried {
    const NAME: &str = Asked::NAME;

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let Asked(limit) = Asked::read(fields);
        if limit.as_ref().is_some_and(|limit| limit.window() == Window::InFlight) {
            fields.refuse(
                "window",
                "Calls in flight cannot be rehearsed: how many there were at once is not kept. Try the limit with the mode SHADOW.",
            );
        }
        Self(limit)
    }
}

impl Message for Rehearse {
    const NAME: &str = "keylodge.v1.RehearseKeyRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let narrowed = narrowed(fields);
        let limits: Vec<Tried> = fields.messages("limits");
        if limits.len() > Limits::MAX {
            let (max, count) = (Limits::MAX, limits.len());
            fields.refuse("limits", format!("limits can have {max} entries; there are {count}."));
        }
        let limits = limits.into_iter().filter_map(|Tried(limit)| limit).collect();
        Self { narrowed, limits, days: fields.int32("days") }
    }
}

/// What would have been refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RehearseKeyResponse {
    /// From the hour of this moment on.
    pub begin_time: Time,
    /// Up to this moment.
    pub end_time: Time,
    /// The calls with the key that came through, and that were tried.
    pub calls: Count,
    /// Those of them that would have been refused.
    pub refused_calls: Count,
    /// Calls with the key that were refused anyway, which were not tried.
    pub refused_anyway_calls: Count,
    /// Calls of which no more is known than that they were, of all keys together, because an hour had too many different
    /// callers.
    pub left_out_calls: Count,
    /// Whether there were more different callers than were tried.
    pub is_partial: bool,
    /// The rules that would have refused, with the calls of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RehearsedRule>,
    /// Callers that would have been refused, those with most calls first; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<RehearsedCaller>,
    /// What would have become of each limit, in the order of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitRehearsal>,
}

/// A rule that would have refused calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedRule {
    /// `api_target`, `client`, `model` or `hours`; the first that speaks.
    pub rule: String,
    /// How many calls.
    pub calls: Count,
}

/// Calls that were alike and would have been refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedCaller {
    /// The rule that would have refused them.
    pub rule: String,
    /// Who called.
    pub caller: CallerInfo,
    /// The service.
    pub service: String,
    /// The full name of the method.
    pub method: String,
    /// The model that was named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// How many calls.
    pub calls: Count,
    /// The first of them, to the minute.
    pub first_time: Time,
    /// The last of them, to the minute.
    pub last_time: Time,
}

/// What would have become of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitRehearsal {
    /// The limit.
    pub limit: Limit,
    /// From here on calls are known finely enough to try it; the minutes of older ones are not known any more.
    pub begin_time: Time,
    /// How many minutes, days or months had calls; for a limit of each model, those of every model.
    pub periods: Count,
    /// How many of them would surely have passed the limit.
    pub periods_over: Count,
    /// The most that one of them had, in the unit of the limit's value.
    pub peak: String,
    /// The beginning of that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_time: Option<Time>,
    /// The most that any 60 seconds can have had: two minutes of the clock together. For limits by the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sliding_peak_at_most: Option<String>,
    /// By how much the peak passes the limit.
    pub over_by: String,
}

impl LimitRehearsal {
    /// A trial on what was used from a moment on, as it is shown.
    #[must_use]
    pub fn of(limit: &quota::Limit, trial: &Trial, begin: Timestamp) -> Self {
        let amount = |value| limit.metric().decimal(value);
        Self {
            limit: Limit::of(limit),
            begin_time: Time(begin),
            periods: Count(trial.periods),
            periods_over: Count(trial.over),
            peak: amount(trial.peak),
            peak_time: trial.peak_begins.map(Time),
            sliding_peak_at_most: trial.sliding_at_most.map(amount),
            over_by: amount(trial.peak.saturating_sub(limit.value())),
        }
    }
}
