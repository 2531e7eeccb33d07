//! A meter in a folder of its own, and calls to put into it.

use std::path::PathBuf;
use std::sync::Arc;

use keylodge_rules::{KeyUid, ProjectNumber, Timestamp};
use keylodge_store::OpenFileError;
use keylodge_store::meter::{
    Batch, CallKind, CallRow, Counts, DecisionRow, LedgerRow, Meter, MeterOptions, UsageFilter,
};
use sqlx::SqlitePool;

/// The minute in which most of the tests happen; an hour begins with it.
pub(crate) const NOON: i64 = 28_333_320;
pub(crate) const DAY: i64 = 24 * 60;

pub(crate) struct Kept {
    pub(crate) meter: Meter,
    options: MeterOptions,
    folder: tempfile::TempDir,
}

impl Kept {
    pub(crate) async fn empty() -> Self {
        Self::with(MeterOptions::default()).await
    }

    pub(crate) async fn with(options: MeterOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let meter = Meter::open(&folder.path().join("meter.db"), options.clone()).await.unwrap();
        Self { meter, options, folder }
    }

    /// The meter of a process that died without a word, opened by the next one.
    pub(crate) async fn after_a_crash(self) -> Self {
        let Self { meter, options, folder } = self;
        drop(meter);
        let meter = Meter::open(&folder.path().join("meter.db"), options.clone()).await.unwrap();
        Self { meter, options, folder }
    }

    /// The same file, opened with other options.
    pub(crate) async fn with_other(self, options: MeterOptions) -> Self {
        self.meter.close().await;
        Self { options, ..self }.after_a_crash().await
    }

    pub(crate) async fn opened_again(&self) -> Result<Meter, OpenFileError> {
        Meter::open(&self.file(), self.options.clone()).await
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("meter.db")
    }

    /// The database itself, for those who look or alter behind the meter's back.
    pub(crate) async fn behind_its_back(&self) -> SqlitePool {
        SqlitePool::connect(self.file().to_str().unwrap()).await.unwrap()
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(sql).fetch_one(&self.behind_its_back().await).await.unwrap()
    }

    pub(crate) async fn append(&self, calls: Vec<CallRow>) {
        self.meter.append(&Batch { calls, ..Batch::default() }).await.unwrap();
    }

    pub(crate) async fn grant(&self, ledger: Vec<LedgerRow>) {
        self.meter.append(&Batch { ledger, ..Batch::default() }).await.unwrap();
    }

    pub(crate) async fn decide(&self, decisions: Vec<DecisionRow>) {
        self.meter.append(&Batch { decisions, ..Batch::default() }).await.unwrap();
    }

    pub(crate) async fn total(&self, filter: &UsageFilter) -> Counts {
        self.meter.totals(filter).await.unwrap()
    }

    /// How many calls there are altogether.
    pub(crate) async fn calls(&self) -> u64 {
        self.total(&ever()).await.calls
    }
}

pub(crate) fn ever() -> UsageFilter {
    UsageFilter { to: i64::MAX, ..UsageFilter::default() }
}

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_micros(minute * 60_000_000)
}

pub(crate) fn key(which: u16) -> KeyUid {
    let mut random = [7; 16];
    random[..2].copy_from_slice(&which.to_le_bytes());
    KeyUid::from_random(random)
}

pub(crate) fn project(which: u8) -> ProjectNumber {
    ProjectNumber::from_random([which, 0, 0, 0, 0, 0, 0, 0])
}

/// One call with this key in the first project.
pub(crate) fn call(which: u16) -> CallRow {
    let mut counts = Counts {
        calls: 1,
        input_tokens: 10,
        output_tokens: 20,
        cached_tokens: 5,
        cost_nanos: 700,
        ..Counts::default()
    };
    counts.latency.add(3_000);
    let kind = CallKind {
        project: Some(project(1)),
        service: "generativelanguage.googleapis.com".into(),
        method: "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent".into(),
        model: "gemini-flash".into(),
        outcome: "ok".into(),
        upstream: "google".into(),
        ..CallKind::default()
    };
    CallRow { minute: NOON, key: Some(key(which)), generation: 1, kind: kind.into(), counts }
}

/// The same call, of a kind that differs.
pub(crate) fn of_kind(mut row: CallRow, change: impl FnOnce(&mut CallKind)) -> CallRow {
    change(Arc::make_mut(&mut row.kind));
    row
}

pub(crate) fn call_at(minute: i64) -> CallRow {
    CallRow { minute, ..call(1) }
}

/// A call of somebody who has no key, to a model of this name.
pub(crate) fn nameless(model: &str) -> CallRow {
    let call = CallRow { key: None, generation: 0, ..call(0) };
    of_kind(call, |kind| (kind.project, kind.model) = (None, model.into()))
}
