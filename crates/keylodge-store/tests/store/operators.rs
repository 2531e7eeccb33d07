use keylodge_rules::{KeyHash, OperatorToken, Revision};
use keylodge_store::{MasterKey, NewOperator, NewToken, OpenError, OperatorError, OperatorRecord, Store, StoreOptions};

use crate::support::{HOUR, Kept, NOON, act, master, number, project};

fn operator(id: &str) -> NewOperator {
    NewOperator { id: id.into(), member: format!("user:{id}@example.com"), display_name: "Somebody".into() }
}

fn token_hash(which: u8) -> KeyHash {
    master().pepper().hash_token(&OperatorToken::issue(&[which; 32]))
}

fn token(which: u8, operator: &str) -> NewToken {
    NewToken {
        id: format!("token-{which}"),
        operator: operator.into(),
        display_name: "laptop".into(),
        hash: token_hash(which),
        expire_time: None,
    }
}

/// Whom a token proves.
async fn proven(store: &Store, which: u8) -> Option<String> {
    store.operator_by_token(&token_hash(which)).await.unwrap().map(|(operator, _)| operator.id)
}

#[tokio::test]
async fn an_operator_is_found_by_the_hash_of_its_token_and_nothing_else() {
    let kept = Kept::empty().await;
    assert!(kept.store.has_no_operator().await.unwrap());

    let made = kept.store.create_operator(&operator("ana"), Some(&token(1, "ana")), &act(NOON)).await.unwrap().value;

    let kept = kept.reopened().await;
    assert!(!kept.store.has_no_operator().await.unwrap());
    let (found, proof) = kept.store.operator_by_token(&token_hash(1)).await.unwrap().unwrap();
    assert_eq!((&found, proof.operator.as_str(), proof.id.as_str()), (&made, "ana", "token-1"));
    assert_eq!(kept.store.operator_by_token(&token_hash(2)).await.unwrap(), None);
    let other_pepper = MasterKey::new([2; 32]).pepper().hash_token(&OperatorToken::issue(&[1; 32]));
    assert_eq!(kept.store.operator_by_token(&other_pepper).await.unwrap(), None);
    assert_eq!(kept.store.operator("ana").await.unwrap().as_ref(), Some(&made));
    assert_eq!(kept.store.operator_by_member("user:ana@example.com").await.unwrap().as_ref(), Some(&made));
    assert_eq!(kept.store.operator("ben").await.unwrap(), None);
    assert_eq!(kept.store.audit_lines().await.unwrap(), 1);
}

#[tokio::test]
async fn an_operator_may_have_several_tokens_and_each_proves_it() {
    let kept = Kept::empty().await;
    kept.store.create_operator(&operator("ana"), Some(&token(1, "ana")), &act(NOON)).await.unwrap();
    kept.store.create_operator(&operator("ben"), Some(&token(2, "ben")), &act(NOON)).await.unwrap();

    let new = NewToken { expire_time: Some(NOON.plus(HOUR)), ..token(3, "ana") };
    let made = kept.store.create_token(&new, &act(NOON)).await.unwrap();

    let kept = kept.reopened().await;
    for (which, whose) in [(1, Some("ana")), (2, Some("ben")), (3, Some("ana")), (4, None)] {
        assert_eq!(proven(&kept.store, which).await.as_deref(), whose, "token {which}");
    }
    let (_, proof) = kept.store.operator_by_token(&token_hash(3)).await.unwrap().unwrap();
    assert_eq!(proof, made.value, "its expiry is for the caller to see");
    assert_eq!(proof.expire_time, Some(NOON.plus(HOUR)));
    let first = kept.store.tokens("ana", Revision(0), 1).await.unwrap();
    assert_eq!((first.items[0].id.as_str(), first.next), ("token-1", Some(first.items[0].created_at)));
    let second = kept.store.tokens("ana", first.items[0].created_at, 1).await.unwrap();
    assert_eq!((second.items, second.next), (vec![made.value], None));
}

#[tokio::test]
async fn a_token_for_nobody_is_not_made() {
    let kept = Kept::empty().await;

    let refused = kept.store.create_token(&token(1, "ana"), &act(NOON)).await;

    assert!(matches!(refused, Err(OperatorError::NoSuchOperator)), "{refused:?}");
    assert_eq!(
        (kept.store.newest_revision().await.unwrap(), kept.store.audit_lines().await.unwrap()),
        (Revision(0), 0)
    );
}

#[tokio::test]
async fn a_revoked_token_says_so_and_stays_in_the_list() {
    let kept = Kept::empty().await;
    kept.store.create_operator(&operator("ana"), Some(&token(1, "ana")), &act(NOON)).await.unwrap();
    kept.store.create_operator(&operator("ben"), Some(&token(2, "ben")), &act(NOON)).await.unwrap();
    let later = act(NOON.plus(HOUR));
    let lines = kept.store.audit_lines().await.unwrap();

    let foreign = kept.store.revoke_token("ben", "token-1", &later).await;
    assert!(matches!(foreign, Err(OperatorError::NoSuchToken)), "{foreign:?}");
    let revoked = kept.store.revoke_token("ana", "token-1", &later).await.unwrap().value;
    let twice = kept.store.revoke_token("ana", "token-1", &later).await;
    assert!(matches!(twice, Err(OperatorError::WrongState)), "{twice:?}");

    let kept = kept.reopened().await;
    assert_eq!(revoked.revoke_time, Some(later.at));
    let (_, proof) = kept.store.operator_by_token(&token_hash(1)).await.unwrap().unwrap();
    assert_eq!(proof, revoked, "whether a token is good is for the caller to see");
    assert_eq!(kept.store.tokens("ana", Revision(0), 10).await.unwrap().items, [revoked]);
    assert_eq!(kept.store.audit_lines().await.unwrap(), lines + 1);
}

