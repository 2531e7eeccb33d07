//! Text that may hold a secret by mistake, made fit for logs and errors.

use std::borrow::Cow;

/// How secrets begin, ours and Google's, and how many characters at least follow.
const SHAPES: [(&str, usize); 4] = [("klo_", 20), ("kl_", 20), ("AIza", 30), ("AQ.", 30)];

/// The text with everything that looks like a key or token cut down to its prefix.
///
/// For text that callers chose and we repeat: paths, names of unknown fields. If it masks too much, a message reads
/// `kl_…`; if too little, a key that somebody put in the wrong place stands in a log.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, prefix, after)) = next_secret(rest) {
        masked.push_str(before);
        masked.push_str(prefix);
        masked.push('…');
        rest = after;
    }
    if masked.is_empty() {
        return Cow::Borrowed(text);
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// The first thing that looks like a secret: what is before it, its prefix, what is after it.
fn next_secret(text: &str) -> Option<(&str, &'static str, &str)> {
    let found = SHAPES.iter().filter_map(|(prefix, body_min)| {
        text.match_indices(prefix).find_map(|(at, _)| {
            let body = &text[at + prefix.len()..];
            let end = body.find(|letter: char| !(letter.is_ascii_alphanumeric() || "_-".contains(letter)));
            let end = end.unwrap_or(body.len());
            (end >= *body_min).then(|| (at, *prefix, &body[end..]))
        })
    });
    let (at, prefix, after) = found.min_by_key(|(at, _, _)| *at)?;
    Some((&text[..at], prefix, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyString, OperatorToken};
    use proptest::prelude::*;

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in ["/v1/models/gemini-2.5-flash:generateContent", "kl_short", "AIza", ""] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn several_secrets_in_one_text_are_all_masked() {
        let foreign = format!("AIza{}", "x".repeat(35));
        let key = KeyString::issue(&[1; 32]);

        let text = format!("/v1/{}/{foreign}?{}", key.reveal(), key.reveal());

        assert_eq!(mask(&text), "/v1/kl_…/AIza…?kl_…");
    }

    proptest! {
        #[test]
        fn no_secret_survives_wherever_it_stands(random: [u8; 32], before in "\\PC{0,20}", after in "\\PC{0,20}") {
            for secret in [KeyString::issue(&random).reveal(), OperatorToken::issue(&random).reveal()] {
                let text = format!("{before}{secret}{after}");
                prop_assert!(!mask(&text).contains(&secret[6..40]));
            }
        }
    }
}
