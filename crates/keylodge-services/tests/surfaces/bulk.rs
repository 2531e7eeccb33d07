//! Deleting many keys at once.

use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS};
use crate::visitor::{ADMIN, refusal, text, texts};

async fn revoke(house: &House, body: Value) -> Answer {
    house.manage("POST", &format!("{ADMIN}/keys:revoke"), Some(body)).await
}

/// A house with three labelled keys: their strings.
async fn house() -> (House, Vec<String>) {
    let house = House::new().await;
    let mut strings = Vec::new();
    for (id, owner, env) in [("one", "ana", "prod"), ("two", "ana", "test"), ("three", "ben", "prod")] {
        strings.push(house.new_string(id, json!({"displayName": id})).await);
        let body = json!({"owner": owner, "labels": {"env": env, "team": "blue"}});
        house.manage("PATCH", &format!("{ADMIN}/keys/{id}"), Some(body)).await.ok();
    }
    (house, strings)
}

/// Revokes what a body says; which of the three are left.
async fn left_after(body: Value) -> Vec<String> {
    let (house, strings) = house().await;
    let uids: Vec<String> = [house.key("one").await, house.key("two").await, house.key("three").await]
        .iter()
        .map(|key| text(key, "/uid"))
        .collect();
    let answer = revoke(&house, body.clone()).await.ok();
    assert_eq!(answer["more"], false);
    let refused = texts(&answer["receipts"], "/keyUid");
    let left = texts(&house.manage("GET", KEYS, None).await.ok()["keys"], "/displayName");
    for ((id, uid), string) in ["one", "two", "three"].iter().zip(&uids).zip(&strings) {
        let is_left = left.iter().any(|name| name == id);
        assert_eq!(refused.contains(uid), !is_left, "a receipt for {id}: {body}");
        assert_eq!(house.lets_in(string).await, if is_left { 200 } else { 400 }, "{id}: {body}");
    }
    left.into_iter().filter(|name| name != "Default key").collect()
}

#[tokio::test]
async fn keys_are_revoked_by_what_they_all_have() {
    assert_eq!(left_after(json!({"keys": ["one", "three"]})).await, ["two"]);
    assert_eq!(left_after(json!({"labels": {"env": "prod"}})).await, ["two"]);
    assert_eq!(left_after(json!({"labels": {"env": "prod", "team": "red"}})).await, ["one", "two", "three"]);
    assert_eq!(left_after(json!({"owner": "ana"})).await, ["three"]);
    assert_eq!(left_after(json!({"owner": "ana", "labels": {"env": "prod"}})).await, ["two", "three"]);
    assert_eq!(left_after(json!({"keys": ["two", "three"], "owner": "ben"})).await, ["one", "two"]);
    assert_eq!(left_after(json!({"creator": "user:owner", "labels": {"team": "blue"}})).await, [""; 0]);
    assert_eq!(left_after(json!({"creator": "user:nobody@example.com"})).await, ["one", "two", "three"]);
}

#[tokio::test]
async fn all_keys_of_a_project_go_only_when_that_is_said() {
    let (house, strings) = house().await;
    house.new_project("team-blue").await;
    let blue = KEYS.replace("default-project", "team-blue");
    let other = text(&house.manage("POST", &blue, Some(json!({}))).await.ok(), "/response/keyString");

    for body in [json!({}), json!({"all": true, "owner": "ana"}), json!({"keys": [], "labels": {}})] {
        assert_eq!(revoke(&house, body).await.wrong_fields(), ["keys"]);
    }
    let answer = revoke(&house, json!({"all": true})).await.ok();
    assert_eq!(answer["receipts"].as_array().unwrap().len(), 4);
    for string in strings.iter().chain([&house.key]) {
        assert_eq!(house.lets_in(string).await, 400);
    }
    assert_eq!(house.lets_in(&other).await, 200, "another project's");
    assert_eq!(revoke(&house, json!({"all": true})).await.ok(), json!({"more": false}));
}

#[tokio::test]
async fn keys_are_named_by_uid_too_and_one_bad_name_is_not_passed_over() {
    let (house, strings) = house().await;
    let uid = text(&house.key("one").await, "/uid");

    let wrong = revoke(&house, json!({"keys": [uid, "no-such-key"]})).await;
    assert_eq!(wrong.refused(), refusal(404, "NOT_FOUND"));
    assert_eq!(house.lets_in(&strings[0]).await, 200);
    revoke(&house, json!({"keys": [uid]})).await.ok();
    assert_eq!(house.lets_in(&strings[0]).await, 400);
}

#[tokio::test]
async fn each_key_of_many_has_its_own_audit_line_and_can_come_back() {
    let (house, strings) = house().await;
    let before = house.lodge.store.audit_lines().await.unwrap();

    revoke(&house, json!({"labels": {"env": "prod"}})).await.ok();

    assert_eq!(house.lodge.store.audit_lines().await.unwrap(), before + 2);
    house.manage("POST", &format!("{KEYS}/one:undelete"), Some(json!({}))).await.ok();
    assert_eq!(house.lets_in(&strings[0]).await, 200);
}

#[tokio::test]
async fn revoking_many_takes_the_permission_to_delete() {
    let (house, strings) = house().await;
    let viewer = house.operator("user:vi@example.com", &[("projects/default-project", "roles/viewer")]).await;

    let answer = house.as_(&viewer, "POST", &format!("{ADMIN}/keys:revoke"), Some(json!({"all": true}))).await;
    assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"));
    assert_eq!(house.lets_in(&strings[0]).await, 200);
}

#[tokio::test]
async fn a_project_has_three_hundred_keys_at_most() {
    let house = House::with_bodies(64 * 1024).await;
    let new: Vec<Value> = (0..300).map(|at| json!({"keyString": format!("sk-{at:04}")})).collect();
    let import =
        async |keys: &[Value]| house.manage("POST", &format!("{ADMIN}/keys:import"), Some(json!({"keys": keys}))).await;

    assert_eq!(import(&new).await.refused(), refusal(429, "RESOURCE_EXHAUSTED"));
    import(&new[..299]).await.ok();
    let full = house.manage("POST", KEYS, Some(json!({}))).await;
    assert_eq!(full.refused(), refusal(429, "RESOURCE_EXHAUSTED"));
    house.manage("DELETE", &format!("{KEYS}/default-key"), None).await.ok();
    assert_eq!(house.manage("POST", KEYS, Some(json!({}))).await.http, 429, "a deleted key counts until it is purged");
}
