//! What every backend must do. Backends come and go; these promises stay.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use keylodge_rules::key::UNDELETE_WITHIN;
use keylodge_rules::{
    KeyIndex, KeyString, KeyUid, Pepper, ProjectId, ProjectNumber, Revision, ServiceName, Stage, StageError, Subject,
    Timestamp,
};
use keylodge_store::record::KEYS_PER_PROJECT_MAX;
use keylodge_store::{
    Act, KeyError, MasterKey, NewKey, NewOperator, NewProject, OperationKind, OperatorRecord, ProjectError, Store,
    Vault,
};

const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

struct Kept {
    store: Store,
    folder: tempfile::TempDir,
}

impl Kept {
    async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("keylodge.db")).await.unwrap();
        Self { store, folder }
    }

    /// A store with one project.
    async fn with_project() -> Self {
        let kept = Self::empty().await;
        kept.store.create_project(&project(1, "first-project"), &act(NOON)).await.unwrap();
        kept
    }

    async fn reopened(self) -> Self {
        self.store.close().await;
        let store = Store::open(&self.folder.path().join("keylodge.db")).await.unwrap();
        Self { store, folder: self.folder }
    }
}

fn act(at: Timestamp) -> Act {
    Act { principal: "user:owner".into(), method: "test.Method", request_id: "r1".into(), at }
}

fn number(which: u8) -> ProjectNumber {
    ProjectNumber::from_random([which, 0, 0, 0, 0, 0, 0, 0])
}

fn project(which: u8, id: &str) -> NewProject {
    NewProject {
        number: number(which),
        id: ProjectId::parse(id).unwrap(),
        display_name: "A project".into(),
        labels: BTreeMap::new(),
        services: [service()].into(),
        operation: format!("operations/pc.{which}"),
    }
}

fn service() -> ServiceName {
    ServiceName::parse("generativelanguage.googleapis.com").unwrap()
}

fn string(which: u16) -> KeyString {
    let mut random = [0; 32];
    random[..2].copy_from_slice(&which.to_le_bytes());
    KeyString::issue(&random)
}

fn key(which: u16) -> NewKey {
    let mut random = [0; 16];
    random[..2].copy_from_slice(&which.to_le_bytes());
    let uid = KeyUid::from_random(random);
    let vault = Vault::new(&MasterKey::new([1; 32]));
    NewKey {
        id: uid.clone().into(),
        project: number(1),
        display_name: "A key".into(),
        annotations: [("team".to_owned(), "blue".to_owned())].into(),
        hash: Pepper::new([1; 32]).hash(&string(which)),
        sealed: vault.seal(&uid, &string(which), &[2; keylodge_store::vault::SEAL_RANDOM_BYTES]),
        operation: format!("operations/akmf.p7-{which}"),
        uid,
    }
}

#[tokio::test]
async fn a_created_key_is_kept_with_its_string_operation_audit_line_and_change() {
    let kept = Kept::with_project().await;

    let made = kept.store.create_key(&key(1), &act(NOON)).await.unwrap();

    let kept = kept.reopened().await;
    let read = kept.store.key(number(1), &made.value.id, NOON).await.unwrap().unwrap();
    assert_eq!(read, made.value);
    assert_eq!(read.annotations["team"], "blue");
    let sealed = kept.store.sealed(&read.uid).await.unwrap().unwrap();
    let opened = Vault::new(&MasterKey::new([1; 32])).open(&read.uid, &sealed).unwrap();
    assert_eq!(opened.reveal(), string(1).reveal());
    let operation = kept.store.operation("operations/akmf.p7-1").await.unwrap().unwrap();
    assert_eq!((operation.kind, operation.subject), (OperationKind::CreateKey, read.uid.to_string()));
    assert_eq!(kept.store.audit_lines().await.unwrap(), 2, "one for the project, one for the key");
    assert_eq!(kept.store.changes_after(Revision(1)).await.unwrap().up_to, made.revision);
}

#[tokio::test]
async fn what_did_not_happen_leaves_no_gap_and_no_audit_line() {
    let kept = Kept::with_project().await;
    kept.store.create_key(&key(1), &act(NOON)).await.unwrap();

    let taken = kept.store.create_key(&NewKey { uid: KeyUid::from_random([9; 16]), ..key(1) }, &act(NOON)).await;
    let next = kept.store.create_key(&key(2), &act(NOON)).await.unwrap();

    assert!(matches!(taken, Err(KeyError::IdTaken)), "{taken:?}");
    assert_eq!(next.revision, Revision(3));
    assert_eq!(kept.store.audit_lines().await.unwrap(), 3);
}

#[tokio::test]
async fn the_id_of_a_deleted_key_stays_taken() {
    let kept = Kept::with_project().await;
    let made = kept.store.create_key(&key(1), &act(NOON)).await.unwrap().value;
    kept.store.delete_key(number(1), &made.id, None, "operations/d", &act(NOON)).await.unwrap();

    let again = NewKey { uid: KeyUid::from_random([9; 16]), hash: Pepper::new([9; 32]).hash(&string(9)), ..key(1) };

    assert!(matches!(kept.store.create_key(&again, &act(NOON)).await, Err(KeyError::IdTaken)));
}

