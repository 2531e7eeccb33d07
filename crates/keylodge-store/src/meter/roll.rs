//! Old minutes become hours, and old hours go.
//!
//! Two marks say how far that is. Below `rounded_to` usage is written by the hour, also what comes late; it is set first.
//! Then the rows below it move, some minutes at a time, so that nobody waits long for the write lock and totals are true
//! at any moment. When all have moved, `rolled_to` follows; until then the next roll goes on from there.
//!
//! Both follow the clock back as well as ahead: where it once showed a time that was far ahead, marks that stayed there
//! would keep everything since by the hour, and roll nothing up, until that time comes.

use keylodge_rules::Timestamp;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::Meter;
use super::dictionary::{Dictionary, HOURS_BACK};
use super::fold::{add_to_usage, insert_usage};
use super::row::{Columns, count_columns};
use crate::StoreError;

/// How many minutes move in one transaction.
const MINUTES_AT_ONCE: i64 = 10;

pub(super) const MINUTES_OF_DAY: i64 = 24 * 60;
const MICROS_OF_MINUTE: i64 = 60 * 1_000_000;

/// What came of rolling up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rolled {
    /// How many rows of minutes became part of hours.
    pub minute_rows: u64,
    /// How many rows of usage were too old to keep.
    pub forgotten_rows: u64,
}

/// The first minute of the hour so many days ago.
fn hour_ago(now: Timestamp, days: u32) -> i64 {
    let minute = now.micros().div_euclid(MICROS_OF_MINUTE) - i64::from(days) * MINUTES_OF_DAY;
    minute - minute.rem_euclid(60)
}

/// A mark, as a minute.
pub(super) async fn mark(tx: &mut Transaction<'static, Sqlite>, name: &'static str) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT minute FROM marks WHERE name = ?").bind(name).fetch_one(&mut **tx).await?;
    Columns::of("marks", &row).integer("minute")
}

/// Minutes before `end` are to become hours; those from there on are not, also where a mark said so.
async fn begin_at(tx: &mut Transaction<'static, Sqlite>, end: i64) -> Result<(), StoreError> {
    let update = "UPDATE marks SET minute = CASE name WHEN 'rounded_to' THEN ?1 ELSE min(minute, ?1) END";
    sqlx::query(update).bind(end).execute(&mut **tx).await?;
    Ok(())
}

impl Meter {
    /// From this minute on usage is known by the minute, whenever [`Meter::roll`] was last called.
    #[must_use]
    pub fn minutes_since(&self, now: Timestamp) -> i64 {
        hour_ago(now, self.options().minutes_days)
    }

    /// Makes hours of minutes that are old enough, forgets hours that are too old, and the texts and keys that stood in
    /// them alone. Totals over whole hours (UTC) stay what they are. It folds all that is pending, and is meant to be
    /// called once an hour; if it was not for long, or died in the middle, the next call makes up for it.
    ///
    /// A clock that shows a time far ahead makes hours of what is not old, which the next call ends, and forgets it, which
    /// nothing brings back; it is the caller's to mistrust it.
    ///
    /// # Errors
    /// When the database does not answer. Then part of it may be done, and the next call goes on.
    pub async fn roll(&self, now: Timestamp) -> Result<Rolled, StoreError> {
        self.fold(i64::MAX).await?;
        let minute_rows = self.make_hours(self.minutes_since(now)).await?;
        let forgotten_rows = self.forget(hour_ago(now, self.options().hours_days)).await?;
        Ok(Rolled { minute_rows, forgotten_rows })
    }

    async fn make_hours(&self, end: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        begin_at(&mut tx, end).await?;
        let mut next = mark(&mut tx, "rolled_to").await?;
        tx.commit().await?;
        let mut moved = 0;
        loop {
            let mut tx = self.begin().await?;
            let row = sqlx::query(
                "SELECT min(minute) AS minute FROM usage WHERE minute >= ? AND minute < ? AND minute % 60 <> 0",
            );
            let row = row.bind(next).bind(end).fetch_one(&mut *tx).await?;
            let Some(first) = Columns::of("usage", &row).optional("minute")? else {
                sqlx::query("UPDATE marks SET minute = ? WHERE name = 'rolled_to'").bind(end).execute(&mut *tx).await?;
                tx.commit().await?;
                return Ok(moved);
            };
            // Not beyond the hour, or two hours would become one row each in a statement that should make one.
            next = (first + MINUTES_AT_ONCE).min(first - first % 60 + 60);
            moved += move_minutes(&mut tx, first, next).await?;
            tx.commit().await?;
        }
    }

    async fn forget(&self, end: i64) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            // One hour at a time, so that nobody waits long for the write lock.
            let delete =
                sqlx::query("DELETE FROM usage WHERE minute < ?1 AND minute < (SELECT min(minute) FROM usage) + 60");
            let deleted = delete.bind(end).execute(&self.0.file.writer).await?.rows_affected();
            forgotten += deleted;
            if deleted == 0 {
                break;
            }
        }
        let hour = end.div_euclid(60);
        let mut tx = self.begin().await?;
        for (sql, before) in [
            ("DELETE FROM shapes WHERE hour < ?", hour),
            ("DELETE FROM shape_hours WHERE hour < ?", hour),
            ("DELETE FROM pending WHERE damaged AND last_minute < ?", end),
            ("DELETE FROM keys WHERE minute < ?", end),
            ("DELETE FROM words WHERE hour < ?", hour - HOURS_BACK),
        ] {
            sqlx::query(sql).bind(before).execute(&mut *tx).await?;
        }
        forget_callers(&mut tx).await?;
        tx.commit().await?;
        Ok(forgotten)
    }
}

/// Forgets the texts of callers that stood in shapes alone that are gone.
pub(super) async fn forget_callers(tx: &mut Transaction<'static, Sqlite>) -> Result<(), StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("DELETE FROM ");
    sql.push(Dictionary::CallerWords.table());
    sql.push(" WHERE hour < coalesce((SELECT min(hour) FROM shape_hours), 0) - ").push_bind(HOURS_BACK);
    sql.build().execute(&mut **tx).await?;
    Ok(())
}

/// Adds the minutes from `first` on and before `end`, none of which begins an hour, to their hour.
async fn move_minutes(tx: &mut Transaction<'static, Sqlite>, first: i64, end: i64) -> Result<u64, StoreError> {
    let sums = count_columns().map(|count| format!("sum({count})")).collect::<Vec<_>>().join(", ");
    let mut sql = QueryBuilder::<Sqlite>::new(insert_usage());
    sql.push("SELECT minute - minute % 60, project, key, service, method, model, outcome, shadow, upstream, ");
    sql.push(sums).push(" FROM usage WHERE minute >= ").push_bind(first).push(" AND minute < ").push_bind(end);
    sql.push(" GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9").push(add_to_usage());
    sql.build().execute(&mut **tx).await?;
    let delete = sqlx::query("DELETE FROM usage WHERE minute >= ? AND minute < ?").bind(first).bind(end);
    Ok(delete.execute(&mut **tx).await?.rows_affected())
}
