//! Ephemeral tokens, as they are kept.

use keylodge_rules::{KeyHash, KeyUid, ProjectNumber, Timestamp};
use keylodge_store::vault::SEAL_RANDOM_BYTES;
use keylodge_store::{Ephemeral, EphemeralRecord, MasterKey, TokenScope, Vault};

const NOW: Timestamp = Timestamp::from_micros(1_000);

fn project() -> ProjectNumber {
    ProjectNumber::from_random([1; 8])
}

/// A token that can be used so often and ends then.
fn token(which: u8, uses_left: Option<u32>, expires: i64) -> EphemeralRecord {
    EphemeralRecord {
        hash: KeyHash::from_bytes([which; 32]),
        project: project(),
        key: KeyUid::from_random([7; 16]),
        key_hash: KeyHash::from_bytes([8; 32]),
        expire_time: Timestamp::from_micros(expires),
        new_session_expire_time: Timestamp::from_micros(1_500),
        uses_left,
        scope: TokenScope::Live,
        constraints: None,
        created_at: NOW,
    }
}

async fn open() -> (tempfile::TempDir, Ephemeral) {
    let folder = tempfile::tempdir().unwrap();
    let tokens = Ephemeral::open(&folder.path().join("ephemeral.db")).await.unwrap();
    (folder, tokens)
}

#[tokio::test]
async fn a_token_reads_back_as_it_was_and_after_its_time_no_more() {
    let (folder, tokens) = open().await;
    let vault = Vault::new(&MasterKey::new([9; 32]));
    let (one, mut other) = (token(1, None, 2_000), token(2, Some(3), 3_000));
    let sealed = vault.seal_constraints(other.project, &other.hash, "{\"model\":\"m\"}", &[5; SEAL_RANDOM_BYTES]);
    other.constraints = Some(sealed.clone());
    other.scope = TokenScope::Api;
    for record in [&one, &other] {
        tokens.add(record).await.unwrap();
    }
    tokens.close().await;

    let tokens = Ephemeral::open(&folder.path().join("ephemeral.db")).await.unwrap();

    assert_eq!(tokens.live(NOW).await.unwrap(), [one.clone(), other.clone()]);
    assert_eq!(tokens.live(Timestamp::from_micros(2_000)).await.unwrap(), [other.clone()]);
    assert_eq!(tokens.constraints(&one.hash).await.unwrap(), None);
    let kept = tokens.constraints(&other.hash).await.unwrap().unwrap();
    assert_eq!(&**vault.open_constraints(other.project, &other.hash, &kept).unwrap(), "{\"model\":\"m\"}");
    assert!(vault.open_constraints(other.project, &one.hash, &kept).is_err(), "it is sealed for one token alone");
}

#[tokio::test]
async fn a_token_is_used_as_often_as_it_may_be_and_not_once_more() {
    let (_folder, tokens) = open().await;
    let record = token(1, Some(3), 2_000);
    tokens.add(&record).await.unwrap();

    let mut spent = Vec::new();
    for _ in 0..5 {
        spent.push(tokens.spend(&record.hash).await.unwrap());
    }

    assert_eq!(spent, [true, true, true, false, false]);
    assert_eq!(tokens.live(NOW).await.unwrap()[0].uses_left, Some(0));
    assert!(!tokens.spend(&KeyHash::from_bytes([99; 32])).await.unwrap(), "a token that is not there has no use");
}

#[tokio::test]
async fn a_purge_takes_those_whose_time_is_over_and_a_removal_takes_one() {
    let (_folder, tokens) = open().await;
    for (which, ends) in [(1, 2_000), (2, 3_000), (3, 4_000)] {
        tokens.add(&token(which, None, ends)).await.unwrap();
    }

    assert_eq!(tokens.purge(Timestamp::from_micros(2_000)).await.unwrap(), 1);
    tokens.remove(&KeyHash::from_bytes([3; 32])).await.unwrap();

    let left: Vec<_> = tokens.live(NOW).await.unwrap().iter().map(|token| *token.hash.as_bytes()).collect();
    assert_eq!(left, [[2; 32]]);
}
