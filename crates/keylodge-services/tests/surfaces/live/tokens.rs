//! Sessions that ephemeral tokens open.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{CONSTRAINED, SCRIPT, setup};
use crate::support::{House, KEYS, MODEL};
use crate::visitor::{ADMIN, HOUR, SECOND};
#[tokio::test]
async fn a_session_ends_within_a_second_after_its_key_and_so_do_its_tokens() {
    let stop = "/keylodge/v1/projects/default-project/keys/default-key:disable";
    let service = "/v1/projects/default-project/services/generativelanguage.googleapis.com:disable";
    let key = format!("{KEYS}/default-key");
    for (method, path, code) in [
        ("POST", stop, 1007),
        ("DELETE", &*key, 1007),
        ("POST", service, 1008),
        ("DELETE", "/v1/projects/default-project", 1008),
    ] {
        let house = House::with_script(SCRIPT).await;
        let token = house.make_token(&json!({"uses": 2})).await;
        let mut idle = house.session(&json!({})).await;
        let mut busy = house.session(&json!({})).await;
        busy.tell("slow").await;
        let mut with_token = house.session_of(&token).await;
        with_token.set_up(&json!({})).await;

        let body = (method == "POST").then(|| json!({}));
        assert_eq!(house.manage(method, path, body).await.http, 200, "{path}");

        let revoked = Instant::now();
        for client in [&mut idle, &mut busy, &mut with_token] {
            let (closed, reason) = client.closed().await;
            assert_eq!(closed, code, "{path}: {reason}");
        }
        assert!(revoked.elapsed() < Duration::from_secs(1), "{path}: {:?}", revoked.elapsed());
        let mut again = house.session_of(&token).await;
        again.say(&setup(&json!({}))).await;
        assert_eq!(again.closed().await.0, code, "{path}");
    }
}

#[tokio::test]
async fn a_string_that_is_rotated_out_ends_its_sessions_and_those_of_its_tokens() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({"uses": 2})).await;
    let mut client = house.session(&json!({})).await;
    let mut of_token = house.session_of(&token).await;
    of_token.set_up(&json!({})).await;

    // Without an overlap the old string ends with the rotation.
    house.manage("POST", &format!("{ADMIN}/keys/default-key:rotate"), Some(json!({}))).await.ok();

    for client in [&mut client, &mut of_token] {
        let (code, reason) = client.closed().await;
        assert!(code == 1007 && reason.starts_with("API key not valid."), "{code} {reason}");
    }
    let mut again = house.session_of(&token).await;
    again.say(&setup(&json!({}))).await;
    assert_eq!(again.closed().await.0, 1007);
}

#[tokio::test]
async fn a_token_begins_as_many_sessions_as_it_has_uses_and_in_its_time() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({"uses": 2})).await;
    let late = house.make_token(&json!({})).await;
    let refused = async |token: &str| {
        let mut client = house.session_of(token).await;
        client.say(&setup(&json!({}))).await;
        client.closed().await
    };

    let mut client = house.session_of(&token).await;
    client.set_up(&json!({})).await;
    assert_eq!(client.ask("Hi").await.0, "Hello.");
    // As JavaScript does.
    let path = format!("/{CONSTRAINED}?access_token={token}");
    house.connect(&path, &[]).await.set_up(&json!({})).await;
    let (code, reason) = refused(&token).await;
    assert!(code == 1008 && reason.starts_with("All uses"), "{code} {reason}");

    house.wait(61 * SECOND);
    let (code, reason) = refused(&late).await;
    assert!(code == 1008 && reason.contains("newSessionExpireTime"), "{code} {reason}");
    assert_eq!(client.ask("Hi").await.0, "Hello.", "a session that has begun goes on");
    house.wait(HOUR);
    let (code, reason) = client.closed().await;
    assert!(code == 1008 && reason.contains("expired"), "without a word of the client: {code} {reason}");
    let (code, reason) = refused(&late).await;
    assert!(code == 1008 && reason.contains("expired"), "{code} {reason}");
}

#[tokio::test]
async fn a_page_that_its_key_is_not_for_opens_no_session_with_a_token() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({"uses": 0})).await;
    let pages = json!({"browserKeyRestrictions": {"allowedReferrers": ["https://good.example.com/*"]}});
    let path = format!("{KEYS}/default-key?updateMask=restrictions");
    house.manage("PATCH", &path, Some(json!({ "restrictions": pages }))).await.ok();
    // As a browser opens it: no page is named, only its origin.
    let from =
        async |origin: &str| house.connect(&format!("{CONSTRAINED}?access_token={token}"), &[("origin", origin)]).await;

    from("https://good.example.com").await.set_up(&json!({})).await;
    for origin in ["https://bad.example.com", "null"] {
        let mut client = from(origin).await;
        client.say(&setup(&json!({}))).await;
        let (code, reason) = client.closed().await;
        assert!(code == 1008 && reason.starts_with("Requests from referer"), "{code} {reason}");
    }
}

