//! Finished operations, so that whoever polls one finds it.

use keylodge_rules::ProjectNumber;
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
        let Some(row) = row.fetch_optional(&self.readers).await? else { return Ok(None) };
        let columns = Columns::of("operations", &row);
        let kind = OperationKind::from_word(&columns.text("kind")?).ok_or_else(|| columns.contradiction("kind"))?;
        Ok(Some(Operation {
            name: columns.text("name")?,
            kind,
            project: columns.project_number("project_number")?,
            subject: columns.text("subject")?,
            create_time: columns.time("create_time")?,
        }))
    }
}

pub(super) async fn keep(
    tx: &mut Transaction<'static, Sqlite>,
    act: &Act,
    name: &str,
    kind: OperationKind,
    project: ProjectNumber,
    subject: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO operations (name, kind, project_number, subject, create_time) VALUES (?, ?, ?, ?, ?)")
        .bind(name)
        .bind(kind.word())
        .bind(signed(project.get()))
        .bind(subject)
        .bind(act.at.micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
