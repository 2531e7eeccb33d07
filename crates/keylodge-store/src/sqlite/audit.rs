//! Places in the change feed and lines of the audit log, written inside the transaction they belong to.

use keylodge_rules::audit::{Chain, ChainHash, Checkpoint, Entry, PublicKey, Signature, Signed};
use keylodge_rules::{KeyUid, ProjectId, ProjectNumber, Revision, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use super::row::{Columns, map_json, signed};
use super::{Store, keys, projects};
use crate::{Act, AuditLine, StoreError};

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

/// What an audit line is about, besides the act.
#[derive(Default)]
pub(super) struct About<'step> {
    pub(super) resource: &'step str,
    pub(super) project: Option<(ProjectNumber, &'step ProjectId)>,
    pub(super) operation: &'step str,
    pub(super) revision: Option<Revision>,
}

impl Store {
    /// Writes the audit line of an act and signs the new end of the chain.
    pub(super) async fn note(
        &self,
        connection: &mut SqliteConnection,
        act: &Act,
        about: &About<'_>,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            time: act.at,
            principal: act.principal.clone(),
            service: act.service.to_owned(),
            method: act.method.to_owned(),
            resource: about.resource.to_owned(),
            request_id: act.request_id.clone(),
            caller_ip: act.caller_ip.clone(),
            user_agent: act.user_agent.clone(),
            permission: act.permission.to_owned(),
            project: about.project.map(|(number, id)| (number, id.to_string())),
            operation: about.operation.to_owned(),
            denied: None,
            request: act.request.clone(),
            revision: about.revision,
        };
        self.append(connection, &entry, act.at).await
    }

    /// The same where only the number of the project is at hand.
    pub(super) async fn note_in_project(
        &self,
        connection: &mut SqliteConnection,
        act: &Act,
        project: ProjectNumber,
        about: &About<'_>,
    ) -> Result<(), StoreError> {
        let id = projects::id_of(&mut *connection, project).await?;
        let about = About { project: id.as_ref().map(|id| (project, id)), ..*about };
        self.note(connection, act, &about).await
    }

    /// Writes the audit line of something that was done with a key and changes nothing that gates know.
    ///
    /// # Errors
    /// When the database does not answer; then there is no line.
    pub async fn note_act_of_key(&self, key: &KeyUid, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM keys WHERE uid = ?");
        let row = row.bind(key.to_string()).fetch_optional(&mut *tx).await?;
        match row.as_ref().map(keys::key).transpose()? {
            Some(record) => {
                let about = About { resource: &keys::resource(&record), ..About::default() };
                self.note_in_project(&mut tx, act, record.project, &about).await?;
            }
            // It was purged a moment ago; what it did is noted all the same.
            None => self.note(&mut tx, act, &About { resource: &format!("keys/{key}"), ..About::default() }).await?,
        }
        tx.commit().await?;
        Ok(())
    }

    async fn append(&self, connection: &mut SqliteConnection, entry: &Entry, now: Timestamp) -> Result<(), StoreError> {
        let row = sqlx::query("SELECT sequence, hash FROM audit_head").fetch_optional(&mut *connection).await?;
        let mut chain = match &row {
            None => Chain::start(),
            Some(row) => {
                let columns = Columns::of("audit_head", row);
                Chain::at(columns.count("sequence")?, columns.chain_hash("hash")?)
            }
        };
        let link = chain.extend(entry);
        sqlx::query(
            "INSERT INTO audit (sequence, time, principal, service, method, resource, request_id, caller_ip, user_agent,
                                permission, project_number, project_id, operation, denied, request, revision, hash)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(signed(link.sequence))
        .bind(entry.time.micros())
        .bind(&entry.principal)
        .bind(&entry.service)
        .bind(&entry.method)
        .bind(&entry.resource)
        .bind(&entry.request_id)
        .bind(&entry.caller_ip)
        .bind(&entry.user_agent)
        .bind(&entry.permission)
        .bind(entry.project.as_ref().map(|(number, _)| signed(number.get())))
        .bind(entry.project.as_ref().map_or("", |(_, id)| id))
        .bind(&entry.operation)
        .bind(&entry.denied)
        .bind(map_json(&entry.request))
        .bind(entry.revision.map(|revision| signed(revision.0)))
        .bind(&link.hash.as_bytes()[..])
        .execute(&mut *connection)
        .await?;
        let head = Signed::by(self.audit_key(), Checkpoint::of(&chain, now, self.node()));
        sqlx::query(
            "INSERT INTO audit_head (one, sequence, hash, time, node, public_key, signature) VALUES (1, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, time = excluded.time,
                 node = excluded.node, public_key = excluded.public_key, signature = excluded.signature",
        )
        .bind(signed(head.statement.sequence))
        .bind(&head.statement.hash.as_bytes()[..])
        .bind(head.statement.time.micros())
        .bind(&head.statement.node)
        .bind(head.public_key.to_string())
        .bind(head.signature.to_string())
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Chains the lines that were written before there was a chain. Does nothing the second time.
    pub(super) async fn chain_old_lines(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query("SELECT * FROM audit_unchained ORDER BY sequence").fetch_all(&mut *tx).await?;
        for row in &rows {
            let columns = Columns::of("audit_unchained", row);
            let time = columns.time("time")?;
            let entry = Entry {
                principal: columns.text("principal")?,
                method: columns.text("method")?,
                resource: columns.text("resource")?,
                request_id: columns.text("request_id")?,
                revision: columns.optional("revision")?.map(|revision| Revision(u64::try_from(revision).unwrap_or(0))),
                ..Entry::at(time)
            };
            self.append(&mut tx, &entry, time).await?;
        }
        sqlx::query("DELETE FROM audit_unchained").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// How many audit lines there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_lines(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT count(*) AS lines FROM audit").fetch_one(self.readers()).await?;
        Columns::of("audit", &row).count("lines")
    }

    /// So many lines of the audit log after a sequence number, oldest first; of one project or of all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_after(
        &self,
        sequence: u64,
        project: Option<ProjectNumber>,
        size: u32,
    ) -> Result<Vec<AuditLine>, StoreError> {
        // Two statements, so that each has an index in which every row it walks over is one that it gives.
        let statement = match project {
            None => "SELECT * FROM audit WHERE sequence > ?1 AND ?2 IS NULL ORDER BY sequence LIMIT ?3",
            Some(_) => {
                "SELECT * FROM audit WHERE project_number = ?2 AND sequence > ?1 ORDER BY project_number, sequence LIMIT ?3"
            }
        };
        let rows = sqlx::query(statement)
            .bind(signed(sequence))
            .bind(project.map(|project| signed(project.get())))
            .bind(i64::from(size))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(line).collect()
    }

    /// The signed end of the audit log, unless nothing is in it yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_head(&self) -> Result<Option<Signed<Checkpoint>>, StoreError> {
        let row = sqlx::query("SELECT * FROM audit_head").fetch_optional(self.readers()).await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of("audit_head", &row);
        let statement = Checkpoint {
            sequence: columns.count("sequence")?,
            hash: columns.chain_hash("hash")?,
            time: columns.time("time")?,
            node: columns.text("node")?,
        };
        let public_key = PublicKey::parse(&columns.text("public_key")?);
        let signature = Signature::parse(&columns.text("signature")?);
        Ok(Some(Signed {
            statement,
            public_key: public_key.map_err(|_| columns.contradiction("public_key"))?,
            signature: signature.map_err(|_| columns.contradiction("signature"))?,
        }))
    }
}

fn line(row: &SqliteRow) -> Result<AuditLine, StoreError> {
    let columns = Columns::of("audit", row);
    let number = columns.optional("project_number")?;
    let number = number.map(|_| columns.project_number("project_number")).transpose()?;
    let project_id = columns.text("project_id")?;
    let entry = Entry {
        time: columns.time("time")?,
        principal: columns.text("principal")?,
        service: columns.text("service")?,
        method: columns.text("method")?,
        resource: columns.text("resource")?,
        request_id: columns.text("request_id")?,
        caller_ip: columns.text("caller_ip")?,
        user_agent: columns.text("user_agent")?,
        permission: columns.text("permission")?,
        project: number.map(|number| (number, project_id)),
        operation: columns.text("operation")?,
        denied: columns.optional_text("denied")?,
        request: columns.string_map("request")?,
        revision: columns.optional("revision")?.map(|revision| Revision(u64::try_from(revision).unwrap_or(0))),
    };
    let hash: ChainHash = columns.chain_hash("hash")?;
    Ok(AuditLine { sequence: columns.count("sequence")?, entry, hash })
}
