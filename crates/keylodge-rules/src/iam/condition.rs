//! Conditions: until when a binding holds.
//!
//! IAM's conditions are CEL. Keylodge understands one sentence of it, the one that access for a limited time needs, and
//! refuses every other: a condition that is kept but not followed would grant what its author meant to limit.

use std::fmt;

use sha2::{Digest, Sha256};

use super::rfc3339;
use crate::Timestamp;

/// When a binding holds. Two are equal when all their words are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// A title for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// When it holds.
    pub expression: Expression,
}

/// `request.time < timestamp("2030-01-01T00:00:00Z")`, or with `<=`. Kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expression {
    text: String,
    deadline: Timestamp,
    deadline_included: bool,
}

/// An expression is not one that Keylodge understands. The message says which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnderstood;

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "Keylodge understands only conditions of the form request.time < timestamp(\"2030-01-01T00:00:00Z\"), also with <=, with a time in RFC 3339",
        )
    }
}

impl std::error::Error for NotUnderstood {}

impl Condition {
    /// Most characters of a title.
    pub const TITLE_CHARS_MAX: usize = 100;
    /// Most characters of a description.
    pub const DESCRIPTION_CHARS_MAX: usize = 256;

    /// Whether it holds at a moment.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        let Expression { deadline, deadline_included, .. } = self.expression;
        now < deadline || deadline_included && now == deadline
    }

    /// Twenty hexadecimal digits that tell this condition from others. A reader who cannot be shown conditions is shown
    /// `ROLE_withcond_MARK` as the role, as at Google: written back, that is no role, so the condition is never lost.
    #[must_use]
    pub fn mark(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.title, &self.description, &self.expression.text] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Expression {
    /// Most bytes of an expression: the one form needs about 60, the rest is room for blanks.
    pub const BYTES_MAX: usize = 256;

    /// Reads an expression. Blanks are free between words, quotes single or double.
    ///
    /// # Errors
    /// When it is anything else than a deadline for `request.time`.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let (deadline, deadline_included) =
            Some(text).filter(|text| text.len() <= Self::BYTES_MAX).and_then(deadline).ok_or(NotUnderstood)?;
        Ok(Self { text: text.to_owned(), deadline, deadline_included })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The moment an expression names, and whether the moment itself is still within.
fn deadline(text: &str) -> Option<(Timestamp, bool)> {
    fn after<'text>(text: &'text str, word: &str) -> Option<&'text str> {
        text.trim_ascii_start().strip_prefix(word)
    }
    let rest = after(text, "request.time").and_then(|rest| after(rest, "<"))?;
    let (rest, included) = rest.strip_prefix('=').map_or((rest, false), |rest| (rest, true));
    let rest = after(rest, "timestamp").and_then(|rest| after(rest, "("))?.trim_ascii_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (moment, rest) = rest[1..].split_once(quote)?;
    let nothing_more = after(rest, ")").is_some_and(|rest| rest.trim_ascii().is_empty());
    Some((rfc3339::read(moment).filter(|_| nothing_more)?, included))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(expression: &str) -> Condition {
        let expression = Expression::parse(expression).unwrap();
        Condition { title: "until then".to_owned(), description: String::new(), expression }
    }

    fn moment(text: &str) -> Timestamp {
        rfc3339::read(text).unwrap()
    }

    #[test]
    fn a_binding_holds_until_its_deadline() {
        for (expression, at_the_deadline) in [
            (r#"request.time < timestamp("2030-01-01T00:00:00Z")"#, false),
            ("request.time < timestamp('2030-01-01T00:00:00Z')", false),
            (r#"request.time <= timestamp("2030-01-01T00:00:00Z")"#, true),
            ("  request.time<timestamp ( '2030-01-01T01:00:00+01:00'\n) ", false),
        ] {
            let condition = condition(expression);

            assert!(condition.holds(moment("2029-12-31T23:59:59.999999Z")), "{expression}");
            assert_eq!(condition.holds(moment("2030-01-01T00:00:00Z")), at_the_deadline, "{expression}");
            assert!(!condition.holds(moment("2030-01-01T00:00:00.000001Z")), "{expression}");
            assert_eq!(condition.expression.as_str(), expression);
        }
    }

    #[test]
    fn any_other_expression_is_refused() {
        let padded = format!("request.time < {}timestamp('2030-01-01T00:00:00Z')", " ".repeat(Expression::BYTES_MAX));
        for expression in [
            "",
            "true",
            "request.time > timestamp('2030-01-01T00:00:00Z')",
            "request.time < = timestamp('2030-01-01T00:00:00Z')",
            "request.time < '2030-01-01T00:00:00Z'",
            "request.time < timestamp('2030-01-01')",
            "request.time < timestamp('2030-01-01T00:00:00Z\")",
            "request.time < timestamp('2030-01-01T00:00:00Z'",
            "request.time < timestamp('2030-01-01T00:00:00Z') || true",
            "!(request.time < timestamp('2030-01-01T00:00:00Z'))",
            "request.timer < timestamp('2030-01-01T00:00:00Z')",
            "request.time < timestamp(",
            "request.time < timestamp(é",
            "resource.name.startsWith('projects/1')",
            &padded,
        ] {
            assert_eq!(Expression::parse(expression), Err(NotUnderstood), "{expression}");
        }
    }

    #[test]
    fn the_mark_tells_conditions_apart() {
        let one = condition("request.time < timestamp('2030-01-01T00:00:00Z')");
        let moved = Condition { title: "until ".to_owned(), description: "then".to_owned(), ..one.clone() };

        assert_eq!(one.mark().len(), 20);
        assert_eq!(one.mark(), condition(one.expression.as_str()).mark());
        assert_ne!(one.mark(), moved.mark());
    }
}
