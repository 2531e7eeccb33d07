//! Whether an upstream is worth knocking at: after some connections in a row that failed, nobody tries for a while, then
//! one call tries for all. Each time that fails, the pause doubles.

use std::time::Duration;

use super::until;
use crate::Timestamp;

/// How many connections in a row must fail until there is a pause. One may be chance.
pub const FAILURES: u32 = 3;
/// The first pause.
pub const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is known of the way to an upstream.
#[derive(Debug, Default)]
pub struct Breaker(Stage);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Everybody may knock; so many knocks in a row failed.
    Closed { is_proven: bool, failures: u32 },
    /// Nobody knocks until then.
    Open { end: Timestamp, pause: Duration },
    /// One knock is under way; the pause before it was so long.
    Probing { pause: Duration },
}

impl Default for Stage {
    fn default() -> Self {
        Self::Closed { is_proven: false, failures: 0 }
    }
}

/// That somebody may try to connect. Say what came of it, with [`Breaker::came_through`], [`Breaker::failed`] or
/// [`Breaker::gave_up`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    /// Whether all others wait for what comes of it.
    is_probe: bool,
}

/// Whether an upstream can be reached, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nobody has tried yet.
    Unknown,
    /// The last connection came about, or at most a few failed since.
    Reachable,
    /// It cannot be reached. It is tried again after so long.
    Unreachable(Duration),
}

impl Breaker {
    /// Asks whether to try to connect.
    ///
    /// # Errors
    /// How long to wait, where it is not worth trying now.
    pub fn knock(&mut self, now: Timestamp) -> Result<Knock, Duration> {
        match self.0 {
            Stage::Closed { .. } => Ok(Knock { is_probe: false }),
            Stage::Open { end, pause } => match left(end, now, pause) {
                Some(left) => Err(left),
                None => {
                    self.0 = Stage::Probing { pause };
                    Ok(Knock { is_probe: true })
                }
            },
            // Whoever asks again then finds the answer.
            Stage::Probing { .. } => Err(PAUSE),
        }
    }

    /// A connection came about.
    pub fn came_through(&mut self, _: Knock) {
        self.0 = Stage::Closed { is_proven: true, failures: 0 };
    }

    /// No connection came about.
    pub fn failed(&mut self, knock: Knock, now: Timestamp) {
        let open = |pause: Duration| Stage::Open { end: now.plus(pause), pause };
        self.0 = match self.0 {
            Stage::Closed { failures, .. } if failures + 1 >= FAILURES => open(PAUSE),
            Stage::Closed { is_proven, failures } => Stage::Closed { is_proven, failures: failures + 1 },
            Stage::Probing { pause } if knock.is_probe => open((pause * 2).min(PAUSE_MAX)),
            // It began before the pause, and says no more than what the pause is for.
            Stage::Open { .. } | Stage::Probing { .. } => self.0,
        };
    }

    /// Whoever tried went away before anything came of it: the next may.
    pub fn gave_up(&mut self, knock: Knock) {
        if let (Stage::Probing { pause }, true) = (self.0, knock.is_probe) {
            self.0 = Stage::Open { end: Timestamp::from_micros(i64::MIN), pause };
        }
    }

    /// Whether it can be reached, as far as is known.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> Health {
        match self.0 {
            Stage::Closed { is_proven: false, .. } => Health::Unknown,
            Stage::Closed { .. } => Health::Reachable,
            Stage::Open { end, pause } => Health::Unreachable(left(end, now, pause).unwrap_or_default()),
            Stage::Probing { .. } => Health::Unreachable(Duration::ZERO),
        }
    }
}

/// How long a pause lasts yet. More than the whole of it is left only where the clock was set back; then it is over, and
/// the first who knocks ends it for good.
fn left(end: Timestamp, now: Timestamp, pause: Duration) -> Option<Duration> {
    until(end, now).filter(|left| *left <= pause)
}
