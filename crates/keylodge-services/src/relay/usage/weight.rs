//! What a body adds up to, in whichever words its surface says it: the tokens of its prompt, and the caps of its
//! configurations.

use super::clamp::is_cap;
use super::json::Cursor;
use super::worst_case::WorstCase;

/// What the chat template adds: marks around a call and around each of its turns.
const CALL_TOKENS: u64 = 16;
const TURN_TOKENS: u64 = 8;

/// What was seen of a body so far.
pub(super) struct Weight<'body> {
    pub(super) body: &'body [u8],
    /// `None` once nobody can say.
    input: Option<u64>,
    caps: Caps,
}

/// The caps of several configurations.
#[derive(Default)]
struct Caps {
    most: Option<u64>,
    /// Whether one of them sets none.
    is_open: bool,
}

impl Caps {
    fn add(&mut self, cap: Option<u64>) {
        self.is_open |= cap.is_none();
        self.most = if self.is_open { None } else { self.most.max(cap) };
    }
}

impl<'body> Weight<'body> {
    /// A call that says nothing yet.
    pub(super) fn new(body: &'body [u8]) -> Self {
        Self { body, input: Some(CALL_TOKENS), caps: Caps::default() }
    }

    /// The most that the call can use, where it wants so many answers.
    pub(super) fn worst_case(self, candidates: u64) -> WorstCase {
        WorstCase { input_tokens_max: self.input, output_cap: self.caps.most, candidates }
    }

    pub(super) fn add(&mut self, tokens: u64) {
        self.input = self.input.map(|input| input.saturating_add(tokens));
    }

    /// A turn of the conversation begins.
    pub(super) fn turn(&mut self) {
        self.add(TURN_TOKENS);
    }

    /// What is read is not in the body.
    pub(super) fn unknown(&mut self) {
        self.input = None;
    }

    /// A value that goes into the prompt.
    pub(super) fn weigh(&mut self, value: &mut Cursor<'_>) {
        self.add(value.weigh());
    }

    /// A field that goes into the prompt with its name.
    pub(super) fn named(&mut self, value: &mut Cursor<'_>, name: &[u8]) {
        self.add(name.len() as u64);
        self.weigh(value);
    }

    /// A configuration. `field` is given the name and the JSON of each of its fields, and of a cap it says how much that is.
    pub(super) fn config(&mut self, config: &mut Cursor<'_>, mut field: impl FnMut(&[u8], &[u8]) -> Option<u64>) {
        if !config.is_object() {
            self.caps.add(None);
            return self.weigh(config);
        }
        // No cap so far, then the largest, unless one cannot be read.
        let mut caps = Caps::default();
        config.object(|value, name| {
            let place = value.at();
            self.named(value, name);
            let said = field(name, &self.body[place..value.at()]);
            if is_cap(name) {
                caps.add(said);
            }
        });
        self.caps.add(caps.most);
    }
}
