//! Calls with their callers, for rehearsals.

use keylodge_store::meter::{CallKind, CallRow, CallerFacts, ShapeQuery, ShapeRow, Shapes};

use crate::support::{Kept, NOON, call, call_at, key, nameless, of_kind, project};

fn from(address: [u8; 4]) -> CallRow {
    of_kind(call(1), |kind| kind.caller.address = Some(address.into()))
}

fn all() -> ShapeQuery {
    ShapeQuery { to: i64::MAX, size: 100, ..ShapeQuery::default() }
}

async fn shapes(kept: &Kept, query: &ShapeQuery) -> Shapes {
    kept.meter.shapes(query).await.unwrap()
}

#[tokio::test]
async fn a_shape_is_whole() {
    let kept = Kept::empty().await;
    let caller = CallerFacts {
        address: Some([7; 16].into()),
        referrer: "https://example.com/page".into(),
        android_package: "com.example.app".into(),
        android_cert: "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709".into(),
        ios_bundle: "com.example.ios".into(),
        client: "genai-js/1.0".into(),
    };
    let row = of_kind(CallRow { generation: 3, ..call(1) }, |kind| {
        kind.caller = caller.clone();
        kind.shadow = "referrer_blocked".into();
    });
    kept.append(vec![CallRow { minute: NOON + 7, ..row.clone() }, row.clone()]).await;
    kept.append(vec![CallRow { minute: NOON + 3, ..row.clone() }]).await;

    let kind = CallKind::clone(&row.kind);
    let expected = ShapeRow {
        hour: NOON,
        project: kind.project,
        key: row.key,
        generation: 3,
        service: kind.service,
        method: kind.method,
        model: kind.model,
        outcome: kind.outcome,
        shadow: kind.shadow,
        caller,
        calls: 3,
        first_minute: NOON,
        last_minute: NOON + 7,
    };
    let found = shapes(&kept, &all()).await;
    assert_eq!((found.rows, found.more, found.left_out), (vec![expected], false, 0));
}

#[tokio::test]
async fn shapes_are_found_by_project_key_and_hours_the_latest_first() {
    let kept = Kept::empty().await;
    let other = of_kind(call(2), |kind| kind.project = Some(project(2)));
    kept.append(vec![call_at(NOON - 60), from([192, 0, 2, 1]), from([192, 0, 2, 1]), call_at(NOON), other]).await;

    let check = async |query: ShapeQuery, expected: &[(i64, u64)]| {
        let rows = shapes(&kept, &query).await.rows;
        let found: Vec<_> = rows.iter().map(|row| (row.hour - NOON, row.calls)).collect();
        assert_eq!(found, expected, "{query:?}");
    };
    check(ShapeQuery { project: Some(project(1)), ..all() }, &[(0, 2), (0, 1), (-60, 1)]).await;
    check(ShapeQuery { key: Some(key(2)), ..all() }, &[(0, 1)]).await;
    check(ShapeQuery { key: Some(key(2)), project: Some(project(1)), ..all() }, &[]).await;
    check(ShapeQuery { key: Some(key(1)), to: NOON, ..all() }, &[(-60, 1)]).await;
    check(ShapeQuery { key: Some(key(1)), from: NOON + 5, to: NOON + 6, ..all() }, &[(0, 2), (0, 1)]).await;
}

#[tokio::test]
async fn an_answer_says_that_there_is_more() {
    let kept = Kept::empty().await;
    kept.append((0..5).map(|last| from([192, 0, 2, last])).collect()).await;

    let found = shapes(&kept, &ShapeQuery { size: 4, ..all() }).await;
    assert_eq!((found.rows.len(), found.more), (4, true));
    let found = shapes(&kept, &ShapeQuery { size: 5, ..all() }).await;
    assert_eq!((found.rows.len(), found.more), (5, false));
}

#[tokio::test]
async fn calls_of_nobody_are_counted_but_have_no_shape() {
    let kept = Kept::empty().await;
    kept.append(vec![nameless("gemini-pro")]).await;

    assert_eq!(shapes(&kept, &all()).await.rows, []);
    assert_eq!(kept.calls().await, 1);
}
