//! What tokens cost.

use std::fmt;

/// What a model's tokens cost: billionths of a US dollar for a million tokens of a kind, so a dollar per million is
/// 1,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Tokens that go in and are in no cache.
    pub input_per_million: u64,
    /// Tokens that go in from a cache.
    pub cached_input_per_million: u64,
    /// Tokens that come out, those of thoughts too.
    pub output_per_million: u64,
}

/// Tokens that are to be paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// All that go in, as Gemini's `promptTokenCount` and OpenAI's `prompt_tokens` have them: with the cached.
    pub input: u64,
    /// Those of the input that came from a cache; more than the input counts as all of it.
    pub cached_input: u64,
    /// All that come out.
    pub output: u64,
}

impl Price {
    /// What these tokens cost, in billionths of a US dollar. Rounded up once, over the whole call; stays at the end of
    /// `u64` (about 18 billion dollars).
    #[must_use]
    pub fn cost(&self, tokens: Tokens) -> u64 {
        let cached = tokens.cached_input.min(tokens.input);
        let of = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let total = of(tokens.input - cached, self.input_per_million)
            .saturating_add(of(cached, self.cached_input_per_million))
            .saturating_add(of(tokens.output, self.output_per_million));
        u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// The prices of models: by exact name, or for all names with a beginning (`gemini-3-*`, `*` for whatever is left). An
/// exact name wins, then the longest beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceTable {
    /// In the order of their names.
    exact: Vec<(Box<str>, Price)>,
    /// The longest first.
    prefixes: Vec<(Box<str>, Price)>,
}

/// Why prices do not make a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceError {
    /// More than [`PriceTable::MAX`]; so many there were.
    TooMany(usize),
    /// Neither a model name nor the beginning of one with a `*` at its end.
    Pattern(String),
    /// Two prices have this pattern.
    Twice(String),
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(count) => write!(f, "there may be at most {} prices, not {count}", PriceTable::MAX),
            Self::Pattern(text) => {
                write!(f, "{text:?} is neither a model name nor the beginning of one with * at its end")
            }
            Self::Twice(text) => write!(f, "{text:?} has two prices"),
        }
    }
}

impl std::error::Error for PriceError {}

impl PriceTable {
    /// How many prices a table may have. Patterns are tried one after the other, exact names are searched in halves.
    pub const MAX: usize = 1_000;

    /// Makes a table of patterns and their prices.
    ///
    /// # Errors
    /// When there are too many, one is no pattern, or one is there twice.
    pub fn new(prices: &[(&str, Price)]) -> Result<Self, PriceError> {
        if prices.len() > Self::MAX {
            return Err(PriceError::TooMany(prices.len()));
        }
        let mut table = Self::default();
        for (pattern, price) in prices {
            let (text, list) = match pattern.strip_suffix('*') {
                Some(prefix) => (prefix, &mut table.prefixes),
                None => (*pattern, &mut table.exact),
            };
            if !is_name(text) && *pattern != "*" {
                return Err(PriceError::Pattern((*pattern).to_owned()));
            }
            if list.iter().any(|(other, _)| &**other == text) {
                return Err(PriceError::Twice((*pattern).to_owned()));
            }
            list.push((text.into(), *price));
        }
        table.exact.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        table.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(table)
    }

    /// The price of a model; none when no pattern fits, which is not the same as costing nothing.
    #[must_use]
    pub fn price(&self, model: &str) -> Option<&Price> {
        if let Ok(at) = self.exact.binary_search_by(|(name, _)| (**name).cmp(model)) {
            return Some(&self.exact[at].1);
        }
        self.prefixes.iter().find(|(prefix, _)| model.starts_with(&**prefix)).map(|(_, price)| price)
    }
}

/// Whether a model can be called so somewhere: names of other servers have tags and owners, as `qwen3:8b` and
/// `owner/model`.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte);
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: u64, cached: u64, output: u64) -> Price {
        Price { input_per_million: input, cached_input_per_million: cached, output_per_million: output }
    }

    #[test]
    fn cost_is_rounded_up_once() {
        let check = |price: Price, input, cached_input, output, cost| {
            assert_eq!(price.cost(Tokens { input, cached_input, output }), cost);
        };

        check(price(300_000_000, 30_000_000, 2_500_000_000), 1_000_000, 0, 0, 300_000_000);
        check(price(300_000_000, 30_000_000, 2_500_000_000), 1_000_000, 1_000_000, 1_000, 32_500_000);
        check(price(1, 1, 1), 1, 0, 1, 1);
        check(price(1, 1, 1), 0, 0, 0, 0);
        check(price(1_000_000, 0, 0), 5, 9, 0, 0);
        check(price(u64::MAX, u64::MAX, u64::MAX), u64::MAX, 0, u64::MAX, u64::MAX);
    }

    #[test]
    fn an_exact_name_wins_then_the_longest_beginning() {
        let named = |input| price(input, 0, 0);
        let table = PriceTable::new(&[
            ("*", named(1)),
            ("gemini-*", named(2)),
            ("gemini-3-*", named(3)),
            ("gemini-3-flash", named(4)),
            ("qwen3:8b", named(5)),
        ])
        .unwrap();
        let check = |model: &str, input| assert_eq!(table.price(model), Some(&named(input)), "{model}");

        check("gemini-3-flash", 4);
        check("qwen3:8b", 5);
        check("gemini-3-flash-lite", 3);
        check("gemini-3", 2);
        check("llama", 1);
        assert_eq!(PriceTable::default().price("llama"), None);
    }

    #[test]
    fn a_table_tells_what_is_wrong_with_it() {
        let wrong = |patterns: &[&str]| {
            let prices: Vec<_> = patterns.iter().map(|pattern| (*pattern, Price::default())).collect();
            PriceTable::new(&prices).unwrap_err()
        };

        assert_eq!(wrong(&["a*b"]), PriceError::Pattern("a*b".to_owned()));
        assert_eq!(wrong(&[""]), PriceError::Pattern(String::new()));
        assert_eq!(wrong(&["a", "a*", "a"]), PriceError::Twice("a".to_owned()));
        assert_eq!(wrong(&["a"; 1_001]), PriceError::TooMany(1_001));
    }
}
