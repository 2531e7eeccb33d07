//! The numbers of texts, as tables keep them.
//!
//! First known texts are looked up, then it is decided which rows are kept at all, and only then the texts of those get
//! numbers: otherwise whoever makes up texts would fill a dictionary with what no row names.

use std::collections::{BTreeSet, HashMap};

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::merge::place;
use super::row::Columns;
use crate::StoreError;

/// How many texts or rows one statement takes.
pub(super) const AT_ONCE: usize = 32;

/// Whether a statement for these rows is one that comes again. Others differ in how many rows they take, and to keep each
/// of them prepared takes more memory than all that is metered.
pub(super) const fn is_full<T>(chunk: &[T]) -> bool {
    chunk.len() == AT_ONCE
}

/// How many hours the hour of a text may lie back before it is written anew.
pub(super) const HOURS_BACK: i64 = 24;

/// A table of texts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dictionary {
    Words,
    CallerWords,
}

impl Dictionary {
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::CallerWords => "caller_words",
        }
    }
}

/// The numbers of some texts in a dictionary.
#[derive(Debug)]
pub(super) struct Numbers<'texts> {
    dictionary: Dictionary,
    texts: &'texts [Box<str>],
    /// By place; 0 where there is none yet.
    numbers: Vec<i64>,
}

impl<'texts> Numbers<'texts> {
    /// Looks up those of `wanted`, provisional numbers of `texts`, that the dictionary has. They are used in this hour.
    pub(super) async fn find(
        tx: &mut Transaction<'static, Sqlite>,
        dictionary: Dictionary,
        texts: &'texts [Box<str>],
        wanted: &BTreeSet<i64>,
        hour: i64,
    ) -> Result<Self, StoreError> {
        let mut found = Self { dictionary, texts, numbers: vec![0; texts.len()] };
        let wanted: Vec<i64> = wanted.iter().copied().filter(|number| *number < 0).collect();
        let mut old = Vec::new();
        for chunk in wanted.chunks(AT_ONCE) {
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT id, text, hour FROM ");
            sql.push(dictionary.table()).push(" WHERE text IN (");
            found.push_texts(&mut sql, chunk);
            let rows = sql.push(")").build().persistent(is_full(chunk)).fetch_all(&mut **tx).await?;
            found.take(chunk, &rows)?;
            for row in &rows {
                let columns = Columns::of(dictionary.table(), row);
                if columns.integer("hour")? < hour - HOURS_BACK {
                    old.push(columns.integer("id")?);
                }
            }
        }
        for chunk in old.chunks(AT_ONCE) {
            let mut sql = QueryBuilder::<Sqlite>::new("UPDATE ");
            sql.push(dictionary.table()).push(" SET hour = ").push_bind(hour).push(" WHERE id IN (");
            let mut list = sql.separated(", ");
            chunk.iter().for_each(|id| {
                list.push_bind(*id);
            });
            sql.push(")").build().persistent(is_full(chunk)).execute(&mut **tx).await?;
        }
        Ok(found)
    }

    /// Takes those of `wanted` into the dictionary that still have no number.
    pub(super) async fn add(
        &mut self,
        tx: &mut Transaction<'static, Sqlite>,
        wanted: &BTreeSet<i64>,
        hour: i64,
    ) -> Result<(), StoreError> {
        let missing: Vec<i64> = wanted.iter().copied().filter(|number| *number < 0).collect();
        for chunk in missing.chunks(AT_ONCE) {
            let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO ");
            sql.push(self.dictionary.table()).push(" (text, hour) ");
            sql.push_values(chunk, |mut tuple, number| {
                tuple.push_bind(&*self.texts[place(*number)]).push_bind(hour);
            });
            let rows = sql.push(" RETURNING id, text").build().persistent(is_full(chunk)).fetch_all(&mut **tx).await?;
            self.take(chunk, &rows)?;
        }
        Ok(())
    }

    /// Puts the numbers of the dictionary in the place of provisional ones, where there are any.
    pub(super) fn settle(&self, numbers: &mut [i64]) {
        for number in numbers.iter_mut().filter(|number| **number < 0) {
            let known = self.numbers[place(*number)];
            if known > 0 {
                *number = known;
            }
        }
    }

    fn push_texts(&self, sql: &mut QueryBuilder<Sqlite>, numbers: &[i64]) {
        let mut list = sql.separated(", ");
        for number in numbers {
            list.push_bind(self.texts[place(*number)].to_string());
        }
    }

    fn take(&mut self, asked: &[i64], rows: &[SqliteRow]) -> Result<(), StoreError> {
        let places: HashMap<&str, usize> =
            asked.iter().map(|number| (&*self.texts[place(*number)], place(*number))).collect();
        for row in rows {
            let columns = Columns::of(self.dictionary.table(), row);
            let place = places.get(columns.text("text")?).ok_or_else(|| columns.contradiction("text"))?;
            self.numbers[*place] = columns.integer("id")?;
        }
        Ok(())
    }
}
