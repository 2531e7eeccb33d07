//! Which of our own credentials goes to an upstream, and whether it is worth knocking there at all.

pub mod breaker;
pub mod pool;

pub use breaker::{Breaker, Health, Knock};
pub use pool::{Answered, Choice, Member, Pool, Standing, State, Ticket, Why};

use std::time::Duration;

use crate::Timestamp;

/// How long it is until a moment, unless it has passed.
fn until(end: Timestamp, now: Timestamp) -> Option<Duration> {
    let micros = u64::try_from(end.micros().saturating_sub(now.micros())).ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros))
}
