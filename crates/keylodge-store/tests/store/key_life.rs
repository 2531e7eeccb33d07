use std::time::Duration;

use keylodge_rules::key::UNDELETE_WITHIN;
use keylodge_rules::{Lookup, Revision, Stage, StageError};
use keylodge_store::{KeyError, NewKey};

use crate::support::{GONE, Kept, NOON, act, hash, key, number, twin};

#[tokio::test]
async fn the_id_of_a_deleted_key_stays_taken() {
    let (kept, made) = Kept::with_key().await;
    kept.delete(&made.id, NOON).await.unwrap();

    let again = NewKey { lookup: Lookup::Hash(hash(9)), ..twin(&key(1)) };

    assert!(matches!(kept.store.create_key(&again, None, &act(NOON)).await, Err(KeyError::IdTaken)));
}

#[tokio::test]
async fn a_deleted_key_can_be_brought_back_for_thirty_days_and_is_gone_after() {
    let (kept, made) = Kept::with_key().await;
    let last = NOON.plus(UNDELETE_WITHIN - Duration::from_secs(1));
    let read = async |now| kept.store.key(number(1), &made.id, now).await.unwrap();

    let deleted = kept.delete(&made.id, NOON).await.unwrap().value;
    assert_eq!(deleted.stage, Stage::Deleted { at: NOON });
    let twice = kept.delete(&made.id, NOON).await;
    assert!(matches!(twice, Err(KeyError::Stage(StageError::AlreadyDeleted))));

    assert_eq!(read(last).await, Some(deleted), "still shown");
    assert_eq!(read(GONE).await, None, "then gone");
    assert_eq!(kept.store.key_by_uid(&made.uid, GONE).await.unwrap(), None);
    assert_eq!(kept.store.key_by_string(&[Lookup::Hash(hash(1))], GONE).await.unwrap(), None);
    assert!(matches!(kept.undelete(&made.id, GONE).await, Err(KeyError::NoSuchKey)));

    let back = kept.undelete(&made.id, last).await.unwrap().value;
    assert_eq!(back.stage, Stage::Live);
    assert_eq!(read(GONE).await, Some(back));
}

#[tokio::test]
async fn a_purged_key_leaves_the_store_and_the_index_and_its_id_and_string_are_free_again() {
    let (kept, made) = Kept::with_key().await;
    kept.make(&key(2)).await;
    let deleted = kept.delete(&made.id, NOON).await.unwrap().revision;

    let early = act(NOON.plus(UNDELETE_WITHIN - Duration::from_micros(1)));
    assert_eq!(kept.store.purge_keys(10, &early).await.unwrap().value, 0);
    let purged = kept.store.purge_keys(10, &act(GONE)).await.unwrap();
    assert_eq!((purged.value, purged.revision), (1, Revision(deleted.0 + 1)));

    assert_eq!(kept.store.strings(&made.uid).await.unwrap(), [], "the string is gone");
    assert_eq!(kept.found(1).await, None);
    assert!(kept.found(2).await.is_some());
    assert!(kept.store.create_key(&twin(&key(1)), None, &act(GONE)).await.is_ok());
}

#[tokio::test]
async fn no_more_keys_are_purged_at_once_than_was_said() {
    let kept = Kept::with_project().await;
    for which in 0..5 {
        let made = kept.make(&key(which)).await;
        kept.delete(&made.id, NOON).await.unwrap();
    }

    for left in [2, 2, 1, 0] {
        assert_eq!(kept.store.purge_keys(2, &act(GONE)).await.unwrap().value, left);
    }
    assert_eq!(kept.project(1).await.key_count, 0);
}
