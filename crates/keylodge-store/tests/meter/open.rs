//! Opening the file, and what stands beside it.

use std::error::Error as _;

use keylodge_store::OpenFileError;
use keylodge_store::meter::{Batch, ShapeQuery};
use keylodge_store::{MasterKey, Store, StoreOptions};

use crate::support::{Kept, NOON, at, call, ever, key};

#[tokio::test]
async fn a_file_that_a_newer_keylodge_wrote_is_refused_and_left_as_it_is() {
    let kept = Kept::empty().await;
    kept.append(vec![call(1)]).await;
    let newer = "INSERT INTO _sqlx_migrations SELECT 2, 'later', installed_on, success, checksum, execution_time
                 FROM _sqlx_migrations";
    sqlx::query(newer).execute(&kept.behind_its_back().await).await.unwrap();

    let refused = kept.opened_again().await.unwrap_err();

    assert!(matches!(refused, OpenFileError::Newer { schema: 2 }), "{refused:?}");
    let said = "a newer Keylodge wrote this file: its schema has step 2, which this one does not know";
    assert_eq!(refused.to_string(), said);
    assert_eq!(kept.rows("pending").await, 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_with_a_cause() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meter.db");
    std::fs::write(&file, "Not a database, but long enough to look like one. ".repeat(100)).unwrap();

    let refused = keylodge_store::Meter::open(&file, keylodge_store::MeterOptions::default()).await.unwrap_err();

    assert!(matches!(refused, OpenFileError::Store(_)), "{refused:?}");
    assert!(refused.source().is_some());
}

#[tokio::test]
async fn neither_database_waits_for_the_other() {
    let kept = Kept::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keylodge.db");
    let options = StoreOptions { node: "node-1".into(), keys_per_project_max: 300 };
    let store = Store::open(&file, &MasterKey::new([1; 32]), options).await.unwrap();

    // Somebody holds the control plane's database for writing; calls are metered.
    let control = sqlx::SqlitePool::connect(file.to_str().unwrap()).await.unwrap();
    let held = control.begin_with("BEGIN IMMEDIATE").await.unwrap();
    kept.append(vec![call(1)]).await;
    kept.meter.fold(i64::MAX).await.unwrap();
    assert_eq!(kept.calls().await, 1);
    held.rollback().await.unwrap();

    // Somebody holds the meter; the control plane goes on.
    let meter = kept.behind_its_back().await;
    let held = meter.begin_with("BEGIN IMMEDIATE").await.unwrap();
    store.note_uses(&[]).await.unwrap();
    store.ping().await.unwrap();
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn an_empty_batch_writes_nothing() {
    let kept = Kept::empty().await;
    let meter = kept.behind_its_back().await;
    let held = meter.begin_with("BEGIN IMMEDIATE").await.unwrap();

    kept.meter.append(&Batch::default()).await.unwrap();

    held.rollback().await.unwrap();
    assert_eq!(kept.rows("pending").await, 0);
}

#[tokio::test]
async fn every_step_can_run_in_a_task_of_its_own() {
    let kept = Kept::empty().await;
    let meter = kept.meter.clone();
    let task = tokio::spawn(async move {
        let batch = Batch { calls: vec![call(1)], ..Batch::default() };
        meter.append(&batch).await.unwrap();
        meter.fold(i64::MAX).await.unwrap();
        meter.roll(at(NOON)).await.unwrap();
        meter.last_used(&key(1)).await.unwrap();
        meter.shapes(&ShapeQuery::default()).await.unwrap();
        meter.totals(&ever()).await.unwrap().calls
    });

    assert_eq!(task.await.unwrap(), 1);
}
