//! Why a call was refused, and the smallest changes after which it would have passed.
//!
//! What is answered are values: every rule in its order, and for each that speaks against the call a [`Remedy`]. Which
//! words and commands they become is for whoever tells people.

mod remedy;

pub use remedy::Remedy;

use crate::{Call, Known, Rule, Timestamp};

/// How one rule stands to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// What it said when the call was made, as far as the refusal tells.
    pub then: Finding,
    /// What it says to the same call now.
    pub now: Finding,
}

/// What a rule said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The call keeps it.
    Kept,
    /// The call breaks it.
    Broken,
    /// It was not asked: a rule before it had refused the call, or the call was refused before any rule.
    NotAsked,
}

impl Finding {
    /// A fixed word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken => "broken",
            Self::NotAsked => "not_asked",
        }
    }
}

/// When a call was made, and when its refusal is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// When the call was made.
    pub then: Timestamp,
    /// When it is asked about; not before.
    pub now: Timestamp,
}

/// A key as the string that was refused would find it now. Which string that was is not noted with a refusal: one that was
/// rotated out is over since then, any other counts as the current one.
#[must_use]
pub fn as_presented<'index>(known: Known<'index>, refusal: &str, then: Timestamp) -> Known<'index> {
    let is_rotated_out = Rule::of_refusal(refusal) == Some(Rule::StringGood);
    Known { until: is_rotated_out.then_some(then), ..known }
}

/// The rules in the order in which they speak: what each said when a call was refused with this word, and what it says
/// now. A key that is not known any more keeps no rule and breaks none.
#[must_use]
pub fn chain(refusal: &str, known: Option<&Known<'_>>, call: &Call<'_>, now: Timestamp) -> Vec<Step> {
    let refused_by = Rule::of_refusal(refusal);
    // A word of no rule is that of a limit, which is asked when all rules are kept, or says that there was no key.
    let mut is_over = is_before_all_rules(refusal);
    let steps = Rule::ALL.into_iter().map(|rule| {
        let then = match refused_by {
            _ if is_over => Finding::NotAsked,
            Some(refused_by) if refused_by == rule => {
                is_over = true;
                Finding::Broken
            }
            _ => Finding::Kept,
        };
        let now = match known {
            None => Finding::NotAsked,
            Some(known) if rule.check(known, call, now).is_ok() => Finding::Kept,
            Some(_) => Finding::Broken,
        };
        Step { rule, then, now }
    });
    steps.collect()
}

/// For every rule that speaks against a call, and not only for the first, the smallest change after which it would not.
///
/// Hours are asked about the moment of the call: tomorrow at the same time it is the same call. Everything else is asked
/// about now, since what has ended since then would refuse it as well.
#[must_use]
pub fn remedies(known: &Known<'_>, call: &Call<'_>, moments: Moments) -> Vec<(Rule, Remedy)> {
    let broken = Rule::ALL.into_iter().filter(|rule| rule.check(known, call, asked(*rule, moments)).is_err());
    broken.map(|rule| (rule, Remedy::of(rule, known, call, moments))).collect()
}

/// The moment that a rule is asked about.
const fn asked(rule: Rule, Moments { then, now }: Moments) -> Timestamp {
    match rule {
        Rule::Hours => then,
        _ => now,
    }
}

impl Rule {
    /// The rule that refuses with this word; none where no rule does, as for a string that nobody knows.
    #[must_use]
    pub fn of_refusal(word: &str) -> Option<Self> {
        Some(match word {
            "string_rotated_out" => Self::StringGood,
            "key_deleted" => Self::NotDeleted,
            "key_disabled" => Self::Enabled,
            "key_expired" => Self::NotExpired,
            "project_deleted" => Self::ProjectActive,
            "must_be_restricted" => Self::Restricted,
            "service_blocked" => Self::ApiTarget,
            "referrer_blocked" | "address_blocked" | "android_app_blocked" | "ios_app_blocked" => Self::Client,
            "model_blocked" => Self::Model,
            "hours_blocked" => Self::Hours,
            "service_disabled" => Self::ServiceOn,
            _ => return None,
        })
    }
}

/// Whether a word is that of a refusal, and not what became of a call that was let through.
#[must_use]
pub fn is_refusal(word: &str) -> bool {
    Rule::of_refusal(word).is_some() || is_before_all_rules(word) || is_after_all_rules(word)
}

/// Whether a call that was refused with this word kept all rules: limits, which are asked last, had no room for it, or
/// the key may make the call but not the ephemeral token that it stands behind.
fn is_after_all_rules(word: &str) -> bool {
    matches!(word, "limit_exceeded" | "ledger_away") || word.starts_with("token_")
}

/// Whether a call that was refused with this word had no key to ask the rules about.
#[must_use]
pub fn is_before_all_rules(word: &str) -> bool {
    matches!(
        word,
        "no_credential" | "two_credentials" | "not_an_api_key" | "malformed_key" | "unknown_key" | "unknown_token"
    )
}

#[cfg(test)]
mod tests;
