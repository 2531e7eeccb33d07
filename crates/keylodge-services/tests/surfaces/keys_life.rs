//! The rules of a key's fields, and its life beyond them: expiry, owner, purpose, labels.

use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS};
use crate::visitor::{ADMIN, DAY, refusal, text};

async fn create(house: &House, id: &str, body: Value) -> Answer {
    house.manage("POST", &format!("{KEYS}?keyId={id}"), Some(body)).await
}

#[tokio::test]
async fn an_id_has_the_form_that_google_gives_it() {
    let house = House::new().await;

    for id in ["a", "a-b", "a1", "web-1", &"a".repeat(63)] {
        assert!(text(&create(&house, id, json!({})).await.ok(), "/response/name").ends_with(&format!("/keys/{id}")));
    }
    let uuid = "3f0c9a52-1d0e-4f55-8f2a-2f0a4a0f6f11";
    for id in ["1a", "-a", "a-", "A", "a_b", "a.b", "%C3%A4", &"a".repeat(64), uuid, &uuid.replace("3f0c", "af0c")] {
        assert_eq!(create(&house, id, json!({})).await.wrong_fields(), ["key_id"], "{id}");
    }
    let unnamed = create(&house, "", json!({})).await.ok();
    assert!(text(&unnamed, "/response/name").ends_with(&text(&unnamed, "/response/uid")));
}

#[tokio::test]
async fn an_id_is_taken_until_its_key_is_purged() {
    let house = House::new().await;
    create(&house, "one", json!({})).await.ok();
    let again = async || create(&house, "one", json!({})).await;

    assert_eq!(again().await.refused(), refusal(409, "ALREADY_EXISTS"));
    house.manage("DELETE", &format!("{KEYS}/one"), None).await.ok();
    assert_eq!(again().await.refused(), refusal(409, "ALREADY_EXISTS"));
    house.new_project("team-blue").await;
    let elsewhere = KEYS.replace("default-project", "team-blue");
    house.manage("POST", &format!("{elsewhere}?keyId=one"), Some(json!({}))).await.ok();
}

#[tokio::test]
async fn fields_are_bounded_and_those_of_the_server_are_read_past() {
    let house = House::with_bodies(1024 * 1024).await;

    let body = json!({"displayName": "ä".repeat(63), "annotations": {"a": "x".repeat(256 * 1024 - 1)}});
    create(&house, "most", body).await.ok();
    let body = json!({"displayName": "ä".repeat(64), "annotations": {"a": "x".repeat(256 * 1024)}});
    assert_eq!(create(&house, "more", body).await.wrong_fields(), ["key.display_name", "key.annotations"]);
    let body = json!({"name": "x", "uid": "x", "keyString": "x", "createTime": "x", "updateTime": "x", "deleteTime": "x",
                      "etag": "x", "display_name": "D"});
    let key = create(&house, "one", body).await.ok()["response"].take();
    assert_eq!((&key["displayName"], &key["createTime"]), (&json!("D"), &json!("2026-01-31T12:00:00Z")));
    assert_eq!(key["deleteTime"], Value::Null);
}

#[tokio::test]
async fn a_wrong_field_is_refused_in_google_s_words() {
    let house = House::new().await;
    let check = async |body: Value, message: &str| {
        let error = create(&house, "one", body).await.error();
        assert_eq!(error, (400, "INVALID_ARGUMENT".to_owned(), message.to_owned()));
    };

    check(json!({"foo": 1}), "Invalid JSON payload received. Unknown name \"foo\" at 'key': Cannot find field.").await;
    let nested = "Invalid JSON payload received. Unknown name \"foo\" at 'key.restrictions': Cannot find field.";
    check(json!({"restrictions": {"foo": 1}}), nested).await;
    check(json!({"displayName": 5}), "Invalid value at 'key.display_name' (TYPE_STRING), 5").await;
}

