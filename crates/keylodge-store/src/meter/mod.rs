//! What was called, by whom, how often and for how much: a SQLite file of its own.
//!
//! Metering writes all the time and the control plane now and then; in one file each would wait for the other, and a
//! revoked key would go on for as long. So the meter has a file, a writer and readers of its own and never touches the
//! store's.
//!
//! A second's calls arrive as one [`Batch`] and are kept as blobs, which costs one write whatever is in it
//! ([`Meter::append`]). They are added up in memory besides. Now and then, once a minute say, they are *folded*: the sums
//! are put into tables in the transaction that deletes the blobs, so that every call is in one place and only one whenever
//! the process dies ([`Meter::fold`]). Blobs from before a crash are read and added up then. Once an hour old minutes become
//! hours and old hours go ([`Meter::roll`]). Whatever asks, folds first what may bear on its answer, so that answers include
//! all that was appended.
//!
//! | if this happens | then |
//! |---|---|
//! | the process dies | what was appended is kept, what was not is lost; no call is counted twice |
//! | the disk is full, or another process holds the file | `Unavailable`; nothing half-written, trying again is safe |
//! | a blob cannot be read | it is set aside and reported as [`Damaged`]; all others are folded |
//! | more different calls in a minute than the table should take | the key is left out, then model, method and upstream: totals stay true |
//! | more different callers than should be kept | the oldest hours of them go; what an hour could not take is counted |
//!
//! An append that failed with `Unavailable` changed nothing, except where the failure came from the commit itself, after
//! which nobody can know.

mod blob;
mod bound;
mod cut;
mod decisions;
mod dictionary;
mod fold;
mod keys;
mod latency;
mod ledger;
mod merge;
mod recent;
mod record;
mod roll;
mod row;
mod shapes;
mod table;
mod usage;

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};
use tokio::sync::Mutex;

use crate::error::{OpenFileError, StoreError};
use crate::file::{self, File};

use recent::Recent;

pub use cut::{CLIENT_CHARS_MAX, NAME_CHARS_MAX, REFERRER_CHARS_MAX, WORD_CHARS_MAX};
pub use decisions::{DecisionQuery, FACTS_BYTES_MAX};
pub use fold::{Damaged, Folded};
pub use latency::{LATENCY_BOUNDS_MICROS, Latency};
pub use record::{Batch, CallKind, CallRow, CallerFacts, Counts, DecisionRow, Holder, LedgerRow, Listed};
pub use roll::Rolled;
pub use shapes::{ShapeQuery, ShapeRow, Shapes};
pub use usage::{Group, Step, UsageFilter, UsagePlace, UsageQuery, UsageRow};

/// The last minute that can be kept. No clock shows it.
pub const MINUTE_MAX: i64 = 1 << 40;

/// The largest count that one row of usage can hold; more stays at it. In cost it is a million dollars.
pub const COUNT_MAX: u64 = 1 << 50;

/// How many reads go on at a time.
const READERS: u32 = 2;

/// How much of the file a connection keeps in memory, in KiB, said as SQLite wants it. What is metered is written once and
/// read in order; to keep more of it would fill memory and find nothing.
const CACHE: &str = "-512";

/// What a meter is opened with.
#[derive(Clone, Debug)]
pub struct MeterOptions {
    /// How many refusals can be explained; older ones are forgotten.
    pub decisions_max: u32,
    /// How many rows with a key a minute may have. A row takes about 60 bytes, and there are so many at most for every
    /// minute of `minutes_days`.
    pub usage_rows_per_minute_max: u32,
    /// How many different calls with their callers are kept for rehearsals; no hour takes more than a quarter of them.
    pub shapes_max: u32,
    /// For how many days usage is kept by the minute.
    pub minutes_days: u32,
    /// For how many days usage is kept at all.
    pub hours_days: u32,
}

impl Default for MeterOptions {
    fn default() -> Self {
        Self {
            decisions_max: 100_000,
            usage_rows_per_minute_max: 10_000,
            shapes_max: 200_000,
            minutes_days: 7,
            hours_days: 400,
        }
    }
}

/// Everything that is metered. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    file: File,
    options: MeterOptions,
    recent: Mutex<Recent>,
}

impl Meter {
    /// Opens the file, makes it if it is not there, brings its schema up to date, and folds what was left pending.
    ///
    /// # Errors
    /// When the file cannot be opened, or a newer Keylodge wrote its schema.
    pub async fn open(file: &Path, options: MeterOptions) -> Result<Self, OpenFileError> {
        let steps = [(1, "start", include_str!("../../migrations/meter/0001_start.sql"))];
        let file = file::open(file, &steps, CACHE, READERS).await?;
        let meter = Self(Arc::new(Parts { file, options, recent: Mutex::default() }));
        meter.fold(i64::MAX).await?;
        Ok(meter)
    }

    /// Writes a batch, entirely or not at all. Two batches never mix.
    ///
    /// It costs one write to the disk, whatever is in it; an empty batch costs nothing.
    ///
    /// # Errors
    /// When the database does not answer. Then nothing was written and trying again is safe, unless it was the commit that
    /// failed.
    pub async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.calls.is_empty() && batch.ledger.is_empty() && batch.decisions.is_empty() {
            return Ok(());
        }
        let mut blobs = fold::blobs(&batch.calls).await;
        // What may be spent waits for no fold that is not writing yet.
        let mut recent = if blobs.is_empty() { None } else { Some(self.0.recent.lock().await) };
        let mut tx = self.begin().await?;
        let ids = fold::put(&mut tx, &mut blobs).await?;
        ledger::put(&mut tx, &batch.ledger).await?;
        self.put_decisions(&mut tx, &batch.decisions).await?;
        tx.commit().await?;
        for (blob, id) in blobs.iter().zip(ids) {
            if let Some(recent) = &mut recent {
                recent.add(id, blob.minute, &blob.calls);
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Closes the file once the steps under way are done.
    pub async fn close(&self) {
        self.0.file.close().await;
    }

    fn readers(&self) -> &SqlitePool {
        &self.0.file.readers
    }

    fn options(&self) -> &MeterOptions {
        &self.0.options
    }

    /// A transaction that holds the write lock from its beginning.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.0.file.writer.begin_with("BEGIN IMMEDIATE").await
    }
}
