//! Minutes that become hours, and hours that go.

use keylodge_store::meter::{CallRow, MeterOptions, Rolled, ShapeQuery, Step, UsageFilter, UsageQuery};

use crate::support::{DAY, Kept, NOON, at, call, call_at, ever, key, of_kind};

fn hour(first: i64) -> UsageFilter {
    UsageFilter { from: first, to: first + 60, ..UsageFilter::default() }
}

/// Calls over three hours, the first of them an hour before noon.
async fn filled() -> Kept {
    let kept = Kept::empty().await;
    for minute in NOON - 60..NOON + 120 {
        kept.append(vec![call_at(minute), CallRow { minute, ..call(2) }]).await;
    }
    kept
}

async fn minutes(kept: &Kept) -> Vec<i64> {
    let query = UsageQuery { filter: ever(), step: Step::Minute, size: 1000, ..UsageQuery::default() };
    kept.meter.usage(&query).await.unwrap().items.iter().map(|row| row.start).collect()
}

#[tokio::test]
async fn rolling_up_keeps_every_total_over_whole_hours() {
    let kept = filled().await;
    let hours = [NOON - 60, NOON, NOON + 60];
    let mut before = Vec::new();
    for first in hours {
        before.push(kept.total(&hour(first)).await);
    }

    // Half past one, seven days later: noon's hour and the one before are old enough.
    let rolled = kept.meter.roll(at(NOON + 90 + 7 * DAY)).await.unwrap();

    assert_eq!(rolled, Rolled { minute_rows: 2 * 2 * 59, forgotten_rows: 0 });
    assert_eq!(kept.rows("usage").await, 4 + 120);
    for (first, before) in hours.into_iter().zip(before) {
        assert_eq!(kept.total(&hour(first)).await, before);
        assert_eq!(before.calls, 120);
    }
    let expected: Vec<i64> = [NOON - 60, NOON].into_iter().chain(NOON + 60..NOON + 120).collect();
    assert_eq!(minutes(&kept).await, expected);
}

#[tokio::test]
async fn rolling_up_twice_is_rolling_up_once() {
    let kept = filled().await;
    let later = at(NOON + 90 + 7 * DAY);
    kept.meter.roll(later).await.unwrap();

    assert_eq!(kept.meter.roll(later).await.unwrap(), Rolled::default());
    assert_eq!(kept.meter.roll(at(NOON)).await.unwrap(), Rolled::default(), "a clock that jumps back changes nothing");
    assert_eq!(kept.calls().await, 360);
}

#[tokio::test]
async fn what_a_clock_far_ahead_rolled_up_does_not_stop_the_next_minutes_nor_the_next_roll() {
    let kept = filled().await;
    kept.meter.roll(at(NOON + 300 * DAY)).await.unwrap();
    kept.meter.roll(at(NOON + 120)).await.unwrap();

    kept.append(vec![call_at(NOON + 130), call_at(NOON + 131)]).await;

    assert_eq!(minutes(&kept).await, [NOON - 60, NOON, NOON + 60, NOON + 130, NOON + 131]);
    let rolled = kept.meter.roll(at(NOON + 180 + 7 * DAY)).await.unwrap();
    assert_eq!(rolled, Rolled { minute_rows: 2, forgotten_rows: 0 });
    assert_eq!(kept.calls().await, 362);
}

#[tokio::test]
async fn the_last_use_that_a_clock_far_ahead_noted_is_mended_by_the_next_use() {
    let kept = Kept::empty().await;
    for (minute, last) in [
        (NOON + 900 * DAY, NOON + 900 * DAY),
        (NOON, NOON),
        // A little behind is what late batches are.
        (NOON - 3, NOON),
    ] {
        kept.append(vec![call_at(minute)]).await;
        assert_eq!(kept.meter.last_used(&key(1)).await.unwrap(), Some(last));
    }
}

#[tokio::test]
async fn what_comes_after_its_hour_was_rolled_up_becomes_part_of_the_hour() {
    let kept = filled().await;
    kept.meter.roll(at(NOON + 90 + 7 * DAY)).await.unwrap();

    kept.append(vec![call_at(NOON + 33)]).await;

    assert_eq!(kept.total(&hour(NOON)).await.calls, 121);
    assert_eq!(kept.rows("usage").await, 4 + 120);
}

#[tokio::test]
async fn a_roll_that_died_in_the_middle_goes_on_with_the_next() {
    let kept = filled().await;
    kept.meter.fold(i64::MAX).await.unwrap();
    // It said where it would stop and died before it moved anything.
    let mark = "UPDATE marks SET minute = ? WHERE name = 'rounded_to'";
    sqlx::query(mark).bind(NOON + 60).execute(&kept.behind_its_back().await).await.unwrap();
    kept.append(vec![call_at(NOON + 33)]).await;

    let kept = kept.after_a_crash().await;
    let rolled = kept.meter.roll(at(NOON + 90 + 7 * DAY)).await.unwrap();

    assert_eq!(rolled.minute_rows, 2 * 2 * 59);
    assert_eq!(kept.calls().await, 361);
}

#[tokio::test]
async fn hours_that_are_too_old_go_with_their_texts_keys_and_shapes() {
    let kept = filled().await;
    kept.meter.fold(i64::MAX).await.unwrap();
    let late = NOON + 410 * DAY;
    let next = of_kind(call(3), |kind| kind.model = "gemini-next".into());
    kept.append(vec![CallRow { minute: late, ..next }]).await;

    let rolled = kept.meter.roll(at(late)).await.unwrap();

    assert_eq!(rolled.forgotten_rows, 6);
    assert_eq!(kept.calls().await, 1);
    assert_eq!(kept.meter.last_used(&key(1)).await.unwrap(), None);
    assert_eq!(kept.meter.last_used(&key(3)).await.unwrap(), Some(late));
    let query = ShapeQuery { to: i64::MAX, size: 1000, ..ShapeQuery::default() };
    assert_eq!(kept.meter.shapes(&query).await.unwrap().rows.len(), 1);
    let models = "SELECT text FROM words WHERE text LIKE 'gemini-%'";
    let models: Vec<String> = sqlx::query_scalar(models).fetch_all(&kept.behind_its_back().await).await.unwrap();
    assert_eq!(models, ["gemini-next"]);
}

#[tokio::test]
async fn texts_that_are_still_used_stay_for_as_long_as_they_are() {
    let kept = Kept::with(MeterOptions { hours_days: 10, ..MeterOptions::default() }).await;
    for day in 0..40 {
        kept.append(vec![call_at(NOON + day * DAY)]).await;
        kept.meter.roll(at(NOON + day * DAY)).await.unwrap();
        let usage = kept.total(&UsageFilter { model: Some("gemini-flash".into()), ..ever() }).await;
        assert_eq!(usage.calls, 11.min(day as u64 + 1));
    }
}
