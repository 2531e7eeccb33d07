//! From `pending` to the tables: sums are written in the transaction that deletes the blobs that they are made of.
//!
//! What this process appended is added up already ([`Recent`](super::recent::Recent)). Other blobs, those from before a
//! crash for one, are read and added up first.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::blob::{self, clamped};
use super::dictionary::{AT_ONCE, Dictionary, Numbers, is_full};
use super::merge::{ShapeKey, Sums, UsageKey, place};
use super::recent::Minute;
use super::row::{Columns, count_columns, counts};
use super::{COUNT_MAX, CallRow, Counts, Meter, bound, keys, roll, shapes};
use crate::{StoreError, file};

/// How many rows a blob has at most, so that writing and reading one takes little memory and a short
/// time: where there is one thread, calls wait for it.
const ROWS_PER_BLOB_MAX: usize = 2_000;

/// How much is read and added up before it is written, so that neither memory nor a transaction grows with what is
/// pending: rows in the sums, and blobs.
const SUMS_AT_ONCE: usize = 40_000;
const BLOBS_AT_ONCE: usize = 500;

/// What came of folding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many blobs are in the tables now that were pending.
    pub blobs: u64,
    /// How many rows they had.
    pub rows: u64,
    /// Those that could not be read, and were set aside just now.
    pub damaged: Vec<Damaged>,
}

/// A row that cannot be read. It was set aside and stays where it is, for somebody to look at; all others are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// In which table.
    pub table: &'static str,
    /// Its id.
    pub row: i64,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "row {} of table {} of the meter is damaged and was set aside; the calls in it are not counted",
            self.row, self.table
        )
    }
}

impl std::error::Error for Damaged {}

/// A blob with the calls that are in it, all of one minute.
pub(super) struct NewBlob<'calls> {
    pub(super) minute: i64,
    pub(super) calls: Vec<&'calls CallRow>,
    bytes: Vec<u8>,
}

/// Calls as they will be pending. Others have their turn between two blobs.
pub(super) async fn blobs(calls: &[CallRow]) -> Vec<NewBlob<'_>> {
    let mut calls: Vec<&CallRow> = calls.iter().collect();
    let minute = |call: &&CallRow| clamped(call.minute);
    calls.sort_by_key(minute);
    let mut blobs = Vec::with_capacity(calls.len().div_ceil(ROWS_PER_BLOB_MAX) + 1);
    for of_minute in calls.chunk_by(|one, other| minute(one) == minute(other)) {
        for calls in of_minute.chunks(ROWS_PER_BLOB_MAX) {
            blobs.push(NewBlob { minute: minute(&calls[0]), calls: calls.to_vec(), bytes: blob::encode(calls) });
            tokio::task::yield_now().await;
        }
    }
    blobs
}

