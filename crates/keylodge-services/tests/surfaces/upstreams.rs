//! Upstreams and our credentials there: kept, listed, taken away, and never shown.

use std::time::Duration;

use keylodge_gate::Clock;
use keylodge_rules::{ServiceName, Timestamp};
use keylodge_services::Upstreams;
use keylodge_services::relay::{Base, CredentialHeader, Kind, Place, UpstreamSettings, read_credentials};
use keylodge_store::vault::SEAL_RANDOM_BYTES;
use keylodge_store::{NewUpstreamCredential, UpstreamSecret};
use serde_json::{Value, json};

use crate::support::{Answer, House, NOON};

const UPSTREAMS: &str = "/keylodge/v1/upstreams";
const SECRET: &str = "sk_this-is-what-opens-the-upstream-for-us-and-nobody-sees-it";

pub(crate) fn settings(name: &str, kind: Kind, url: &str) -> UpstreamSettings {
    let header = http::HeaderName::from_static("x-goog-api-key");
    UpstreamSettings {
        name: name.to_owned(),
        kind,
        url: Base::parse(url).unwrap(),
        service: ServiceName::parse("weather.example.com").unwrap(),
        title: "Weather".to_owned(),
        place: Place { host: None, path: format!("/{name}") },
        credential: Some(CredentialHeader { name: header, prefix: "" }),
        methods: Vec::new(),
        head_time_max: Duration::from_secs(60),
        silence_max: Duration::from_secs(60),
        connect_time_max: Duration::from_secs(10),
        output_tokens_max: 1024,
        takes_top_k: true,
        takes_effort: false,
        is_open: false,
    }
}

/// A house with three upstreams: one with a credential of the settings, one without, one that takes none.
pub(crate) async fn house() -> House {
    let closed = UpstreamSettings { credential: None, ..settings("closed", Kind::Http, "http://127.0.0.1:9") };
    let all = vec![
        (settings("google", Kind::Gemini, "https://generativelanguage.googleapis.com/base"), Some("k".to_owned())),
        (settings("weather", Kind::Http, "http://127.0.0.1:9"), None),
        (closed, None),
    ];
    let clock: Clock = std::sync::Arc::new(|| Timestamp::from_micros(NOON));
    House::with_upstreams(Upstreams::new(all, &clock).unwrap()).await
}

async fn add(house: &House, upstream: &str, body: Value) -> Answer {
    house.manage("POST", &format!("{UPSTREAMS}/{upstream}/credentials"), Some(body)).await
}

async fn list(house: &House) -> Vec<Value> {
    house.manage("GET", UPSTREAMS, None).await.ok()["upstreams"].as_array().unwrap().clone()
}