#[tokio::test]
async fn the_last_use_of_a_token_is_the_latest_that_was_noted() {
    let kept = Kept::empty().await;
    kept.store.create_operator(&operator("ana"), Some(&token(1, "ana")), &act(NOON)).await.unwrap();
    let last_use = async || kept.store.tokens("ana", Revision(0), 1).await.unwrap().items[0].last_use_time;
    assert_eq!(last_use().await, None);

    let later = NOON.plus(HOUR);
    let uses = [("token-1".to_owned(), later), ("token-1".to_owned(), NOON), ("unknown".to_owned(), NOON)];
    kept.store.note_token_uses(&uses).await.unwrap();

    assert_eq!(last_use().await, Some(later));
    assert_eq!(kept.store.audit_lines().await.unwrap(), 1, "a use is no change");
}

#[tokio::test]
async fn an_id_and_a_member_stand_for_one_operator() {
    let kept = Kept::empty().await;
    kept.store.create_operator(&operator("ana"), None, &act(NOON)).await.unwrap();

    for twin in [
        NewOperator { member: "user:other@example.com".into(), ..operator("ana") },
        NewOperator { id: "other".into(), ..operator("ana") },
    ] {
        let taken = kept.store.create_operator(&twin, Some(&token(2, &twin.id)), &act(NOON)).await;
        assert!(matches!(taken, Err(OperatorError::Taken)), "{taken:?}");
    }
    assert_eq!(proven(&kept.store, 2).await, None);
    assert_eq!(kept.store.audit_lines().await.unwrap(), 1);
}

#[tokio::test]
async fn an_altered_operator_is_kept_as_it_was_answered() {
    let kept = Kept::empty().await;
    kept.store.create_operator(&operator("ana"), Some(&token(1, "ana")), &act(NOON)).await.unwrap();
    let change = |operator: &mut OperatorRecord| {
        operator.display_name = "Ana".into();
        operator.disable_time = Some(NOON);
        operator.terms = Some(("2".into(), NOON.plus(HOUR)));
        Ok(())
    };

    let altered = kept.store.alter_operator("ana", &act(NOON), change).await.unwrap().value;

    let kept = kept.reopened().await;
    let (proven, _) = kept.store.operator_by_token(&token_hash(1)).await.unwrap().unwrap();
    assert_eq!(proven, altered, "whether an operator is good is for the caller to see");
    let refused = |operator: &mut OperatorRecord| {
        operator.disable_time = None;
        Err(OperatorError::WrongState)
    };
    let refused = kept.store.alter_operator("ana", &act(NOON), refused).await;
    assert!(matches!(refused, Err(OperatorError::WrongState)), "{refused:?}");
    let missing = kept.store.alter_operator("ben", &act(NOON), |_| Ok(())).await;
    assert!(matches!(missing, Err(OperatorError::NoSuchOperator)), "{missing:?}");
    assert_eq!(kept.store.operator("ana").await.unwrap(), Some(altered));
    assert_eq!(kept.store.audit_lines().await.unwrap(), 2);
}

#[tokio::test]
async fn operators_are_listed_in_the_order_of_their_creation() {
    let kept = Kept::empty().await;
    for id in ["carl", "ana", "ben"] {
        kept.store.create_operator(&operator(id), None, &act(NOON)).await.unwrap();
    }

    let first = kept.store.operators(Revision(0), 2).await.unwrap();
    let second = kept.store.operators(first.next.unwrap(), 2).await.unwrap();

    let ids: Vec<_> = first.items.iter().chain(&second.items).map(|operator| operator.id.as_str()).collect();
    assert_eq!((ids, second.next), (vec!["carl", "ana", "ben"], None));
}

#[tokio::test]
async fn a_workspace_holds_the_projects_its_operator_took_into_it() {
    let kept = Kept::empty().await;
    for id in ["ana", "ben"] {
        kept.store.create_operator(&operator(id), None, &act(NOON)).await.unwrap();
    }
    for (which, id) in [(1, "first-project"), (2, "second-project")] {
        kept.store.create_project(&project(which, id), &act(NOON)).await.unwrap();
    }
    let lines = kept.store.audit_lines().await.unwrap();
    let set = async |project, is_in| {
        kept.store.set_in_workspace("ana", number(project), is_in, &act(NOON)).await.unwrap();
    };

    set(1, true).await;
    set(1, true).await;
    set(2, true).await;
    assert_eq!(kept.store.workspace("ana").await.unwrap(), [number(1), number(2)].into());
    assert_eq!(kept.store.workspace("ben").await.unwrap(), [].into());
    set(1, false).await;
    set(1, false).await;

    let kept = kept.reopened().await;
    assert_eq!(kept.store.workspace("ana").await.unwrap(), [number(2)].into());
    assert_eq!(kept.store.audit_lines().await.unwrap(), lines + 5, "what changes nothing is noted as well");
}

#[tokio::test]
async fn a_store_opens_under_its_own_master_key_only() {
    let kept = Kept::empty().await;
    kept.store.close().await;
    let options = || StoreOptions { node: "node-1".into(), keys_per_project_max: 1 };

    let other = Store::open(&kept.file(), &MasterKey::new([2; 32]), options()).await;
    assert!(matches!(other, Err(OpenError::OtherMasterKey)), "{other:?}");

    assert!(Store::open(&kept.file(), &master(), options()).await.unwrap().ping().await.is_ok());
}
