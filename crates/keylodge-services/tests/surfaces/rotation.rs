//! Giving a key a new string while the old one is still out there.

use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS};
use crate::visitor::{ADMIN, GEMINI, HOUR, SECOND, refusal, text};

async fn rotate(house: &House, body: Value) -> Answer {
    house.manage("POST", &format!("{ADMIN}/keys/one:rotate"), Some(body)).await
}

async fn retire(house: &House) -> Answer {
    house.manage("POST", &format!("{ADMIN}/keys/one:retire"), Some(json!({}))).await
}

/// A house with a rotated key: the old string and the new.
async fn rotated(body: Value) -> (House, String, String) {
    let house = House::new().await;
    let old = house.new_string("one", json!({"displayName": "One"})).await;
    let new = text(&rotate(&house, body).await.ok(), "/key/keyString");
    assert_ne!(old, new);
    (house, old, new)
}

async fn purge(house: &House) {
    keylodge_services::purge::step(&house.lodge).await.unwrap();
}

/// Which of the two strings open the gate.
async fn good(house: &House, old: &str, new: &str) -> [bool; 2] {
    let check = async |string: &str| {
        let answer = house.knock(string, None, &[]).await;
        answer.http == 200 || {
            assert_eq!((answer.http, answer.reason().0.as_str()), (400, "API_KEY_INVALID"));
            false
        }
    };
    [check(old).await, check(new).await]
}

#[tokio::test]
async fn rotation_keeps_everything_of_a_key_but_its_string() {
    let house = House::new().await;
    let restrictions = json!({"apiTargets": [{"service": GEMINI}]});
    let before = house.new_key("one", json!({"displayName": "One", "restrictions": restrictions})).await;
    house.wait(HOUR);

    let rotated = rotate(&house, json!({})).await.ok();

    let mut expected = before.clone();
    expected.as_object_mut().unwrap().remove("@type");
    expected["keyString"] = rotated["key"]["keyString"].clone();
    expected["updateTime"] = json!("2026-01-31T13:00:00Z");
    assert_eq!(rotated["key"], expected);
    let shown = house.manage("GET", &format!("{KEYS}/one/keyString"), None).await.ok();
    assert_eq!(shown["keyString"], rotated["key"]["keyString"]);
    let strings = json!([{"generation": 2, "createTime": "2026-01-31T13:00:00Z", "shownAgain": true, "calls": 0}]);
    assert_eq!(rotated["details"]["strings"], strings);
    assert_eq!(house.details("one").await, rotated["details"]);
}

#[tokio::test]
async fn without_an_overlap_the_old_string_ends_at_once() {
    let (house, old, new) = rotated(json!({})).await;

    assert_eq!(good(&house, &old, &new).await, [false, true]);
    assert_eq!(retire(&house).await.refused(), refusal(400, "FAILED_PRECONDITION"));
}

