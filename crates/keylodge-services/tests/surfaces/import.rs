//! Taking over keys of other gateways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keylodge_rules::KeyString;
use keylodge_rules::secret::sha256;
use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS};
use crate::visitor::{ADMIN, GEMINI, HOUR, refusal, text, texts};

/// A string that another gateway made.
const STRING: &str = "sk-other-gateway-0123456789";

async fn import(house: &House, keys: Value) -> Answer {
    house.manage("POST", &format!("{ADMIN}/keys:import"), Some(json!({"keys": keys}))).await
}

fn digest() -> [u8; 32] {
    sha256(&KeyString::parse(STRING).unwrap())
}

fn hex() -> String {
    digest().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn string_of(house: &House) -> Answer {
    house.manage("GET", &format!("{KEYS}/one/keyString"), None).await
}

/// The audit lines of the moment in which an imported key was taken under our pepper.
async fn adoptions(house: &House) -> usize {
    let adopted = |entry: &&Value| entry["protoPayload"]["methodName"] == "keylodge.AdoptKeyString";
    house.audit_log().await.iter().filter(adopted).count()
}

#[tokio::test]
async fn a_key_imported_by_its_string_works_and_can_be_shown() {
    let house = House::new().await;

    let answer = import(&house, json!([{"keyId": "one", "keyString": STRING, "displayName": "Old"}])).await;

    assert!(!answer.text().contains(STRING), "{}", answer.text());
    assert_eq!(answer.ok()["keys"], json!([house.key("one").await]));
    assert_eq!(house.lets_in(STRING).await, 200);
    assert_eq!(string_of(&house).await.ok(), json!({"keyString": STRING}));
    let found = house.manage("GET", &format!("/v2/keys:lookupKey?keyString={STRING}"), None).await.ok();
    assert_eq!(found["name"], house.key("one").await["name"]);
}

#[tokio::test]
async fn a_key_imported_by_its_hash_works_and_is_taken_under_our_pepper_when_it_is_first_used() {
    for sha256 in [hex(), hex().to_uppercase(), STANDARD.encode(digest())] {
        let house = House::new().await;
        import(&house, json!([{"keyId": "one", "sha256": sha256}])).await.ok();
        assert_eq!(string_of(&house).await.refused(), refusal(400, "FAILED_PRECONDITION"));
        keylodge_services::uses::write(&house.lodge).await.unwrap();
        assert_eq!(adoptions(&house).await, 0);

        for turn in 0..2 {
            assert_eq!(house.lets_in(STRING).await, 200, "{turn} {sha256}");
            keylodge_services::uses::write(&house.lodge).await.unwrap();
            assert_eq!(adoptions(&house).await, 1, "{turn} {sha256}");
        }
        assert_eq!(house.lets_in(STRING).await, 200);
        let found = house.manage("GET", &format!("/v2/keys:lookupKey?keyString={STRING}"), None).await.ok();
        assert_eq!(found["name"], house.key("one").await["name"]);
        assert_eq!(string_of(&house).await.refused(), refusal(400, "FAILED_PRECONDITION"), "still not known");
    }
}

#[tokio::test]
async fn an_imported_hash_is_looked_up_before_its_first_use() {
    let house = House::new().await;
    import(&house, json!([{"keyId": "one", "sha256": hex()}])).await.ok();

    let found = house.manage("GET", &format!("/v2/keys:lookupKey?keyString={STRING}"), None).await.ok();
    assert_eq!(found["name"], house.key("one").await["name"]);
}

#[tokio::test]
async fn an_imported_key_has_all_that_it_was_imported_with() {
    let house = House::new().await;
    let key = json!({"keyId": "one", "keyString": STRING, "displayName": "Old", "owner": "ana", "purpose": "report",
                     "labels": {"env": "prod"}, "expireTime": "2026-01-31T13:00:00Z", "services": [GEMINI]});

    import(&house, json!([key])).await.ok();

    let details = house.details("one").await;
    assert_eq!((&details["owner"], &details["purpose"]), (&json!("ana"), &json!("report")));
    assert_eq!((&details["labels"], &details["creator"]), (&json!({"env": "prod"}), &json!("user:owner")));
    assert_eq!(house.key("one").await["restrictions"], json!({"apiTargets": [{"service": GEMINI}]}));
    assert_eq!(house.lets_in(STRING).await, 200);
    house.wait(HOUR);
    assert_eq!(house.lets_in(STRING).await, 400);
}

#[tokio::test]
async fn a_key_imported_by_its_hash_ends_like_any_other() {
    let house = House::new().await;
    import(&house, json!([{"keyId": "one", "sha256": hex()}])).await.ok();

    let deleted = house.manage("DELETE", &format!("{KEYS}/one"), None).await.ok();
    assert_eq!(deleted["response"]["keyString"], Value::Null);
    assert_eq!(house.lets_in(STRING).await, 400);
    house.manage("POST", &format!("{KEYS}/one:undelete"), Some(json!({}))).await.ok();
    assert_eq!(house.lets_in(STRING).await, 200);
}

/// Imports by hash, uses the key so often, rotates it, and looks at the new string.
async fn rotated_after(uses: usize) -> Answer {
    let house = House::new().await;
    import(&house, json!([{"keyId": "one", "sha256": hex()}])).await.ok();
    for _ in 0..uses {
        assert_eq!(house.lets_in(STRING).await, 200);
        keylodge_services::uses::write(&house.lodge).await.unwrap();
    }
    let rotated = house.manage("POST", &format!("{ADMIN}/keys/one:rotate"), Some(json!({}))).await.ok();
    assert_eq!(house.lets_in(STRING).await, 400);
    assert_eq!(house.lets_in(&text(&rotated, "/key/keyString")).await, 200);
    string_of(&house).await
}

#[tokio::test]
async fn an_imported_hash_becomes_a_key_of_ours_when_it_is_rotated() {
    rotated_after(0).await.ok();
}

#[tokio::test]
async fn it_does_so_after_its_first_use_too() {
    rotated_after(1).await.ok();
}

#[tokio::test]
async fn keys_are_imported_all_or_none() {
    let house = House::new().await;

    let twice = json!([{"keyId": "a", "keyString": "first"}, {"keyId": "b", "keyString": "second"}, {"keyId": "c", "keyString": "first"}]);
    let answer = import(&house, twice).await;
    assert_eq!(answer.refused(), refusal(409, "ALREADY_EXISTS"));
    assert!(answer.error().2.contains("keys[2]"), "{}", answer.text());
    let taken = json!([{"keyId": "a", "keyString": "first"}, {"keyId": "default-key", "keyString": "second"}]);
    let answer = import(&house, taken).await;
    assert_eq!(answer.refused(), refusal(409, "ALREADY_EXISTS"));
    assert!(answer.error().2.contains("keys[1]"), "{}", answer.text());

    let listed = house.manage("GET", KEYS, None).await.ok();
    assert_eq!(texts(&listed["keys"], "/displayName"), ["Default key"]);
    assert_eq!([house.lets_in("first").await, house.lets_in("second").await], [400, 400]);
    import(&house, json!([{"keyString": "first"}, {"keyString": "second"}])).await.ok();
    assert_eq!([house.lets_in("first").await, house.lets_in("second").await], [200, 200]);
}

#[tokio::test]
async fn a_string_that_is_known_by_its_hash_is_not_imported_again_by_value() {
    let house = House::new().await;
    import(&house, json!([{"keyId": "one", "sha256": hex()}])).await.ok();

    let again = import(&house, json!([{"keyId": "two", "sha256": hex()}])).await;
    assert_eq!(again.refused(), refusal(409, "ALREADY_EXISTS"));
    let again = import(&house, json!([{"keyId": "two", "keyString": STRING}])).await;
    assert_eq!(again.refused(), refusal(409, "ALREADY_EXISTS"));
}

#[tokio::test]
async fn one_string_is_not_imported_twice_in_one_call_by_value_and_by_hash() {
    for keys in [json!([{"keyString": STRING}, {"sha256": hex()}]), json!([{"sha256": hex()}, {"keyString": STRING}])] {
        let house = House::new().await;
        let answer = import(&house, keys.clone()).await;
        assert_eq!(answer.refused(), refusal(409, "ALREADY_EXISTS"), "{keys}");
        assert_eq!(house.lets_in(STRING).await, 400);
    }
}

#[tokio::test]
async fn every_wrong_entry_is_named_with_its_place() {
    let house = House::new().await;

    let answer = import(
        &house,
        json!([
            {"keyString": "fine"},
            {"keyString": "x", "sha256": hex()},
            {},
            {"sha256": "abcd", "keyId": "UPPER", "displayName": "x".repeat(64)},
            {"keyString": "has a blank", "owner": "x".repeat(257), "services": ["no service"]},
            {"keyString": "y", "expireTime": "2026-01-31T12:00:00Z", "labels": {"BAD": "x"}},
        ]),
    )
    .await;

    let mut fields = answer.wrong_fields();
    fields.sort();
    let expected = [
        "keys[1].key_string",
        "keys[2].key_string",
        "keys[3].display_name",
        "keys[3].key_id",
        "keys[3].key_string",
        "keys[4].key_string",
        "keys[4].owner",
        "keys[4].services",
        "keys[5].expire_time",
        "keys[5].labels",
    ];
    assert_eq!(fields, expected);
    assert!(!answer.text().contains("has a blank"));
    assert_eq!(house.lets_in("fine").await, 400);
    assert_eq!(import(&house, json!([])).await.wrong_fields(), ["keys"]);
    let unknown = import(&house, json!([{"keyString": "fine", "foo": 1}])).await;
    assert_eq!(unknown.wrong_fields(), ["keys[0]"]);
}

#[tokio::test]
async fn a_project_that_demands_restrictions_imports_no_open_key() {
    let house = House::new().await;
    house.manage("PATCH", &format!("{ADMIN}/settings"), Some(json!({"standardKeysMustBeRestricted": true}))).await.ok();

    let open = import(&house, json!([{"keyString": STRING}])).await;
    assert_eq!(open.refused(), refusal(400, "FAILED_PRECONDITION"));
    import(&house, json!([{"keyString": STRING, "services": [GEMINI]}])).await.ok();
    assert_eq!(house.lets_in(STRING).await, 200);
}
