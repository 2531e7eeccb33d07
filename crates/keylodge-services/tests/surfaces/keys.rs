//! API Keys v2.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::support::{House, KEYS, NOON};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

async fn create(house: &House, id: &str) -> Value {
    let answer = house.manage("POST", &format!("{KEYS}?keyId={id}"), Some(json!({"displayName": id}))).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn creating_answers_a_finished_operation_with_the_string_and_the_gate_knows_it() {
    let house = House::new().await;

    let body = json!({"displayName": "Web", "annotations": {"a": "b"}, "restrictions": {}});
    let operation = house.manage("POST", &format!("{KEYS}?keyId=web-1&alt=json"), Some(body)).await.json();

    let key = &operation["response"];
    let number = key["name"].as_str().unwrap().split('/').nth(1).unwrap();
    assert_eq!(number.len(), 12);
    assert!(operation["name"].as_str().unwrap().starts_with(&format!("operations/akmf.p7-{number}-")));
    assert_eq!(
        operation,
        json!({"name": operation["name"], "done": true, "response": {
            "@type": "type.googleapis.com/google.api.apikeys.v2.Key",
            "name": format!("projects/{number}/locations/global/keys/web-1"),
            "displayName": "Web", "keyString": key["keyString"], "createTime": "2026-01-31T12:00:00Z",
            "uid": key["uid"], "updateTime": "2026-01-31T12:00:00Z", "annotations": {"a": "b"}, "etag": key["etag"]}})
    );
    let etag = key["etag"].as_str().unwrap();
    assert!(etag.starts_with("W/\"") && etag.len() == 28, "{etag}");
    assert_eq!(house.lets_in(key["keyString"].as_str().unwrap()).await, 200);

    for version in ["v1", "v2", "v3"] {
        let polled = house.manage("GET", &format!("/{version}/{}", operation["name"].as_str().unwrap()), None).await;
        assert_eq!(polled.json(), operation);
    }
}

#[tokio::test]
async fn only_the_asked_for_reads_show_the_string() {
    let house = House::new().await;
    let made = create(&house, "one").await;
    let mut shown = made["response"].clone();
    let string = shown.as_object_mut().unwrap().remove("keyString").unwrap();
    shown.as_object_mut().unwrap().remove("@type");

    assert_eq!(house.manage("GET", &format!("{KEYS}/one"), None).await.json(), shown);
    let uid = shown["uid"].as_str().unwrap();
    assert_eq!(house.manage("GET", &format!("{KEYS}/{uid}"), None).await.json(), shown);
    assert_eq!(house.manage("GET", KEYS, None).await.json()["keys"][1], shown);
    let string_of = house.manage("GET", &format!("{KEYS}/one/keyString"), None).await.json();
    assert_eq!(string_of, json!({"keyString": string}));
    let found = house.manage("GET", &format!("/v2/keys:lookupKey?keyString={}", string.as_str().unwrap()), None).await;
    assert_eq!(found.json()["name"], shown["name"]);
}

#[tokio::test]
async fn an_operation_shows_the_string_for_an_hour_and_each_look_leaves_an_audit_line() {
    let house = House::new().await;
    let operation = create(&house, "one").await["name"].as_str().unwrap().to_owned();
    let poll = async || house.manage("GET", &format!("/v2/{operation}"), None).await.json();
    let before = house.lodge.store.audit_lines().await.unwrap();

    assert!(poll().await["response"]["keyString"].is_string());
    assert_eq!(house.lodge.store.audit_lines().await.unwrap(), before + 1);
    house.clock.store(NOON + DAY / 24, Ordering::SeqCst);
    assert_eq!(poll().await["response"]["keyString"], Value::Null);
}

#[tokio::test]
async fn looking_at_a_string_leaves_an_audit_line() {
    let house = House::new().await;
    let before = house.lodge.store.audit_lines().await.unwrap();

    house.manage("GET", &format!("{KEYS}/default-key/keyString"), None).await;
    house.manage("GET", &format!("{KEYS}/default-key"), None).await;

    assert_eq!(house.lodge.store.audit_lines().await.unwrap(), before + 1);
}

#[tokio::test]
async fn a_deleted_key_is_refused_at_once_shown_for_thirty_days_and_can_come_back() {
    let house = House::new().await;
    let string = create(&house, "one").await["response"]["keyString"].as_str().unwrap().to_owned();
    let path = format!("{KEYS}/one");

    let deleted = house.manage("DELETE", &path, None).await.json();
    assert_eq!(deleted["response"]["deleteTime"], "2026-01-31T12:00:00Z");
    assert_eq!(deleted["response"]["keyString"], string.as_str());
    assert_eq!(house.lets_in(&string).await, 400);
    assert_eq!(house.manage("GET", &path, None).await.json()["deleteTime"], "2026-01-31T12:00:00Z");
    assert_eq!(house.manage("DELETE", &path, None).await.error().1, "FAILED_PRECONDITION");
    assert_eq!(house.manage("GET", KEYS, None).await.json()["keys"].as_array().unwrap().len(), 1);
    let all = house.manage("GET", &format!("{KEYS}?showDeleted=True"), None).await.json();
    assert_eq!(all["keys"].as_array().unwrap().len(), 2);

    house.clock.store(NOON + 29 * DAY, Ordering::SeqCst);
    let back = house.manage("POST", &format!("{path}:undelete"), Some(json!({}))).await;
    assert_eq!((back.http, house.lets_in(&string).await), (200, 200));
    assert_eq!(back.json()["response"]["etag"], deleted["response"]["etag"]);
    assert_eq!(house.manage("POST", &format!("{path}/:undelete"), None).await.error().1, "FAILED_PRECONDITION");

    house.manage("DELETE", &path, None).await;
    assert_eq!(keylodge_services::purge::step(&house.lodge).await.unwrap(), 0);
    house.clock.store(NOON + 60 * DAY, Ordering::SeqCst);
    assert_eq!(house.manage("GET", &path, None).await.error().0, 404);
    assert_eq!(house.manage("POST", &format!("{path}:undelete"), None).await.error().0, 404);
    assert_eq!(house.lets_in(&string).await, 400);
    assert_eq!(keylodge_services::purge::step(&house.lodge).await.unwrap(), 1);
    assert_eq!(house.lets_in(&string).await, 400);
    create(&house, "one").await;
}

#[tokio::test]
async fn an_etag_protects_a_delete() {
    let house = House::new().await;
    let etag = create(&house, "one").await["response"]["etag"].as_str().unwrap().to_owned();
    let encoded: String = form_urlencoded::byte_serialize(etag.as_bytes()).collect();

    assert_eq!(house.manage("DELETE", &format!("{KEYS}/one?etag=W%2F%22old%22"), None).await.error().1, "ABORTED");
    assert_eq!(house.manage("DELETE", &format!("{KEYS}/one?etag={encoded}"), None).await.http, 200);
}

#[tokio::test]
async fn every_mistake_of_a_request_is_reported_at_once() {
    let house = House::new().await;
    let body = json!({"displayName": "x".repeat(64), "foo": 1,
                      "restrictions": {"serverKeyRestrictions": {"allowedIps": ["1.2.3.4/33"]}}});

    let answer = house.manage("POST", &format!("{KEYS}?keyId=UPPER"), Some(body)).await;

    assert_eq!(answer.error().0, 400);
    let error = answer.json();
    let violations = error["error"]["details"][0]["fieldViolations"].as_array().unwrap();
    let fields: Vec<&str> = violations.iter().map(|violation| violation["field"].as_str().unwrap_or("")).collect();
    assert_eq!(fields, ["key_id", "key.restrictions.server_key_restrictions.allowed_ips", "key.display_name", "key"]);
}

#[tokio::test]
async fn what_is_not_there_reads_as_google_has_it() {
    let house = House::new().await;
    create(&house, "one").await;

    let taken = house.manage("POST", &format!("{KEYS}?keyId=one"), Some(json!({}))).await;
    assert_eq!((taken.http, taken.error().1.as_str()), (409, "ALREADY_EXISTS"));
    assert_eq!(house.manage("GET", &format!("{KEYS}/none"), None).await.error().0, 404);
    let elsewhere = KEYS.replace("default-project", "other-project");
    let denied = house.manage("GET", &elsewhere, None).await;
    assert_eq!(denied.error().0, 403);
    assert_eq!(denied.json()["error"]["details"][0]["reason"], "IAM_PERMISSION_DENIED");
    assert_eq!(house.manage("GET", &KEYS.replace("global", "europe"), None).await.error().0, 400);
    assert_eq!(house.manage("GET", "/v2/operations/akmf.none", None).await.error().0, 404);
}

#[tokio::test]
async fn keys_are_listed_in_pages_in_the_order_they_were_made() {
    let house = House::new().await;
    for id in ["a", "b", "c", "d"] {
        create(&house, id).await;
    }

    let first = house.manage("GET", &format!("{KEYS}?pageSize=3"), None).await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    let second = house.manage("GET", &format!("{KEYS}?pageSize=3&pageToken={token}"), None).await.json();

    let ids = |page: &Value| {
        let keys = page["keys"].as_array().unwrap().iter();
        keys.map(|key| key["displayName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ["Default key", "a", "b"]);
    assert_eq!(ids(&second), ["c", "d"]);
    assert_eq!(second["nextPageToken"], Value::Null);
}

#[tokio::test]
async fn who_is_not_proven_is_told_what_is_missing() {
    let house = House::new().await;
    let ask = async |name: &str, value: &str| {
        let request = http::Request::get(KEYS).header(name, value).body(axum::body::Body::empty()).unwrap();
        let answer = house.send(request).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"https://accounts.google.com/\"");
        (answer.error(), answer.json()["error"]["details"][0].clone())
    };

    let (error, detail) = ask("x-nothing", "").await;
    assert!(error.2.starts_with("Request is missing required authentication credential."));
    assert_eq!(detail["reason"], "CREDENTIALS_MISSING");
    assert_eq!(
        detail["metadata"],
        json!({"service": "apikeys.googleapis.com", "method": "google.api.apikeys.v2.ApiKeys.ListKeys"})
    );
    let (error, detail) = ask("authorization", "Bearer nobody").await;
    assert!(error.2.starts_with("Request had invalid authentication credentials."));
    assert_eq!(detail["reason"], "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    let (error, _) = ask("x-goog-api-key", &house.key).await;
    assert!(error.2.starts_with("API keys are not supported by this API."));
}