#[tokio::test]
async fn a_session_whose_token_s_use_cannot_be_written_down_does_not_begin() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({})).await;

    house.lodge.auth_tokens.close().await;

    let mut client = house.session_of(&token).await;
    client.say(&setup(&json!({}))).await;
    assert_eq!(client.closed().await.0, 1011);
}

#[tokio::test]
async fn what_a_token_fixes_holds_where_the_client_leaves_it_out() {
    let house = House::with_script(SCRIPT).await;
    let instruction = json!({"parts": [{"text": "one two three four five six seven eight nine ten"}]});
    let fixed = json!({"model": MODEL, "systemInstruction": instruction});
    let token = house.make_token(&json!({"bidiGenerateContentSetup": fixed})).await;
    let plain = house.session(&json!({})).await.ask("Hi").await.1;

    let mut client = house.session_of(&token).await;
    client.say(&json!({"setup": {}})).await;
    assert_eq!(client.hear().await, json!({"setupComplete": {}}));
    let (_, tokens) = client.ask("Hi").await;

    assert!(tokens >= plain + 10, "{tokens} tokens, {plain} without the instruction");
}

#[tokio::test]
async fn another_model_or_a_wider_setup_than_a_token_fixes_is_refused_and_costs_no_use() {
    let house = House::with_script(SCRIPT).await;
    let instruction = json!({"parts": [{"text": "Be brief."}]});
    let fixed = json!({"model": MODEL, "generationConfig": {"temperature": 0.5}, "systemInstruction": instruction});
    let whole = house.make_token(&json!({"bidiGenerateContentSetup": fixed})).await;
    let mask = "model,generationConfig.temperature,systemInstruction.parts,tools";
    let some = house.make_token(&json!({"bidiGenerateContentSetup": fixed, "fieldMask": mask})).await;

    for token in [&whole, &some] {
        let check = async |asked: Value, holds: &str| {
            let mut client = house.session_of(token).await;
            client.say(&setup(&asked)).await;
            let (code, reason) = client.closed().await;
            assert_eq!(code, 1008, "{asked}: {reason}");
            assert!(reason.contains(holds), "{asked}: {reason}");
        };
        for model in ["models/gemini-2.5-pro", "models/nobody"] {
            check(json!({ "model": model }), "The ephemeral token is for another model").await;
        }
        check(json!({"tools": [{"googleSearch": {}}]}), "The ephemeral token fixes tools.").await;
        let hotter = json!({"generationConfig": {"temperature": 2}});
        check(hotter, "The ephemeral token fixes generationConfig.temperature.").await;
        let ruder = json!({"systemInstruction": {"parts": [{"text": "Be rude."}]}});
        check(ruder, "The ephemeral token fixes systemInstruction.parts.").await;

        house.session_of(token).await.set_up(&json!({})).await;
        check(json!({}), "All uses of the ephemeral token are used.").await;
    }
}

#[tokio::test]
async fn a_token_opens_a_session_from_every_place_where_one_may_stand() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({"uses": 0})).await;
    let open = async |query: &str, headers: &[(&'static str, &str)]| {
        house.connect(&format!("{CONSTRAINED}{query}"), headers).await.set_up(&json!({})).await;
    };

    open("", &[("authorization", &format!("Token {token}"))]).await;
    open("", &[("authorization", &format!("Bearer {token}"))]).await;
    open("", &[("x-goog-api-key", &token)]).await;
    open(&format!("?access_token={token}"), &[]).await;
    open(&format!("?access_token={}", token.replace('/', "%2F")), &[]).await;
}

#[tokio::test]
async fn going_on_is_no_use_of_a_token() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({})).await;
    let mut client = house.session_of(&token).await;
    client.set_up(&json!({"sessionResumption": {}})).await;
    client.ask("Hi").await;
    let handle = client.hear().await["sessionResumptionUpdate"]["newHandle"].clone();

    house.wait(2 * 60 * SECOND);
    let mut again = house.session_of(&token).await;
    again.set_up(&json!({"sessionResumption": {"handle": handle}})).await;

    assert_eq!(again.ask("Hi").await.0, "Hello.");
}

#[tokio::test]
async fn each_turn_of_a_token_s_session_counts_for_its_key() {
    let house = House::with_script(SCRIPT).await;
    let token = house.make_token(&json!({})).await;
    let mut client = house.session_of(&token).await;
    client.set_up(&json!({})).await;

    let asked = [client.ask("Hi").await.1, client.ask("Hi").await.1];

    let usage = "/keylodge/v1/projects/default-project/usage?groupBy=key,model";
    let rows = house.manage("GET", usage, None).await.ok()["rows"].take();
    let row = rows.as_array().unwrap().iter().find(|row| row["model"] == MODEL).unwrap_or_else(|| panic!("{rows}"));
    assert!(row["key"].as_str().unwrap().ends_with("/keys/default-key"), "{row}");
    assert_eq!((&row["calls"], &row["inputTokens"]), (&json!("2"), &json!(asked.iter().sum::<u64>().to_string())));
}
