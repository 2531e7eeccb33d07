//! The embedded default: one SQLite file, one writer, many readers.

mod audit;
mod feed;
mod keys;
mod operations;
mod operators;
mod organizations;
mod policies;
mod projects;
mod roles;
mod row;
mod strings;
mod upstreams;

use std::path::Path;
use std::sync::Arc;

use keylodge_rules::audit::AuditKey;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{SqlSafeStr, Sqlite, Transaction};

use crate::file;
use crate::{MasterKey, OpenError, StoreError};
use row::Columns;

/// How long a step waits for the database before it gives up, in seconds.
pub const BUSY_SECONDS_MAX: u64 = 5;

/// How many reads go on at a time.
const READERS: u32 = 4;

/// How much of the file a connection keeps in memory, in KiB, said as SQLite wants it. The system keeps the rest.
const CACHE: &str = "-1024";

pub use keys::ProfileLimit;
pub use policies::DEPLOYMENT;
pub use projects::Among;
pub use strings::CALLERS_MAX;
pub use upstreams::CREDENTIALS_PER_UPSTREAM_MAX;

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The name of this node, in signed statements.
    pub node: String,
    /// How many keys a project may have, deleted ones included.
    pub keys_per_project_max: u64,
}

/// Everything Keylodge keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    writer: SqlitePool,
    readers: SqlitePool,
    audit_key: AuditKey,
    options: StoreOptions,
}

impl Store {
    /// Opens the database file, makes it if it is not there, and brings its schema up to date. An empty database takes
    /// the first master key it sees.
    ///
    /// # Errors
    /// When the file cannot be opened, a newer Keylodge wrote its schema, or it was made under another master key.
    pub async fn open(file: &Path, master: &MasterKey, options: StoreOptions) -> Result<Self, OpenError> {
        // What is deleted is overwritten: strings of keys, and hashes that other gateways gave them.
        let sqlite = file::options(file, CACHE).foreign_keys(true).pragma("secure_delete", "ON");
        let writer = file::pool(1).connect_with(sqlite.clone()).await?;
        migrations().run(&writer).await.map_err(|error| sqlx::Error::Migrate(Box::new(error)))?;
        let readers = file::pool(READERS).min_connections(READERS).connect_with(sqlite).await?;
        let store = Self(Arc::new(Parts { writer, readers, audit_key: master.audit_key(), options }));
        if !store.is_under(master).await? {
            return Err(OpenError::OtherMasterKey);
        }
        store.chain_old_lines().await?;
        Ok(store)
    }

    async fn is_under(&self, master: &MasterKey) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let insert = sqlx::query("INSERT INTO masters (master, check_value) VALUES (1, ?) ON CONFLICT DO NOTHING");
        insert.bind(&master.check_value()[..]).execute(&mut *tx).await?;
        let row = sqlx::query("SELECT check_value FROM masters WHERE master = 1").fetch_one(&mut *tx).await?;
        let kept = Columns::of("masters", &row).bytes("check_value")?;
        tx.commit().await?;
        Ok(kept == master.check_value())
    }

    /// Signs the audit log and receipts.
    #[must_use]
    pub fn audit_key(&self) -> &AuditKey {
        &self.0.audit_key
    }

    /// The name of this node, in signed statements.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.options.node
    }

    fn keys_per_project_max(&self) -> u64 {
        self.0.options.keys_per_project_max
    }

    fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// Closes the database once the steps under way are done.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM changes LIMIT 1").fetch_optional(self.readers()).await?;
        Ok(())
    }

    /// A transaction that holds the write lock from its beginning, so that what it reads stays true until it commits.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.0.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

fn migrations() -> Migrator {
    let steps = [
        (1, "start", include_str!("../../migrations/sqlite/0001_start.sql")),
        (2, "management", include_str!("../../migrations/sqlite/0002_management.sql")),
        (3, "gate", include_str!("../../migrations/sqlite/0003_gate.sql")),
    ];
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.map(migration).into())
}

/// Whether a write failed because it would have made a second of what must be unique.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
