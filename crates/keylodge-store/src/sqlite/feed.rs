//! The change feed, as gates follow it.

use keylodge_rules::{Change, Credential, Key, Lookup, Project, Restrictions, Revision, Subject};
use sqlx::Row;

use super::Store;
use super::row::{Columns, signed};
use crate::{Changes, StoreError};

impl Store {
    /// Everything that changed after `revision`; after revision 0 that is all there is, the snapshot of a start.
    ///
    /// It reads one consistent state. What is returned is bounded by the number of live subjects, which a gate keeps
    /// in memory anyway.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn changes_after(&self, revision: Revision) -> Result<Changes, StoreError> {
        let after = signed(revision.0);
        let mut tx = self.readers.begin().await?;
        let newest = sqlx::query("SELECT coalesce(max(revision), 0) AS revision FROM changes").fetch_one(&mut *tx);
        let newest: i64 = newest.await?.try_get("revision")?;
        let projects = sqlx::query("SELECT * FROM projects WHERE revision > ?").bind(after).fetch_all(&mut *tx).await?;
        let keys = sqlx::query("SELECT * FROM keys WHERE revision > ?").bind(after).fetch_all(&mut *tx).await?;
        // Who knows nothing yet has nothing to forget.
        let purged = sqlx::query(
            "SELECT id AS uid, max(revision) AS revision FROM changes
             WHERE ?1 > 0 AND revision > ?1 AND subject = 'key' AND id NOT IN (SELECT uid FROM keys) GROUP BY id",
        );
        let purged = purged.bind(after).fetch_all(&mut *tx).await?;
        tx.commit().await?;

        let mut changes = Vec::with_capacity(projects.len() + keys.len() + purged.len());
        for row in &purged {
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
                standard_keys_must_be_restricted: false,
            };
            changes.push(Change { revision: columns.revision("revision")?, subject: Subject::Project(project) });
        }
        for row in &keys {
            let columns = Columns::of("keys", row);
            let key = Key {
                uid: columns.uid("uid")?,
                id: columns.key_id("key_id")?,
                project: columns.project_number("project_number")?,
                strings: vec![Credential { lookup: Lookup::Hash(columns.hash("hash")?), generation: 1, until: None }],
                stage: columns.stage("delete_time")?,
                enabled: true,
                expires: None,
                restrictions: Restrictions::default(),
                service_account: None,
            };
            changes.push(Change { revision: columns.revision("revision")?, subject: Subject::Key(key) });
        }
        changes.sort_by_key(|change| change.revision);
        Ok(Changes { changes, up_to: Revision(u64::try_from(newest).unwrap_or(0)) })
    }
}