/// Makes blobs pending, and gives their ids.
pub(super) async fn put(
    tx: &mut Transaction<'static, Sqlite>,
    blobs: &mut [NewBlob<'_>],
) -> Result<Vec<i64>, StoreError> {
    let mut ids = Vec::with_capacity(blobs.len());
    for blob in blobs {
        let insert = sqlx::query("INSERT INTO pending (first_minute, last_minute, calls) VALUES (?, ?, ?)");
        let insert = insert.bind(blob.minute).bind(blob.minute).bind(std::mem::take(&mut blob.bytes));
        ids.push(insert.execute(&mut **tx).await?.last_insert_rowid());
    }
    Ok(ids)
}

impl Meter {
    /// Puts what is pending from before this minute into the tables. Doing so twice, or at the same time, is the same as
    /// once. A blob that also has later minutes is folded with them.
    ///
    /// What this process appended is added up already, and only written; what else is pending is read first, while others
    /// write (some 40,000 sums at a time). The write lock is held to write the sums: appends wait for about 0.2 seconds
    /// where 10,000 keys were used in a minute, and less where fewer were. Between two waits it computes for some
    /// milliseconds.
    ///
    /// # Errors
    /// When the database does not answer. Then what is not in the tables is still pending.
    pub async fn fold(&self, before_minute: i64) -> Result<Folded, StoreError> {
        self.fold_between(i64::MIN, before_minute).await
    }

    /// Folds all blobs that have anything to do with the minutes from `from` on and before `to`.
    pub(super) async fn fold_between(&self, from: i64, to: i64) -> Result<Folded, StoreError> {
        let mut folded = Folded::default();
        // Appends wait meanwhile, as they would for the write lock.
        let mut recent = self.0.recent.lock().await;
        while let Some(Minute { mut sums, blobs }) = recent.take(from, to) {
            let rows = sums.rows;
            // Where this fails, or some of the blobs are gone, those that are still pending are read next time, or below.
            if self.write_sums(&mut sums, &blobs).await? {
                folded.blobs += blobs.len() as u64;
                folded.rows += rows;
            }
            recent.give_back(sums);
        }
        let below = recent.known_below;
        drop(recent);
        loop {
            let mut sums = Sums::default();
            let blobs = self.add_up(from, to, below, &mut sums, &mut folded.damaged).await?;
            if blobs.is_empty() {
                return Ok(folded);
            }
            let (count, rows) = (blobs.len() as u64, sums.rows);
            // Where another fold was faster, there is nothing to write but perhaps more to read.
            if self.write_sums(&mut sums, &blobs).await? {
                folded.blobs += count;
                folded.rows += rows;
            }
        }
    }

    /// The blobs that could not be read, also those that somebody's question met first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn damaged(&self) -> Result<Vec<Damaged>, StoreError> {
        let rows = sqlx::query("SELECT id FROM pending WHERE damaged ORDER BY id").fetch_all(self.readers()).await?;
        let damaged = |row| Ok(Damaged { table: "pending", row: Columns::of("pending", row).integer("id")? });
        rows.iter().map(damaged).collect()
    }

    /// Adds up as many of the blobs below this one as one write takes. Gives which they were.
    async fn add_up(
        &self,
        from: i64,
        to: i64,
        below: i64,
        sums: &mut Sums,
        damaged: &mut Vec<Damaged>,
    ) -> Result<Vec<i64>, StoreError> {
        let (mut blobs, mut last) = (Vec::new(), 0);
        while sums.size() < SUMS_AT_ONCE && blobs.len() < BLOBS_AT_ONCE {
            let row = sqlx::query(
                "SELECT id, calls FROM pending
                 WHERE id > ? AND id < ? AND last_minute >= ? AND first_minute < ? AND NOT damaged ORDER BY id LIMIT 1",
            );
            let row = row.bind(last).bind(below).bind(from).bind(to).fetch_optional(self.readers()).await?;
            let Some(row) = row else { break };
            let columns = Columns::of("pending", &row);
            last = columns.integer("id")?;
            if let Some(blob) = blob::decode(columns.bytes("calls")?) {
                sums.add_blob(&blob);
                blobs.push(last);
                continue;
            }
            let set_aside = sqlx::query("UPDATE pending SET damaged = 1 WHERE id = ? AND NOT damaged").bind(last);
            if set_aside.execute(&self.0.file.writer).await?.rows_affected() > 0 {
                damaged.push(Damaged { table: "pending", row: last });
            }
        }
        Ok(blobs)
    }

    /// Writes sums and deletes the blobs that they are made of, unless some of those are gone: then another fold has
    /// counted them. The sums are of no use afterwards, whatever came of it.
    async fn write_sums(&self, sums: &mut Sums, blobs: &[i64]) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        for chunk in blobs.chunks(AT_ONCE) {
            let mut sql = QueryBuilder::<Sqlite>::new("DELETE FROM pending WHERE id IN (");
            let mut list = sql.separated(", ");
            chunk.iter().for_each(|id| {
                list.push_bind(*id);
            });
            let deleted = sql.push(")").build().persistent(is_full(chunk)).execute(&mut *tx).await?.rows_affected();
            if deleted != chunk.len() as u64 {
                return Ok(false);
            }
        }
        let options = self.options();
        let hour = sums.last_minute / 60;
        let keys = keys::put(&mut tx, sums.keys.rows()).await?;
        let key = |number: i64| if number < 0 { keys[place(number)] } else { number };
        let (usage, shapes) = (sums.usage.rows_mut(), sums.shapes.rows_mut());
        let wanted = words_of(usage, shapes);
        let mut words = Numbers::find(&mut tx, Dictionary::Words, &sums.texts, &wanted, hour).await?;
        let wanted = caller_words_of(shapes);
        let mut caller_words = Numbers::find(&mut tx, Dictionary::CallerWords, &sums.texts, &wanted, hour).await?;

        // Which rows are kept is decided with the numbers that are known; only what is kept gets new ones.
        let rounded_to = roll::mark(&mut tx, "rounded_to").await?;
        for (row, _) in &mut *usage {
            if row.minute < rounded_to {
                row.minute -= row.minute % 60;
            }
            row.key = key(row.key);
            words.settle(&mut row.words);
        }
        for (shape, _) in &mut *shapes {
            shape.key = key(shape.key);
            words.settle(&mut shape.words);
            caller_words.settle(&mut shape.caller);
        }
        bound::usage(&mut tx, usage, options.usage_rows_per_minute_max as usize).await?;
        let left_out = bound::shapes(&mut tx, shapes, options.shapes_max.div_ceil(4) as usize).await?;

        words.add(&mut tx, &words_of(usage, shapes), hour).await?;
        caller_words.add(&mut tx, &caller_words_of(shapes), hour).await?;
        for (row, _) in &mut *usage {
            words.settle(&mut row.words);
        }
        for (shape, _) in &mut *shapes {
            words.settle(&mut shape.words);
            caller_words.settle(&mut shape.caller);
        }
        // In the order of the tables, so that rows that lie on one page are written together.
        usage.sort_unstable_by_key(|(row, _)| *row);
        shapes.sort_unstable_by_key(|(shape, _)| *shape);
        put_usage(&mut tx, usage).await?;
        shapes::put(&mut tx, shapes, &left_out, options.shapes_max).await?;
        tx.commit().await?;
        file::give_back(&self.0.file.writer).await;
        Ok(true)
    }
}

