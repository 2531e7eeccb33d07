//! What does not grow, whatever callers make up.

use keylodge_store::meter::{CallRow, Group, MeterOptions, ShapeQuery, Step, UsageFilter, UsageQuery, UsageRow};

use crate::support::{Kept, NOON, call, ever, key, nameless, of_kind};

async fn of_at_most(rows: u32) -> Kept {
    Kept::with(MeterOptions { usage_rows_per_minute_max: rows, ..MeterOptions::default() }).await
}

async fn of_shapes(shapes_max: u32) -> Kept {
    Kept::with(MeterOptions { shapes_max, ..MeterOptions::default() }).await
}

async fn by(kept: &Kept, group: Group) -> Vec<UsageRow> {
    let group_by = [group].into();
    let query = UsageQuery { filter: ever(), step: Step::All, group_by, size: 1000, ..UsageQuery::default() };
    kept.meter.usage(&query).await.unwrap().items
}

fn with_client(which: u16, client: u32) -> CallRow {
    of_kind(call(which), |kind| kind.caller.client = format!("client {client}").into())
}

#[tokio::test]
async fn beyond_so_many_rows_in_a_minute_the_key_is_left_out_and_totals_stay() {
    let kept = of_at_most(10).await;
    kept.append((0..30).map(call).collect()).await;

    let rows = by(&kept, Group::Key).await;

    let with_key = rows.iter().filter(|row| row.key.is_some()).count();
    let without: u64 = rows.iter().filter(|row| row.key.is_none()).map(|row| row.counts.calls).sum();
    assert_eq!((with_key, without), (10, 20));
    assert_eq!(kept.rows("usage").await, 11);
    assert_eq!(kept.calls().await, 30);
}

#[tokio::test]
async fn the_bound_holds_over_several_folds_and_keys_that_are_in_go_on_counting() {
    let kept = of_at_most(10).await;
    for first in [0, 5, 10, 15] {
        kept.append((first..first + 8).map(call).collect()).await;
        kept.meter.fold(i64::MAX).await.unwrap();
    }
    kept.append(vec![call(0); 7]).await;

    assert_eq!(kept.total(&UsageFilter { key: Some(key(0)), ..ever() }).await.calls, 8);
    assert_eq!(kept.rows("usage").await, 11);
    assert_eq!(kept.calls().await, 39);
}

#[tokio::test]
async fn the_keys_with_the_most_calls_stay() {
    let kept = of_at_most(3).await;
    let calls = (0..30).flat_map(|which| vec![call(which); if [4, 17, 25].contains(&which) { 5 } else { 1 }]);
    kept.append(calls.collect()).await;

    for which in [4, 17, 25] {
        assert_eq!(kept.total(&UsageFilter { key: Some(key(which)), ..ever() }).await.calls, 5);
    }
}

#[tokio::test]
async fn a_key_that_was_left_out_was_still_used() {
    let kept = of_at_most(1).await;
    kept.append((0..5).map(call).collect()).await;

    for which in 0..5 {
        assert_eq!(kept.meter.last_used(&key(which)).await.unwrap(), Some(NOON));
    }
}

#[tokio::test]
async fn names_that_nobodies_make_up_fill_neither_the_table_nor_the_dictionary() {
    let kept = of_at_most(10).await;
    for round in 0..3 {
        kept.append((0..100).map(|at| nameless(&format!("made-up-{round}-{at}"))).collect()).await;
        kept.meter.fold(i64::MAX).await.unwrap();
    }

    assert_eq!(kept.rows("usage").await, 11);
    assert!(kept.rows("words").await < 20);
    assert_eq!(kept.calls().await, 300);
}

#[tokio::test]
async fn an_hour_takes_only_so_many_shapes_and_says_how_many_calls_are_in_none() {
    let kept = of_shapes(40).await;
    for round in 0..3 {
        kept.append((0..100).map(|at| with_client(1, round * 100 + at)).collect()).await;
        kept.meter.fold(i64::MAX).await.unwrap();
    }

    let query = ShapeQuery { to: i64::MAX, size: 1000, ..ShapeQuery::default() };
    let shapes = kept.meter.shapes(&query).await.unwrap();
    assert_eq!((shapes.rows.len(), shapes.left_out), (10, 290));
    assert_eq!(kept.rows("caller_words").await, 10, "and what is in no shape is in no dictionary");
    assert_eq!(kept.calls().await, 300);
}

#[tokio::test]
async fn shapes_that_are_known_go_on_counting_in_a_full_hour() {
    let kept = of_shapes(40).await;
    kept.append((0..10).map(|at| with_client(1, at)).collect()).await;
    kept.meter.fold(i64::MAX).await.unwrap();
    kept.append((5..25).map(|at| with_client(1, at)).collect()).await;

    let query = ShapeQuery { to: i64::MAX, size: 1000, ..ShapeQuery::default() };
    let shapes = kept.meter.shapes(&query).await.unwrap();
    assert_eq!(shapes.rows.iter().map(|row| row.calls).sum::<u64>(), 15);
    assert_eq!((shapes.rows.len(), shapes.left_out), (10, 15));
}

#[tokio::test]
async fn the_oldest_hours_of_shapes_make_room_and_their_texts_go_after_a_day() {
    let kept = of_shapes(40).await;
    for hour in 0..60 {
        let calls = (0..10).map(|at| CallRow { minute: NOON + hour * 60, ..with_client(1, hour as u32 * 10 + at) });
        kept.append(calls.collect()).await;
        kept.meter.fold(i64::MAX).await.unwrap();
        assert!(kept.rows("shapes").await <= 40);
    }

    let query = ShapeQuery { to: i64::MAX, size: 1000, ..ShapeQuery::default() };
    let shapes = kept.meter.shapes(&query).await.unwrap();
    assert_eq!(shapes.rows.len(), 40);
    assert!(shapes.rows.iter().all(|row| row.hour >= NOON + 56 * 60));
    assert!(kept.rows("caller_words").await <= 280);
}

#[tokio::test]
async fn hours_that_a_clock_far_ahead_noted_make_room_before_the_oldest() {
    let kept = of_shapes(40).await;
    let year = 365 * 24;
    for hour in [-1, year, year + 1, year + 2, year + 3, 0, 1] {
        let calls = (0..10).map(|at| CallRow { minute: NOON + hour * 60, ..with_client(1, at) });
        kept.append(calls.collect()).await;
        kept.meter.fold(i64::MAX).await.unwrap();
    }

    let query = ShapeQuery { to: i64::MAX, size: 1000, ..ShapeQuery::default() };
    let rows = kept.meter.shapes(&query).await.unwrap().rows;
    let of = |hour: i64| rows.iter().filter(|row| row.hour == NOON + hour * 60).count();
    assert_eq!([0, 1, year + 2, year + 3].map(of), [10; 4]);
    assert_eq!(kept.rows("shapes").await, 40);
}

#[tokio::test]
async fn a_smaller_bound_holds_from_the_next_fold_on() {
    let kept = of_shapes(400).await;
    kept.append((0..100).map(|at| with_client(1, at)).collect()).await;
    kept.meter.fold(i64::MAX).await.unwrap();

    let kept = kept.with_other(MeterOptions { shapes_max: 40, ..MeterOptions::default() }).await;
    kept.append(vec![CallRow { minute: NOON + 60, ..call(1) }]).await;
    kept.meter.fold(i64::MAX).await.unwrap();

    assert_eq!(kept.rows("shapes").await, 1);
}
