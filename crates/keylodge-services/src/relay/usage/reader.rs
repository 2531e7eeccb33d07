//! Token counts of an answer, read in passing: the bytes go on as they are, and only the small object that has the
//! counts is copied.
//!
//! It is a scanner, not a parser: it follows strings, escapes and brackets, which is all it takes to know at which depth
//! a name stands. Sketch of its cost: text is inside strings, which `memchr` skips at several bytes per nanosecond;
//! what is between strings takes about a nanosecond a byte, and in an answer that is little.

use serde_json::Value;

use super::Tokens;
use super::names::{KEY_BYTES_MAX, Mark, Names, Part};

/// The largest `usageMetadata` that is read; Google's have a few hundred bytes. A larger one does not count, and the one
/// before it stays.
pub const USAGE_BYTES_MAX: usize = 8 * 1024;

/// The longest text that is kept, as it stands between its quotes.
const MARKED_BYTES_MAX: usize = 1024;

/// How answers are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One JSON object, or a streamed JSON array of them.
    Json,
    /// Server-sent events, each `data:` a JSON object.
    Sse,
}

/// Reads the `usageMetadata` of an answer while its pieces pass by. Of several the last one wins: each chunk of a stream
/// carries the counts so far.
///
/// Only the field of the answer itself counts; one inside the arguments of a function call or inside a text does not.
/// Bytes that are no JSON give no counts, and cannot make it fail. It holds two times [`USAGE_BYTES_MAX`] at most.
///
/// Of an interaction it reads the `usage`, its id and how far it has come; in a stream, those of the events that tell the
/// interaction itself: what single steps say is only a part.
#[derive(Clone, Debug)]
pub struct UsageReader {
    kind: Kind,
    names: Names,
    line: Line,
    scan: Scan,
}

/// Where in a line of an event stream the next byte stands.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// So many letters of `data:` were seen.
    Start(usize),
    Payload,
    Skip,
}

impl UsageReader {
    /// A reader for one answer.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, names: Names::Gemini, line: Line::Start(0), scan: Scan::default() }
    }

    /// A reader for one answer of the Interactions API.
    #[must_use]
    pub fn of_interaction(kind: Kind) -> Self {
        let names = match kind {
            Kind::Json => Names::Interaction,
            Kind::Sse => Names::Events,
        };
        Self { names, scan: Scan { names, ..Scan::default() }, ..Self::new(kind) }
    }

    /// Takes the next bytes of the answer, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.kind {
            Kind::Json => {
                self.scan.read::<false>(bytes);
            }
            Kind::Sse => self.lines(bytes),
        }
    }

    /// The counts that came last; `None` if there were none yet. What an interaction says of itself before its end is a
    /// part, and none.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        let is_ahead = match self.status() {
            Some(status) => matches!(status, "in_progress" | "queued"),
            // It may still come, behind counts that are a part.
            None => matches!(self.names, Names::Interaction),
        };
        if is_ahead {
            return None;
        }
        let usage: Value = serde_json::from_slice(&self.scan.last).ok()?;
        let read = match self.names {
            Names::Gemini => Tokens::of_metadata,
            Names::Interaction | Names::Events => Tokens::of_interaction,
        };
        usage.as_object().map(read)
    }

    /// The id of the interaction, once it was said.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.scan.id.as_deref()
    }

    /// The last word on how far the interaction has come, as `in_progress`.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.scan.status.as_deref()
    }

    /// An upper estimate of the tokens that were answered so far, for when an answer breaks off before it says its
    /// counts: one for each byte of every value below the answer's own fields. Thoughts that the model keeps to itself
    /// pass nobody and are not in it.
    #[must_use]
    pub fn output_tokens_seen_max(&self) -> u64 {
        self.scan.seen + self.scan.pending
    }

    /// Whether a chunk of a stream ended with the last of these bytes, the ones that were read last, so that another could
    /// follow. An answer that is one JSON object has no such places, however it is cut.
    #[must_use]
    pub fn is_between_chunks(&self, bytes: &[u8]) -> bool {
        match self.kind {
            Kind::Json => self.scan.base == 2 && self.scan.depth == 1 && bytes.trim_ascii_end().ends_with(b"}"),
            Kind::Sse => matches!(self.line, Line::Start(0)),
        }
    }

    fn lines(&mut self, bytes: &[u8]) {
        const DATA: &[u8] = b"data:";
        let mut at = 0;
        while at < bytes.len() {
            match self.line {
                Line::Start(DATA_LEN) => self.line = Line::Payload,
                Line::Start(matched) => match bytes[at] {
                    // A blank line ends an event, whole or broken.
                    b'\n' => {
                        self.scan.reset();
                        self.line = Line::Start(0);
                        at += 1;
                    }
                    b'\r' if matched == 0 => at += 1,
                    byte if byte == DATA[matched] => {
                        self.line = Line::Start(matched + 1);
                        at += 1;
                    }
                    _ => self.line = Line::Skip,
                },
                Line::Skip => match memchr::memchr(b'\n', &bytes[at..]) {
                    Some(run) => {
                        self.line = Line::Start(0);
                        at += run + 1;
                    }
                    None => return,
                },
                Line::Payload => {
                    at += self.scan.read::<true>(&bytes[at..]);
                    if at < bytes.len() {
                        self.line = Line::Start(0);
                        at += 1;
                    }
                }
            }
        }
    }
}

