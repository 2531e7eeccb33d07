//! Finds stop sequences in text that arrives in pieces.

/// Lets text through until a stop sequence comes. Text that may still turn out to begin one is held back, and no other.
#[derive(Debug)]
pub(crate) struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The text that may go out now; often empty while something is held back.
    pub(crate) text: String,
    /// A stop sequence was found: nothing comes after `text`.
    pub(crate) stopped: bool,
}

impl StopMatcher {
    /// A matcher for these sequences; empty ones can never be meant and are left out.
    pub(crate) fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), held: String::new() }
    }

    /// Takes more text. When several sequences are in it, the one that begins first counts.
    pub(crate) fn push(&mut self, text: &str) -> Passed {
        self.held.push_str(text);

        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = found {
            self.held.truncate(at);
            return Passed { text: std::mem::take(&mut self.held), stopped: true };
        }

        let keep_from = self.held.len() - self.undecided();
        let keep = self.held.split_off(keep_from);
        Passed { text: std::mem::replace(&mut self.held, keep), stopped: false }
    }

    /// The text still held back: there is no more to come, so it was no stop sequence.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// How many bytes at the end could be the beginning of a stop sequence.
    fn undecided(&self) -> usize {
        self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0)
    }
}

/// The longest end of `text` that is a beginning of `stop`, in bytes.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len().saturating_sub(1));
    (1..=longest).rev().find(|&length| stop.is_char_boundary(length) && text.ends_with(&stop[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the pieces and returns what came out after each, and whether it stopped.
    fn check(stops: &[&str], pieces: &[&str], expected: &[&str], stopped: bool) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut matcher = StopMatcher::new(&stops);
        let mut out = Vec::new();
        let mut hit = false;
        for piece in pieces {
            let passed = matcher.push(piece);
            out.push(passed.text);
            hit = passed.stopped;
            if hit {
                break;
            }
        }
        if !hit {
            out.push(matcher.finish());
        }
        assert_eq!((out.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), hit), (expected, stopped));
    }

    #[test]
    fn text_without_stops_passes_at_once() {
        check(&[], &["a", "b"], &["a", "b", ""], false);
        check(&[""], &["a"], &["a", ""], false);
    }

    #[test]
    fn the_stop_itself_is_not_sent() {
        check(&["END"], &["one END two"], &["one "], true);
    }

    #[test]
    fn a_stop_is_found_across_pieces() {
        check(&["END"], &["one E", "N", "D two"], &["one ", "", ""], true);
    }

    #[test]
    fn only_what_may_become_a_stop_is_held_back() {
        check(&["END"], &["xE", "y"], &["x", "Ey", ""], false);
        check(&["aab"], &["aaa", "b"], &["a", ""], true);
        check(&["\n\n"], &["a\n", "b\n"], &["a", "\nb", "\n"], false);
    }

    #[test]
    fn the_first_stop_in_the_text_wins_whatever_the_order_of_the_list() {
        check(&["two", "one"], &["zero one two"], &["zero "], true);
    }

    #[test]
    fn characters_of_many_bytes_stay_whole() {
        check(&["€uro"], &["5 €", "x"], &["5 ", "€x", ""], false);
        check(&["é"], &["caf", "é!"], &["caf", ""], true);
    }
}
