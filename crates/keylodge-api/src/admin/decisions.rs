//! Calls that were refused, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Limit, Span, Time};

/// A page of refusals, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListDecisionsResponse {
    /// The refusals.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The token of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A call that was refused, as it was noted then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// What the caller was told to ask for.
    pub id: String,
    /// When.
    pub time: Time,
    /// The word of the refusal, as `address_blocked`.
    pub refusal: String,
    /// The key that was presented, by name; by uid where it is purged; absent where it was none of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its project, as `projects/123456789012`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The service that was called.
    pub service: String,
    /// The full name of the method.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The model that was named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Who called.
    pub caller: CallerInfo,
    /// The limits that had no room, where it was they that refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<ReachedLimit>,
}

/// A limit that had no room for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReachedLimit {
    /// Whose it is: `project` or `key`.
    pub holder: String,
    /// The limit as it was then; for the model that was called, where models are limited by themselves.
    pub limit: Limit,
    /// How much was used, in the unit of the limit's value.
    pub used: String,
    /// How much the call asked for.
    pub asked: String,
    /// After what time there was room again; absent where that could not be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
}

/// What is known of a caller. All but the address is what it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CallerInfo {
    /// Where the call came from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The page it came from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub referrer: String,
    /// The package of the Android app.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub android_package: String,
    /// The fingerprint of its certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub android_cert: String,
    /// The bundle of the iOS app.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ios_bundle: String,
    /// What the program calls itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client: String,
}

/// Why a call was refused, and what would have let it pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The refusal.
    pub decision: Decision,
    /// The rules in the order in which they speak.
    pub rules: Vec<RuleStep>,
    /// Whether the same call would pass now, as far as the rules say; limits are not asked.
    pub would_pass_now: bool,
    /// The smallest changes after which it would: all of them together, one for each rule that speaks against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<SuggestedChange>,
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStep {
    /// The rule, as `api_target`.
    pub rule: String,
    /// What it said then: `kept`, `broken` or `not_asked`.
    pub then: String,
    /// What it says to the same call now.
    pub now: String,
}

/// A change after which one rule would not speak against the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuggestedChange {
    /// The rule, or `limit`, or `credential`.
    pub rule: String,
    /// What to do.
    pub description: String,
    /// The command that does it, for a POSIX shell; absent where no command can.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}