const DATA_LEN: usize = 5;

/// The scanner of one JSON text after another.
#[derive(Clone, Debug, Default)]
struct Scan {
    names: Names,
    /// Whether the fields that are looked at are those of an event's interaction.
    is_inside: bool,
    mode: Mode,
    depth: u32,
    /// The depth at which the fields of an answer stand: 1, in an array or in an event's interaction 2.
    base: u32,
    /// Whether what is open at that depth is an object.
    has_fields: bool,
    field: Field,
    /// The name that is being read at that depth; longer ones are cut, since they are another field's.
    key: Vec<u8>,
    in_key: bool,
    /// The text that is read and kept, if it is one of those.
    mark: Option<Mark>,
    marked: Vec<u8>,
    id: Option<String>,
    status: Option<String>,
    capture: Capture,
    captured: Vec<u8>,
    last: Vec<u8>,
    seen: u64,
    /// The string that was read last: a value if no colon follows.
    pending: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Between,
    String,
    Escape,
}

/// Where among the fields of the answer we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    #[default]
    Name,
    /// The name was read: that of a part that is looked for, or another.
    Colon(Part),
    Value(Part),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Capture {
    #[default]
    Off,
    On,
    TooLarge,
}

impl Scan {
    /// Reads on. In a line of an event stream it stops before the line's end and says where that is.
    fn read<const LINE: bool>(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        let mut kept_to = 0;
        while at < bytes.len() {
            match self.mode {
                Mode::String => {
                    let rest = &bytes[at..];
                    let found = if LINE {
                        memchr::memchr3(b'"', b'\\', b'\n', rest)
                    } else {
                        memchr::memchr2(b'"', b'\\', rest)
                    };
                    let run = found.unwrap_or(rest.len());
                    self.text(&rest[..run]);
                    at += run;
                    match bytes.get(at) {
                        Some(b'"') => self.end_string(),
                        Some(b'\\') => {
                            self.text(b"\\");
                            self.mode = Mode::Escape;
                        }
                        // No string goes over a line's end: this event is broken.
                        Some(_) => {
                            self.reset();
                            return at;
                        }
                        None => break,
                    }
                    at += 1;
                }
                Mode::Escape if LINE && bytes[at] == b'\n' => {
                    self.reset();
                    return at;
                }
                Mode::Escape => {
                    self.text(&bytes[at..=at]);
                    self.mode = Mode::String;
                    at += 1;
                }
                Mode::Between => {
                    if LINE && bytes[at] == b'\n' {
                        break;
                    }
                    self.between(bytes, at, &mut kept_to);
                    at += 1;
                }
            }
        }
        self.keep(&bytes[kept_to..at]);
        at
    }

