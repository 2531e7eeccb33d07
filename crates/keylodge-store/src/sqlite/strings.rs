//! What opens a key: its string, the one before it for a while, and who used which.

use keylodge_rules::{KeyHash, KeyId, KeyUid, ProjectNumber, Revision};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use super::audit::{self, About};
use super::row::{Columns, signed};
use super::{Store, is_taken, keys, projects};
use crate::record::{Overlap, StringRecord, Use};
use crate::{Act, Committed, KeyError, KeyRecord, Sealed, StoreError, file};

/// How many different callers of one string are remembered; the one heard of longest ago makes room.
pub const CALLERS_MAX: i64 = 50;

/// How many uses one statement writes.
const USES_AT_ONCE: usize = 64;

impl Store {
    /// The strings of a key, the current one first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn strings(&self, uid: &KeyUid) -> Result<Vec<StringRecord>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM key_strings WHERE uid = ? ORDER BY generation DESC").bind(uid.to_string());
        rows.fetch_all(self.readers()).await?.iter().map(string).collect()
    }

    /// The current string of a key, for an answer that is part of a step noted already.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn current_string(&self, uid: &KeyUid) -> Result<Option<StringRecord>, StoreError> {
        Ok(self.strings(uid).await?.into_iter().next())
    }

    /// The current string of a key, sealed, for whoever asked to see it, with the audit line of that look.
    ///
    /// # Errors
    /// When there is no such key, its string is not kept, or the database does not answer.
    pub async fn look_at_string(&self, key: &KeyRecord, act: &Act) -> Result<(u32, Sealed), KeyError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM key_strings WHERE uid = ? ORDER BY generation DESC LIMIT 1");
        let row = row.bind(key.uid.to_string()).fetch_optional(&mut *tx).await?.ok_or(KeyError::NoSuchKey)?;
        let StringRecord { generation, sealed, .. } = string(&row)?;
        let shown_once = Columns::of("key_strings", &row).flag("shown_once")?;
        let sealed = sealed.ok_or(if shown_once { KeyError::ShownOnce } else { KeyError::NeverSeen })?;
        let about = About { resource: &keys::resource(key), ..About::default() };
        self.note_in_project(&mut tx, act, key.project, &about).await?;
        tx.commit().await?;
        Ok((generation, sealed))
    }

    /// Gives a key a new string. The one before it stays good as `overlap` says; those before that end now. `new` is
    /// given the generation of the new string and makes it.
    ///
    /// # Errors
    /// When there is no such key, it is deleted, or the database does not answer.
    pub async fn rotate_key(
        &self,
        project: ProjectNumber,
        id: &KeyId,
        overlap: Option<Overlap>,
        act: &Act,
        new: impl FnOnce(&KeyUid, u32) -> (KeyHash, Option<Sealed>) + Send,
    ) -> Result<Committed<KeyRecord>, KeyError> {
        let mut tx = self.begin().await?;
        let project = projects::active(&mut tx, project).await?;
        let key = keys::locked(&mut tx, project.number, id, act).await?;
        key.stage.delete(act.at)?;
        let row = sqlx::query("SELECT * FROM key_strings WHERE uid = ? ORDER BY generation DESC LIMIT 1");
        let row = row.bind(key.uid.to_string()).fetch_optional(&mut *tx).await?.ok_or(KeyError::NoSuchKey)?;
        let columns = Columns::of("key_strings", &row);
        // A key whose string was shown once does not become one whose string is kept.
        let (last, shown_once) = (columns.generation("generation")?, columns.flag("shown_once")?);
        sqlx::query("DELETE FROM key_strings WHERE uid = ? AND (generation < ? OR ?)")
            .bind(key.uid.to_string())
            .bind(last)
            .bind(overlap.is_none())
            .execute(&mut *tx)
            .await?;
        let (until, quiet) = match overlap {
            Some(Overlap::Until(time)) => (Some(time.micros()), None),
            Some(Overlap::Quiet(time)) => (None, i64::try_from(time.as_micros()).ok()),
            None => (None, None),
        };
        sqlx::query("UPDATE key_strings SET good_until = ?, quiet = ?, retire_time = ? WHERE uid = ?")
            .bind(until)
            .bind(quiet)
            .bind(act.at.micros())
            .bind(key.uid.to_string())
            .execute(&mut *tx)
            .await?;
        let (hash, sealed) = new(&key.uid, last + 1);
        let sealed = sealed.filter(|_| !shown_once && !project.strings_shown_once);
        sqlx::query(
            "INSERT INTO key_strings (uid, generation, kind, lookup, master, sealed, shown_once, create_time)
             VALUES (?, ?, 'hmac', ?, 1, ?, ?, ?)",
        )
        .bind(key.uid.to_string())
        .bind(last + 1)
        .bind(&hash.as_bytes()[..])
        .bind(sealed.as_ref().map(Sealed::as_bytes))
        .bind(sealed.is_none())
        .bind(act.at.micros())
        .execute(&mut *tx)
        .await?;
        let rotated = self.write_key(&mut tx, &project, key, None, act).await?;
        tx.commit().await?;
        Ok(rotated)
    }

    /// Ends the overlap of a key's rotation now.
    ///
    /// # Errors
    /// When there is no such key or nothing to end, or the database does not answer.
    pub async fn retire_strings(
        &self,
        project: ProjectNumber,
        id: &KeyId,
        act: &Act,
    ) -> Result<Committed<KeyRecord>, KeyError> {
        let mut tx = self.begin().await?;
        let project = projects::active(&mut tx, project).await?;
        let key = keys::locked(&mut tx, project.number, id, act).await?;
        let ended = sqlx::query("DELETE FROM key_strings WHERE uid = ? AND retire_time IS NOT NULL");
        if ended.bind(key.uid.to_string()).execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(KeyError::NotRotated);
        }
        let retired = self.write_key(&mut tx, &project, key, None, act).await?;
        tx.commit().await?;
        Ok(retired)
    }

    /// Removes strings whose overlap is over: their time has come, or nobody used them for as long as was agreed. At most
    /// so many at once; gives how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_overlaps(&self, at_once: u32, act: &Act) -> Result<Committed<usize>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT keys.*, s.generation AS ended FROM key_strings s JOIN keys USING (uid)
             WHERE s.retire_time IS NOT NULL AND (s.good_until <= ?1 OR max(
                 s.retire_time,
                 coalesce((SELECT max(last_time) FROM key_uses u WHERE u.uid = s.uid AND u.generation = s.generation), 0)
             ) + s.quiet <= ?1) LIMIT ?2",
        )
        .bind(act.at.micros())
        .bind(i64::from(at_once))
        .fetch_all(&mut *tx)
        .await?;
        let mut revision = Revision(0);
        for row in &rows {
            let key = keys::key(row)?;
            sqlx::query("DELETE FROM key_strings WHERE uid = ? AND generation = ?")
                .bind(key.uid.to_string())
                .bind(Columns::of("key_strings", row).generation("ended")?)
                .execute(&mut *tx)
                .await?;
            revision = touch(&mut tx, &key, act).await?;
            let about = About { resource: &keys::resource(&key), revision: Some(revision), ..About::default() };
            self.note_in_project(&mut tx, act, key.project, &about).await?;
        }
        tx.commit().await?;
        Ok(Committed { value: rows.len(), revision })
    }

    /// Puts the hash under our pepper in the place of the SHA-256 that a key was imported with, now that its string was
    /// seen. Gives nothing where that is done already.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn adopt_string(
        &self,
        uid: &KeyUid,
        generation: u32,
        hash: &KeyHash,
        act: &Act,
    ) -> Result<Option<Committed<()>>, StoreError> {
        let mut tx = self.begin().await?;
        let adopted = sqlx::query(
            "UPDATE key_strings SET kind = 'hmac', lookup = ? WHERE uid = ? AND generation = ? AND kind = 'sha256'",
        );
        let adopted = adopted.bind(&hash.as_bytes()[..]).bind(uid.to_string()).bind(generation).execute(&mut *tx).await;
        match adopted {
            // Another key has the string since; this one is found by its SHA-256 no more than before.
            Err(error) if is_taken(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(done) if done.rows_affected() == 0 => return Ok(None),
            Ok(_) => {}
        }
        let row = sqlx::query("SELECT * FROM keys WHERE uid = ?").bind(uid.to_string()).fetch_one(&mut *tx).await?;
        let key = keys::key(&row)?;
        let revision = touch(&mut tx, &key, act).await?;
        let about = About { resource: &keys::resource(&key), revision: Some(revision), ..About::default() };
        self.note_in_project(&mut tx, act, key.project, &about).await?;
        tx.commit().await?;
        Ok(Some(Committed { value: (), revision }))
    }

    /// Adds up who used what. Uses of keys that are gone are forgotten.
    ///
    /// # Errors
    /// When the database does not answer; then none is counted.
    pub async fn note_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // A statement for many: one for each would cost more than all that it writes.
        for uses in uses.chunks(USES_AT_ONCE) {
            let mut sql = QueryBuilder::<Sqlite>::new(
                "UPDATE key_uses SET calls = calls + used.column5, first_time = min(first_time, used.column6),
                     last_time = max(last_time, used.column7) FROM (",
            );
            push_uses(&mut sql, uses);
            sql.push(") AS used WHERE uid = used.column1 AND generation = used.column2 AND caller_ip = used.column3 AND client = used.column4");
            let is_full = uses.len() == USES_AT_ONCE;
            let known = sql.build().persistent(is_full).execute(&mut *tx).await?.rows_affected();
            if known < uses.len() as u64 {
                add_callers(&mut tx, uses).await?;
            }
        }
        tx.commit().await?;
        file::give_back(&self.0.writer).await;
        Ok(())
    }

    /// Who used a key, the latest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn uses(&self, uid: &KeyUid) -> Result<Vec<Use>, StoreError> {
        let rows = sqlx::query("SELECT * FROM key_uses WHERE uid = ? ORDER BY last_time DESC").bind(uid.to_string());
        let uses = rows.fetch_all(self.readers()).await?;
        uses.iter()
            .map(|row| {
                let columns = Columns::of("key_uses", row);
                Ok(Use {
                    uid: columns.uid("uid")?,
                    generation: columns.generation("generation")?,
                    caller_ip: columns.text("caller_ip")?,
                    client: columns.text("client")?,
                    calls: columns.count("calls")?,
                    first_time: columns.time("first_time")?,
                    last_time: columns.time("last_time")?,
                })
            })
            .collect()
    }
}

