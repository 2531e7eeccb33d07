//! Conversations that callers want kept: what was asked and answered, sealed, for a time, for their project alone.
//!
//! They have a file of their own. Writing one is a write to the disk, which a revocation must not wait for.

mod relayed;

use std::path::Path;
use std::sync::Arc;

use keylodge_rules::{ProjectNumber, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};

use crate::error::{OpenFileError, StoreError};
use crate::file::{self, File};
use crate::vault::Sealed;
pub use relayed::RelayedRecord;

/// How many reads go on at a time.
const READERS: u32 = 2;

/// How much of the file a connection keeps in memory, in KiB, said as SQLite wants it.
const CACHE: &str = "-512";

/// How many interactions one purge removes at once, so that others need not wait long.
const AT_ONCE: u32 = 500;

/// The ids of a chain: from ?1 on, of project ?2, at ?3, at most ?4 of them.
const CHAIN: &str = "WITH RECURSIVE chain (link, depth) AS (
     SELECT ?1, 0
     UNION ALL
     SELECT i.previous, depth + 1 FROM chain JOIN interactions i ON i.id = link
     WHERE i.project = ?2 AND i.expires_at > ?3 AND i.previous IS NOT NULL AND depth + 1 < ?4)";
const CHAINED: &str = "FROM chain JOIN interactions i ON i.id = link WHERE i.project = ?2 AND i.expires_at > ?3";

/// What the file is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InteractionsOptions {
    /// How many a project may keep, here and at upstreams each. With one more, its oldest goes.
    pub per_project_max: u32,
    /// How many bytes those that are kept here may have together, as they are written down. With more, the oldest go; the
    /// newest stays, however large.
    pub per_project_bytes_max: u64,
}

impl Default for InteractionsOptions {
    fn default() -> Self {
        Self { per_project_max: 10_000, per_project_bytes_max: 1 << 30 }
    }
}

/// An interaction, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteractionRecord {
    /// What callers know it by.
    pub id: String,
    /// Whose it is; others cannot find it.
    pub project: ProjectNumber,
    /// The one that it goes on from.
    pub previous: Option<String>,
    /// Whether it is still being answered.
    pub in_progress: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it goes.
    pub expires_at: Timestamp,
    /// Everything else, sealed by [`Vault::seal_interaction`](crate::Vault::seal_interaction).
    pub said: Sealed,
}

/// All interactions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Interactions(Arc<(File, InteractionsOptions)>);

impl Interactions {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, or a newer Keylodge wrote its schema.
    pub async fn open(file: &Path, options: InteractionsOptions) -> Result<Self, OpenFileError> {
        let steps = [
            (1, "start", include_str!("../migrations/interactions/0001_start.sql")),
            (2, "relayed", include_str!("../migrations/interactions/0002_relayed.sql")),
            (3, "kept", include_str!("../migrations/interactions/0003_kept.sql")),
        ];
        let file = file::open(file, &steps, CACHE, READERS).await?;
        Ok(Self(Arc::new((file, options))))
    }

    /// Keeps an interaction. Where its project has too many or too large ones then, the oldest go; those that are still being
    /// answered stay and do not count.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was written.
    pub async fn add(&self, record: &InteractionRecord) -> Result<(), StoreError> {
        let project = signed(record.project);
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO interactions (id, project, previous, in_progress, created_at, expires_at, said)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&record.id)
        .bind(project)
        .bind(&record.previous)
        .bind(record.in_progress)
        .bind(record.created_at.micros())
        .bind(record.expires_at.micros())
        .bind(record.said.as_bytes())
        .execute(&mut *tx)
        .await?;
        if !record.in_progress {
            self.make_room(&mut tx, record).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes what came of an interaction that was in progress, and makes room as [`Interactions::add`] does. Gives whether
    /// it still was in progress: it may have been deleted or ended by somebody else in the meantime.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was written.
    pub async fn finish(&self, record: &InteractionRecord) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let finished = sqlx::query(
            "UPDATE interactions SET in_progress = 0, said = ? WHERE id = ? AND project = ? AND in_progress = 1",
        )
        .bind(record.said.as_bytes())
        .bind(&record.id)
        .bind(signed(record.project))
        .execute(&mut *tx)
        .await?
        .rows_affected()
            > 0;
        if finished {
            self.make_room(&mut tx, record).await?;
        }
        tx.commit().await?;
        Ok(finished)
    }

