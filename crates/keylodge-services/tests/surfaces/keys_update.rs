//! `PATCH` of API Keys v2: masks in both spellings, sub-paths, etags, and what projects demand of keys.

use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS};
use crate::visitor::{ADMIN, GEMINI, HOUR, refusal, text};

const NAME: &str = "projects/default-project/locations/global/keys/one";
const SHA1: &str = "DA:39:A3:EE:5E:6B:4B:0D:32:55:BF:EF:95:60:18:90:AF:D8:07:09";

async fn patch(house: &House, query: &str, body: Value) -> Answer {
    house.manage("PATCH", &format!("{KEYS}/one?{query}"), Some(body)).await
}

/// What every key here begins as.
fn begin() -> Value {
    json!({"displayName": "Begin", "annotations": {"a": "b"}, "restrictions": {
        "serverKeyRestrictions": {"allowedIps": ["198.51.100.0/24"]}, "apiTargets": [{"service": GEMINI}]}})
}

/// A key after an update, without what the server sets.
async fn after(query: &str, body: Value) -> Value {
    let house = House::new().await;
    house.new_key("one", begin()).await;
    let answered = patch(&house, query, body).await.ok()["response"].take();
    let mut key = house.key("one").await;
    let mut whole = key.clone();
    whole["@type"] = json!("type.googleapis.com/google.api.apikeys.v2.Key");
    assert_eq!(answered, whole, "the answer of {query}");
    let key = key.as_object_mut().unwrap();
    for name in ["name", "uid", "createTime", "updateTime", "etag"] {
        assert!(key.remove(name).is_some(), "{name}");
    }
    Value::Object(std::mem::take(key))
}

/// Checks that an update changes what stands in `changed` and nothing else; null is gone.
async fn check(query: &str, body: Value, changed: Value) {
    let mut expected = begin();
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            expected.as_object_mut().unwrap().remove(name);
        } else {
            expected[name] = value.clone();
        }
    }
    assert_eq!(after(query, body.clone()).await, expected, "{query} {body}");
}

/// The restrictions that every key here begins with, with another client restriction.
fn with_client(kind: &str, list: &Value) -> Value {
    json!({"restrictions": {kind: list, "apiTargets": [{"service": GEMINI}]}})
}

#[tokio::test]
async fn gcloud_s_flags_change_what_they_name_and_its_empty_restrictions_change_nothing() {
    let named = |mut body: Value| {
        body["name"] = json!(NAME);
        body
    };
    let bare = || named(json!({"restrictions": {}}));

    let body = named(json!({"displayName": "D", "restrictions": {}}));
    check("alt=json&updateMask=display_name", body, json!({"displayName": "D"})).await;
    let body = named(json!({"annotations": {"x": "y"}, "restrictions": {}}));
    check("alt=json&updateMask=annotations", body, json!({"annotations": {"x": "y"}})).await;
    check("alt=json&updateMask=annotations", bare(), json!({"annotations": null})).await;
    check("alt=json&updateMask=restrictions", bare(), json!({"restrictions": null})).await;
    check("alt=json&updateMask=", bare(), json!({})).await;

    let (mask, list) = ("updateMask=restrictions.browser_key_restrictions", json!({"allowedReferrers": ["a.test/*"]}));
    let body = named(json!({"restrictions": {"browserKeyRestrictions": list}}));
    check(mask, body, with_client("browserKeyRestrictions", &list)).await;
    let (mask, list) = ("updateMask=restrictions.ios_key_restrictions", json!({"allowedBundleIds": ["com.example.a"]}));
    let body = named(json!({"restrictions": {"iosKeyRestrictions": list}}));
    check(mask, body, with_client("iosKeyRestrictions", &list)).await;
    let app =
        |sha1: String| json!({"allowedApplications": [{"sha1Fingerprint": sha1, "packageName": "com.example.a"}]});
    let body = named(json!({"restrictions": {"androidKeyRestrictions": app(SHA1.to_lowercase())}}));
    let changed = with_client("androidKeyRestrictions", &app(SHA1.replace(':', "")));
    check("updateMask=restrictions.android_key_restrictions", body, changed).await;

    let mask = "updateMask=display_name%2Crestrictions.server_key_restrictions%2Crestrictions.api_targets";
    let restrictions = json!({"serverKeyRestrictions": {"allowedIps": ["2001:db8::/64"]},
                              "apiTargets": [{"service": "jules.googleapis.com", "methods": ["CreateSession", "Get*"]}]});
    let body = named(json!({"displayName": "D", "restrictions": restrictions}));
    check(mask, body, json!({"displayName": "D", "restrictions": restrictions})).await;
}

