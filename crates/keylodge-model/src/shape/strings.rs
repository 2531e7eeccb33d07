//! Strings as JSON spells them, in GBNF.

/// One character of a JSON string: itself, or an escape. No half of a surrogate pair, since not every reader takes one.
pub(super) const CHARACTER: &str =
    r#"[^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-Ce-fE-F] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))"#;

/// The text itself, nothing else.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            _ => literal.push(letter),
        }
    }
    literal.push('"');
    literal
}

/// A character as it stands inside a JSON string.
pub(super) fn within_string(letter: char) -> String {
    let quoted = serde_json::Value::from(String::from(letter)).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
