//! What this process appended and nobody folded yet, added up already: folding it reads nothing.
//!
//! It is what `pending` holds, once more, for those who write it into the tables; the blobs are for a crash. Where the
//! two may have parted (an append that nobody saw the end of, another process that folded), blobs are read, as they are
//! after a crash.

use std::collections::BTreeMap;

use super::CallRow;
use super::merge::Sums;

/// How many rows the sums have at most. Of more, blobs wait to be read.
const ROWS_MAX: usize = 40_000;

/// How many sums are kept for the next minutes: when one is over, the next has mostly begun.
const SPARE_MAX: usize = 2;

/// Calls by the minute.
#[derive(Debug)]
pub(super) struct Recent {
    minutes: BTreeMap<i64, Minute>,
    /// The sums of minutes that are written, for the next.
    spare: Vec<Sums>,
    /// All blobs below this one that are not in `minutes` can be read by others.
    pub(super) known_below: i64,
}

/// Calls of a minute.
#[derive(Debug, Default)]
pub(super) struct Minute {
    pub(super) sums: Sums,
    /// The blobs that they are in, by their ids.
    pub(super) blobs: Vec<i64>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { minutes: BTreeMap::new(), spare: Vec::new(), known_below: i64::MAX }
    }
}

impl Recent {
    /// Takes the calls of a blob that is in `pending` for good. All of them are of this minute.
    pub(super) fn add(&mut self, blob: i64, minute: i64, calls: &[&CallRow]) {
        self.known_below = blob + 1;
        if self.minutes.values().map(|minute| minute.sums.size()).sum::<usize>() >= ROWS_MAX {
            return;
        }
        let spare = &mut self.spare;
        let new = || Minute { sums: spare.pop().unwrap_or_default(), blobs: Vec::new() };
        let minute = self.minutes.entry(minute).or_insert_with(new);
        minute.sums.add_calls(calls.iter().copied());
        minute.blobs.push(blob);
    }

    /// Takes out the first minute from `from` on and before `to`.
    pub(super) fn take(&mut self, from: i64, to: i64) -> Option<Minute> {
        let first = *self.minutes.range(from..to.max(from)).next()?.0;
        self.minutes.remove(&first)
    }

    /// Takes sums that are written, so that the next need no room of their own.
    pub(super) fn give_back(&mut self, mut sums: Sums) {
        sums.clear();
        if self.spare.len() < SPARE_MAX {
            self.spare.push(sums);
        }
    }
}
