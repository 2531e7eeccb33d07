//! A SQLite file beside the database, for what must neither wait for a change of keys nor keep one waiting.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlSafeStr};

use crate::StoreError;
use crate::error::OpenFileError;
use crate::sqlite::BUSY_SECONDS_MAX;

/// How large the write-ahead log stays on disk after a large step, in bytes.
const LOG_BYTES: &str = "67108864";

/// How long a step waits for the file, or for a connection to it.
const WAIT: Duration = Duration::from_secs(BUSY_SECONDS_MAX);

/// The connections to a file: one that writes, and some that read.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

/// A step of a schema: number, name, SQL.
pub(crate) type Step = (i64, &'static str, &'static str);

/// Opens a file, makes it if it is not there, and brings its schema up to date. Each connection keeps `cache` of it in
/// memory (as SQLite wants it said); those that read are opened when they are needed.
///
/// # Errors
/// When the file cannot be opened, or a newer Keylodge wrote its schema.
pub(crate) async fn open(
    file: &Path,
    steps: &[Step],
    cache: &'static str,
    readers: u32,
) -> Result<File, OpenFileError> {
    let sqlite = options(file, cache).pragma("journal_size_limit", LOG_BYTES);
    let writer = pool(1).connect_with(sqlite.clone()).await.map_err(StoreError::from)?;
    let migration = |(number, name, sql): &Step| {
        Migration::new(*number, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    };
    let steps = Migrator::with_migrations(steps.iter().map(migration).collect());
    steps.run(&writer).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::VersionMissing(schema) => OpenFileError::Newer { schema },
        other => OpenFileError::Store(sqlx::Error::Migrate(Box::new(other)).into()),
    })?;
    Ok(File { writer, readers: pool(readers).connect_lazy_with(sqlite) })
}

/// How every SQLite file of ours is opened: a write that was answered is on disk.
pub(crate) fn options(file: &Path, cache: &'static str) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", cache)
        .busy_timeout(WAIT)
}

/// Gives back what all connections of this process keep in memory of their files and do not need just now: whoever writes
/// much at a time calls it afterwards. Where it fails nothing is lost, and the next time does it.
///
/// As SQLite is built here (`SQLITE_ENABLE_MEMORY_MANAGEMENT`), a connection may fill what all of them may together. One
/// that writes much once a minute was seen to take a megabyte more each time until that was full, eight megabytes later.
pub(crate) async fn give_back(writer: &SqlitePool) {
    let _ = sqlx::query("PRAGMA shrink_memory").execute(writer).await;
}

/// A pool of so many connections.
///
/// One that takes itself to be in a transaction is opened anew: where the disk is full SQLite ends a transaction by itself,
/// and sqlx, whose own rollback fails then, would let that connection begin no other, though there be room again.
pub(crate) fn pool(connections: u32) -> SqlitePoolOptions {
    let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(WAIT);
    pool.before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

impl File {
    /// Closes the file once the steps under way are done.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_was_full_takes_writes_again_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let step = (1, "start", "CREATE TABLE said (bytes BLOB)");
        let File { writer, readers } = open(&folder.path().join("file.db"), &[step], "-64", 1).await.unwrap();
        let write = async |bytes: i64| -> Result<(), sqlx::Error> {
            let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("INSERT INTO said VALUES (zeroblob(?))").bind(bytes).execute(&mut *tx).await?;
            tx.commit().await
        };
        sqlx::query("PRAGMA max_page_count = 20").execute(&writer).await.unwrap();

        let full = write(1 << 20).await.unwrap_err();

        assert!(full.to_string().contains("full"), "{full}");
        write(10).await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM said").fetch_one(&readers).await.unwrap();
        assert_eq!(count, 1);
    }
}
