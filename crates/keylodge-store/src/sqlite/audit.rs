//! Places in the change feed and audit lines, written inside the transaction they belong to.

use keylodge_rules::Revision;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use super::Store;
use super::row::signed;
use crate::{Act, StoreError};

/// Takes the next revision of the feed for a change of this subject.
pub(super) async fn next_revision(
    tx: &mut Transaction<'static, Sqlite>,
    act: &Act,
    subject: &'static str,
    id: &str,
) -> Result<Revision, StoreError> {
    let row = sqlx::query(
        "INSERT INTO changes (revision, time, subject, id)
         SELECT coalesce(max(revision), 0) + 1, ?, ?, ? FROM changes RETURNING revision",
    )
    .bind(act.at.micros())
    .bind(subject)
    .bind(id)
    .fetch_one(&mut **tx)
    .await?;
    let revision: i64 = row.try_get("revision")?;
    Ok(Revision(u64::try_from(revision).unwrap_or(0)))
}

/// Writes the audit line of an act.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    act: &Act,
    resource: &str,
    revision: Option<Revision>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (time, principal, method, resource, request_id, revision) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(act.at.micros())
    .bind(&act.principal)
    .bind(act.method)
    .bind(resource)
    .bind(&act.request_id)
    .bind(revision.map(|revision| signed(revision.0)))
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// How many audit lines there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_lines(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT count(*) AS lines FROM audit").fetch_one(&self.readers).await?;
        let lines: i64 = row.try_get("lines")?;
        Ok(u64::try_from(lines).unwrap_or(0))
    }
}
