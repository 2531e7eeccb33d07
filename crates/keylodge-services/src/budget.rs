//! What a call may use at most, reserved before it goes on: tokens, and money by the price table.

use keylodge_rules::Refusal;
use keylodge_rules::quota::{Amounts, Metric, Price, Tokens};

use crate::bill::Bill;

/// What a call may use at most, as far as its request tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worst {
    /// Tokens that are read; an upper estimate.
    pub(crate) input: u64,
    /// Tokens of each answer.
    pub(crate) output: u64,
    /// How many answers are wanted, at least one.
    pub(crate) answers: u64,
    /// Whether the request itself says how long an answer may be. If it does not, it takes what limits of tokens leave.
    pub(crate) is_capped: bool,
}

/// What was reserved for a call whose tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// With as much output as was affordable.
    pub(crate) worst: Worst,
    /// Whether the answer comes as it is made, so that what has come of it says what it took.
    pub(crate) streams: bool,
    /// Whether a limit that refuses counts output: then no stream goes on past what was reserved.
    pub(crate) is_bound: bool,
}

impl Reserved {
    /// Tokens of all answers.
    pub(crate) const fn output(&self) -> u64 {
        self.worst.output.saturating_mul(self.worst.answers)
    }

    /// All of it: what an answer is charged that does not say what it took.
    pub(crate) const fn whole(&self) -> Tokens {
        Tokens { input: self.worst.input, cached_input: 0, output: self.output() }
    }

    /// What a call is charged that ended before it said what it took, when no more output than this has come. An answer
    /// that comes in one piece was made whole before its first byte.
    pub(crate) fn broken_off(&self, output_seen_max: u64) -> Tokens {
        let whole = self.whole();
        if self.streams { Tokens { output: output_seen_max.min(whole.output), ..whole } } else { whole }
    }
}

impl Worst {
    fn amounts(&self, output_each: u64, price: Option<&Price>) -> Amounts {
        let output = output_each.saturating_mul(self.answers);
        let tokens = Tokens { input: self.input, cached_input: 0, output };
        let cost_nanos = price.map_or(0, |price| price.cost(tokens));
        Amounts { requests: 0, input_tokens: self.input, output_tokens: output, cost_nanos }
    }
}

/// How often a budget is asked anew because others took from it meanwhile.
const TRIES_MAX: usize = 4;

impl Bill {
    /// Reserves the worst case of a call, with shorter answers where a budget allows no more. Gives how many tokens each
    /// answer may have.
    ///
    /// # Errors
    /// When a limit has no room, or the budget does not reach for a single token.
    pub(crate) async fn afford(&mut self, worst: Worst) -> Result<u64, Refusal> {
        if !self.counts_use() {
            return Ok(worst.output);
        }
        let price = self.price();
        let mut tries = 0;
        loop {
            tries += 1;
            let output = match self.output_left(&worst, price.as_ref()) / worst.answers {
                // Not one token: the refusal says by how much the call as it was asked for is too dear.
                0 => worst.output,
                left => worst.output.min(left),
            };
            match self.take_more(&worst.amounts(output, price.as_ref())).await {
                Ok(()) => return Ok(output),
                // Somebody else was faster; what is left now is less.
                Err(_) if output < worst.output && tries < TRIES_MAX => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// Whether a limit that refuses counts the tokens of an answer, or what they cost.
    pub(crate) fn is_output_bound(&self) -> bool {
        let costs = || self.price().is_some_and(|price| price.output_per_million > 0);
        self.left(Metric::OutputTokens).is_some() || (self.left(Metric::Cost).is_some() && costs())
    }

    /// Whether a budget that refuses has no price to reckon with.
    pub(crate) fn lacks_price(&self) -> bool {
        self.price().is_none() && self.left(Metric::Cost).is_some()
    }

    /// How many tokens of output are left, over all answers.
    fn output_left(&self, worst: &Worst, price: Option<&Price>) -> u64 {
        let money = self.left(Metric::Cost).zip(price);
        let for_money = money.map_or(u64::MAX, |(left, price)| output_for(left, worst.input, price));
        let tokens = if worst.is_capped { None } else { self.left(Metric::OutputTokens) };
        for_money.min(tokens.unwrap_or(u64::MAX))
    }
}

/// How many tokens of output so much money is enough for, after the input was paid.
fn output_for(left_nanos: u64, input_tokens: u64, price: &Price) -> u64 {
    let input = price.cost(Tokens { input: input_tokens, cached_input: 0, output: 0 });
    let left = u128::from(left_nanos.saturating_sub(input));
    match price.output_per_million {
        0 => u64::MAX,
        per_million => u64::try_from(left * 1_000_000 / u128::from(per_million)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_after_the_input_goes_into_output() {
        // 0.30 and 2.50 dollars for a million tokens, as billionths.
        let price =
            Price { input_per_million: 300_000_000, cached_input_per_million: 0, output_per_million: 2_500_000_000 };

        assert_eq!(output_for(0, 0, &price), 0);
        assert_eq!(output_for(2_500, 0, &price), 1);
        assert_eq!(output_for(2_499 + 300, 1, &price), 0);
        assert_eq!(output_for(2_500 + 300, 1, &price), 1);
        assert_eq!(output_for(1_000_000_000, 1_000_000, &price), 280_000);
    }
}