/// Whether a credential of an upstream is used, by its display name.
async fn state(house: &House, upstream: &str, display_name: &str) -> Option<String> {
    let all = list(house).await;
    let found = all.iter().find(|known| known["name"] == format!("upstreams/{upstream}"))?;
    let credentials = found["credentials"].as_array()?;
    let found = credentials.iter().find(|known| known["displayName"] == display_name)?;
    Some(found["state"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn upstreams_are_those_of_the_settings_with_the_credentials_that_are_kept() {
    let house = house().await;
    add(&house, "google", json!({"secret": SECRET, "quotaProject": "team-a", "displayName": "Team A"})).await.ok();

    let listed = list(&house).await;

    let names: Vec<_> = listed.iter().map(|upstream| upstream["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["upstreams/google", "upstreams/weather", "upstreams/closed"]);
    let google = &listed[0];
    assert_eq!(google["kind"], "gemini");
    assert_eq!(google["url"], "https://generativelanguage.googleapis.com/base");
    assert_eq!((&google["service"], &google["state"]), (&json!("weather.example.com"), &json!("UNKNOWN")));
    let of_settings = json!({"name": "upstreams/google/credentials/key_file", "state": "GOOD", "inFlight": 0});
    assert_eq!(google["credentials"][0], of_settings);
    let kept = &google["credentials"][1];
    assert_eq!((&kept["displayName"], &kept["quotaProject"]), (&json!("Team A"), &json!("team-a")));
    assert_eq!((&kept["state"], &kept["creator"]), (&json!("GOOD"), &json!("user:owner")));
    assert_eq!(kept["createTime"], "2026-01-31T12:00:00Z");
    assert!(listed[1].get("credentials").is_none());
}

#[tokio::test]
async fn a_credential_is_shown_by_no_answer_and_no_audit_line() {
    let house = house().await;

    let made = add(&house, "weather", json!({"secret": SECRET, "displayName": "W"})).await;
    made.ok();
    let listed = house.manage("GET", UPSTREAMS, None).await;
    let wrong = add(&house, "weather", json!({"secret": format!("{SECRET}\n{SECRET}")})).await;
    assert_eq!(wrong.wrong_fields(), ["secret"]);
    let audit = house.manage("GET", "/keylodge/v1/auditLogs?pageSize=1000", None).await;

    assert!(audit.text().contains("keylodge.v1.Upstreams.AddCredential"), "{}", audit.text());
    for answer in [made, listed, wrong, audit] {
        assert!(!answer.text().contains(&SECRET[3..20]), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_credential_can_be_taken_away_and_is_gone() {
    let house = house().await;
    let made = add(&house, "weather", json!({"secret": SECRET, "displayName": "W"})).await.ok();
    let path = format!("/keylodge/v1/{}", made["name"].as_str().unwrap());

    assert_eq!(house.manage("DELETE", &path.replace("weather", "google"), None).await.refused().0, 404);
    house.manage("DELETE", &path, None).await.ok();

    assert_eq!(house.manage("DELETE", &path, None).await.refused(), (404, "NOT_FOUND".to_owned()));
    assert_eq!(state(&house, "weather", "W").await, None);
}

#[tokio::test]
async fn what_the_settings_say_is_not_altered_here() {
    let house = house().await;

    let unknown = add(&house, "nowhere", json!({"secret": SECRET})).await;
    assert_eq!(unknown.refused(), (404, "NOT_FOUND".to_owned()));
    let none_taken = add(&house, "closed", json!({"secret": SECRET})).await;
    assert_eq!(none_taken.refused(), (400, "FAILED_PRECONDITION".to_owned()));
    let of_settings = house.manage("DELETE", &format!("{UPSTREAMS}/google/credentials/key_file"), None).await;
    assert_eq!(of_settings.refused(), (400, "FAILED_PRECONDITION".to_owned()));
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let house = house().await;
    let long = "x".repeat(64);

    let answer = add(&house, "google", json!({"displayName": long, "quotaProject": long})).await;

    assert_eq!(answer.wrong_fields(), ["secret", "quota_project", "display_name"]);
    assert_eq!(add(&house, "google", json!({"password": SECRET})).await.refused().0, 400);
}

#[tokio::test]
async fn a_credential_of_an_upstream_that_the_settings_have_no_more_is_shown_and_can_be_removed() {
    let house = house().await;
    let secret = UpstreamSecret::parse(SECRET).unwrap();
    let seal = |upstream: &str, id: &str| NewUpstreamCredential {
        id: id.to_owned(),
        upstream: upstream.to_owned(),
        quota_project: String::new(),
        display_name: id.to_owned(),
        sealed: house.lodge.vault.seal_credential("old", id, &secret, &[7; SEAL_RANDOM_BYTES]),
    };
    let act = crate::callers::act();
    house.lodge.store.add_upstream_credential(&seal("old", "left"), &act).await.unwrap();
    // Moved here from another upstream behind our back: it does not open.
    house.lodge.store.add_upstream_credential(&seal("weather", "moved"), &act).await.unwrap();
    read_credentials(&house.lodge).await.unwrap();

    let old = list(&house).await.pop().unwrap();

    assert_eq!((&old["name"], &old["state"]), (&json!("upstreams/old"), &json!("NOT_IN_SETTINGS")));
    assert_eq!(state(&house, "old", "left").await.as_deref(), Some("UNUSED"));
    assert_eq!(state(&house, "weather", "moved").await.as_deref(), Some("UNUSED"));
    house.manage("DELETE", &format!("{UPSTREAMS}/old/credentials/left"), None).await.ok();
    assert_eq!(list(&house).await.len(), 3);
}
