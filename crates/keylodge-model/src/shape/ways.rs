//! In how many ways the same characters match a pattern. llama.cpp's sampler tries all of them for each character of each
//! word that it knows, so that a few ways again and again are too many.

/// The most ways to go on with one character, anywhere.
const WAYS_MAX: usize = 200;
/// The same within what is repeated.
const WAYS_REPEATED_MAX: usize = 4;
/// Whatever the ways, so many times so many of them come to an end.
const WAYS_TIMES_MAX: usize = 20;

/// The last character.
pub(super) const LAST: u32 = 0x10_FFFF;

/// Characters from one to another, both included.
pub(super) type Span = (u32, u32);

/// A part of a pattern.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) gbnf: String,
    may_be_empty: bool,
    /// What it can begin with: one set of characters for each way.
    first: Vec<Vec<Span>>,
    /// The most ways in which it goes on with one character.
    ways: usize,
    /// The same, where it is alternatives and stands at their choice.
    choices: usize,
    /// Whether it is something again and again, and nothing says how often.
    is_loose: bool,
}

impl Part {
    /// One character of a set.
    pub(super) fn one_of(gbnf: String, set: Vec<Span>) -> Self {
        Self { gbnf, may_be_empty: false, first: vec![set], ways: 1, choices: 1, is_loose: false }
    }

    /// No character.
    pub(super) fn nothing() -> Self {
        Self { gbnf: "\"\"".to_owned(), may_be_empty: true, ..Self::default() }
    }

    /// One after another.
    pub(super) fn sequence(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            0 => return Self::nothing(),
            1 => return parts.remove(0),
            _ => {}
        }
        let gbnf: Vec<&str> = parts.iter().map(|part| &*part.gbnf).collect();
        let mut whole = Self { gbnf: gbnf.join(" "), may_be_empty: true, ways: 1, choices: 1, ..Self::default() };
        for mut part in parts.into_iter().rev() {
            if part.may_be_empty {
                part.first.append(&mut whole.first);
            }
            whole.may_be_empty &= part.may_be_empty;
            whole.first = part.first;
            whole.ways = whole.ways.max(part.ways).max(ways(&whole.first));
        }
        whole
    }

    /// Any of them.
    pub(super) fn either(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let gbnf: Vec<&str> = parts.iter().map(|part| &*part.gbnf).collect();
        let gbnf = gbnf.join(" | ");
        let may_be_empty = parts.iter().any(|part| part.may_be_empty);
        let inner = parts.iter().map(|part| part.ways).max().unwrap_or(0);
        let first: Vec<Vec<Span>> = parts.into_iter().flat_map(|part| part.first).collect();
        let choices = ways(&first);
        Self { gbnf, may_be_empty, first, ways: inner.max(choices), choices, is_loose: false }
    }

    /// So many times; `None` if there are too many ways to match the same.
    pub(super) fn repeated(self, times: &str, min: u32, max: Option<u32>) -> Option<Self> {
        let is_again = max.is_none_or(|max| max > 1);
        let few = |ways: usize| {
            max.and_then(|max| ways.checked_mul(max as usize)).is_some_and(|times| times <= WAYS_TIMES_MAX)
        };
        let is_ambiguous = self.may_be_empty
            || self.is_loose
            || (self.choices > 1 && !few(self.choices))
            || (self.ways > WAYS_REPEATED_MAX && !few(self.ways));
        if is_again && is_ambiguous {
            return None;
        }
        let may_be_empty = self.may_be_empty || min == 0;
        let is_loose = self.is_loose || (is_again && max != Some(min));
        Some(Self { is_loose, gbnf: format!("({}){times}", self.gbnf), may_be_empty, choices: 1, ..self })
    }

    /// Whether it can be followed where it is not repeated.
    pub(super) const fn is_followed(&self) -> bool {
        self.ways <= WAYS_MAX
    }
}

/// All characters but these.
pub(super) fn but(mut set: Vec<Span>) -> Vec<Span> {
    set.sort_unstable();
    let mut left = Vec::new();
    let mut next = 0;
    for (from, to) in set {
        if from > next {
            left.push((next, from - 1));
        }
        next = next.max(to + 1);
    }
    if next <= LAST {
        left.push((next, LAST));
    }
    left
}

/// How many of the sets have a character in common with one of them, at most. Beyond the bound it is not counted further.
fn ways(sets: &[Vec<Span>]) -> usize {
    if sets.len() > 4 * WAYS_MAX {
        return sets.len();
    }
    let meet = |one: &[Span], other: &[Span]| {
        one.iter().any(|(from, to)| other.iter().any(|(other_from, other_to)| from <= other_to && other_from <= to))
    };
    sets.iter().map(|one| sets.iter().filter(|other| meet(one, other)).count()).max().unwrap_or(0)
}
