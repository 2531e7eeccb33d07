//! From pending to the tables, and what a crash does to it.

use keylodge_store::meter::{Batch, Damaged};

use crate::support::{Kept, NOON, call, call_at, ever, of_kind};

#[tokio::test]
async fn a_crash_between_append_and_fold_loses_nothing() {
    let kept = Kept::empty().await;
    kept.append(vec![call(1), call(2)]).await;
    kept.append(vec![call(1)]).await;

    let kept = kept.after_a_crash().await;

    assert_eq!(kept.rows("pending").await, 0, "what was pending is folded when the file is opened");
    assert_eq!(kept.calls().await, 3);
}

#[tokio::test]
async fn folding_twice_is_folding_once() {
    let kept = Kept::empty().await;
    kept.append(vec![call(1), call(2)]).await;

    let first = kept.meter.fold(i64::MAX).await.unwrap();
    let second = kept.meter.fold(i64::MAX).await.unwrap();

    assert_eq!((first.blobs, first.rows), (1, 2));
    assert_eq!((second.blobs, second.rows), (0, 0));
    assert_eq!(kept.calls().await, 2);
}

#[tokio::test]
async fn folds_at_the_same_time_count_every_call_once() {
    let kept = Kept::empty().await;
    for _ in 0..20 {
        kept.append((0..50).map(call).collect()).await;
    }

    let (one, two, three) =
        tokio::join!(kept.meter.fold(i64::MAX), kept.meter.fold(i64::MAX), kept.meter.fold(i64::MAX));

    assert_eq!(one.unwrap().rows + two.unwrap().rows + three.unwrap().rows, 1000);
    assert_eq!(kept.calls().await, 1000);
}

#[tokio::test]
async fn only_minutes_before_the_given_one_are_folded() {
    let kept = Kept::empty().await;
    kept.append(vec![call_at(NOON - 1)]).await;
    kept.append(vec![call_at(NOON)]).await;

    assert_eq!(kept.meter.fold(NOON).await.unwrap().blobs, 1);
    assert_eq!(kept.rows("pending").await, 1);
}

#[tokio::test]
async fn calls_that_are_alike_are_one_row() {
    let kept = Kept::empty().await;
    let other = of_kind(call(1), |kind| kind.outcome = "http_503".into());
    kept.append(vec![call(1), call(1), other.clone()]).await;
    kept.meter.fold(i64::MAX).await.unwrap();
    kept.append(vec![call(1), other]).await;
    kept.meter.fold(i64::MAX).await.unwrap();

    assert_eq!(kept.rows("usage").await, 2);
    assert_eq!(kept.calls().await, 5);
}

#[tokio::test]
async fn a_damaged_batch_of_another_process_is_reported_once_with_its_place_and_does_not_stop_the_others() {
    let kept = Kept::empty().await;
    let other = kept.opened_again().await.unwrap();
    for which in 1..=3 {
        other.append(&Batch { calls: vec![call(which)], ..Batch::default() }).await.unwrap();
    }
    let damage = "UPDATE pending SET calls = zeroblob(length(calls)) WHERE id = 2";
    sqlx::query(damage).execute(&kept.behind_its_back().await).await.unwrap();

    let folded = kept.meter.fold(i64::MAX).await.unwrap();

    let place = Damaged { table: "pending", row: 2 };
    assert_eq!((folded.blobs, folded.damaged), (2, vec![place.clone()]));
    assert_eq!(kept.calls().await, 2);
    assert_eq!(kept.meter.fold(i64::MAX).await.unwrap().damaged, [], "it was said already");
    let kept = kept.after_a_crash().await;
    assert_eq!(kept.meter.damaged().await.unwrap(), [place], "and is still there to look at");
}

#[tokio::test]
async fn damage_to_what_this_process_appended_loses_nothing() {
    let kept = Kept::empty().await;
    kept.append(vec![call(1)]).await;
    let damage = "UPDATE pending SET calls = zeroblob(length(calls))";
    sqlx::query(damage).execute(&kept.behind_its_back().await).await.unwrap();

    assert_eq!(kept.meter.fold(i64::MAX).await.unwrap().blobs, 1);
    assert_eq!(kept.calls().await, 1);
    assert_eq!(kept.meter.damaged().await.unwrap(), []);
}

#[tokio::test]
async fn what_another_process_folded_is_counted_once() {
    let kept = Kept::empty().await;
    kept.append(vec![call(1), call(2)]).await;
    // It folds what it finds when it opens the file.
    let other = kept.opened_again().await.unwrap();
    kept.append(vec![call(1)]).await;

    assert_eq!(kept.meter.fold(i64::MAX).await.unwrap().rows, 1);
    assert_eq!((kept.calls().await, other.totals(&ever()).await.unwrap().calls), (3, 3));
}

#[tokio::test]
async fn more_rows_than_are_added_up_in_memory_are_read_from_their_blobs() {
    let kept = Kept::empty().await;
    // Two sums for each of them, and 40,000 in memory.
    for from in [0, 15_000, 30_000] {
        kept.append((from..from + 15_000).map(call).collect()).await;
    }

    let folded = kept.meter.fold(i64::MAX).await.unwrap();

    assert_eq!((folded.blobs, folded.rows), (24, 45_000));
    assert_eq!((kept.calls().await, kept.rows("pending").await), (45_000, 0));
}

#[tokio::test]
async fn a_batch_of_more_calls_than_a_blob_takes_is_several_and_one_step() {
    let kept = Kept::empty().await;
    kept.append((0..2_001).map(|at| call(at % 7)).collect()).await;

    assert_eq!(kept.rows("pending").await, 2);
    assert_eq!(kept.calls().await, 2_001);
}

#[tokio::test]
async fn sums_stay_at_the_largest_number_rather_than_fail() {
    let kept = Kept::empty().await;
    let mut huge = call(1);
    huge.counts.cost_nanos = u64::MAX;
    for _ in 0..3 {
        kept.append(vec![huge.clone(), huge.clone()]).await;
        kept.meter.fold(i64::MAX).await.unwrap();
    }

    let total = kept.total(&ever()).await;

    assert_eq!((total.calls, total.cost_nanos), (6, keylodge_store::meter::COUNT_MAX));
}
