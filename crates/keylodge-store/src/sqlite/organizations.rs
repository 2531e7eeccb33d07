//! Organizations, and which projects an operator took into the workspace.

use std::collections::BTreeSet;

use keylodge_rules::iam::Policy;
use keylodge_rules::{ProjectNumber, Revision};
use sqlx::sqlite::SqliteRow;

use super::audit::{self, About};
use super::row::{Columns, signed};
use super::{Store, is_taken, policies};
use crate::{Act, Committed, OrganizationRecord, Page, ProjectError, StoreError};

impl Store {
    /// Makes an organization with its first policy.
    ///
    /// # Errors
    /// When the number is taken, or the database does not answer.
    pub async fn create_organization(
        &self,
        number: u64,
        display_name: &str,
        policy: &Policy,
        act: &Act,
    ) -> Result<Committed<OrganizationRecord>, ProjectError> {
        let mut tx = self.begin().await?;
        let resource = format!("organizations/{number}");
        let revision = audit::next_revision(&mut tx, act, "organization", &number.to_string()).await?;
        let written = sqlx::query(
            "INSERT INTO organizations (number, display_name, create_time, update_time, created_at, revision)
             VALUES (?1, ?2, ?3, ?3, ?4, ?4) RETURNING *",
        )
        .bind(signed(number))
        .bind(display_name)
        .bind(act.at.micros())
        .bind(signed(revision.0))
        .fetch_one(&mut *tx)
        .await;
        let value = match written {
            Ok(row) => organization(&row)?,
            Err(error) if is_taken(&error) => return Err(ProjectError::NumberTaken),
            Err(error) => return Err(error.into()),
        };
        policies::write(&mut tx, &resource, policy, revision).await?;
        let about = About { resource: &resource, revision: Some(revision), ..About::default() };
        self.note(&mut tx, act, &about).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    /// The organization with this number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organization(&self, number: u64) -> Result<Option<OrganizationRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM organizations WHERE number = ?").bind(signed(number));
        row.fetch_optional(self.readers()).await?.as_ref().map(organization).transpose()
    }

    /// A page of all organizations in the order of their creation.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organizations(&self, after: Revision, size: u32) -> Result<Page<OrganizationRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM organizations WHERE created_at > ? ORDER BY created_at LIMIT ?")
            .bind(signed(after.0))
            .bind(i64::from(size) + 1)
            .fetch_all(self.readers())
            .await?;
        let items = rows.iter().map(organization).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |organization| organization.created_at))
    }

    /// Takes a project into an operator's workspace, or out of it. Doing what is done already changes nothing but leaves
    /// its audit line.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_in_workspace(
        &self,
        operator: &str,
        project: ProjectNumber,
        is_in: bool,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let statement = if is_in {
            sqlx::query(
                "INSERT OR IGNORE INTO workspace_projects (operator, project_number, create_time) VALUES (?, ?, ?)",
            )
            .bind(operator)
            .bind(signed(project.get()))
            .bind(act.at.micros())
        } else {
            sqlx::query("DELETE FROM workspace_projects WHERE operator = ? AND project_number = ?")
                .bind(operator)
                .bind(signed(project.get()))
        };
        statement.execute(&mut *tx).await?;
        let about = About { resource: &format!("projects/{project}"), ..About::default() };
        self.note_in_project(&mut tx, act, project, &about).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The projects in an operator's workspace.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn workspace(&self, operator: &str) -> Result<BTreeSet<ProjectNumber>, StoreError> {
        let rows = sqlx::query("SELECT project_number FROM workspace_projects WHERE operator = ?").bind(operator);
        let rows = rows.fetch_all(self.readers()).await?;
        rows.iter().map(|row| Columns::of("workspace_projects", row).project_number("project_number")).collect()
    }
}

fn organization(row: &SqliteRow) -> Result<OrganizationRecord, StoreError> {
    let columns = Columns::of("organizations", row);
    Ok(OrganizationRecord {
        number: columns.count("number")?,
        display_name: columns.text("display_name")?,
        create_time: columns.time("create_time")?,
        update_time: columns.time("update_time")?,
        created_at: columns.revision("created_at")?,
    })
}
