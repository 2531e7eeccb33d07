//! Questions about usage.

use std::collections::BTreeSet;

use keylodge_store::meter::{CallKind, CallRow, Group, Step, UsageFilter, UsageQuery, UsageRow};

use crate::support::{DAY, Kept, NOON, call, call_at, ever, key, nameless, of_kind, project};

/// All rows of an answer, asked for in small pages.
async fn rows(kept: &Kept, query: UsageQuery) -> Vec<UsageRow> {
    let mut rows = Vec::new();
    let mut query = UsageQuery { size: 2, ..query };
    loop {
        let page = kept.meter.usage(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        rows.extend(page.items);
        match page.next {
            None => return rows,
            next => query.after = next,
        }
    }
}

async fn check_filter(kept: &Kept, filter: UsageFilter, calls: u64) {
    assert_eq!(kept.total(&filter).await.calls, calls, "{filter:?}");
}

#[tokio::test]
async fn an_answer_has_what_was_appended_a_moment_ago_whole() {
    let kept = Kept::empty().await;
    let row = of_kind(call(1), |kind| kind.shadow = "model_blocked".into());
    kept.append(vec![row.clone()]).await;

    let group_by = BTreeSet::from([
        Group::Project,
        Group::Key,
        Group::Service,
        Group::Method,
        Group::Model,
        Group::Outcome,
        Group::Shadow,
        Group::Upstream,
    ]);
    let query = UsageQuery { filter: ever(), step: Step::Minute, group_by, ..UsageQuery::default() };
    let kind = CallKind::clone(&row.kind);
    let expected = UsageRow {
        start: NOON,
        project: kind.project,
        key: row.key,
        service: Some(kind.service),
        method: Some(kind.method),
        model: Some(kind.model),
        outcome: Some(kind.outcome),
        shadow: Some(kind.shadow),
        upstream: Some(kind.upstream),
        counts: row.counts,
    };
    assert_eq!(rows(&kept, query).await, [expected]);
}

#[tokio::test]
async fn every_condition_leaves_out_what_it_should() {
    let kept = Kept::empty().await;
    let calls = vec![
        call(1),
        of_kind(call(2), |kind| kind.project = Some(project(2))),
        of_kind(call(1), |kind| kind.service = "jules.googleapis.com".into()),
        of_kind(call(1), |kind| (kind.method, kind.model) = ("ListModels".into(), "".into())),
        of_kind(call(1), |kind| (kind.outcome, kind.upstream) = ("quota_exhausted".into(), "".into())),
        of_kind(call(1), |kind| kind.shadow = "quota_exhausted".into()),
        call_at(NOON + 1),
        nameless("gemini-pro"),
    ];
    kept.append(calls).await;

    let text = |text: &str| Some(text.to_owned());
    check_filter(&kept, ever(), 8).await;
    check_filter(&kept, UsageFilter { to: NOON + 1, ..ever() }, 7).await;
    check_filter(&kept, UsageFilter { from: NOON + 1, ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { project: Some(project(1)), ..ever() }, 6).await;
    check_filter(&kept, UsageFilter { key: Some(key(2)), ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { key: Some(key(2)), project: Some(project(1)), ..ever() }, 0).await;
    check_filter(&kept, UsageFilter { key: Some(key(3)), ..ever() }, 0).await;
    check_filter(&kept, UsageFilter { service: text("jules.googleapis.com"), ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { method: text("ListModels"), ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { model: text("gemini-pro"), ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { model: text(""), ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { model: text("no such"), ..ever() }, 0).await;
    check_filter(&kept, UsageFilter { outcome: text("quota_exhausted"), ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { shadow: text("quota_exhausted"), ..ever() }, 1).await;
    check_filter(&kept, UsageFilter { upstream: text(""), ..ever() }, 1).await;
}

#[tokio::test]
async fn rows_are_told_apart_by_what_was_asked_for_and_nothing_else() {
    let kept = Kept::empty().await;
    for which in [1, 1, 2, 3] {
        kept.append(vec![call(which), call_at(NOON + 1)]).await;
    }

    let query = UsageQuery { filter: ever(), group_by: [Group::Key].into(), ..UsageQuery::default() };
    let mut found: Vec<_> = rows(&kept, query).await.into_iter().map(|row| (row.key, row.counts.calls)).collect();
    found.sort();
    let mut expected = vec![(Some(key(1)), 6), (Some(key(2)), 1), (Some(key(3)), 1)];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn steps_are_minutes_hours_days_from_the_beginning_or_all() {
    let kept = Kept::empty().await;
    kept.append([0, 1, 59, 60, 61, DAY + 60].map(|after| call_at(NOON + after)).to_vec()).await;

    // Days that begin an hour after noon of the day before.
    let filter = UsageFilter { from: NOON + 60 - DAY, ..ever() };
    for project in [None, Some(project(1))] {
        let filter = UsageFilter { project, ..filter.clone() };
        let starts = async |step| {
            let query = UsageQuery { filter: filter.clone(), step, ..UsageQuery::default() };
            let rows = rows(&kept, query).await;
            rows.iter().map(|row| (row.start - NOON, row.counts.calls)).collect::<Vec<_>>()
        };
        assert_eq!(starts(Step::Minute).await, [0, 1, 59, 60, 61, DAY + 60].map(|start| (start, 1)));
        assert_eq!(starts(Step::Hour).await, [(0, 3), (60, 2), (DAY + 60, 1)]);
        assert_eq!(starts(Step::Day).await, [(60 - DAY, 3), (60, 2), (60 + DAY, 1)]);
        assert_eq!(starts(Step::All).await, [(60 - DAY, 6)]);
    }
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_one_ended_while_usage_is_written() {
    let kept = Kept::empty().await;
    kept.append((0..5).map(|after| call_at(NOON + after)).collect()).await;
    let query = UsageQuery { filter: ever(), step: Step::Minute, size: 2, ..UsageQuery::default() };
    let first = kept.meter.usage(&query).await.unwrap();

    kept.append(vec![call_at(NOON), call_at(NOON + 2)]).await;

    let second = kept.meter.usage(&UsageQuery { after: first.next, ..query }).await.unwrap();
    let found: Vec<_> = second.items.iter().map(|row| (row.start - NOON, row.counts.calls)).collect();
    assert_eq!(found, [(2, 2), (3, 1)]);
}

#[tokio::test]
async fn when_a_key_was_last_used_is_known_at_once_and_for_many() {
    let kept = Kept::empty().await;
    kept.append(vec![call(1), call_at(NOON + 5), call(2)]).await;
    assert_eq!(kept.meter.last_used(&key(1)).await.unwrap(), Some(NOON + 5));

    kept.append(vec![call_at(NOON + 3), CallRow { minute: NOON + 9, ..call(2) }]).await;
    assert_eq!(kept.meter.last_used(&key(1)).await.unwrap(), Some(NOON + 5), "what comes late changes nothing");
    assert_eq!(kept.meter.last_used(&key(3)).await.unwrap(), None);

    let all: Vec<_> = (0..200).map(key).collect();
    let found = kept.meter.last_used_of(&all).await.unwrap();
    assert_eq!(found, [(key(1), NOON + 5), (key(2), NOON + 9)].into());
}

#[tokio::test]
async fn texts_that_are_too_long_are_cut() {
    let kept = Kept::empty().await;
    kept.append(vec![of_kind(call(1), |kind| kind.model = "ä".repeat(1000).into())]).await;

    check_filter(&kept, UsageFilter { model: Some("ä".repeat(256)), ..ever() }, 1).await;
}