#[tokio::test]
async fn an_overlap_ends_at_its_time_whether_somebody_looks_or_not() {
    for body in [json!({"overlap": "3600s"}), json!({"overlapUntilTime": "2026-01-31T13:00:00Z"})] {
        let (house, old, new) = rotated(body).await;
        let strings = house.details("one").await["strings"].take();
        assert_eq!((&strings[0]["generation"], &strings[1]["generation"]), (&json!(2), &json!(1)));
        assert_eq!(strings[1]["retireTime"], "2026-01-31T12:00:00Z");
        assert_eq!(strings[1]["goodUntilTime"], "2026-01-31T13:00:00Z");

        assert_eq!(good(&house, &old, &new).await, [true, true]);
        house.wait(HOUR - 1);
        purge(&house).await;
        assert_eq!(good(&house, &old, &new).await, [true, true]);
        house.wait(1);
        assert_eq!(good(&house, &old, &new).await, [false, true]);
        purge(&house).await;
        assert_eq!(good(&house, &old, &new).await, [false, true]);
        assert_eq!(house.details("one").await["strings"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_quiet_period_begins_anew_with_every_use_of_the_old_string() {
    let (house, old, new) = rotated(json!({"quietPeriod": "7200s"})).await;
    assert_eq!(house.details("one").await["strings"][1]["quietPeriod"], "7200s");
    let look = async || {
        keylodge_services::uses::write(&house.lodge).await.unwrap();
        purge(&house).await;
        house.details("one").await["strings"].as_array().unwrap().len()
    };

    house.wait(HOUR);
    assert_eq!(house.lets_in(&old).await, 200);
    house.wait(2 * HOUR - SECOND);
    assert_eq!(look().await, 2, "an hour and a second after the rotation, but used since");
    house.wait(SECOND);
    assert_eq!(look().await, 1);
    assert_eq!(good(&house, &old, &new).await, [false, true]);
}

#[tokio::test]
async fn the_use_of_the_new_string_does_not_keep_the_old_one_alive() {
    let (house, old, new) = rotated(json!({"quietPeriod": "3600s"})).await;

    house.wait(HOUR - SECOND);
    assert_eq!(house.lets_in(&new).await, 200);
    keylodge_services::uses::write(&house.lodge).await.unwrap();
    house.wait(SECOND);
    purge(&house).await;
    assert_eq!(good(&house, &old, &new).await, [false, true]);
}

#[tokio::test]
async fn an_overlap_can_be_ended_early() {
    for body in [json!({"overlap": "86400s"}), json!({"quietPeriod": "60s"})] {
        let (house, old, new) = rotated(body).await;

        let details = retire(&house).await.ok();
        assert_eq!(details["strings"].as_array().unwrap().len(), 1);
        assert_eq!(good(&house, &old, &new).await, [false, true]);
    }
}

#[tokio::test]
async fn two_strings_are_good_at_most() {
    let (house, first, second) = rotated(json!({"overlap": "86400s"})).await;
    let third = text(&rotate(&house, json!({"overlap": "86400s"})).await.ok(), "/key/keyString");

    assert_eq!(good(&house, &first, &second).await, [false, true]);
    assert_eq!(house.lets_in(&third).await, 200);
    let generations = house.details("one").await["strings"].take();
    assert_eq!([&generations[0]["generation"], &generations[1]["generation"]], [3, 2]);
}

#[tokio::test]
async fn a_rotated_out_string_ends_with_its_key() {
    let (house, old, new) = rotated(json!({"overlap": "86400s"})).await;

    house.manage("POST", &format!("{ADMIN}/keys/one:disable"), Some(json!({}))).await.ok();
    assert_eq!(good(&house, &old, &new).await, [false, false]);
    house.manage("POST", &format!("{ADMIN}/keys/one:enable"), Some(json!({}))).await.ok();
    assert_eq!(good(&house, &old, &new).await, [true, true]);
    house.manage("DELETE", &format!("{KEYS}/one"), None).await.ok();
    assert_eq!(good(&house, &old, &new).await, [false, false]);
    assert_eq!(rotate(&house, json!({})).await.refused(), refusal(400, "FAILED_PRECONDITION"));
}

#[tokio::test]
async fn an_old_string_is_still_looked_up_to_its_key() {
    let (house, old, new) = rotated(json!({"overlap": "86400s"})).await;
    let name = house.key("one").await["name"].take();

    for string in [old, new] {
        let found = house.manage("GET", &format!("/v2/keys:lookupKey?keyString={string}"), None).await.ok();
        assert_eq!(found["name"], name);
    }
}

#[tokio::test]
async fn who_still_uses_the_old_string_is_told() {
    let (house, old, new) = rotated(json!({"overlap": "86400s"})).await;
    house.knock(&old, Some("192.0.2.1"), &[("user-agent", "cron/1")]).await.ok();
    house.wait(HOUR);
    house.knock(&old, Some("192.0.2.1"), &[("user-agent", "cron/1")]).await.ok();
    house.knock(&old, Some("203.0.113.9"), &[("user-agent", "cron/1")]).await.ok();
    house.wait(HOUR);
    house.knock(&new, Some("2001:db8::1"), &[("user-agent", "web/2")]).await.ok();

    let mut callers = house.manage("GET", &format!("{ADMIN}/keys/one/callers"), None).await.ok()["callers"].take();

    let callers = callers.as_array_mut().unwrap();
    callers.sort_by_key(|caller| caller["callerIp"].as_str().unwrap().to_owned());
    let caller = |generation: u32, ip: &str, client: &str, calls: u32, first: &str, last: &str| {
        json!({"generation": generation, "callerIp": ip, "client": client, "calls": calls,
               "firstTime": format!("2026-01-31T{first}:00:00Z"), "lastTime": format!("2026-01-31T{last}:00:00Z")})
    };
    assert_eq!(
        *callers,
        [
            caller(1, "192.0.2.1", "cron/1", 2, "12", "13"),
            caller(2, "2001:db8::1", "web/2", 1, "14", "14"),
            caller(1, "203.0.113.9", "cron/1", 1, "13", "13"),
        ]
    );
    let details = house.details("one").await;
    assert_eq!(details["lastUseTime"], "2026-01-31T14:00:00Z");
    assert_eq!((&details["strings"][0]["calls"], &details["strings"][1]["calls"]), (&json!(1), &json!(3)));
    assert_eq!(details["strings"][1]["lastUseTime"], "2026-01-31T13:00:00Z");
}

#[tokio::test]
async fn an_overlap_that_cannot_be_is_refused() {
    let (house, old, new) = rotated(json!({"overlap": "86400s"})).await;

    for body in [
        json!({"overlap": "60s", "quietPeriod": "60s"}),
        json!({"overlap": "0s"}),
        json!({"quietPeriod": "0s"}),
        json!({"overlapUntilTime": "2026-01-31T12:00:00Z"}),
        json!({"overlap": "soon"}),
    ] {
        assert_eq!(rotate(&house, body.clone()).await.wrong_fields(), ["overlap"], "{body}");
    }
    assert_eq!(good(&house, &old, &new).await, [true, true], "nothing was changed");
    let missing = house.manage("POST", &format!("{ADMIN}/keys/none:rotate"), Some(json!({}))).await;
    assert_eq!(missing.refused(), refusal(404, "NOT_FOUND"));
}

#[tokio::test]
async fn rotation_takes_its_own_permission() {
    let house = House::new().await;
    house.new_key("one", json!({})).await;
    let viewer = house.operator("user:vi@example.com", &[("projects/default-project", "roles/viewer")]).await;
    let admin =
        house.operator("user:ad@example.com", &[("projects/default-project", "roles/serviceusage.apiKeysAdmin")]).await;

    for verb in ["rotate", "retire", "enable", "disable", "revoke"] {
        let path = format!("{ADMIN}/keys/one:{verb}");
        let answer = house.as_(&viewer, "POST", &path, Some(json!({}))).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{verb}");
    }
    house.as_(&admin, "POST", &format!("{ADMIN}/keys/one:rotate"), Some(json!({}))).await.ok();
}

#[tokio::test]
async fn a_key_shown_once_stays_so_when_it_is_rotated() {
    let house = House::new().await;
    house.manage("PATCH", &format!("{ADMIN}/settings"), Some(json!({"keyStringsShownOnce": true}))).await.ok();
    house.new_key("one", json!({})).await;
    house.manage("PATCH", &format!("{ADMIN}/settings"), Some(json!({"keyStringsShownOnce": false}))).await.ok();

    let string = text(&rotate(&house, json!({})).await.ok(), "/key/keyString");
    assert_eq!(house.lets_in(&string).await, 200);
    let shown = house.manage("GET", &format!("{KEYS}/one/keyString"), None).await;
    assert_eq!(shown.refused(), refusal(400, "FAILED_PRECONDITION"));
}
