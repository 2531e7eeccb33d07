//! Columns as types. A column that cannot be read is a contradiction with a name, never a default.

use std::net::IpAddr;
use std::sync::Arc;

use keylodge_rules::{KeyUid, ProjectNumber};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{COUNT_MAX, Counts, Latency, blob};
use crate::StoreError;

/// A row of a table.
pub(super) struct Columns<'row> {
    table: &'static str,
    row: &'row SqliteRow,
}

impl<'row> Columns<'row> {
    pub(super) fn of(table: &'static str, row: &'row SqliteRow) -> Self {
        Self { table, row }
    }

    pub(super) fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.row.try_get(column).map_err(|_| self.contradiction(column))
    }

    pub(super) fn integers<const N: usize>(&self, columns: [&'static str; N]) -> Result<[i64; N], StoreError> {
        let mut integers = [0; N];
        for (integer, column) in integers.iter_mut().zip(columns) {
            *integer = self.integer(column)?;
        }
        Ok(integers)
    }

    pub(super) fn optional(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.row.try_get(column).map_err(|_| self.contradiction(column))
    }

    pub(super) fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.integer(column)?).map_err(|_| self.contradiction(column))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<&'row str, StoreError> {
        self.row.try_get(column).map_err(|_| self.contradiction(column))
    }

    pub(super) fn shared_text(&self, column: &'static str) -> Result<Arc<str>, StoreError> {
        self.text(column).map(Arc::from)
    }

    pub(super) fn bytes(&self, column: &'static str) -> Result<&'row [u8], StoreError> {
        self.row.try_get(column).map_err(|_| self.contradiction(column))
    }

    /// A key, unless the column is null.
    pub(super) fn key(&self, column: &'static str) -> Result<Option<KeyUid>, StoreError> {
        let bytes: Option<&[u8]> = self.row.try_get(column).map_err(|_| self.contradiction(column))?;
        let uid = |bytes: &[u8]| bytes.try_into().map(KeyUid::from_bytes).map_err(|_| self.contradiction(column));
        bytes.map(uid).transpose()
    }

    /// The key of this number, whose uid was looked up beside it.
    pub(super) fn key_of(&self, number: &'static str, uid: &'static str) -> Result<Option<KeyUid>, StoreError> {
        match (self.integer(number)?, self.key(uid)?) {
            (0, _) => Ok(None),
            (_, Some(key)) => Ok(Some(key)),
            (_, None) => Err(self.contradiction(number)),
        }
    }

    /// The text of this number, which was looked up beside it.
    pub(super) fn word(&self, number: &'static str, text: &'static str) -> Result<Arc<str>, StoreError> {
        match self.integer(number)? {
            0 => Ok(Arc::default()),
            _ => self.shared_text(text).map_err(|_| self.contradiction(number)),
        }
    }

    /// A project, unless the column is null or 0.
    pub(super) fn project(&self, column: &'static str) -> Result<Option<ProjectNumber>, StoreError> {
        let number = self.optional(column)?.filter(|number| *number != 0);
        let parse = |number: i64| ProjectNumber::parse(&number.to_string()).map_err(|_| self.contradiction(column));
        number.map(parse).transpose()
    }

    pub(super) fn address(&self, column: &'static str) -> Result<Option<IpAddr>, StoreError> {
        match self.bytes(column)? {
            [] => Ok(None),
            bytes => blob::address(bytes).map(Some).ok_or_else(|| self.contradiction(column)),
        }
    }

    pub(super) fn counts(&self) -> Result<Counts, StoreError> {
        let mut latency = Latency { total_micros: self.count("micros")?, ..Latency::default() };
        for (calls, column) in latency.buckets.iter_mut().zip(BUCKET_COLUMNS) {
            *calls = self.count(column)?;
        }
        Ok(Counts {
            calls: self.count("calls")?,
            input_tokens: self.count("input_tokens")?,
            output_tokens: self.count("output_tokens")?,
            cached_tokens: self.count("cached_tokens")?,
            cost_nanos: self.count("cost_nanos")?,
            latency,
        })
    }

    pub(super) fn contradiction(&self, column: &'static str) -> StoreError {
        StoreError::Contradiction { table: self.table, column }
    }
}

const BUCKET_COLUMNS: [&str; Latency::BUCKETS] =
    ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11", "h12", "h13", "h14", "h15"];

/// The columns of what is counted, in the order in which [`counts`] gives their values.
pub(super) fn count_columns() -> impl Iterator<Item = &'static str> {
    ["calls", "input_tokens", "output_tokens", "cached_tokens", "cost_nanos", "micros"]
        .into_iter()
        .chain(BUCKET_COLUMNS)
}

/// What is counted, as it is kept.
pub(super) fn counts(counts: &Counts) -> impl Iterator<Item = i64> {
    let Counts { calls, input_tokens, output_tokens, cached_tokens, cost_nanos, latency } = *counts;
    let numbers = [calls, input_tokens, output_tokens, cached_tokens, cost_nanos, latency.total_micros];
    numbers.into_iter().chain(latency.buckets).map(|count| signed(count.min(COUNT_MAX)))
}

/// A number as SQLite keeps it; what is beyond the limit of a signed 64-bit number stays at it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A project as it is kept where 0 stands for none.
pub(super) fn project_number(project: Option<ProjectNumber>) -> i64 {
    project.map_or(0, |number| signed(number.get()))
}

/// An address as it is kept; none has no bytes.
pub(super) fn address_bytes(address: Option<IpAddr>) -> Vec<u8> {
    match address {
        None => Vec::new(),
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().to_vec(),
    }
}
