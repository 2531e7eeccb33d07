//! The script's idea of a token: simple enough to count by eye, and the same for ever.

use crate::Prompt;

/// Cuts text into tokens: a word (letters, digits, `_`) or one other character, each with the white space before it.
/// White space at the end is a token of its own. Joined, the tokens are the text again.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (token, after) = rest.split_at(first_token_bytes(rest));
        tokens.push(token.to_owned());
        rest = after;
    }
    tokens
}

/// The tokens of everything that was said. Nothing is added for roles.
pub(super) fn count_prompt(prompt: &Prompt) -> u64 {
    let texts = prompt.system.iter().chain(prompt.turns.iter().map(|turn| &turn.text));
    texts.map(|text| count(text)).sum()
}

/// The text up to so many tokens.
pub(super) fn first(text: &str, tokens_max: usize) -> &str {
    let mut rest = text;
    for _ in 0..tokens_max {
        rest = &rest[first_token_bytes(rest)..];
    }
    &text[..text.len() - rest.len()]
}

pub(super) fn count(text: &str) -> u64 {
    let mut tokens = 0;
    let mut rest = text;
    while !rest.is_empty() {
        rest = &rest[first_token_bytes(rest)..];
        tokens += 1;
    }
    tokens
}

fn first_token_bytes(text: &str) -> usize {
    let word_at = text.find(|c: char| !c.is_whitespace()).unwrap_or(text.len());
    let (_, word) = text.split_at(word_at);
    let word_bytes = match word.chars().next() {
        Some(first) if is_word(first) => word.find(|c| !is_word(c)).unwrap_or(word.len()),
        Some(mark) => mark.len_utf8(),
        None => 0,
    };
    word_at + word_bytes
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(split(text), expected);
        assert_eq!(count(text), expected.len() as u64);
        assert_eq!(split(text).concat(), text);
    }

    #[test]
    fn a_token_is_a_word_or_a_mark_with_the_white_space_before_it() {
        check("", &[]);
        check("Sunny, today.", &["Sunny", ",", " today", "."]);
        check("  a\n\nb ", &["  a", "\n\nb", " "]);
        check("grün 3€!?", &["grün", " 3", "€", "!", "?"]);
    }

    #[test]
    fn a_text_is_cut_between_tokens() {
        assert_eq!(first("Sunny, today.", 2), "Sunny,");
        assert_eq!(first("Sunny, today.", 0), "");
        assert_eq!(first("Sunny, today.", 100), "Sunny, today.");
    }
}
