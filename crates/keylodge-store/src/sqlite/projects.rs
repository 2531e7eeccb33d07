//! Projects and the services they have switched on.

use keylodge_rules::{ProjectId, ProjectNumber, ProjectState, Revision, ServiceName};
use sqlx::sqlite::SqliteRow;

use super::row::{Columns, map_json, services_json, signed};
use super::{Store, audit, is_taken, operations};
use crate::{Act, Committed, NewProject, OperationKind, Page, ProjectError, ProjectRecord, StoreError};

impl Store {
    /// Makes a project.
    ///
    /// # Errors
    /// When its id or number is taken, or the database does not answer.
    pub async fn create_project(&self, new: &NewProject, act: &Act) -> Result<Committed<ProjectRecord>, ProjectError> {
        let mut tx = self.begin().await?;
        let number = new.number.to_string();
        let revision = audit::next_revision(&mut tx, act, "project", &number).await?;
        let written = sqlx::query(
            "INSERT INTO projects
             (number, project_id, display_name, labels, services, state, create_time, update_time, created_at, revision)
             VALUES (?, ?, ?, ?, ?, 'ACTIVE', ?, ?, ?, ?) RETURNING *",
        )
        .bind(signed(new.number.get()))
        .bind(new.id.as_str())
        .bind(&new.display_name)
        .bind(map_json(&new.labels))
        .bind(services_json(&new.services))
        .bind(act.at.micros())
        .bind(act.at.micros())
        .bind(signed(revision.0))
        .bind(signed(revision.0))
        .fetch_one(&mut *tx)
        .await;
        let value = match written {
            Ok(row) => project(&row)?,
            Err(error) if is_taken(&error) && error.to_string().contains("projects.number") => {
                return Err(ProjectError::NumberTaken);
            }
            Err(error) if is_taken(&error) => return Err(ProjectError::IdTaken),
            Err(error) => return Err(error.into()),
        };
        operations::keep(&mut tx, act, &new.operation, OperationKind::CreateProject, new.number, "").await?;
        audit::note(&mut tx, act, &format!("projects/{number}"), Some(revision)).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    /// The project with this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn project_by_id(&self, id: &ProjectId) -> Result<Option<ProjectRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM projects WHERE project_id = ?").bind(id.as_str());
        row.fetch_optional(&self.readers).await?.as_ref().map(project).transpose()
    }

    /// The project with this number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn project_by_number(&self, number: ProjectNumber) -> Result<Option<ProjectRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM projects WHERE number = ?").bind(signed(number.get()));
        row.fetch_optional(&self.readers).await?.as_ref().map(project).transpose()
    }

    /// A page of all projects in the order of their creation, beginning after `after`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn projects(&self, after: Revision, size: u32) -> Result<Page<ProjectRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM projects WHERE created_at > ? ORDER BY created_at LIMIT ?")
            .bind(signed(after.0))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.readers)
            .await?;
        let items = rows.iter().map(project).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |project| project.created_at))
    }

    /// Switches a service of a project on or off. Doing what is done already still gives a revision and an audit line.
    ///
    /// # Errors
    /// When there is no such project, or the database does not answer.
    pub async fn switch_service(
        &self,
        number: ProjectNumber,
        service: &ServiceName,
        on: bool,
        operation: &str,
        act: &Act,
    ) -> Result<Committed<ProjectRecord>, ProjectError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM projects WHERE number = ?").bind(signed(number.get()));
        let row = row.fetch_optional(&mut *tx).await?.ok_or(ProjectError::NoSuchProject)?;
        let mut value = project(&row)?;
        if value.state != ProjectState::Active {
            return Err(ProjectError::NoSuchProject);
        }
        if on {
            value.services.insert(service.clone());
        } else {
            value.services.remove(service);
        }
        let revision = audit::next_revision(&mut tx, act, "project", &number.to_string()).await?;
        sqlx::query("UPDATE projects SET services = ?, update_time = ?, revision = ? WHERE number = ?")
            .bind(services_json(&value.services))
            .bind(act.at.micros())
            .bind(signed(revision.0))
            .bind(signed(number.get()))
            .execute(&mut *tx)
            .await?;
        let kind = if on { OperationKind::EnableService } else { OperationKind::DisableService };
        operations::keep(&mut tx, act, operation, kind, number, service.as_str()).await?;
        audit::note(&mut tx, act, &format!("projects/{number}/services/{service}"), Some(revision)).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }
}

fn project(row: &SqliteRow) -> Result<ProjectRecord, StoreError> {
    let columns = Columns::of("projects", row);
    Ok(ProjectRecord {
        number: columns.project_number("number")?,
        id: columns.project_id("project_id")?,
        display_name: columns.text("display_name")?,
        labels: columns.string_map("labels")?,
        services: columns.services("services")?,
        state: columns.project_state("state")?,
        create_time: columns.time("create_time")?,
        created_at: columns.revision("created_at")?,
    })
}

impl<T> Page<T> {
    /// A page from one row more than fits on it, if there was one.
    pub(super) fn cut(mut items: Vec<T>, size: u32, place: impl Fn(&T) -> Revision) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(place) } else { None };
        Self { items, next }
    }
}
