//! Finished operations, so that whoever polls one finds it.

use keylodge_rules::{ProjectNumber, Timestamp};
use sqlx::{Sqlite, Transaction};

use super::Store;
use super::row::{Columns, signed};
use crate::{Act, Operation, OperationKind, StoreError};

impl Store {
    /// A finished operation.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn operation(&self, name: &str) -> Result<Option<Operation>, StoreError> {
        let row = sqlx::query("SELECT * FROM operations WHERE name = ?").bind(name);
        let Some(row) = row.fetch_optional(self.readers()).await? else { return Ok(None) };
        let columns = Columns::of("operations", &row);
        let kind = OperationKind::from_word(&columns.text("kind")?).ok_or_else(|| columns.contradiction("kind"))?;
        Ok(Some(Operation {
            name: columns.text("name")?,
            kind,
            project: columns.project_number("project_number")?,
            subject: columns.text("subject")?,
            principal: columns.text("principal")?,
            create_time: columns.time("create_time")?,
        }))
    }

    /// Forgets operations that were done before a time, at most some thousands at once. Gives how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_operations(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "DELETE FROM operations WHERE name IN (SELECT name FROM operations WHERE create_time < ? LIMIT 10000)",
        )
        .bind(before.micros());
        let forgotten = done.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(forgotten)
    }
}

/// Keeps an operation; one without a name is none.
pub(super) async fn keep(
    tx: &mut Transaction<'static, Sqlite>,
    act: &Act,
    name: &str,
    kind: OperationKind,
    project: ProjectNumber,
    subject: &str,
) -> Result<(), StoreError> {
    if name.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO operations (name, kind, project_number, subject, principal, create_time) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(name)
    .bind(kind.word())
    .bind(signed(project.get()))
    .bind(subject)
    .bind(&act.principal)
    .bind(act.at.micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