#[tokio::test]
async fn python_and_rust_spell_masks_in_camel_case() {
    let restrictions = json!({"browserKeyRestrictions": {"allowedReferrers": ["a.test/*"]}});
    let body = json!({"displayName": "D", "restrictions": restrictions});
    let changed = json!({"displayName": "D", "restrictions": restrictions});
    check("updateMask=displayName%2Crestrictions&%24alt=json%3Benum-encoding%3Dint", body, changed).await;

    let mask = "updateMask=restrictions.serverKeyRestrictions";
    let list = json!({"allowedIps": ["127.0.0.1"]});
    let body = json!({"restrictions": {"serverKeyRestrictions": list}});
    check(mask, body, with_client("serverKeyRestrictions", &list)).await;
    check("update_mask=displayName", json!({"display_name": "D"}), json!({"displayName": "D"})).await;
}

#[tokio::test]
async fn a_masked_field_that_the_body_lacks_is_cleared() {
    check("updateMask=display_name", json!({}), json!({"displayName": null})).await;
    let targets = json!({"restrictions": {"apiTargets": [{"service": GEMINI}]}});
    check("updateMask=restrictions.server_key_restrictions", json!({}), targets).await;
    let client = json!({"restrictions": {"serverKeyRestrictions": {"allowedIps": ["198.51.100.0/24"]}}});
    check("updateMask=restrictions.api_targets", json!({}), client).await;
    let rest = json!({"displayName": "D", "annotations": null, "restrictions": null});
    check("updateMask=*", json!({"displayName": "D"}), rest).await;
}

#[tokio::test]
async fn without_a_mask_what_is_given_is_replaced() {
    check("", json!({"displayName": "D"}), json!({"displayName": "D"})).await;
    let restrictions = json!({"apiTargets": [{"service": "jules.googleapis.com"}]});
    check("", json!({"restrictions": restrictions}), json!({"restrictions": restrictions})).await;
    check("", json!({"annotations": {"x": "y"}}), json!({"annotations": {"x": "y"}})).await;
    check("", json!({"restrictions": {}}), json!({})).await;
}

#[tokio::test]
async fn what_only_the_server_sets_is_read_past() {
    let body = json!({"uid": "x", "keyString": "x", "createTime": "x", "deleteTime": "x", "displayName": "D"});
    check("updateMask=name,uid,keyString,create_time,updateTime,deleteTime,etag", body, json!({})).await;
    let body = json!({"uid": "x", "serviceAccountEmail": "a@b.test", "displayName": "D"});
    check("updateMask=displayName", body, json!({"displayName": "D"})).await;
}

#[tokio::test]
async fn an_update_answers_an_operation_without_the_string_and_with_a_new_etag() {
    let house = House::new().await;
    let before = house.new_key("one", begin()).await;
    house.wait(HOUR);

    let operation = patch(&house, "updateMask=displayName", json!({"displayName": "D"})).await.ok();

    let number = text(&before, "/name").split('/').nth(1).unwrap().to_owned();
    let name = text(&operation, "/name");
    assert!(name.starts_with(&format!("operations/akmf.p10-{number}-")), "{name}");
    assert_eq!(operation["done"], true);
    let after = &operation["response"];
    assert_eq!(after["keyString"], Value::Null);
    assert_ne!(after["etag"], before["etag"]);
    assert_eq!(after["createTime"], before["createTime"]);
    assert_eq!(after["updateTime"], "2026-01-31T13:00:00Z");
    assert_eq!(house.manage("GET", &format!("/v2/{name}"), None).await.ok(), operation);
}