#[tokio::test]
async fn a_deleted_key_can_be_brought_back_for_thirty_days_and_is_gone_after() {
    let kept = Kept::with_project().await;
    let id = kept.store.create_key(&key(1), &act(NOON)).await.unwrap().value.id;
    let last = NOON.plus(UNDELETE_WITHIN - Duration::from_secs(1));
    let after = NOON.plus(UNDELETE_WITHIN);

    let deleted = kept.store.delete_key(number(1), &id, None, "operations/d1", &act(NOON)).await.unwrap();
    assert_eq!(deleted.value.stage, Stage::Deleted { at: NOON });
    let twice = kept.store.delete_key(number(1), &id, None, "operations/d2", &act(NOON)).await;
    assert!(matches!(twice, Err(KeyError::Stage(StageError::AlreadyDeleted))));

    assert!(kept.store.key(number(1), &id, last).await.unwrap().is_some(), "still shown");
    assert!(kept.store.key(number(1), &id, after).await.unwrap().is_none(), "then gone");
    let late = kept.store.undelete_key(number(1), &id, "operations/u1", &act(after)).await;
    assert!(matches!(late, Err(KeyError::NoSuchKey)));

    let back = kept.store.undelete_key(number(1), &id, "operations/u2", &act(last)).await.unwrap();
    assert_eq!(back.value.stage, Stage::Live);
    assert_eq!(back.value.fingerprint(), deleted.value.fingerprint(), "an etag covers content, not life");
}

#[tokio::test]
async fn a_purged_key_leaves_the_store_and_the_index_and_its_id_is_free_again() {
    let kept = Kept::with_project().await;
    let id = kept.store.create_key(&key(1), &act(NOON)).await.unwrap().value.id;
    kept.store.create_key(&key(2), &act(NOON)).await.unwrap();
    let deleted = kept.store.delete_key(number(1), &id, None, "operations/d", &act(NOON)).await.unwrap().revision;
    let mut followed = KeyIndex::default();
    kept.store.changes_after(Revision(0)).await.unwrap().changes.into_iter().for_each(|change| followed.apply(change));

    let early = kept.store.purge_keys(10, &act(NOON.plus(UNDELETE_WITHIN - Duration::from_secs(1)))).await.unwrap();
    assert_eq!(early.value, 0);
    let after = act(NOON.plus(UNDELETE_WITHIN));
    let purged = kept.store.purge_keys(10, &after).await.unwrap();
    assert_eq!((purged.value, purged.revision), (1, Revision(deleted.0 + 1)));

    assert_eq!(kept.store.sealed(&key(1).uid).await.unwrap(), None, "the string is gone");
    kept.store.changes_after(deleted).await.unwrap().changes.into_iter().for_each(|change| followed.apply(change));
    assert!(followed.find(&key(1).hash, || [0; 32]).is_none());
    assert!(followed.find(&key(2).hash, || [0; 32]).is_some());
    let again = NewKey { uid: KeyUid::from_random([9; 16]), operation: "operations/again".into(), ..key(1) };
    assert!(kept.store.create_key(&again, &after).await.is_ok());
}

#[tokio::test]
async fn a_key_that_changed_since_it_was_read_is_not_deleted() {
    let kept = Kept::with_project().await;
    let made = kept.store.create_key(&key(1), &act(NOON)).await.unwrap().value;

    let stale = kept.store.delete_key(number(1), &made.id, Some([0; 16]), "operations/d", &act(NOON)).await;

    assert!(matches!(stale, Err(KeyError::EtagMismatch)));
    let right = Some(made.fingerprint());
    assert!(kept.store.delete_key(number(1), &made.id, right, "operations/d", &act(NOON)).await.is_ok());
}

