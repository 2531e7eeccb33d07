//! Ephemeral tokens: what stands for a key for some minutes, without the key being given away.
//!
//! They have a file of their own. A use is a write to the disk, which a revocation must not wait for. The text of a token is
//! kept nowhere; its hash is.

use std::path::Path;

use keylodge_rules::{KeyHash, KeyUid, ProjectNumber, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite};

use crate::error::{OpenFileError, StoreError};
use crate::file::{self, File};
use crate::vault::Sealed;

/// How many reads go on at a time.
const READERS: u32 = 2;

/// How much of the file a connection keeps in memory, in KiB, said as SQLite wants it.
const CACHE: &str = "-512";

/// How many tokens one purge removes at once, so that others need not wait long.
const AT_ONCE: u32 = 500;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// Live sessions, as at Google.
    Live,
    /// Every call that its key may make, too.
    Api,
}

impl TokenScope {
    /// Its word on the wire and in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Api => "API",
        }
    }

    /// The scope of this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Api].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// An ephemeral token, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralRecord {
    /// The hash of its text.
    pub hash: KeyHash,
    /// The project of its key.
    pub project: ProjectNumber,
    /// The key that made it.
    pub key: KeyUid,
    /// The hash of the string that it was made with: it is good as long as that string is.
    pub key_hash: KeyHash,
    /// From when on it opens nothing.
    pub expire_time: Timestamp,
    /// From when on it begins no session.
    pub new_session_expire_time: Timestamp,
    /// How often it can still be used; none where there is no limit.
    pub uses_left: Option<u32>,
    /// What it is good for.
    pub scope: TokenScope,
    /// What it fixes of sessions, sealed by [`Vault::seal_constraints`](crate::Vault::seal_constraints).
    pub constraints: Option<Sealed>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// All ephemeral tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ephemeral(File);

impl Ephemeral {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, or a newer Keylodge wrote its schema.
    pub async fn open(file: &Path) -> Result<Self, OpenFileError> {
        let steps = [(1, "start", include_str!("../migrations/ephemeral/0001_start.sql"))];
        Ok(Self(file::open(file, &steps, CACHE, READERS).await?))
    }

    /// Keeps a token. When this has answered, it is on disk.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was written.
    pub async fn add(&self, record: &EphemeralRecord) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO tokens (hash, project, key_uid, key_hash, expire_time, new_session_expire_time, uses_left,
                                 scope, constraints, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&record.hash.as_bytes()[..])
        .bind(i64::try_from(record.project.get()).unwrap_or(i64::MAX))
        .bind(&record.key.as_bytes()[..])
        .bind(&record.key_hash.as_bytes()[..])
        .bind(record.expire_time.micros())
        .bind(record.new_session_expire_time.micros())
        .bind(record.uses_left)
        .bind(record.scope.as_str())
        .bind(record.constraints.as_ref().map(Sealed::as_bytes))
        .bind(record.created_at.micros())
        .execute(&self.0.writer)
        .await?;
        Ok(())
    }

    /// Uses a token whose uses are limited once. Gives whether it had a use left; if so, that use is gone for good when
    /// this has answered.
    ///
    /// # Errors
    /// When the database does not answer; then it is not known whether a use is gone.
    pub async fn spend(&self, hash: &KeyHash) -> Result<bool, StoreError> {
        let spent = sqlx::query("UPDATE tokens SET uses_left = uses_left - 1 WHERE hash = ? AND uses_left > 0");
        let spent = spent.bind(&hash.as_bytes()[..]).execute(&self.0.writer).await?;
        Ok(spent.rows_affected() > 0)
    }

    /// All tokens whose time is not over at `now`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn live(&self, now: Timestamp) -> Result<Vec<EphemeralRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tokens WHERE expire_time > ? ORDER BY created_at");
        let rows = rows.bind(now.micros()).fetch_all(&self.0.readers).await?;
        rows.iter().map(record).collect()
    }

    /// What a token fixes of sessions; nothing where it fixes nothing or there is no such token.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn constraints(&self, hash: &KeyHash) -> Result<Option<Sealed>, StoreError> {
        let row = sqlx::query("SELECT constraints FROM tokens WHERE hash = ?");
        let row = row.bind(&hash.as_bytes()[..]).fetch_optional(&self.0.readers).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(column::<Option<Vec<u8>>>(&row, "constraints")?.map(Sealed::from_bytes))
    }

    /// Forgets a token.
    ///
    /// # Errors
    /// When the database does not answer; then it may still be there.
    pub async fn remove(&self, hash: &KeyHash) -> Result<(), StoreError> {
        let gone = sqlx::query("DELETE FROM tokens WHERE hash = ?");
        gone.bind(&hash.as_bytes()[..]).execute(&self.0.writer).await?;
        Ok(())
    }

    /// Removes those whose time is over at `now`. Gives how many that were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let over = sqlx::query(
                "DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expire_time <= ? LIMIT ?)",
            );
            let over = over.bind(now.micros()).bind(AT_ONCE).execute(&self.0.writer).await?.rows_affected();
            purged += over;
            if over < u64::from(AT_ONCE) {
                return Ok(purged);
            }
        }
    }

    /// Closes the file once the steps under way are done.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

fn contradiction(column: &'static str) -> StoreError {
    StoreError::Contradiction { table: "tokens", column }
}

fn column<'row, T>(row: &'row SqliteRow, name: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'row, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name).map_err(|_| contradiction(name))
}

fn record(row: &SqliteRow) -> Result<EphemeralRecord, StoreError> {
    let time = |name| column::<i64>(row, name).map(Timestamp::from_micros);
    let hash = |name| bytes::<32>(row, name).map(KeyHash::from_bytes);
    let project: i64 = column(row, "project")?;
    let uses_left: Option<i64> = column(row, "uses_left")?;
    Ok(EphemeralRecord {
        hash: hash("hash")?,
        project: ProjectNumber::parse(&project.to_string()).map_err(|_| contradiction("project"))?,
        key: KeyUid::from_bytes(bytes(row, "key_uid")?),
        key_hash: hash("key_hash")?,
        expire_time: time("expire_time")?,
        new_session_expire_time: time("new_session_expire_time")?,
        uses_left: uses_left.map(u32::try_from).transpose().map_err(|_| contradiction("uses_left"))?,
        scope: TokenScope::parse(&column::<String>(row, "scope")?).ok_or_else(|| contradiction("scope"))?,
        constraints: column::<Option<Vec<u8>>>(row, "constraints")?.map(Sealed::from_bytes),
        created_at: time("created_at")?,
    })
}

fn bytes<const COUNT: usize>(row: &SqliteRow, name: &'static str) -> Result<[u8; COUNT], StoreError> {
    column::<Vec<u8>>(row, name)?.try_into().map_err(|_| contradiction(name))
}