#[tokio::test]
async fn an_update_is_in_force_when_it_has_answered() {
    let house = House::new().await;
    let string = house.new_string("one", json!({})).await;

    let only_there = json!({"restrictions": {"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}}});
    patch(&house, "updateMask=restrictions", only_there).await.ok();
    assert_eq!(house.lets_in(&string).await, 403);
    patch(&house, "updateMask=restrictions", json!({"restrictions": {}})).await.ok();
    assert_eq!(house.lets_in(&string).await, 200);
}

#[tokio::test]
async fn an_old_etag_stops_an_update_and_none_does_not() {
    let house = House::new().await;
    let old = text(&house.new_key("one", begin()).await, "/etag");
    let rename = async |etag: &str, name: &str| {
        patch(&house, "updateMask=displayName", json!({"etag": etag, "displayName": name})).await
    };

    rename(&old, "first").await.ok();
    assert_eq!(rename(&old, "second").await.refused(), refusal(409, "ABORTED"));
    assert_eq!(house.key("one").await["displayName"], "first");
    rename("", "third").await.ok();
    let current = text(&house.key("one").await, "/etag");
    rename(&current, "fourth").await.ok();
}

#[tokio::test]
async fn all_mistakes_of_an_update_are_told_at_once() {
    let house = House::new().await;
    house.new_key("one", begin()).await;

    let body = json!({"displayName": "x".repeat(64), "foo": 1});
    assert_eq!(patch(&house, "updateMask=displayName", body).await.wrong_fields(), ["key.display_name", "key"]);
    let answer = patch(&house, "updateMask=foo,restrictions.bar,displayName", json!({"annotations": 5})).await;
    assert_eq!(answer.wrong_fields(), ["update_mask", "update_mask", "key.annotations"]);
    let answer = patch(&house, "updateMask=serviceAccountEmail", json!({})).await;
    assert_eq!(answer.wrong_fields(), ["update_mask"]);
    assert_eq!(house.key("one").await["displayName"], "Begin");

    let unknown = patch(&house, "updateMask=displayName&colour=blue", json!({})).await.error();
    let message = "Invalid JSON payload received. Unknown name \"colour\": Cannot bind query parameter. Field 'colour' could not be found in request message.";
    assert_eq!(unknown, (400, "INVALID_ARGUMENT".to_owned(), message.to_owned()));
    patch(&house, "updateMask=displayName&checkExistingUsage=SKIP", json!({"displayName": "D"})).await.ok();
}

#[tokio::test]
async fn a_key_that_is_not_there_cannot_be_updated() {
    let house = House::new().await;

    assert_eq!(patch(&house, "updateMask=displayName", json!({})).await.refused(), refusal(404, "NOT_FOUND"));
    let elsewhere = "/v2/projects/no-project-here/locations/global/keys/one";
    let answer = house.manage("PATCH", elsewhere, Some(json!({}))).await;
    assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"));
    let uid = text(&house.new_key("one", begin()).await, "/uid");
    house.manage("PATCH", &format!("{KEYS}/{uid}"), Some(json!({"displayName": "D"}))).await.ok();
    assert_eq!(house.key("one").await["displayName"], "D");
}

#[tokio::test]
async fn a_project_can_demand_that_its_standard_keys_are_restricted() {
    let house = House::new().await;
    let restricted = json!({"restrictions": {"apiTargets": [{"service": GEMINI}]}});
    let string = house.new_string("one", restricted.clone()).await;
    let bound = json!({"serviceAccountEmail": "ci@default-project.iam.gserviceaccount.com"});
    let bound = house.new_string("bound", bound).await;

    let demand = json!({"standardKeysMustBeRestricted": true});
    let settings = house.manage("PATCH", &format!("{ADMIN}/settings"), Some(demand)).await.ok();
    assert_eq!(settings, json!({"keyStringsShownOnce": false, "standardKeysMustBeRestricted": true}));
    assert_eq!(house.manage("GET", &format!("{ADMIN}/settings"), None).await.ok(), settings);

    let refused = house.knock(&house.key, None, &[]).await;
    assert_eq!(refused.refused(), refusal(401, "UNAUTHENTICATED"));
    assert_eq!(refused.reason().0, "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    assert_eq!([house.lets_in(&string).await, house.lets_in(&bound).await], [200, 200]);
    let open = house.manage("POST", KEYS, Some(json!({"restrictions": {}}))).await;
    assert_eq!(open.refused(), refusal(400, "FAILED_PRECONDITION"));
    let lift = patch(&house, "updateMask=restrictions", json!({"restrictions": {}})).await;
    assert_eq!(lift.refused(), refusal(400, "FAILED_PRECONDITION"));
    house.manage("POST", KEYS, Some(restricted)).await.ok();

    let enough = json!({"standardKeysMustBeRestricted": false});
    house.manage("PATCH", &format!("{ADMIN}/settings"), Some(enough)).await.ok();
    assert_eq!(house.lets_in(&house.key).await, 200);
}

#[tokio::test]
async fn a_project_can_show_strings_once_only() {
    let house = House::new().await;
    house.manage("PATCH", &format!("{ADMIN}/settings"), Some(json!({"keyStringsShownOnce": true}))).await.ok();

    let string = house.new_string("one", json!({})).await;
    assert_eq!(house.lets_in(&string).await, 200);
    let shown = house.manage("GET", &format!("{KEYS}/one/keyString"), None).await;
    assert_eq!(shown.refused(), refusal(400, "FAILED_PRECONDITION"));
    let deleted = house.manage("DELETE", &format!("{KEYS}/one"), None).await.ok();
    assert_eq!(deleted["response"]["keyString"], Value::Null);
    house.manage("GET", &format!("{KEYS}/default-key/keyString"), None).await.ok();
}
