//! A node's signed word that it refuses a key.

use keylodge_rules::audit::{PublicKey, Receipt, Signature, Signed};
use keylodge_rules::{KeyUid, Revision, Timestamp};
use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS, NOON};
use crate::visitor::{ADMIN, HOUR, refusal, text};

async fn post(house: &House, verb: &str) -> Answer {
    house.manage("POST", &format!("{ADMIN}/keys/one:{verb}"), Some(json!({}))).await
}

async fn receipt(house: &House) -> Answer {
    house.manage("GET", &format!("{ADMIN}/keys/one/receipt"), None).await
}

/// A receipt as its reader puts it together, stopped at a time of the reader's own reading.
fn read(receipt: &Value, time: i64) -> Signed<Receipt> {
    Signed {
        statement: Receipt {
            key_uid: KeyUid::parse(&text(receipt, "/keyUid")).unwrap(),
            revision: Revision(receipt["revision"].as_u64().unwrap()),
            node: text(receipt, "/node"),
            time: Timestamp::from_micros(time),
            reason: text(receipt, "/reason"),
        },
        public_key: PublicKey::parse(&text(receipt, "/publicKey")).unwrap(),
        signature: Signature::parse(&text(receipt, "/signature")).unwrap(),
    }
}

/// Checks that a receipt is this node's word that it refuses the key since then, for that reason.
async fn check(house: &House, receipt: &Value, time: i64, reason: &str) {
    let signed = read(receipt, time);
    signed.verify().unwrap();
    assert_eq!((signed.statement.reason.as_str(), signed.statement.node.as_str()), (reason, "test"));
    assert_eq!(receipt["keyUid"], house.details("one").await["uid"]);
    let checkpoint = house.manage("GET", "/keylodge/v1/auditLogs:checkpoint", None).await.ok();
    assert_eq!(receipt["publicKey"], checkpoint["publicKey"], "the key that signs the audit log");

    let mut forged = signed.clone();
    forged.statement.revision.0 += 1;
    forged.verify().unwrap_err();
    let mut forged = signed;
    forged.statement.reason = "live".to_owned();
    forged.verify().unwrap_err();
}

async fn house() -> (House, String) {
    let house = House::new().await;
    let string = house.new_string("one", json!({})).await;
    (house, string)
}

#[tokio::test]
async fn a_revoked_key_is_refused_when_its_receipt_is_written() {
    let (house, string) = house().await;

    let revoked = post(&house, "revoke").await.ok();

    assert_eq!(house.lets_in(&string).await, 400);
    assert_eq!(revoked["receipt"]["time"], "2026-01-31T12:00:00Z");
    assert_eq!(revoked["details"]["state"], "DELETED");
    check(&house, &revoked["receipt"], NOON, "deleted").await;
    assert_eq!(house.key("one").await["deleteTime"], "2026-01-31T12:00:00Z");
    assert_eq!(post(&house, "revoke").await.refused(), refusal(400, "FAILED_PRECONDITION"));
}

#[tokio::test]
async fn a_receipt_carries_the_revision_of_the_revocation() {
    let (house, _) = house().await;

    let revoked = post(&house, "revoke").await.ok();

    let log = house.audit_log().await;
    let line = log.iter().find(|entry| entry["protoPayload"]["methodName"] == "keylodge.v1.Keys.RevokeKey").unwrap();
    assert_eq!(line["labels"]["keylodge.revision"], revoked["receipt"]["revision"].to_string());
}

#[tokio::test]
async fn a_disabled_key_has_a_receipt_until_it_is_enabled_again() {
    let (house, string) = house().await;
    assert_eq!(receipt(&house).await.refused(), refusal(400, "FAILED_PRECONDITION"), "a live key");

    let disabled = post(&house, "disable").await.ok();
    assert_eq!((house.lets_in(&string).await, &disabled["details"]["state"]), (400, &json!("DISABLED")));
    assert_eq!(disabled["details"]["disableTime"], "2026-01-31T12:00:00Z");
    check(&house, &disabled["receipt"], NOON, "disabled").await;
    house.wait(HOUR);
    assert_eq!(receipt(&house).await.ok(), disabled["receipt"], "the same word an hour later");
    assert_eq!(
        post(&house, "disable").await.ok()["details"]["disableTime"],
        "2026-01-31T12:00:00Z",
        "it is off already"
    );

    assert_eq!(post(&house, "enable").await.ok()["state"], "LIVE");
    assert_eq!(house.lets_in(&string).await, 200);
    assert_eq!(receipt(&house).await.refused(), refusal(400, "FAILED_PRECONDITION"));
}

#[tokio::test]
async fn a_key_deleted_through_google_s_api_has_a_receipt_too() {
    let (house, _) = house().await;
    house.wait(HOUR);
    house.manage("DELETE", &format!("{KEYS}/one"), None).await.ok();

    check(&house, &receipt(&house).await.ok(), NOON + HOUR, "deleted").await;
}

#[tokio::test]
async fn an_expired_key_has_a_receipt_too() {
    let (house, string) = house().await;
    let body = json!({"expireTime": "2026-01-31T13:00:00Z"});
    house.manage("PATCH", &format!("{ADMIN}/keys/one"), Some(body)).await.ok();
    assert_eq!(receipt(&house).await.refused(), refusal(400, "FAILED_PRECONDITION"));
    house.wait(2 * HOUR);

    assert_eq!(house.lets_in(&string).await, 400);
    check(&house, &receipt(&house).await.ok(), NOON + HOUR, "expired").await;
}

#[tokio::test]
async fn an_undeleted_key_that_was_disabled_stays_so() {
    let (house, string) = house().await;
    post(&house, "disable").await.ok();
    post(&house, "revoke").await.ok();

    house.manage("POST", &format!("{KEYS}/one:undelete"), Some(json!({}))).await.ok();
    assert_eq!((house.lets_in(&string).await, &house.details("one").await["state"]), (400, &json!("DISABLED")));
}

#[tokio::test]
async fn nobody_gets_a_receipt_for_a_key_that_is_not_there() {
    let house = House::new().await;

    assert_eq!(receipt(&house).await.refused(), refusal(404, "NOT_FOUND"));
    assert_eq!(post(&house, "revoke").await.refused(), refusal(404, "NOT_FOUND"));
}
