//! What was used: calls, tokens, money, time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Count, Span, Time};

/// A page of usage, in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListUsageResponse {
    /// A row for each step of time and each group in which there were calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<UsageRow>,
    /// The token of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Calls that have something in common, and what they took. What calls were not told apart by is absent; what they have
/// not, as a model where none was named, is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// The beginning of the step of time, UTC.
    pub begin_time: Time,
    /// Their project, as `projects/123456789012`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Their key, by name; by uid where it is purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Their service, as `generativelanguage.googleapis.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The full name of their method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Their model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What came of them: `ok`, the word of a refusal, `http_503` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The restriction or limit on trial that would have refused them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    /// The upstream that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// How many calls.
    pub calls: Count,
    /// Tokens that were read.
    pub input_tokens: Count,
    /// Tokens that were made.
    pub output_tokens: Count,
    /// Tokens that were read from a cache; part of those that were read.
    pub cached_tokens: Count,
    /// What they cost by the table of prices.
    pub cost: Money,
    /// How long they took.
    pub latency: LatencyOfCalls,
}

/// An amount of money (google.type.Money).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Money {
    /// `USD`
    pub currency_code: String,
    /// Whole dollars.
    pub units: Count,
    /// Billionths of a dollar beyond them.
    pub nanos: u32,
}

impl Money {
    const NANOS: u64 = 1_000_000_000;

    /// So many billionths of a dollar.
    #[must_use]
    pub fn dollars(nanos: u64) -> Self {
        let below = u32::try_from(nanos % Self::NANOS).unwrap_or_default();
        Self { currency_code: "USD".to_owned(), units: Count(nanos / Self::NANOS), nanos: below }
    }

    /// The amount as a decimal number with nine digits of fraction.
    #[must_use]
    pub fn decimal(&self) -> String {
        format!("{}.{:09}", self.units.0, self.nanos)
    }
}

/// How long calls took. Shares of calls are estimates within a bucket; no more is known of calls beyond the last bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyOfCalls {
    /// Half of the calls were done within this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Span>,
    /// 95 of 100 were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<Span>,
    /// 99 of 100 were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Span>,
    /// How many calls fell into each bucket, those without calls left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<LatencyBucket>,
}

/// Calls that took about as long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencyBucket {
    /// They took at most this; absent for the last bucket, which has no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// How many.
    pub calls: Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_whole_dollars_and_billionths() {
        let check = |nanos, text: &str| assert_eq!(Money::dollars(nanos).decimal(), text);

        check(0, "0.000000000");
        check(1_500_000_007, "1.500000007");
        check(u64::MAX, "18446744073.709551615");
    }
}
