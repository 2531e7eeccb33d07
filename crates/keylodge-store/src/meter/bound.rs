//! What keeps the tables small whatever callers make up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use futures_core::Stream;
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use super::Counts;
use super::merge::{Seen, ShapeKey, UsageKey};
use super::row::Columns;
use crate::StoreError;

/// What rows of usage lose when a minute has too many of them.
#[derive(Clone, Copy)]
enum Lost {
    Key,
    /// Model, method and upstream: whatever a caller without a key could make up.
    Model,
}

impl Lost {
    fn concerns(self, row: &UsageKey) -> bool {
        let [_, method, model, _, _, upstream] = row.words;
        match self {
            Self::Key => row.key != 0,
            Self::Model => row.key == 0 && (method, model, upstream) != (0, 0, 0),
        }
    }

    fn without(self, mut row: UsageKey) -> UsageKey {
        match self {
            Self::Key => row.key = 0,
            Self::Model => {
                let [service, _, _, outcome, shadow, _] = row.words;
                row.words = [service, 0, 0, outcome, shadow, 0];
            }
        }
        row
    }

    const fn count_sql(self) -> &'static str {
        match self {
            Self::Key => "SELECT count(*) AS stored FROM usage WHERE minute = ? AND key <> 0",
            Self::Model => {
                "SELECT count(*) AS stored FROM usage
                 WHERE minute = ? AND key = 0 AND (method <> 0 OR model <> 0 OR upstream <> 0)"
            }
        }
    }
}

/// Leaves out of rows what would make more than `max` of them in a minute, together with those stored already: first keys,
/// then models. The rows with the most calls keep theirs. No count is lost. The rows are in order then, and each is there
/// once.
pub(super) async fn usage(
    tx: &mut Transaction<'static, Sqlite>,
    rows: &mut Vec<(UsageKey, Counts)>,
    max: usize,
) -> Result<(), StoreError> {
    merge_alike(rows);
    let minutes: BTreeSet<i64> = rows.iter().map(|(row, _)| row.minute).collect();
    for minute in minutes {
        for lost in [Lost::Key, Lost::Model] {
            let concerned = |row: &UsageKey| row.minute == minute && lost.concerns(row);
            let stored = sqlx::query(lost.count_sql()).bind(minute).fetch_one(&mut **tx).await?;
            let stored = Columns::of("usage", &stored).count("stored")? as usize;
            if stored + rows.iter().filter(|(row, _)| concerned(row)).count() <= max {
                continue;
            }
            // Named, because there are many rows and most columns are not needed.
            let stored_rows = sqlx::query(
                "SELECT minute, project, key, service, method, model, outcome, shadow, upstream
                 FROM usage WHERE minute = ?",
            );
            let known = read(stored_rows.bind(minute).fetch(&mut **tx), usage_key).await?;
            let new = rows.iter().filter(|(row, _)| concerned(row) && !known.contains(row));
            let new = new.map(|(row, counts)| (*row, counts.calls)).collect();
            let losers = beyond(new, max.saturating_sub(stored));
            for (row, _) in &mut *rows {
                if losers.contains(row) {
                    *row = lost.without(*row);
                }
            }
            merge_alike(rows);
        }
    }
    Ok(())
}

/// Puts rows in order, and those together that are the same.
fn merge_alike(rows: &mut Vec<(UsageKey, Counts)>) {
    rows.sort_unstable_by_key(|(row, _)| *row);
    rows.dedup_by(|(row, counts), (before, sum)| {
        let same = row == before;
        if same {
            sum.merge(counts);
        }
        same
    });
}

/// Removes what would make more than `max` shapes in an hour, together with those stored already, and gives how many calls
/// of each hour that were. The shapes with the most calls stay.
pub(super) async fn shapes(
    tx: &mut Transaction<'static, Sqlite>,
    shapes: &mut Vec<(ShapeKey, Seen)>,
    max: usize,
) -> Result<BTreeMap<i64, u64>, StoreError> {
    let mut left_out: BTreeMap<i64, u64> = shapes.iter().map(|(shape, _)| (shape.hour, 0)).collect();
    for (hour, left_out) in &mut left_out {
        let stored = sqlx::query("SELECT count(*) AS stored FROM shapes WHERE hour = ?").bind(*hour);
        let stored = Columns::of("shapes", &stored.fetch_one(&mut **tx).await?).count("stored")? as usize;
        let of_hour = || shapes.iter().filter(|(shape, _)| shape.hour == *hour);
        if stored + of_hour().count() <= max {
            continue;
        }
        let rows = sqlx::query("SELECT * FROM shapes WHERE hour = ?").bind(*hour).fetch(&mut **tx);
        let known = read(rows, shape_key).await?;
        let new = of_hour().filter(|(shape, _)| !known.contains(shape));
        let new = new.map(|(shape, seen)| (*shape, seen.calls)).collect();
        let losers = beyond(new, max.saturating_sub(stored));
        shapes.retain(|(shape, seen)| {
            let stays = !losers.contains(shape);
            if !stays {
                *left_out = left_out.saturating_add(seen.calls);
            }
            stays
        });
    }
    Ok(left_out)
}

/// What rows are about. They are read one after the other: all of a minute at once would take twenty times the memory.
async fn read<K: Ord>(
    mut rows: impl Stream<Item = Result<SqliteRow, sqlx::Error>> + Unpin,
    key: fn(&SqliteRow) -> Result<K, StoreError>,
) -> Result<BTreeSet<K>, StoreError> {
    let mut known = BTreeSet::new();
    while let Some(row) = rows.try_next().await? {
        known.insert(key(&row)?);
    }
    Ok(known)
}

/// Those for which there is no room: the ones with the fewest calls.
fn beyond<Row: Copy + Ord>(mut rows: Vec<(Row, u64)>, room: usize) -> BTreeSet<Row> {
    rows.sort_unstable_by_key(|(row, calls)| (Reverse(*calls), *row));
    rows.into_iter().skip(room).map(|(row, _)| row).collect()
}

fn usage_key(row: &SqliteRow) -> Result<UsageKey, StoreError> {
    let columns = Columns::of("usage", row);
    Ok(UsageKey {
        minute: columns.integer("minute")?,
        project: columns.integer("project")?,
        key: columns.integer("key")?,
        words: columns.integers(["service", "method", "model", "outcome", "shadow", "upstream"])?,
    })
}

fn shape_key(row: &SqliteRow) -> Result<ShapeKey, StoreError> {
    let columns = Columns::of("shapes", row);
    Ok(ShapeKey {
        hour: columns.integer("hour")?,
        project: columns.integer("project")?,
        key: columns.integer("key")?,
        generation: columns.integer("generation")?,
        words: columns.integers(["service", "method", "model", "outcome", "shadow"])?,
        address: columns.address("address")?,
        caller: columns.integers(["referrer", "android_package", "android_cert", "ios_bundle", "client"])?,
    })
}
