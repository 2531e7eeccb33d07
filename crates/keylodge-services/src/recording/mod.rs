//! Recordings of what upstreams answer: made once with a real one, played in tests, held against it again later.
//!
//! ```text
//! record   caller ─ gate ─ relay ─┬────────────────── credential ─ upstream
//!                                 └─ Asked ─ scrub ─┐        └─ pieces ─ scrub ─┐
//!                                                   Exchange ──────────────── Recorder ─ file
//! replay   caller ─ gate ─ relay ─ a connection inside the process ─ Player ─ file
//! check    file ─ Asked ─ relay ─ credential ─ upstream ─ Answered ─ shape ─ drifts
//! ```
//!
//! All three are below the gate and at the relay's one way to an upstream, so every HTTP call that is sent to one is
//! recorded, whichever surface it came by, and keys, limits and errors stay the real thing. What a caller sends as a
//! credential ended at the gate, and ours is added after a request was noted; so neither is ever in an `exchange`. What else
//! looks like a secret is taken out where an exchange is made, which is before anything is written.
//!
//! Others match a request by method and address unless told otherwise (VCR), which answers a prompt that was never recorded;
//! here the body counts. As with WireMock, the same request is answered with what was recorded for it one after the other, the
//! last for ever. A field that is new at an upstream breaks nobody and is only told of; one that is gone is a drift.
//!
//! | module | what is there |
//! |---|---|
//! | `exchange` | what is kept of a call |
//! | `scrub`, `events` | secrets taken out, also where several events of a stream say one |
//! | `file` | a recording as text |
//! | `matching` | which recorded request a request is, or where it differs |
//! | `shape`, `contract` | what answers promise of the next, and whether it keeps that |
//! | `recorder` | writes calls down |
//! | `player` | answers in an upstream's place |
//!
//! Websockets are not recorded.

mod contract;
mod events;
mod exchange;
mod file;
mod matching;
mod player;
mod recorder;
mod scrub;
mod shape;

use std::path::Path;
use std::sync::Arc;

pub(crate) use contract::compare;
pub(crate) use exchange::{Answered, Asked, Exchange};
pub(crate) use matching::difference;
pub use player::Player;
pub use recorder::Recorder;
pub(crate) use recorder::{Missed, Noted};
pub(crate) use scrub::Scrubber;

/// The largest body of a request or an answer that is kept, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What stands between the relay and the upstreams.
#[derive(Clone, Debug, Default)]
pub enum Tape {
    /// Nothing, as always but in tests.
    #[default]
    None,
    /// What is said is written down.
    Records(Arc<Recorder>),
    /// A recording answers, and no upstream is asked.
    Plays(Arc<Player>),
}

/// The exchanges of a recording.
///
/// # Errors
/// Words for whoever started the program.
pub(crate) fn read(file: &Path) -> Result<(Vec<Exchange>, bool), String> {
    let shown = file.display();
    let bytes = std::fs::metadata(file).map(|about| about.len());
    let bytes = bytes.map_err(|error| format!("cannot read the recording {shown}: {error}"))?;
    // As it is written, with room for what people add.
    if bytes > 2 * recorder::RECORDING_BYTES_MAX as u64 {
        return Err(format!("the recording {shown} is too large"));
    }
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot read the recording {shown}: {error}"))?;
    file::parse(&text).map_err(|problem| format!("{shown} is no recording: {problem}"))
}
