//! Calls with an ephemeral token: whose key stands behind them.
//!
//! The gate finds such tokens in requests and does not know them. Whoever keeps them looks one up
//! ([`Credentials::token`](crate::Credentials::token)) and says which key stands behind it
//! ([`Credentials::answer_for_token`](crate::Credentials::answer_for_token)); the judge then asks all rules about that key,
//! so that a token opens nothing that its key does not.

use std::sync::Arc;

use keylodge_rules::{KeyHash, Presented, Refusal, TokenProblem};

use crate::Target;

/// The key behind an ephemeral token, and what the token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnBehalf {
    /// The string of the key that the token was made with.
    pub key: KeyHash,
    /// The only model that the token is for, without `models/`, if it is for one.
    pub model: Option<Arc<str>>,
    /// Why the token is good for nothing now, if so. It is said only where the key may make the call.
    pub problem: Option<TokenProblem>,
}

impl OnBehalf {
    /// Whether the token is for a call that its key may make.
    pub(crate) fn check(&self, target: &Target, presented: Presented) -> Result<(), Refusal> {
        let is_other = |only: &Arc<str>| target.model.as_deref().is_some_and(|model| bare(model) != bare(only));
        let other = self.model.as_ref().is_some_and(is_other).then_some(TokenProblem::OtherModel);
        match self.problem.or(other) {
            Some(problem) => Err(Refusal::Token { presented, problem }),
            None => Ok(()),
        }
    }
}

fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}