    /// Removes the oldest of a project while it has more than it may, but not this one. It reads what the project keeps in
    /// one row, and of the interactions only those that go and those before them that are still being answered.
    async fn make_room(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        newest: &InteractionRecord,
    ) -> Result<(), StoreError> {
        let InteractionsOptions { per_project_max, per_project_bytes_max } = self.0.1;
        loop {
            let oldest = sqlx::query(
                "DELETE FROM interactions WHERE id = (
                     SELECT id FROM interactions WHERE project = ?1 AND in_progress = 0 AND id <> ?2
                     ORDER BY created_at, id LIMIT 1)
                 AND EXISTS (SELECT 1 FROM kept WHERE project = ?1 AND (interactions > ?3 OR bytes > ?4))",
            );
            let oldest = oldest.bind(signed(newest.project)).bind(&newest.id).bind(i64::from(per_project_max));
            let oldest = oldest.bind(i64::try_from(per_project_bytes_max).unwrap_or(i64::MAX));
            if oldest.execute(&mut **tx).await?.rows_affected() == 0 {
                return Ok(());
            }
        }
    }

    /// An interaction of this project, if it has one of this id that is not over at `now`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get(
        &self,
        project: ProjectNumber,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<InteractionRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM interactions WHERE id = ? AND project = ? AND expires_at > ?");
        let row = row.bind(id).bind(signed(project)).bind(now.micros()).fetch_optional(&self.0.0.readers).await?;
        row.map(|row| record(&row, project)).transpose()
    }

    /// How much [`Interactions::chain`] would read, in bytes.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn chain_bytes(
        &self,
        project: ProjectNumber,
        id: &str,
        now: Timestamp,
        longest: u32,
    ) -> Result<u64, StoreError> {
        let sql = format!("{CHAIN} SELECT coalesce(sum(length(i.said)), 0) AS bytes {CHAINED}");
        let row = sqlx::query(AssertSqlSafe(sql));
        let row = row.bind(id).bind(signed(project)).bind(now.micros()).bind(longest);
        let bytes: i64 = column(TABLE, &row.fetch_one(&self.0.0.readers).await?, "bytes")?;
        u64::try_from(bytes).map_err(|_| contradiction("said"))
    }

    /// An interaction and those that it goes on from, the newest first. At most `longest`; where one is gone, those
    /// before it are not there either.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn chain(
        &self,
        project: ProjectNumber,
        id: &str,
        now: Timestamp,
        longest: u32,
    ) -> Result<Vec<InteractionRecord>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!("{CHAIN} SELECT i.* {CHAINED} ORDER BY depth")));
        let rows = rows.bind(id).bind(signed(project)).bind(now.micros()).bind(longest);
        let rows = rows.fetch_all(&self.0.0.readers).await?;
        rows.iter().map(|row| record(row, project)).collect()
    }

    /// Removes an interaction of this project. Gives whether there was one.
    ///
    /// # Errors
    /// When the database does not answer; then it is still there.
    pub async fn delete(&self, project: ProjectNumber, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM interactions WHERE id = ? AND project = ? AND expires_at > ?");
        let deleted = deleted.bind(id).bind(signed(project)).bind(now.micros()).execute(&self.0.0.writer).await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Those that were still being answered: after a start, nobody does so any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn in_progress(&self) -> Result<Vec<InteractionRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM interactions WHERE in_progress = 1 ORDER BY id");
        let rows = rows.fetch_all(&self.0.0.readers).await?;
        let own = |row| {
            let number: i64 = column(TABLE, row, "project")?;
            let project = ProjectNumber::parse(&number.to_string()).map_err(|_| contradiction("project"))?;
            record(row, project)
        };
        rows.iter().map(own).collect()
    }

    /// Removes those whose time is over at `now`, also of those that upstreams have. Gives how many that were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let over = sqlx::query(
                "DELETE FROM interactions WHERE id IN (SELECT id FROM interactions WHERE expires_at <= ? LIMIT ?)",
            );
            let over = over.bind(now.micros()).bind(AT_ONCE).execute(&self.0.0.writer).await?.rows_affected();
            purged += over;
            if over < u64::from(AT_ONCE) {
                return Ok(purged + self.purge_relayed(now).await?);
            }
        }
    }

    /// Closes the file once the steps under way are done.
    pub async fn close(&self) {
        self.0.0.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.0.0.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

/// Project numbers are those that SQLite can hold.
fn signed(project: ProjectNumber) -> i64 {
    i64::try_from(project.get()).unwrap_or(i64::MAX)
}

const TABLE: &str = "interactions";

fn contradiction(column: &'static str) -> StoreError {
    StoreError::Contradiction { table: TABLE, column }
}

fn column<'row, T>(table: &'static str, row: &'row SqliteRow, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'row, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(|_| StoreError::Contradiction { table, column })
}

fn record(row: &SqliteRow, project: ProjectNumber) -> Result<InteractionRecord, StoreError> {
    let time = |name| column::<i64>(TABLE, row, name).map(Timestamp::from_micros);
    Ok(InteractionRecord {
        id: column(TABLE, row, "id")?,
        project,
        previous: column(TABLE, row, "previous")?,
        in_progress: column::<i64>(TABLE, row, "in_progress")? != 0,
        created_at: time("created_at")?,
        expires_at: time("expires_at")?,
        said: Sealed::from_bytes(column(TABLE, row, "said")?),
    })
}
