//! The table of prices, checked.

use keylodge_rules::quota::money::nanos;
use keylodge_rules::quota::{Price, PriceTable};

use super::given::{Given, Mistake};
use super::models::Source;

/// Checks all prices. A model without one costs nothing.
pub(super) fn read(given: &Given, mistakes: &mut Vec<Mistake>) -> PriceTable {
    let mut prices = Vec::new();
    for (model, words, place) in &given.prices {
        let mut mistake = |problem: String| mistakes.push(Mistake { place: place.clone(), problem });
        match price(words) {
            Some(price) => match PriceTable::new(&[(model, price)]) {
                Ok(_) => prices.push((model.as_str(), price)),
                Err(error) => mistake(format!("the price of '{model}': {error}")),
            },
            None => mistake(format!(
                "the price of '{model}' must be dollars for a million tokens, as \"0.30 in, 2.50 out\" or \"0.30 in, 0.075 cached, 2.50 out\""
            )),
        }
    }
    PriceTable::new(&prices).unwrap_or_else(|error| {
        if let Some((_, _, place)) = given.prices.first() {
            mistakes.push(Mistake { place: place.clone(), problem: format!("the prices: {error}") });
        }
        PriceTable::default()
    })
}

/// The models of upstreams that have no price although others have: a budget lets none of them through. `*` has one where
/// every name has.
pub(crate) fn unpriced<'models>(models: &'models [(String, Source)], prices: &PriceTable) -> Vec<&'models str> {
    let is_elsewhere = |source: &Source| matches!(source, Source::Upstream { .. });
    let models = models.iter().filter(|(name, source)| is_elsewhere(source) && prices.price(name).is_none());
    if *prices == PriceTable::default() { Vec::new() } else { models.map(|(name, _)| &**name).collect() }
}

/// Reads `0.30 in, 0.075 cached, 2.50 out`. What comes from a cache costs as other input where nothing is said.
fn price(words: &str) -> Option<Price> {
    let (mut input, mut cached, mut output) = (None, None, None);
    for part in words.split(',') {
        let (amount, kind) = part.trim().split_once(' ')?;
        let place = match kind.trim() {
            "in" => &mut input,
            "cached" => &mut cached,
            "out" => &mut output,
            _ => return None,
        };
        if place.replace(nanos(amount)?).is_some() {
            return None;
        }
    }
    let input_per_million = input?;
    let cached_input_per_million = cached.unwrap_or(input_per_million);
    Some(Price { input_per_million, cached_input_per_million, output_per_million: output? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_an_upstream_without_a_price_is_noticed_where_others_have_one() {
        let there = || Source::Upstream { name: "google".to_owned(), model: None };
        let models = [("gemini-3-flash".to_owned(), there()), ("*".to_owned(), there())];
        let check = |patterns: &[&str], expected: &[&str]| {
            let prices: Vec<_> = patterns.iter().map(|pattern| (*pattern, Price::default())).collect();
            assert_eq!(unpriced(&models, &PriceTable::new(&prices).unwrap()), expected, "{patterns:?}");
        };
        check(&[], &[]);
        check(&["gemini-*"], &["*"]);
        check(&["other"], &["gemini-3-flash", "*"]);
        check(&["*"], &[]);
    }

    #[test]
    fn prices_are_dollars_for_a_million_tokens() {
        let read = price("0.30 in, 0.075 cached, 2.50 out").unwrap();

        assert_eq!(
            (read.input_per_million, read.cached_input_per_million, read.output_per_million),
            (300_000_000, 75_000_000, 2_500_000_000)
        );
        assert_eq!(price("1 in, 2 out").unwrap().cached_input_per_million, 1_000_000_000);
        for bad in ["", "1 in", "1 out", "1 in, 1 in, 2 out", "-1 in, 2 out", "1e3 in, 2 out", "1.0000000001 in, 2 out"]
        {
            assert!(price(bad).is_none(), "{bad}");
        }
    }
}