#[tokio::test]
async fn a_list_is_read_with_the_sizes_and_tokens_that_there_are() {
    let house = House::new().await;
    let list = async |query: &str| house.manage("GET", &format!("{KEYS}?{query}"), None).await;

    list("pageSize=0&pageToken=&showDeleted=false").await.ok();
    list("pageSize=100000&show_deleted=True").await.ok();
    assert_eq!(list("pageSize=-1").await.refused(), refusal(400, "INVALID_ARGUMENT"));
    assert_eq!(list("pageToken=nonsense").await.refused(), refusal(400, "INVALID_ARGUMENT"));
    assert_eq!(list("filter=x").await.refused(), refusal(400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn a_key_of_a_project_that_the_caller_may_not_see_is_not_looked_up() {
    let house = House::new().await;
    let viewer = house
        .operator("user:vi@example.com", &[("projects/default-project", "roles/serviceusage.apiKeysViewer")])
        .await;
    let stranger = house.operator("user:st@example.com", &[]).await;
    let path = |string: &str| format!("/v2/keys:lookupKey?keyString={string}");

    house.as_(&viewer, "GET", &path(&house.key), None).await.ok();
    for string in [&*house.key, "kl_nonsense"] {
        assert_eq!(house.as_(&stranger, "GET", &path(string), None).await.refused(), refusal(404, "NOT_FOUND"));
    }
    house.manage("DELETE", &format!("{KEYS}/default-key"), None).await.ok();
    let found = house.as_(&viewer, "GET", &path(&house.key), None).await.ok();
    let undelete = format!("/v2/{}:undelete", text(&found, "/name"));
    house.manage("POST", &undelete, Some(json!({}))).await.ok();
    assert_eq!(house.lets_in(&house.key).await, 200);
}

#[tokio::test]
async fn the_string_in_an_operation_is_for_whoever_made_the_key_and_who_may_see_strings() {
    let house = House::new().await;
    let project = "projects/default-project";
    let admin = house.operator("user:ad@example.com", &[(project, "roles/serviceusage.apiKeysAdmin")]).await;
    let usage = house.operator("user:us@example.com", &[(project, "roles/serviceusage.serviceUsageViewer")]).await;
    let operation = text(&house.as_(&admin, "POST", KEYS, Some(json!({}))).await.ok(), "/name");
    let poll = async |token: &str| house.as_(token, "GET", &format!("/v2/{operation}"), None).await.ok();

    assert!(poll(&admin).await["response"]["keyString"].is_string());
    assert!(poll(&house.token).await["response"]["keyString"].is_string());
    assert_eq!(poll(&usage).await["response"]["keyString"], Value::Null);
}

#[tokio::test]
async fn a_key_ends_with_its_expiry_and_lives_again_with_a_later_one() {
    let house = House::new().await;
    let string = house.new_string("one", json!({})).await;
    let patch =
        async |query: &str, body: Value| house.manage("PATCH", &format!("{ADMIN}/keys/one?{query}"), Some(body)).await;

    patch("updateMask=expireTime", json!({"expireTime": "2026-02-01T12:00:00Z"})).await.ok();
    house.wait(DAY - 1);
    assert_eq!((house.lets_in(&string).await, &house.details("one").await["state"]), (200, &json!("LIVE")));
    house.wait(1);
    assert_eq!((house.lets_in(&string).await, &house.details("one").await["state"]), (400, &json!("EXPIRED")));
    assert_eq!(house.knock(&string, None, &[]).await.error().2, "API key expired. Please renew the API key.");
    assert_eq!(patch("", json!({"expireTime": "2026-02-01T12:00:00Z"})).await.wrong_fields(), ["expire_time"]);
    patch("", json!({"expireTime": "2026-02-02T12:00:00Z"})).await.ok();
    assert_eq!(house.lets_in(&string).await, 200);
    let cleared = patch("updateMask=expire_time", json!({})).await.ok();
    assert_eq!(cleared["expireTime"], Value::Null);
    house.wait(10 * DAY);
    assert_eq!(house.lets_in(&string).await, 200);
}

#[tokio::test]
async fn a_key_has_an_owner_a_purpose_and_labels() {
    let house = House::new().await;
    house.new_key("one", json!({})).await;
    let path = format!("{ADMIN}/keys/one");
    let body = json!({"owner": "team-blue", "purpose": "nightly report", "labels": {"env": "prod"}});

    let details = house.manage("PATCH", &path, Some(body)).await.ok();

    assert_eq!((&details["owner"], &details["purpose"]), (&json!("team-blue"), &json!("nightly report")));
    assert_eq!((&details["labels"], &details["creator"]), (&json!({"env": "prod"}), &json!("user:owner")));
    let cleared =
        house.manage("PATCH", &format!("{path}?updateMask=owner,labels"), Some(json!({"owner": "ana"}))).await.ok();
    assert_eq!((&cleared["owner"], &cleared["labels"]), (&json!("ana"), &Value::Null));
    assert_eq!(cleared["purpose"], "nightly report");
    let body = json!({"owner": "x".repeat(257), "purpose": "x".repeat(1025), "labels": {"BAD": "x"}});
    assert_eq!(house.manage("PATCH", &path, Some(body)).await.wrong_fields(), ["owner", "purpose", "labels"]);
    let wrong = house.manage("PATCH", &format!("{path}?updateMask=state"), Some(json!({}))).await;
    assert_eq!(wrong.wrong_fields(), ["update_mask"]);
}
