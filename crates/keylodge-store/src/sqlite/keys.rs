//! Keys and the steps of their lives.

use keylodge_rules::key::UNDELETE_WITHIN;
use keylodge_rules::{KeyHash, KeyId, KeyUid, ProjectNumber, ProjectState, Revision, Stage, StageError, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::row::{Columns, map_json, signed};
use super::{Store, audit, is_taken, operations};
use crate::record::KEYS_PER_PROJECT_MAX;
use crate::{Act, Committed, KeyError, KeyRecord, NewKey, OperationKind, Page, Sealed, StoreError};

impl Store {
    /// Makes a key: record, sealed string, operation, audit line and change together.
    ///
    /// # Errors
    /// When the id is taken, the project is deleted or full, or the database does not answer.
    pub async fn create_key(&self, new: &NewKey, act: &Act) -> Result<Committed<KeyRecord>, KeyError> {
        let mut tx = self.begin().await?;
        let state = sqlx::query("SELECT state FROM projects WHERE number = ?").bind(signed(new.project.get()));
        let state = state.fetch_optional(&mut *tx).await?.ok_or(KeyError::ProjectDeleted)?;
        if Columns::of("projects", &state).project_state("state")? != ProjectState::Active {
            return Err(KeyError::ProjectDeleted);
        }
        let count = sqlx::query("SELECT count(*) AS keys FROM keys WHERE project_number = ?");
        let count = count.bind(signed(new.project.get())).fetch_one(&mut *tx).await?;
        if count.try_get::<i64, _>("keys")? >= KEYS_PER_PROJECT_MAX {
            return Err(KeyError::TooManyKeys);
        }
        let revision = audit::next_revision(&mut tx, act, "key", new.uid.as_str()).await?;
        let written = sqlx::query(
            "INSERT INTO keys (uid, project_number, key_id, display_name, annotations, hash, master, sealed,
                               create_time, update_time, created_at, revision)
             VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(new.uid.as_str())
        .bind(signed(new.project.get()))
        .bind(new.id.as_str())
        .bind(&new.display_name)
        .bind(map_json(&new.annotations))
        .bind(&new.hash.as_bytes()[..])
        .bind(new.sealed.as_bytes())
        .bind(act.at.micros())
        .bind(act.at.micros())
        .bind(signed(revision.0))
        .bind(signed(revision.0))
        .fetch_one(&mut *tx)
        .await;
        let value = match written {
            Ok(row) => key(&row)?,
            Err(error) if is_taken(&error) => return Err(KeyError::IdTaken),
            Err(error) => return Err(error.into()),
        };
        operations::keep(&mut tx, act, &new.operation, OperationKind::CreateKey, new.project, new.uid.as_str()).await?;
        audit::note(&mut tx, act, &resource(&value), Some(revision)).await?;
        tx.commit().await?;
        Ok(Committed { value, revision })
    }

    /// The key with this id or uid, unless it is purged.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn key(
        &self,
        project: ProjectNumber,
        id: &KeyId,
        now: Timestamp,
    ) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM keys WHERE project_number = ? AND (key_id = ? OR uid = ?)")
            .bind(signed(project.get()))
            .bind(id.as_str())
            .bind(id.as_str());
        let found = row.fetch_optional(&self.readers).await?.as_ref().map(key).transpose()?;
        Ok(found.filter(|key| !is_purged(key.stage, now)))
    }

    /// The key with this uid, unless it is purged.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn key_by_uid(&self, uid: &KeyUid, now: Timestamp) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM keys WHERE uid = ?").bind(uid.as_str());
        let found = row.fetch_optional(&self.readers).await?.as_ref().map(key).transpose()?;
        Ok(found.filter(|key| !is_purged(key.stage, now)))
    }

    /// The key whose string has this hash, unless it is purged.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn key_by_hash(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM keys WHERE hash = ?").bind(&hash.as_bytes()[..]);
        let found = row.fetch_optional(&self.readers).await?.as_ref().map(key).transpose()?;
        Ok(found.filter(|key| !is_purged(key.stage, now)))
    }

    /// A page of a project's keys in the order of their creation, beginning after `after`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keys(
        &self,
        project: ProjectNumber,
        show_deleted: bool,
        after: Revision,
        size: u32,
        now: Timestamp,
    ) -> Result<Page<KeyRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM keys
             WHERE project_number = ? AND created_at > ? AND (delete_time IS NULL OR (? AND delete_time > ?))
             ORDER BY created_at LIMIT ?",
        )
        .bind(signed(project.get()))
        .bind(signed(after.0))
        .bind(show_deleted)
        .bind(undeletable_since(now))
        .bind(i64::from(size) + 1)
        .fetch_all(&self.readers)
        .await?;
        let items = rows.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |key| key.created_at))
    }

    /// The sealed string of a key, for an answer that is part of a step noted already.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sealed(&self, uid: &KeyUid) -> Result<Option<Sealed>, StoreError> {
        let row = sqlx::query("SELECT sealed FROM keys WHERE uid = ?").bind(uid.as_str());
        let Some(row) = row.fetch_optional(&self.readers).await? else { return Ok(None) };
        Ok(Some(Sealed::from_bytes(Columns::of("keys", &row).bytes("sealed")?)))
    }

    /// The sealed string of a key for whoever asked to see it, with the audit line of that look.
    ///
    /// # Errors
    /// When there is no such key, or the database does not answer.
    pub async fn look_at_sealed(&self, key: &KeyRecord, act: &Act) -> Result<Sealed, KeyError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT sealed FROM keys WHERE uid = ?").bind(key.uid.as_str());
        let row = row.fetch_optional(&mut *tx).await?.ok_or(KeyError::NoSuchKey)?;
        audit::note(&mut tx, act, &resource(key), None).await?;
        tx.commit().await?;
        Ok(Sealed::from_bytes(Columns::of("keys", &row).bytes("sealed")?))
    }

    /// Deletes a key. `fingerprint` is what the caller last read of it, if it cares.
    ///
    /// # Errors
    /// When there is no such key, it is deleted already or changed since, or the database does not answer.
    pub async fn delete_key(
        &self,
        project: ProjectNumber,
        id: &KeyId,
        fingerprint: Option<[u8; 16]>,
        operation: &str,
        act: &Act,
    ) -> Result<Committed<KeyRecord>, KeyError> {
        let mut tx = self.begin().await?;
        let mut key = locked(&mut tx, project, id, act).await?;
        if fingerprint.is_some_and(|fingerprint| fingerprint != key.fingerprint()) {
            return Err(KeyError::EtagMismatch);
        }
        key.stage = key.stage.delete(act.at)?;
        step(tx, key, OperationKind::DeleteKey, operation, act).await
    }

    /// Brings a deleted key back.
    ///
    /// # Errors
    /// When there is no such key, it is not deleted or purged, or the database does not answer.
    pub async fn undelete_key(
        &self,
        project: ProjectNumber,
        id: &KeyId,
        operation: &str,
        act: &Act,
    ) -> Result<Committed<KeyRecord>, KeyError> {
        let mut tx = self.begin().await?;
        let mut key = locked(&mut tx, project, id, act).await?;
        key.stage = key.stage.undelete(act.at)?;
        step(tx, key, OperationKind::UndeleteKey, operation, act).await
    }
}