fn words_of<C, S>(usage: &[(UsageKey, C)], shapes: &[(ShapeKey, S)]) -> BTreeSet<i64> {
    let of_usage = usage.iter().flat_map(|(row, _)| row.words);
    of_usage.chain(shapes.iter().flat_map(|(shape, _)| shape.words)).collect()
}

fn caller_words_of<S>(shapes: &[(ShapeKey, S)]) -> BTreeSet<i64> {
    shapes.iter().flat_map(|(shape, _)| shape.caller).collect()
}

async fn put_usage(tx: &mut Transaction<'static, Sqlite>, rows: &[(UsageKey, Counts)]) -> Result<(), StoreError> {
    for chunk in rows.chunks(AT_ONCE) {
        let mut sql = QueryBuilder::<Sqlite>::new(insert_usage());
        sql.push_values(chunk, |mut tuple, (row, taken)| {
            let UsageKey { minute, project, key, words } = *row;
            for number in [minute, project, key].into_iter().chain(words).chain(counts(taken)) {
                tuple.push_bind(number);
            }
        });
        sql.push(add_to_usage()).build().persistent(is_full(chunk)).execute(&mut **tx).await?;
    }
    Ok(())
}

/// The beginning of a statement that adds to usage; rows follow, and then [`add_to_usage`].
pub(super) fn insert_usage() -> String {
    let counts: Vec<&str> = count_columns().collect();
    let counts = counts.join(", ");
    format!("INSERT INTO usage (minute, project, key, service, method, model, outcome, shadow, upstream, {counts}) ")
}

/// The end of it: what is there already is added to. A sum beyond what a column can hold stays at the most that it should
/// (SQLite makes such a sum a fraction, which the smaller of the two is not).
pub(super) fn add_to_usage() -> String {
    let add = count_columns().map(|count| format!("{count} = min({count} + excluded.{count}, {COUNT_MAX})"));
    format!(" ON CONFLICT DO UPDATE SET {}", add.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_says_where() {
        let damaged = Damaged { table: "pending", row: 17 };
        let said = "row 17 of table pending of the meter is damaged and was set aside; the calls in it are not counted";
        assert_eq!(damaged.to_string(), said);
    }

    #[tokio::test]
    async fn calls_are_blobs_of_one_minute_each_and_many_are_several() {
        let later = |at: i64| CallRow { minute: 7 + at % 2, ..CallRow::default() };
        let calls: Vec<CallRow> = (0..4_001).map(later).collect();
        let blobs = blobs(&calls).await;
        let told: Vec<(i64, usize)> = blobs.iter().map(|blob| (blob.minute, blob.calls.len())).collect();
        assert_eq!(told, [(7, 2_000), (7, 1), (8, 2_000)]);
        assert!(super::blobs(&[]).await.is_empty());
    }
}
