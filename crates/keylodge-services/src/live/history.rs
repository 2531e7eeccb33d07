//! What was said in a session, as contents of the Gemini API.

use std::sync::Arc;

use serde_json::{Value, json};

/// The turns so far. Cheap to clone: the turns are shared.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    turns: Vec<(Arc<Value>, usize)>,
    bytes: usize,
}

impl History {
    /// Adds a turn.
    pub(super) fn push(&mut self, turn: Value) {
        let bytes = turn.to_string().len();
        self.bytes += bytes;
        self.turns.push((Arc::new(turn), bytes));
    }

    /// How much it is, in bytes of JSON.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets the oldest exchanges go until there are at most so many bytes, as a sliding window does. It is cut where the
    /// user begins to speak, as Google's is (`SlidingWindow` of the Live API: "cut at start of USER role turn"), and never
    /// between a call of a function and its result, which no model takes apart. So the exchange that is under way stays
    /// whole, however long it is.
    pub(super) fn slide(&mut self, bytes_max: usize) {
        let (mut gone, mut left, mut before) = (0, self.bytes, 0);
        for (at, (turn, bytes)) in self.turns.iter().enumerate() {
            if left <= bytes_max {
                break;
            }
            if begins_exchange(turn) {
                (gone, left) = (at, self.bytes - before);
            }
            before += bytes;
        }
        self.bytes = left;
        self.turns.drain(..gone);
    }

    /// The `contents` of a request.
    pub(super) fn contents(&self) -> Vec<&Value> {
        self.turns.iter().map(|(turn, _)| &**turn).collect()
    }
}

/// Whether the user begins to speak with this turn: it is theirs, and no result of a function. Clients may leave the role
/// out, and spell names either way.
fn begins_exchange(turn: &Value) -> bool {
    let is_result = |part: &Value| part.get("functionResponse").or_else(|| part.get("function_response")).is_some();
    let mut parts = turn["parts"].as_array().into_iter().flatten();
    matches!(turn["role"].as_str(), None | Some("user")) && !parts.any(is_result)
}

/// A turn of text.
pub(super) fn turn(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"text": text}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of turns by whose they are, each of a hundred bytes: `u` the user, `m` the model, `c` a call of a
    /// function, `r` its result. Gives what is left when it slides.
    #[track_caller]
    fn check(turns: &str, turns_max: usize, expected: &str) {
        let mut history = History::default();
        for which in turns.chars() {
            let (role, part) = match which {
                'u' => ("user", "text"),
                'm' => ("model", "text"),
                'c' => ("model", "functionCall"),
                _ => ("user", "function_response"),
            };
            let said = "x".repeat(59 - role.len() - part.len());
            history.push(json!({"role": role, "parts": [{ part: said }], "which": which.to_string()}));
        }
        assert_eq!(history.bytes(), 100 * turns.len());

        history.slide(100 * turns_max);

        let left: String = history.contents().iter().map(|turn| turn["which"].as_str().unwrap()).collect();
        assert_eq!((&*left, history.bytes()), (expected, 100 * expected.len()), "{turns} to {turns_max}");
    }

    #[test]
    fn a_window_slides_to_something_that_the_user_said() {
        check("umumu", 5, "umumu");
        check("umumu", 4, "umu");
        check("umumu", 2, "u");
        check("umumu", 0, "u");
        check("uuum", 3, "uum");
    }

    #[test]
    fn a_window_never_begins_with_the_model_or_the_result_of_a_function() {
        check("umucrmu", 5, "ucrmu");
        check("umucrmu", 4, "u");
        check("umucr", 1, "ucr");
        check("ucrcr", 2, "ucrcr");
        check("mcr", 1, "mcr");
    }

    #[test]
    fn whoever_leaves_out_the_role_is_the_user() {
        assert!(begins_exchange(&json!({"parts": [{"text": "Hi"}]})));
        assert!(!begins_exchange(&json!({"parts": [{"functionResponse": {}}]})));
    }
}
