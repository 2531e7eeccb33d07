//! Whose an interaction is that an upstream keeps: our account there knows no projects.

use keylodge_rules::upstream::Member;
use keylodge_rules::{ProjectNumber, Timestamp};
use sqlx::sqlite::SqliteRow;

use super::{AT_ONCE, Interactions, column, signed};
use crate::error::StoreError;

/// An interaction at an upstream, as far as it is known here: nothing of what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayedRecord {
    /// What its upstream and callers know it by.
    pub id: String,
    /// The upstream that has it.
    pub upstream: String,
    /// Whose it is; others cannot find it.
    pub project: ProjectNumber,
    /// The credential that it was made with; nothing in it where it was made without.
    pub account: Member,
    /// The model or agent, as its caller named it.
    pub model: String,
    /// How many tokens the conversation has up to its end, as far as is known.
    pub tokens: Option<u64>,
    /// Whether somebody was charged for them.
    pub is_counted: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it goes.
    pub expires_at: Timestamp,
}

impl Interactions {
    /// Writes down whose an interaction at an upstream is. Where that makes too many of its project, the oldest are
    /// forgotten here. Gives whether it is that project's now: one that is another's stays so.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was written.
    pub async fn add_relayed(&self, record: &RelayedRecord) -> Result<bool, StoreError> {
        let project = signed(record.project);
        let mut tx = self.begin().await?;
        let added = sqlx::query(
            "INSERT INTO relayed
                 (id, upstream, project, credential, quota_project, model, tokens, is_counted, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id, upstream) DO UPDATE SET
                 project = excluded.project, credential = excluded.credential, quota_project = excluded.quota_project,
                 model = excluded.model, tokens = excluded.tokens, is_counted = excluded.is_counted,
                 created_at = excluded.created_at, expires_at = excluded.expires_at
             WHERE relayed.project = excluded.project OR relayed.expires_at <= excluded.created_at",
        )
        .bind(&record.id)
        .bind(&record.upstream)
        .bind(project)
        .bind(&record.account.id)
        .bind(&record.account.quota_project)
        .bind(&record.model)
        .bind(record.tokens.map(whole))
        .bind(record.is_counted)
        .bind(record.created_at.micros())
        .bind(record.expires_at.micros())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM relayed WHERE (id, upstream) IN (
                 SELECT id, upstream FROM relayed WHERE project = ? ORDER BY created_at DESC, id LIMIT -1 OFFSET ?)",
        )
        .bind(project)
        .bind(i64::from(self.0.1.per_project_max.max(1)))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(added.rows_affected() > 0)
    }

    /// An interaction of this project at an upstream; where two upstreams gave the same id, the newer one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_relayed(
        &self,
        project: ProjectNumber,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<RelayedRecord>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM relayed WHERE id = ? AND project = ? AND expires_at > ? ORDER BY created_at DESC LIMIT 1",
        );
        let row = row.bind(id).bind(signed(project)).bind(now.micros()).fetch_optional(&self.0.0.readers).await?;
        row.map(|row| record(&row, project)).transpose()
    }

    /// Writes down how many tokens the conversation has up to the end of this interaction, and that somebody is charged for
    /// them. Gives whether nobody was before.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was written.
    pub async fn count_relayed(&self, record: &RelayedRecord, tokens: u64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let first = sqlx::query(
            "UPDATE relayed SET is_counted = 1 WHERE id = ? AND upstream = ? AND project = ? AND is_counted = 0",
        );
        let first = first.bind(&record.id).bind(&record.upstream).bind(signed(record.project));
        let first = first.execute(&mut *tx).await?.rows_affected() > 0;
        sqlx::query("UPDATE relayed SET tokens = ? WHERE id = ? AND upstream = ? AND project = ?")
            .bind(whole(tokens))
            .bind(&record.id)
            .bind(&record.upstream)
            .bind(signed(record.project))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(first)
    }

    /// Forgets an interaction of this project that its upstream has no more.
    ///
    /// # Errors
    /// When the database does not answer; then it is still known.
    pub async fn forget_relayed(&self, record: &RelayedRecord) -> Result<(), StoreError> {
        let forgotten = sqlx::query("DELETE FROM relayed WHERE id = ? AND upstream = ? AND project = ?");
        let forgotten = forgotten.bind(&record.id).bind(&record.upstream).bind(signed(record.project));
        forgotten.execute(&self.0.0.writer).await?;
        Ok(())
    }

    pub(super) async fn purge_relayed(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let over = sqlx::query(
                "DELETE FROM relayed WHERE (id, upstream) IN (
                     SELECT id, upstream FROM relayed WHERE expires_at <= ? LIMIT ?)",
            );
            let over = over.bind(now.micros()).bind(AT_ONCE).execute(&self.0.0.writer).await?.rows_affected();
            purged += over;
            if over < u64::from(AT_ONCE) {
                return Ok(purged);
            }
        }
    }
}

/// Counts are those that SQLite can hold.
fn whole(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

fn record(row: &SqliteRow, project: ProjectNumber) -> Result<RelayedRecord, StoreError> {
    const TABLE: &str = "relayed";
    let text = |name| column::<String>(TABLE, row, name);
    let time = |name| column::<i64>(TABLE, row, name).map(Timestamp::from_micros);
    let tokens = column::<Option<i64>>(TABLE, row, "tokens")?;
    Ok(RelayedRecord {
        id: text("id")?,
        upstream: text("upstream")?,
        project,
        account: Member { id: text("credential")?, quota_project: text("quota_project")? },
        model: text("model")?,
        tokens: tokens.and_then(|tokens| u64::try_from(tokens).ok()),
        is_counted: column::<i64>(TABLE, row, "is_counted")? != 0,
        created_at: time("created_at")?,
        expires_at: time("expires_at")?,
    })
}
