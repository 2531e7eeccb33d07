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

    /// Lets the oldest turns go until there are at most so many bytes, as a sliding window does: what is left begins with
    /// something that the user said.
    pub(super) fn slide(&mut self, bytes_max: usize) {
        let mut gone = 0;
        while self.bytes > bytes_max && gone + 1 < self.turns.len() {
            self.bytes -= self.turns[gone].1;
            gone += 1;
        }
        while gone > 0 && gone + 1 < self.turns.len() && self.turns[gone].0["role"] == "model" {
            self.bytes -= self.turns[gone].1;
            gone += 1;
        }
        self.turns.drain(..gone);
    }

    /// The `contents` of a request.
    pub(super) fn contents(&self) -> Vec<&Value> {
        self.turns.iter().map(|(turn, _)| &**turn).collect()
    }
}

/// A turn of text.
pub(super) fn turn(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"text": text}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_to_something_that_the_user_said() {
        let mut history = History::default();
        for (role, text) in [("user", "a"), ("model", "b"), ("user", "c"), ("model", "d"), ("user", "e")] {
            history.push(turn(role, text));
        }
        let one = history.bytes() / 5;

        history.slide(4 * one);

        let texts: Vec<_> = history.contents().iter().map(|turn| turn["parts"][0]["text"].clone()).collect();
        assert_eq!(texts, ["c", "d", "e"]);
        history.slide(0);
        assert_eq!(history.contents().len(), 1, "what was said last stays");
    }
}
