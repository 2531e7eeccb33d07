//! The keys that were presented, and when each was last.

use std::collections::HashMap;

use keylodge_rules::KeyUid;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::Meter;
use super::dictionary::{AT_ONCE, is_full};
use super::merge::KeyOf;
use super::roll::MINUTES_OF_DAY;
use super::row::Columns;
use crate::StoreError;

/// Notes that keys were presented, and in which minute last. Gives their numbers, in the same order.
pub(super) async fn put(tx: &mut Transaction<'static, Sqlite>, keys: &[(KeyOf, i64)]) -> Result<Vec<i64>, StoreError> {
    let mut numbers = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(AT_ONCE) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO keys (uid, project, minute) ");
        sql.push_values(chunk, |mut tuple, (key, minute)| {
            tuple.push_bind(key.uid.to_vec()).push_bind(key.project).push_bind(minute);
        });
        // A minute that is far after one that comes now was noted by a clock that was wrong then.
        sql.push(" ON CONFLICT DO UPDATE SET minute = CASE WHEN minute > excluded.minute + ").push(MINUTES_OF_DAY);
        sql.push(" THEN excluded.minute ELSE max(minute, excluded.minute) END RETURNING id, uid, project");
        let mut of_chunk = HashMap::with_capacity(chunk.len());
        let rows = sql.build().persistent(is_full(chunk)).fetch_all(&mut **tx).await?;
        for row in &rows {
            let columns = Columns::of("keys", row);
            of_chunk.insert((columns.bytes("uid")?, columns.integer("project")?), columns.integer("id")?);
        }
        for (key, _) in chunk {
            let number = of_chunk.get(&(key.uid.as_slice(), key.project));
            numbers.push(*number.ok_or(StoreError::Contradiction { table: "keys", column: "uid" })?);
        }
    }
    Ok(numbers)
}

impl Meter {
    /// The last minute in which somebody presented this key, whatever came of it; none where nobody did for as long as
    /// usage is kept. It folds all that is pending.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_used(&self, key: &KeyUid) -> Result<Option<i64>, StoreError> {
        Ok(self.last_used_of(std::slice::from_ref(key)).await?.into_values().next())
    }

    /// The same of many keys at once. Keys that nobody presented are not in the answer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_used_of(&self, keys: &[KeyUid]) -> Result<HashMap<KeyUid, i64>, StoreError> {
        self.fold(i64::MAX).await?;
        let mut minutes = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(AT_ONCE) {
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT uid, max(minute) AS minute FROM keys WHERE uid IN (");
            let mut list = sql.separated(", ");
            chunk.iter().for_each(|key| {
                list.push_bind(key.as_bytes().to_vec());
            });
            for row in &sql.push(") GROUP BY uid").build().persistent(is_full(chunk)).fetch_all(self.readers()).await? {
                let columns = Columns::of("keys", row);
                let key = columns.key("uid")?.ok_or_else(|| columns.contradiction("uid"))?;
                minutes.insert(key, columns.integer("minute")?);
            }
        }
        Ok(minutes)
    }
}