/// Gives a key a new revision, so that gates look at it again.
async fn touch(tx: &mut Transaction<'static, Sqlite>, key: &KeyRecord, act: &Act) -> Result<Revision, StoreError> {
    let revision = audit::next_revision(tx, act, "key", &key.uid.to_string()).await?;
    sqlx::query("UPDATE keys SET revision = ? WHERE uid = ?")
        .bind(signed(revision.0))
        .bind(key.uid.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(revision)
}

fn push_uses(sql: &mut QueryBuilder<Sqlite>, uses: &[Use]) {
    sql.push_values(uses, |mut row, used| {
        row.push_bind(used.uid.to_string()).push_bind(used.generation);
        row.push_bind(used.caller_ip.clone()).push_bind(used.client.clone());
        row.push_bind(signed(used.calls)).push_bind(used.first_time.micros()).push_bind(used.last_time.micros());
    });
}

/// Adds those that were not heard of before, and forgets the oldest where there are too many now.
async fn add_callers(tx: &mut Transaction<'static, Sqlite>, uses: &[Use]) -> Result<(), StoreError> {
    let is_full = uses.len() == USES_AT_ONCE;
    let mut sql = QueryBuilder::<Sqlite>::new(
        "INSERT OR IGNORE INTO key_uses (uid, generation, caller_ip, client, calls, first_time, last_time)
         SELECT * FROM (",
    );
    push_uses(&mut sql, uses);
    sql.push(") WHERE EXISTS (SELECT 1 FROM keys WHERE uid = column1)")
        .build()
        .persistent(is_full)
        .execute(&mut **tx)
        .await?;
    let mut sql = QueryBuilder::<Sqlite>::new(
        "DELETE FROM key_uses WHERE (uid, generation, caller_ip, client) IN (
             SELECT uid, generation, caller_ip, client FROM (
                 SELECT uid, generation, caller_ip, client,
                     row_number() OVER (PARTITION BY uid, generation ORDER BY last_time DESC) AS place
                 FROM key_uses WHERE (uid, generation) IN (",
    );
    sql.push_values(uses, |mut row, used| {
        row.push_bind(used.uid.to_string()).push_bind(used.generation);
    });
    sql.push(")) WHERE place > ")
        .push_bind(CALLERS_MAX)
        .push(")")
        .build()
        .persistent(is_full)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn string(row: &SqliteRow) -> Result<StringRecord, StoreError> {
    let columns = Columns::of("key_strings", row);
    let retired = match (columns.optional_time("retire_time")?, columns.optional_time("good_until")?) {
        (None, _) => None,
        (Some(at), Some(until)) => Some((at, Overlap::Until(until))),
        (Some(at), None) => {
            let quiet = columns.count("quiet").map_err(|_| columns.contradiction("quiet"))?;
            Some((at, Overlap::Quiet(std::time::Duration::from_micros(quiet))))
        }
    };
    let sealed: Option<Vec<u8>> = row.try_get("sealed").map_err(|_| columns.contradiction("sealed"))?;
    Ok(StringRecord {
        generation: columns.generation("generation")?,
        lookup: columns.lookup("kind", "lookup")?,
        sealed: sealed.map(Sealed::from_bytes),
        create_time: columns.time("create_time")?,
        retired,
    })
}