#[tokio::test]
async fn a_project_has_three_hundred_keys_and_no_more() {
    let kept = Kept::with_project().await;
    let max = u16::try_from(KEYS_PER_PROJECT_MAX).unwrap();
    for which in 0..max {
        kept.store.create_key(&key(which), &act(NOON)).await.unwrap();
    }

    let one_more = kept.store.create_key(&key(max), &act(NOON)).await;

    assert!(matches!(one_more, Err(KeyError::TooManyKeys)));
    let mut seen = Vec::new();
    let mut after = Revision(0);
    loop {
        let page = kept.store.keys(number(1), false, after, 77, NOON).await.unwrap();
        seen.extend(page.items.into_iter().map(|key| key.uid));
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(seen, (0..max).map(|which| key(which).uid).collect::<Vec<_>>(), "pages show each once, in order");
}

#[tokio::test]
async fn lists_show_deleted_keys_only_when_asked_and_never_purged_ones() {
    let kept = Kept::with_project().await;
    let live = kept.store.create_key(&key(1), &act(NOON)).await.unwrap().value;
    let deleted = kept.store.create_key(&key(2), &act(NOON)).await.unwrap().value;
    kept.store.delete_key(number(1), &deleted.id, None, "operations/d", &act(NOON)).await.unwrap();

    let ids = async |show_deleted, now| {
        let page = kept.store.keys(number(1), show_deleted, Revision(0), 10, now).await.unwrap();
        page.items.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };

    assert_eq!(ids(false, NOON).await, std::slice::from_ref(&live.id));
    assert_eq!(ids(true, NOON).await, [live.id.clone(), deleted.id]);
    assert_eq!(ids(true, NOON.plus(UNDELETE_WITHIN)).await, [live.id]);
}

#[tokio::test]
async fn a_project_id_and_number_are_given_once_for_ever() {
    let kept = Kept::with_project().await;

    let same_id = kept.store.create_project(&project(2, "first-project"), &act(NOON)).await;
    let same_number = kept.store.create_project(&project(1, "second-project"), &act(NOON)).await;

    assert!(matches!(same_id, Err(ProjectError::IdTaken)), "{same_id:?}");
    assert!(matches!(same_number, Err(ProjectError::NumberTaken)), "{same_number:?}");
}

#[tokio::test]
async fn a_switched_service_is_in_the_project_and_in_the_feed() {
    let kept = Kept::with_project().await;

    let off = kept.store.switch_service(number(1), &service(), false, "operations/s", &act(NOON)).await.unwrap();

    assert!(off.value.services.is_empty());
    let changes = kept.store.changes_after(Revision(1)).await.unwrap();
    assert!(matches!(&changes.changes[..], [change]
        if matches!(&change.subject, Subject::Project(project) if project.services.is_empty())));
}

#[tokio::test]
async fn following_step_by_step_ends_where_a_snapshot_begins() {
    let kept = Kept::with_project().await;
    let mut followed = KeyIndex::default();
    let mut known = Revision(0);
    for which in 1..=6u16 {
        let made = kept.store.create_key(&key(which), &act(NOON)).await.unwrap().value;
        if which % 2 == 0 {
            kept.store.delete_key(number(1), &made.id, None, &format!("operations/{which}"), &act(NOON)).await.unwrap();
        }
        if which % 3 == 0 {
            let news = kept.store.changes_after(known).await.unwrap();
            news.changes.into_iter().for_each(|change| followed.apply(change));
            known = news.up_to;
        }
    }

    let mut snapshot = KeyIndex::default();
    kept.store.changes_after(Revision(0)).await.unwrap().changes.into_iter().for_each(|change| snapshot.apply(change));

    assert_eq!(followed.revision(), snapshot.revision());
    for which in 1..=6 {
        let stage = |index: &KeyIndex| index.find(&key(which).hash, || [0; 32]).map(|known| known.key.stage);
        assert_eq!(stage(&followed), stage(&snapshot), "key {which}");
        assert_eq!(stage(&followed).is_some_and(|stage| stage != Stage::Live), which % 2 == 0);
    }
}

#[tokio::test]
async fn an_operator_is_found_by_the_hash_of_its_token_and_nothing_else() {
    let kept = Kept::empty().await;
    assert!(kept.store.has_no_operator().await.unwrap());
    let hash = Pepper::new([1; 32]).hash(&string(1));
    let operator = OperatorRecord { id: "owner".into(), member: "user:owner".into(), role: "roles/owner".into() };

    kept.store
        .create_operator(&NewOperator { operator: operator.clone(), token_hash: hash }, &act(NOON))
        .await
        .unwrap();

    assert_eq!(kept.store.operator_by_token(&hash).await.unwrap(), Some(operator));
    let other = Pepper::new([2; 32]).hash(&string(1));
    assert_eq!(kept.store.operator_by_token(&other).await.unwrap(), None);
    assert!(!kept.store.has_no_operator().await.unwrap());
}

#[tokio::test]
async fn a_store_knows_its_master_key_from_the_first_on() {
    let kept = Kept::empty().await;

    assert!(kept.store.is_under(&MasterKey::new([1; 32])).await.unwrap());
    let kept = kept.reopened().await;
    assert!(kept.store.is_under(&MasterKey::new([1; 32])).await.unwrap());
    assert!(!kept.store.is_under(&MasterKey::new([2; 32])).await.unwrap());
}

#[tokio::test]
async fn no_byte_of_a_key_string_lies_in_the_files() {
    let kept = Kept::with_project().await;
    kept.store.create_key(&key(7), &act(NOON)).await.unwrap();

    let secret = string(7);
    let body = &secret.reveal().as_bytes()[3..46];
    for file in std::fs::read_dir(kept.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(body.len()).any(|window| window == body));
    }
}

#[tokio::test]
async fn a_row_that_contradicts_itself_is_an_error_with_its_column_and_not_a_missing_key() {
    let kept = Kept::with_project().await;
    let made = kept.store.create_key(&key(1), &act(NOON)).await.unwrap().value;
    let file = kept.folder.path().join("keylodge.db");
    let pool = sqlx::SqlitePool::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query("UPDATE keys SET annotations = 'no JSON'").execute(&pool).await.unwrap();

    let error = kept.store.key(number(1), &made.id, NOON).await.unwrap_err();

    assert_eq!(error.to_string(), "column annotations of table keys holds a value that it cannot hold");
}
