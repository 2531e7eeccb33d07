//! What was called, by whom, how often and for how much: a SQLite file of its own.
//!
//! Metering writes all the time and the control plane now and then; in one file each would wait for the other, and a
//! revoked key would go on for as long. So the meter has a file, a writer and readers of its own and never touches the
//! store's.
//!
//! A second's calls arrive as one [`Batch`] and are kept as one blob, which costs one write whatever is in it
//! ([`Meter::append`]). Now and then, once a minute say, blobs are *folded*: added up in memory and put into tables, in
//! the transaction that deletes them, so that every call is in one place and only one whenever the process dies
//! ([`Meter::fold`]). Once an hour old minutes become hours and old hours go ([`Meter::roll`]). Whatever asks, folds
//! first what may bear on its answer, so that answers include all that was appended.
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
mod record;
mod roll;
mod row;
mod shapes;
mod usage;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlSafeStr, Sqlite, Transaction};

use crate::StoreError;
use crate::sqlite::BUSY_SECONDS_MAX;

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

/// How large the write-ahead log stays on disk after a large step, in bytes.
const LOG_BYTES: &str = "67108864";

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
    writer: SqlitePool,
    readers: SqlitePool,
    options: MeterOptions,
}

impl Meter {
    /// Opens the file, makes it if it is not there, brings its schema up to date, and folds what was left pending.
    ///
    /// # Errors
    /// When the file cannot be opened, or a newer Keylodge wrote its schema.
    pub async fn open(file: &Path, options: MeterOptions) -> Result<Self, OpenMeterError> {
        let wait = Duration::from_secs(BUSY_SECONDS_MAX);
        let sqlite = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", LOG_BYTES)
            .pragma("cache_size", CACHE)
            .busy_timeout(wait);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(wait);
        let writer = pool(1).connect_with(sqlite.clone()).await.map_err(StoreError::from)?;
        migrations().run(&writer).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(schema) => OpenMeterError::Newer { schema },
            other => OpenMeterError::Store(sqlx::Error::Migrate(Box::new(other)).into()),
        })?;
        let readers = pool(READERS).min_connections(READERS).connect_with(sqlite).await.map_err(StoreError::from)?;
        let meter = Self(Arc::new(Parts { writer, readers, options }));
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
        let blobs = fold::blobs(&batch.calls).await;
        let mut tx = self.begin().await?;
        fold::put(&mut tx, blobs).await?;
        ledger::put(&mut tx, &batch.ledger).await?;
        self.put_decisions(&mut tx, &batch.decisions).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Closes the file once the steps under way are done.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    fn options(&self) -> &MeterOptions {
        &self.0.options
    }

    /// A transaction that holds the write lock from its beginning.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.0.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

fn migrations() -> Migrator {
    let steps = [(1, "start", include_str!("../../migrations/meter/0001_start.sql"))];
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.map(migration).into())
}

/// Why a meter could not be opened.
#[derive(Debug)]
pub enum OpenMeterError {
    /// A newer Keylodge wrote the file.
    Newer {
        /// The number of a step of its schema that this one does not know.
        schema: i64,
    },
    /// The database did not do its part.
    Store(StoreError),
}

impl fmt::Display for OpenMeterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { schema } => {
                write!(
                    f,
                    "a newer Keylodge wrote this file: its schema has step {schema}, which this one does not know"
                )
            }
            Self::Store(_) => f.write_str("the file of the meter cannot be opened"),
        }
    }
}

impl std::error::Error for OpenMeterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Newer { .. } => None,
            Self::Store(cause) => Some(cause),
        }
    }
}

impl From<StoreError> for OpenMeterError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