    /// One byte between strings.
    fn between(&mut self, bytes: &[u8], at: usize, kept_to: &mut usize) {
        match bytes[at] {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'"' => {
                self.mode = Mode::String;
                let is_field = self.depth == self.base && self.has_fields;
                self.in_key = is_field && self.field == Field::Name;
                self.key.clear();
                self.mark = match self.field {
                    Field::Value(Part::Text(mark)) if is_field => Some(mark),
                    _ => None,
                };
                self.marked.clear();
            }
            b',' => {
                self.value_ended();
                if self.depth == self.base {
                    self.field = Field::Name;
                }
            }
            b':' => {
                self.pending = 0;
                if let (true, Field::Colon(part)) = (self.depth == self.base, self.field) {
                    self.field = Field::Value(part);
                }
            }
            open @ (b'{' | b'[') => {
                if self.depth == self.base && self.has_fields && open == b'{' {
                    match self.field {
                        Field::Value(Part::Usage) => {
                            self.capture = Capture::On;
                            self.captured.clear();
                            *kept_to = at;
                        }
                        Field::Value(Part::Interaction) => {
                            self.is_inside = true;
                            self.base += 1;
                        }
                        _ => {}
                    }
                }
                if self.depth == 0 {
                    self.base = if open == b'[' { 2 } else { 1 };
                    self.has_fields = false;
                }
                self.depth = self.depth.saturating_add(1);
                if self.depth == self.base {
                    self.has_fields = open == b'{';
                    self.field = Field::Name;
                }
            }
            b'}' | b']' => {
                self.value_ended();
                self.depth = self.depth.saturating_sub(1);
                if self.depth == self.base && self.capture != Capture::Off {
                    self.keep(&bytes[*kept_to..=at]);
                    if self.capture == Capture::On {
                        std::mem::swap(&mut self.last, &mut self.captured);
                    }
                    self.capture = Capture::Off;
                }
                if self.is_inside && self.depth < self.base {
                    self.is_inside = false;
                    self.base = self.depth;
                }
                if self.depth == self.base {
                    self.field = Field::Value(Part::Other);
                }
            }
            _ => self.seen += u64::from(self.is_counted()),
        }
    }

    /// Bytes of the string that is being read.
    fn text(&mut self, bytes: &[u8]) {
        if self.in_key {
            // One more than fits is enough to know that it does not.
            let room = (KEY_BYTES_MAX + 1).saturating_sub(self.key.len());
            self.key.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else if self.mark.is_some() {
            let room = (MARKED_BYTES_MAX + 1).saturating_sub(self.marked.len());
            self.marked.extend_from_slice(&bytes[..bytes.len().min(room)]);
        } else if self.is_counted() {
            self.pending += bytes.len() as u64;
        }
    }

    fn end_string(&mut self) {
        self.mode = Mode::Between;
        if self.in_key {
            self.in_key = false;
            let names = if self.is_inside { Names::Interaction } else { self.names };
            self.field = Field::Colon(names.part(&self.key));
        }
        let Some(mark) = self.mark.take() else { return };
        let quoted = [b"\"", &*self.marked, b"\""].concat();
        let text = serde_json::from_slice::<String>(&quoted).ok();
        let text = text.filter(|text| !text.is_empty() && self.marked.len() <= MARKED_BYTES_MAX);
        match mark {
            // It stays the same; what is said first is passed on first.
            Mark::Id => self.id = self.id.take().or(text),
            Mark::Status => self.status = text,
        }
    }

    fn value_ended(&mut self) {
        self.seen += self.pending;
        self.pending = 0;
    }

    /// Whether bytes here are part of what was answered.
    fn is_counted(&self) -> bool {
        self.depth > self.base && self.capture == Capture::Off
    }

    /// Copies bytes of the object that has the counts.
    fn keep(&mut self, bytes: &[u8]) {
        if self.capture != Capture::On {
            return;
        }
        if self.captured.len() + bytes.len() > USAGE_BYTES_MAX {
            self.capture = Capture::TooLarge;
            self.captured.clear();
        } else {
            self.captured.extend_from_slice(bytes);
        }
    }

    /// Forgets what is open, so that a broken event does not damage the next one.
    fn reset(&mut self) {
        self.value_ended();
        self.mode = Mode::Between;
        self.depth = 0;
        self.base = 0;
        self.has_fields = false;
        self.in_key = false;
        self.is_inside = false;
        self.mark = None;
        self.capture = Capture::Off;
    }
}
