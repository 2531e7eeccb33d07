//! The change feed, as gates follow it.

use keylodge_rules::{Change, Credential, Key, Project, Revision, Subject, Terms};
use sqlx::Row;

use super::Store;
use super::row::{Columns, signed};
use crate::{Changes, StoreError};

/// How many revisions one look takes in at most, so that neither memory nor a transaction grows with the deployment.
const REVISIONS_AT_ONCE: u64 = 1_000;

impl Store {
    /// The newest revision there is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn newest_revision(&self) -> Result<Revision, StoreError> {
        let row = sqlx::query("SELECT coalesce(max(revision), 0) AS revision FROM changes").fetch_one(self.readers());
        Columns::of("changes", &row.await?).revision("revision")
    }

    /// What changed after `revision`, at most some thousand revisions of it; after revision 0 that is the beginning of the
    /// snapshot of a start. Ask again with `up_to` until it is `newest`.
    ///
    /// It reads one consistent state. Keys that are gone are told from `forget_after` on: who learnt of nothing before
    /// that has nothing to forget.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn changes_after(&self, revision: Revision, forget_after: Revision) -> Result<Changes, StoreError> {
        let mut tx = self.readers().begin().await?;
        let newest = sqlx::query("SELECT coalesce(max(revision), 0) AS revision FROM changes").fetch_one(&mut *tx);
        let newest: i64 = newest.await?.try_get("revision")?;
        let newest = u64::try_from(newest).unwrap_or(0);
        let up_to = newest.min(revision.0.saturating_add(REVISIONS_AT_ONCE));
        let (after, to) = (signed(revision.0), signed(up_to));
        let projects = sqlx::query("SELECT * FROM projects WHERE revision > ? AND revision <= ?").bind(after).bind(to);
        let projects = projects.fetch_all(&mut *tx).await?;
        let keys = sqlx::query(
            "SELECT keys.uid, project_number, delete_time, disable_time, expire_time, restrictions,
                    service_account, rules, revision, generation, kind, lookup, good_until
             FROM keys JOIN key_strings ON key_strings.uid = keys.uid
             WHERE revision > ? AND revision <= ? ORDER BY revision, generation DESC",
        );
        let keys = keys.bind(after).bind(to).fetch_all(&mut *tx).await?;
        let gone = sqlx::query(
            "SELECT id AS uid, max(revision) AS revision FROM changes
             WHERE revision > max(?1, ?3) AND revision <= ?2 AND subject = 'key' AND id NOT IN (SELECT uid FROM keys)
             GROUP BY id",
        );
        let gone = gone.bind(after).bind(to).bind(signed(forget_after.0)).fetch_all(&mut *tx).await?;
        tx.commit().await?;

        let mut changes: Vec<Change> = Vec::with_capacity(projects.len() + keys.len() + gone.len());
        for row in &gone {
            let columns = Columns::of("changes", row);
            let subject = Subject::KeyPurged(columns.uid("uid")?);
            changes.push(Change { revision: columns.revision("revision")?, subject });
        }
        for row in &projects {
            let columns = Columns::of("projects", row);
            let project = Project {
                number: columns.project_number("number")?,
                id: columns.project_id("project_id")?,
                state: columns.project_state("state")?,
                services: columns.services("services")?,
                standard_keys_must_be_restricted: columns.flag("must_restrict")?,
                limits: columns.limits("rules")?,
            };
            changes.push(Change { revision: columns.revision("revision")?, subject: Subject::Project(project) });
        }
        for row in &keys {
            let columns = Columns::of("keys", row);
            let string = Credential {
                lookup: columns.lookup("kind", "lookup")?,
                generation: columns.generation("generation")?,
                until: columns.optional_time("good_until")?,
            };
            let revision = columns.revision("revision")?;
            // The strings of one key stand together, the current one first.
            if let Some(Change { revision: last, subject: Subject::Key(key) }) = changes.last_mut()
                && *last == revision
            {
                key.strings.push(string);
                continue;
            }
            let key = Key {
                uid: columns.uid("uid")?,
                project: columns.project_number("project_number")?,
                strings: vec![string],
                terms: Terms {
                    stage: columns.stage("delete_time")?,
                    enabled: columns.optional_time("disable_time")?.is_none(),
                    expires: columns.optional_time("expire_time")?,
                    is_bound: columns.optional_text("service_account")?.is_some(),
                    restrictions: columns.restrictions("restrictions")?,
                    rules: columns.key_rules("rules")?,
                },
            };
            changes.push(Change { revision, subject: Subject::Key(key) });
        }
        changes.sort_by_key(|change| change.revision);
        Ok(Changes { changes, up_to: Revision(up_to), newest: Revision(newest) })
    }
}
