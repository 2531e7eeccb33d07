//! The embedded default: one SQLite file, one writer, many readers.

mod audit;
mod feed;
mod keys;
mod operations;
mod operators;
mod projects;
mod row;

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlSafeStr, Sqlite, Transaction};

use crate::{MasterKey, StoreError};
use row::Columns;

/// How long a step waits for the database before it gives up, in seconds.
pub const BUSY_SECONDS_MAX: u64 = 5;

/// How many reads go on at a time.
const READERS: u32 = 4;

/// Everything Keylodge keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens the database file, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, or a newer Keylodge wrote its schema.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let wait = Duration::from_secs(BUSY_SECONDS_MAX);
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(wait);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(wait);
        let writer = pool(1).connect_with(options.clone()).await?;
        migrations().run(&writer).await.map_err(|error| sqlx::Error::Migrate(Box::new(error)))?;
        let readers = pool(READERS).min_connections(READERS).connect_with(options).await?;
        Ok(Self { writer, readers })
    }

    /// Whether this is the master key that everything here is protected by. An empty database takes the first it sees.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_under(&self, master: &MasterKey) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let insert = sqlx::query("INSERT INTO masters (master, check_value) VALUES (1, ?) ON CONFLICT DO NOTHING");
        insert.bind(&master.check_value()[..]).execute(&mut *tx).await?;
        let row = sqlx::query("SELECT check_value FROM masters WHERE master = 1").fetch_one(&mut *tx).await?;
        let kept = Columns::of("masters", &row).bytes("check_value")?;
        tx.commit().await?;
        Ok(kept == master.check_value())
    }

    /// Closes the database once the steps under way are done.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM changes LIMIT 1").fetch_optional(&self.readers).await?;
        Ok(())
    }

    /// A transaction that holds the write lock from its beginning, so that what it reads stays true until it commits.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

fn migrations() -> Migrator {
    let start = include_str!("../../migrations/sqlite/0001_start.sql");
    Migrator::with_migrations(vec![Migration::new(
        1,
        "start".into(),
        MigrationType::Simple,
        start.into_sql_str(),
        false,
    )])
}

/// Whether a write failed because it would have made a second of what must be unique.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
