//! Text that may hold a secret by mistake, made fit for logs and errors.

use std::borrow::Cow;

/// How secrets begin, ours and Google's, and how many characters at least follow.
const SHAPES: [(&str, usize); 7] = [
    ("klo_", 20),
    ("kl_", 20),
    ("AIza", 30),
    ("AQ.", 30),
    ("auth_tokens/", 20),
    ("auth_tokens%2F", 20),
    ("auth_tokens%2f", 20),
];

/// The text with everything that looks like a key or token cut down to its prefix. One pass, whatever the text.
///
/// For text that callers chose and we repeat: paths, names of unknown fields. If it masks too much, a message reads
/// `kl_…`; if too little, a key that somebody put in the wrong place stands in a log.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut masked = String::new();
    let (mut kept, mut at) = (0, 0);
    // Where the run of letters that was looked at last ends: no run is walked along twice.
    let mut run_end = 0;
    while at < bytes.len() {
        let shape = SHAPES.iter().find(|(prefix, body_min)| {
            let body = at + prefix.len();
            bytes[at..].starts_with(prefix.as_bytes()) && end_of_run(bytes, body, &mut run_end) - body >= *body_min
        });
        let Some((prefix, _)) = shape else {
            at += 1;
            continue;
        };
        masked.push_str(&text[kept..at]);
        masked.push_str(prefix);
        masked.push('…');
        at = end_of_run(bytes, at + prefix.len(), &mut run_end);
        kept = at;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[kept..]);
    Cow::Owned(masked)
}

/// The beginning of a text that a caller chose, so that nobody makes us walk along more of it.
#[must_use]
pub fn head(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Where the letters end that begin at a place. `known` is where the last such run ended; places only go up.
fn end_of_run(bytes: &[u8], from: usize, known: &mut usize) -> usize {
    if from >= *known {
        let letters = bytes[from..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
        *known = from + letters.count();
    }
    *known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EphemeralToken, KeyString, OperatorToken};
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

    #[test]
    fn secrets_side_by_side_and_prefixes_without_a_body_are_told_apart() {
        let key = KeyString::issue(&[1; 32]);
        let key = key.reveal();

        assert_eq!(mask(&format!("{key}.{key}")), "kl_….kl_…");
        assert_eq!(mask(&format!("kl_kl_{key}")), "kl_…");
        assert_eq!(mask(&format!("AQ.kl_ {key}é")), "AQ.kl_ kl_…é");
    }

    proptest! {
        #[test]
        fn no_secret_survives_wherever_it_stands(random: [u8; 32], before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let (key, operator) = (KeyString::issue(&random), OperatorToken::issue(&random));
            let token = EphemeralToken::issue(&random);
            let in_a_path = token.reveal().replace('/', "%2F");
            for secret in [key.reveal(), operator.reveal(), token.reveal(), &in_a_path] {
                let text = format!("{before}{secret}{after}");
                prop_assert!(!mask(&text).contains(&secret[14..40]));
            }
        }
    }
}
