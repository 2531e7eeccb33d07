//! Roles that somebody put together.

use keylodge_rules::iam::{CustomRole, CustomRoleName, Permission, PermissionSet, Stage};
use keylodge_rules::{ProjectNumber, Revision};
use sqlx::sqlite::SqliteRow;

use super::audit::{self, About};
use super::row::{Columns, micros, signed};
use super::{Store, is_taken, policies};
use crate::{Act, Committed, Page, PolicyError, RoleRecord, StoreError};

/// How many roles a project or an organization has at most, deleted ones included (IAM: 300).
const ROLES_MAX: u64 = 300;

impl Store {
    /// Makes a role. The record's times and places are set here.
    ///
    /// # Errors
    /// When the name is taken, or the database does not answer.
    pub async fn create_role(
        &self,
        new: RoleRecord,
        project: Option<ProjectNumber>,
        act: &Act,
    ) -> Result<Committed<RoleRecord>, PolicyError> {
        let mut tx = self.begin().await?;
        let CustomRole { name, title, description, permissions, stage, .. } = &new.role;
        let name = name.to_string();
        let count = sqlx::query("SELECT count(*) AS roles FROM roles WHERE substr(name, 1, length(?1)) = ?1")
            .bind(format!("{}/roles/", new.role.name.parent))
            .fetch_one(&mut *tx)
            .await?;
        if Columns::of("roles", &count).count("roles")? >= ROLES_MAX {
            return Err(PolicyError::TooManyRoles { roles_max: ROLES_MAX });
        }
        let revision = audit::next_revision(&mut tx, act, "role", &name).await?;
        let written = sqlx::query(
            "INSERT INTO roles (name, title, description, permissions, stage, created_at, revision)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&name)
        .bind(title)
        .bind(description)
        .bind(permissions_json(*permissions))
        .bind(stage.as_str())
        .bind(signed(revision.0))
        .bind(signed(revision.0))
        .execute(&mut *tx)
        .await;
        match written {
            Err(error) if is_taken(&error) => return Err(PolicyError::NameTaken { name: new.role.name }),
            written => written?,
        };
        self.note_role(&mut tx, &name, project, revision, act).await?;
        tx.commit().await?;
        let role = CustomRole { etag: policies::etag(revision), ..new.role };
        Ok(Committed { value: RoleRecord { role, created_at: revision, ..new }, revision })
    }

    /// The role of this name, deleted or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn role(&self, name: &str) -> Result<Option<RoleRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM roles WHERE name = ?").bind(name);
        row.fetch_optional(self.readers()).await?.as_ref().map(role).transpose()
    }

    /// Those of these roles that there are, deleted or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn roles_named(&self, names: &[String]) -> Result<Vec<RoleRecord>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query("SELECT * FROM roles WHERE name IN (SELECT value FROM json_each(?))");
        let rows = rows.bind(serde_json::json!(names).to_string()).fetch_all(self.readers()).await?;
        rows.iter().map(role).collect()
    }

    /// A page of the roles of a project or an organization (`projects/N`, `organizations/N`), oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn roles(
        &self,
        parent: &str,
        show_deleted: bool,
        after: Revision,
        size: u32,
    ) -> Result<Page<RoleRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM roles WHERE substr(name, 1, length(?1)) = ?1 AND created_at > ?2
             AND (?3 OR delete_time IS NULL) ORDER BY created_at LIMIT ?4",
        )
        .bind(format!("{parent}/roles/"))
        .bind(signed(after.0))
        .bind(show_deleted)
        .bind(i64::from(size) + 1)
        .fetch_all(self.readers())
        .await?;
        let items = rows.iter().map(role).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |role| role.created_at))
    }

    /// Alters a role: `change` is given the record as it is now, under the write lock.
    ///
    /// # Errors
    /// What `change` says; when there is no such role; or when the database does not answer.
    pub async fn alter_role(
        &self,
        name: &str,
        project: Option<ProjectNumber>,
        act: &Act,
        change: impl FnOnce(&mut RoleRecord) -> Result<(), PolicyError> + Send,
    ) -> Result<Committed<RoleRecord>, PolicyError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM roles WHERE name = ?").bind(name).fetch_optional(&mut *tx).await?;
        let mut value = role(&row.ok_or(PolicyError::NoSuchRole)?)?;
        change(&mut value)?;
        let revision = audit::next_revision(&mut tx, act, "role", name).await?;
        value.role.etag = policies::etag(revision);
        value.role.deleted = value.delete_time.is_some();
        sqlx::query(
            "UPDATE roles SET title = ?, description = ?, permissions = ?, stage = ?, delete_time = ?, revision = ? WHERE name = ?",
        )
        .bind(&value.role.title)
        .bind(&value.role.description)
        .bind(permissions_json(value.role.permissions))
        .bind(value.role.stage.as_str())
        .bind(micros(value.delete_time))
        .bind(signed(revision.0))
        .bind(name)
        .execute(&mut *tx)
        .await?;
        self.note_role(&mut tx, name, project, revision, act).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    async fn note_role(
        &self,
        tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
        name: &str,
        project: Option<ProjectNumber>,
        revision: Revision,
        act: &Act,
    ) -> Result<(), StoreError> {
        let about = About { resource: name, revision: Some(revision), ..About::default() };
        match project {
            Some(project) => self.note_in_project(tx, act, project, &about).await,
            None => self.note(tx, act, &about).await,
        }
    }
}

fn permissions_json(permissions: PermissionSet) -> String {
    let names: Vec<&str> = permissions.iter().map(Permission::as_str).collect();
    serde_json::json!(names).to_string()
}

fn role(row: &SqliteRow) -> Result<RoleRecord, StoreError> {
    let columns = Columns::of("roles", row);
    let delete_time = columns.optional_time("delete_time")?;
    let permissions = columns.strings("permissions")?;
    // A permission that a newer Keylodge had, and this one does not know, grants nothing here.
    let permissions = permissions.iter().filter_map(|name| Permission::parse(name).ok()).collect();
    let role = CustomRole {
        name: CustomRoleName::parse(&columns.text("name")?).map_err(|_| columns.contradiction("name"))?,
        title: columns.text("title")?,
        description: columns.text("description")?,
        permissions,
        stage: Stage::parse(&columns.text("stage")?).ok_or_else(|| columns.contradiction("stage"))?,
        deleted: delete_time.is_some(),
        etag: policies::etag(columns.revision("revision")?),
    };
    Ok(RoleRecord { role, delete_time, created_at: columns.revision("created_at")? })
}