impl Store {
    /// Removes keys whose 30 days are over, with their strings: at most so many at once. Gives how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn purge_keys(&self, at_once: u32, act: &Act) -> Result<Committed<usize>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query("SELECT * FROM keys WHERE delete_time <= ? ORDER BY delete_time LIMIT ?")
            .bind(undeletable_since(act.at))
            .bind(i64::from(at_once))
            .fetch_all(&mut *tx)
            .await?;
        let mut revision = Revision(0);
        for row in &rows {
            let key = key(row)?;
            revision = audit::next_revision(&mut tx, act, "key", key.uid.as_str()).await?;
            sqlx::query("DELETE FROM keys WHERE uid = ?").bind(key.uid.as_str()).execute(&mut *tx).await?;
            audit::note(&mut tx, act, &resource(&key), Some(revision)).await?;
        }
        tx.commit().await?;
        Ok(Committed { value: rows.len(), revision })
    }
}

/// Reads a key inside a transaction that holds the write lock.
async fn locked(
    tx: &mut Transaction<'static, Sqlite>,
    project: ProjectNumber,
    id: &KeyId,
    act: &Act,
) -> Result<KeyRecord, KeyError> {
    let row = sqlx::query("SELECT * FROM keys WHERE project_number = ? AND (key_id = ? OR uid = ?)")
        .bind(signed(project.get()))
        .bind(id.as_str())
        .bind(id.as_str());
    let row = row.fetch_optional(&mut **tx).await?.ok_or(KeyError::NoSuchKey)?;
    let key = key(&row)?;
    if is_purged(key.stage, act.at) { Err(KeyError::NoSuchKey) } else { Ok(key) }
}

/// Writes a key's new stage with everything that belongs to it, and commits.
async fn step(
    mut tx: Transaction<'static, Sqlite>,
    mut key: KeyRecord,
    kind: OperationKind,
    operation: &str,
    act: &Act,
) -> Result<Committed<KeyRecord>, KeyError> {
    let revision = audit::next_revision(&mut tx, act, "key", key.uid.as_str()).await?;
    let deleted = match key.stage {
        Stage::Live => None,
        Stage::Deleted { at } => Some(at.micros()),
    };
    key.update_time = act.at;
    sqlx::query("UPDATE keys SET delete_time = ?, update_time = ?, revision = ? WHERE uid = ?")
        .bind(deleted)
        .bind(act.at.micros())
        .bind(signed(revision.0))
        .bind(key.uid.as_str())
        .execute(&mut *tx)
        .await?;
    operations::keep(&mut tx, act, operation, kind, key.project, key.uid.as_str()).await?;
    audit::note(&mut tx, act, &resource(&key), Some(revision)).await?;
    tx.commit().await?;
    Ok(Committed { value: key, revision })
}

/// Keys deleted at this time or before can no longer be brought back.
fn undeletable_since(now: Timestamp) -> i64 {
    now.micros() - i64::try_from(UNDELETE_WITHIN.as_micros()).unwrap_or(i64::MAX)
}

fn is_purged(stage: Stage, now: Timestamp) -> bool {
    stage != Stage::Live && stage.undelete(now) == Err(StageError::Purged)
}

fn resource(key: &KeyRecord) -> String {
    format!("projects/{}/locations/global/keys/{}", key.project, key.id)
}

fn key(row: &SqliteRow) -> Result<KeyRecord, StoreError> {
    let columns = Columns::of("keys", row);
    Ok(KeyRecord {
        uid: columns.uid("uid")?,
        id: columns.key_id("key_id")?,
        project: columns.project_number("project_number")?,
        display_name: columns.text("display_name")?,
        annotations: columns.string_map("annotations")?,
        stage: columns.stage("delete_time")?,
        create_time: columns.time("create_time")?,
        update_time: columns.time("update_time")?,
        created_at: columns.revision("created_at")?,
    })
}
