//! Ephemeral tokens: made with a key, good for what the key is good for, so often and so long.

use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS, MODEL, NOON};
use crate::visitor::{HOUR, SECOND};

const MINUTE: i64 = 60 * SECOND;

impl House {
    async fn ask_for_token(&self, body: &Value) -> Answer {
        self.gemini("/v1alpha/auth_tokens", body).await
    }

    /// A token's text.
    pub(crate) async fn make_token(&self, body: &Value) -> String {
        self.ask_for_token(body).await.ok()["name"].as_str().unwrap().to_owned()
    }

    /// A call with a token in the place where clients put keys.
    async fn with_token(&self, token: &str) -> Answer {
        let request = Request::get("/v1/models").header("x-goog-api-key", token);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn generate_with(&self, token: &str, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// The name of the default key.
    async fn key_name(&self) -> String {
        let keys = self.manage("GET", KEYS, None).await.ok();
        keys["keys"][0]["name"].as_str().unwrap().to_owned()
    }
}

fn for_calls(more: &Value) -> Value {
    let mut body = json!({"scope": "API", "uses": 0});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn hi() -> Value {
    json!({"contents": [{"parts": [{"text": "Hi"}]}]})
}

#[tokio::test]
async fn a_token_is_made_with_defaults_that_the_answer_names() {
    let house = House::new().await;

    let made = house.ask_for_token(&json!({})).await.ok();

    let name = made["name"].as_str().unwrap();
    assert!(name.strip_prefix("auth_tokens/").is_some_and(|rest| rest.len() == 43), "{name}");
    assert_eq!(
        made,
        json!({"name": name, "expireTime": "2026-01-31T12:30:00Z", "newSessionExpireTime": "2026-01-31T12:01:00Z",
            "uses": 1})
    );
    for path in ["/v1/auth_tokens", "/v1beta/auth_tokens/"] {
        assert_eq!(house.gemini(path, &json!({})).await.http, 200, "{path}");
    }
}

#[tokio::test]
async fn what_a_client_asks_of_a_token_is_read_as_both_sdks_write_it() {
    let house = House::new().await;
    let python = json!({"uses": 3.0, "expireTime": "2026-01-31T14:00:00.123456+01:00",
        "newSessionExpireTime": "2026-01-31T12:02:00+00:00", "fieldMask": "model,generationConfig.top_k",
        "bidiGenerateContentSetup": {"model": "models/m", "generationConfig": {"temperature": 0.7}}});
    let snake = json!({"uses": "2", "new_session_expire_time": "2026-01-31T12:00:30.500Z",
        "bidi_generate_content_setup": {"model": "m", "generation_config": {"response_modalities": ["TEXT"]}}});

    let python = house.ask_for_token(&python).await.ok();
    let snake = house.ask_for_token(&snake).await.ok();

    assert_eq!((&python["uses"], &python["expireTime"]), (&json!(3), &json!("2026-01-31T13:00:00.123456Z")));
    assert_eq!((&snake["uses"], &snake["newSessionExpireTime"]), (&json!(2), &json!("2026-01-31T12:00:30.500Z")));
}

#[tokio::test]
async fn what_is_wrong_with_a_wanted_token_is_named_by_field() {
    let house = House::new().await;
    let check = async |body: Value, expected: &[&str]| {
        assert_eq!(house.ask_for_token(&body).await.wrong_fields(), expected, "{body}");
    };
    check(json!({"uses": -1}), &["uses"]).await;
    check(json!({"uses": 1.5}), &["uses"]).await;
    check(json!({"expireTime": "2026-01-31T12:00:00Z"}), &["expire_time"]).await;
    check(json!({"expireTime": "2026-02-01T08:00:00Z"}), &["expire_time"]).await;
    check(json!({"expireTime": "soon"}), &["expire_time"]).await;
    check(json!({"newSessionExpireTime": "2026-01-31T11:59:59Z"}), &["new_session_expire_time"]).await;
    check(json!({"fieldMask": "nonsense"}), &["field_mask"]).await;
    check(json!({"fieldMask": "model"}), &["field_mask"]).await;
    check(json!({"bidiGenerateContentSetup": {"modle": "m"}}), &["bidi_generate_content_setup"]).await;
    check(json!({"scope": "EVERYTHING"}), &["scope"]).await;
    check(json!({"nonsense": 1}), &[""]).await;
    assert_eq!(house.ask_for_token(&json!({"expireTime": "2026-02-01T07:59:59Z"})).await.http, 200);
}

#[tokio::test]
async fn a_token_for_sessions_opens_no_call_and_no_token_makes_another() {
    let house = House::new().await;
    let for_sessions = house.make_token(&json!({})).await;
    let for_calls = house.make_token(&for_calls(&json!({}))).await;

    let (http, status, message) = house.with_token(&for_sessions).await.error();
    assert_eq!((http, &*status), (403, "PERMISSION_DENIED"));
    assert!(message.contains("Live sessions only"), "{message}");
    for token in [&for_sessions, &for_calls] {
        let (http, _, message) = house.generate_with(token, "/v1/auth_tokens", &json!({})).await.error();
        assert_eq!(http, 403);
        assert!(message.contains("makes no other tokens"), "{message}");
    }
    let stranger = format!("auth_tokens/{}", "x".repeat(43));
    for unknown in [&*stranger, "auth_tokens/short"] {
        assert_eq!(house.with_token(unknown).await.reason().0, "API_KEY_INVALID", "{unknown}");
    }
}

#[tokio::test]
async fn a_token_for_calls_opens_every_surface_from_every_place_but_the_key_parameter() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({}))).await;
    let path = format!("/v1/models/{MODEL}:generateContent");

    assert_eq!(house.generate_with(&token, &path, &hi()).await.http, 200);
    let chat = json!({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(house.generate_with(&token, "/v1beta/openai/chat/completions", &chat).await.http, 200);
    let interaction = json!({"model": MODEL, "input": "Hi"});
    assert_eq!(house.generate_with(&token, "/v1beta/interactions", &interaction).await.http, 200);
    let get = async |uri: String, headers: &[(&str, &str)]| {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        house.send(request.body(Body::empty()).unwrap()).await.http
    };
    let scheme = format!("Token {token}");
    assert_eq!(get("/v1/models".to_owned(), &[("authorization", &scheme), ("x-goog-api-key", &token)]).await, 200);
    assert_eq!(get(format!("/v1/models?access_token={token}"), &[]).await, 200);
    assert_eq!(get(format!("/v1/models?key={token}"), &[]).await, 400);
    assert_eq!(get("/v1/models".to_owned(), &[("authorization", &scheme), ("x-goog-api-key", &house.key)]).await, 400);
    assert_eq!(get("/v1/projects".to_owned(), &[("authorization", &scheme)]).await, 401, "it is no operator's");
}

#[tokio::test]
async fn of_a_hundred_calls_at_once_exactly_as_many_pass_as_the_token_has_uses() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({"uses": 7}))).await;

    let answers = join_all((0..100).map(|_| house.with_token(&token))).await;

    let passed = answers.iter().filter(|answer| answer.http == 200).count();
    assert_eq!(passed, 7);
    let refused = answers.iter().find(|answer| answer.http != 200).unwrap();
    let (http, status, message) = refused.error();
    assert_eq!((http, &*status), (403, "PERMISSION_DENIED"));
    assert!(message.contains("All uses"), "{message}");
}

#[tokio::test]
async fn a_token_ends_at_its_moment_and_is_forgotten_by_the_purge() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({"expireTime": "2026-01-31T12:10:00Z"}))).await;

    house.wait(10 * MINUTE - 1);
    assert_eq!(house.with_token(&token).await.http, 200);
    house.wait(1);
    let (http, _, message) = house.with_token(&token).await.error();
    assert_eq!(http, 403);
    assert!(message.contains("expired"), "{message}");
    keylodge_services::purge::step(&house.lodge).await.unwrap();
    assert_eq!(house.with_token(&token).await.http, 400, "nobody knows it any more");
}

#[tokio::test]
async fn a_token_goes_with_its_key_and_comes_back_with_it() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({}))).await;
    let name = house.key_name().await;
    let (_, id) = name.rsplit_once('/').unwrap();

    let stop = format!("/keylodge/v1/projects/default-project/keys/{id}");
    assert_eq!(house.manage("POST", &format!("{stop}:disable"), Some(json!({}))).await.http, 200);
    assert_eq!(house.with_token(&token).await.reason().0, "API_KEY_INVALID");
    assert_eq!(house.manage("POST", &format!("{stop}:enable"), Some(json!({}))).await.http, 200);
    assert_eq!(house.with_token(&token).await.http, 200);
    house.manage("DELETE", &format!("/v2/{name}"), None).await.ok();
    assert_eq!(house.with_token(&token).await.reason().0, "API_KEY_INVALID");
}

#[tokio::test]
async fn the_restrictions_of_its_key_hold_for_a_token() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({}))).await;
    let name = house.key_name().await;
    let body =
        json!({"restrictions": {"browserKeyRestrictions": {"allowedReferrers": ["https://good.example.com/*"]}}});

    house.manage("PATCH", &format!("/v2/{name}?updateMask=restrictions"), Some(body)).await.ok();

    assert_eq!(house.with_token(&token).await.reason().0, "API_KEY_HTTP_REFERRER_BLOCKED");
    let request = Request::get("/v1/models").header("x-goog-api-key", &token);
    let request = request.header("referer", "https://good.example.com/page").body(Body::empty()).unwrap();
    assert_eq!(house.send(request).await.http, 200);
    let path = "/v1/projects/default-project/services/generativelanguage.googleapis.com:disable";
    house.manage("POST", path, None).await.ok();
    let request = Request::get("/v1/models").header("x-goog-api-key", &token);
    let request = request.header("referer", "https://good.example.com/page").body(Body::empty()).unwrap();
    assert_eq!(house.send(request).await.reason().0, "SERVICE_DISABLED");
}

#[tokio::test]
async fn a_token_of_a_key_that_was_imported_by_its_hash_is_good_at_once() {
    let house = House::new().await;
    let string = "sk-other-gateway-0123456789";
    let digest = keylodge_rules::secret::sha256(&keylodge_rules::KeyString::parse(string).unwrap());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let import = json!({"keys": [{"keyId": "one", "sha256": hex}]});
    house.manage("POST", "/keylodge/v1/projects/default-project/keys:import", Some(import)).await.ok();

    let request = Request::post("/v1/auth_tokens").header("x-goog-api-key", string);
    let made = house.send(request.body(Body::from(for_calls(&json!({})).to_string())).unwrap()).await.ok();

    assert_eq!(house.with_token(made["name"].as_str().unwrap()).await.http, 200);
}

#[tokio::test]
async fn a_call_that_the_key_may_not_make_costs_its_token_nothing() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({"uses": 1}))).await;
    let path = "/v1/projects/default-project/services/generativelanguage.googleapis.com";

    house.manage("POST", &format!("{path}:disable"), None).await.ok();
    assert_eq!(house.with_token(&token).await.http, 403);
    house.manage("POST", &format!("{path}:enable"), None).await.ok();

    assert_eq!(house.with_token(&token).await.http, 200);
    assert_eq!(house.with_token(&token).await.http, 403);
}

#[tokio::test]
async fn a_model_that_is_fixed_binds_calls_on_every_surface() {
    let house = House::new().await;
    let setup = json!({"bidiGenerateContentSetup": {"model": format!("models/{MODEL}")}});
    let token = house.make_token(&for_calls(&setup)).await;
    let generate = async |model: &str| {
        let path = format!("/v1/models/{model}:generateContent");
        let native = house.generate_with(&token, &path, &hi()).await;
        let chat = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
        let chat = house.generate_with(&token, "/v1beta/openai/chat/completions", &chat).await.http;
        let interaction = json!({"model": model, "input": "Hi"});
        let interaction = house.generate_with(&token, "/v1beta/interactions", &interaction).await.http;
        (native.http, chat, interaction)
    };

    assert_eq!(generate(MODEL).await, (200, 200, 200));
    assert_eq!(generate("gemini-2.5-pro").await, (403, 403, 403));
}

#[tokio::test]
async fn while_a_use_cannot_be_written_down_a_token_opens_nothing_and_none_is_made() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({"uses": 5}))).await;
    let before = house.lodge.store.audit_lines().await.unwrap();

    house.lodge.auth_tokens.close().await;

    for answer in [house.with_token(&token).await, house.ask_for_token(&json!({})).await] {
        assert_eq!(answer.refused(), (503, "UNAVAILABLE".to_owned()), "{}", answer.text());
        let details = answer.json()["error"]["details"].clone();
        assert_eq!(details[0]["@type"], "type.googleapis.com/google.rpc.RetryInfo", "{details}");
    }
    assert_eq!(house.lodge.store.audit_lines().await.unwrap(), before, "what was not made is not in the audit log");
    assert_eq!(house.lets_in(&house.key).await, 200, "keys go on");
}

#[tokio::test]
async fn tokens_and_what_is_left_of_them_outlive_the_process() {
    let house = House::new().await;
    let token = house.make_token(&for_calls(&json!({"uses": 2}))).await;
    let setup = json!({"bidiGenerateContentSetup": {"model": MODEL}});
    let fixed = house.make_token(&for_calls(&setup)).await;
    assert_eq!(house.with_token(&token).await.http, 200);

    let house = house.reopened().await;

    assert_eq!(house.with_token(&token).await.http, 200);
    assert_eq!(house.with_token(&token).await.http, 403);
    let other = house.generate_with(&fixed, "/v1/models/gemini-2.5-pro:generateContent", &hi()).await;
    assert_eq!(other.http, 403, "{}", other.text());
}

#[tokio::test]
async fn nothing_of_a_token_is_on_disk_or_in_the_audit_log_but_who_made_one() {
    let house = House::new().await;
    let before = house.lodge.store.audit_lines().await.unwrap();
    let instruction = "Only speak of the weather in Ulaanbaatar.";
    let setup = json!({"model": MODEL, "systemInstruction": {"parts": [{"text": instruction}]}});
    let token = house.make_token(&json!({"bidiGenerateContentSetup": setup, "uses": 5})).await;

    let lines = house.lodge.store.audit_after(before, None, 10).await.unwrap();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert!(line.entry.principal.starts_with("key:"), "{}", line.entry.principal);
    assert!(line.entry.method.ends_with("AuthTokenService.CreateToken"), "{}", line.entry.method);
    assert!(line.entry.resource.contains("/keys/"), "{}", line.entry.resource);
    assert_eq!((&*line.entry.request["uses"], &*line.entry.request["model"]), ("5", MODEL));
    let body = token.strip_prefix("auth_tokens/").unwrap();
    for file in std::fs::read_dir(house.folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(body) && !holds(instruction), "{}", path.display());
    }
}

#[tokio::test]
async fn a_project_has_ten_thousand_tokens_at_most_and_room_again_when_they_end() {
    let house = House::new().await;
    let short = json!({"expireTime": "2026-01-31T12:01:00Z"});
    let record = |which: u16| keylodge_store::EphemeralRecord {
        hash: {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&which.to_le_bytes());
            keylodge_rules::KeyHash::from_bytes(bytes)
        },
        project: keylodge_rules::ProjectNumber::from_random([0; 8]),
        key: keylodge_rules::KeyUid::from_random([0; 16]),
        key_hash: keylodge_rules::KeyHash::from_bytes([0; 32]),
        expire_time: keylodge_rules::Timestamp::from_micros(NOON + MINUTE),
        new_session_expire_time: keylodge_rules::Timestamp::from_micros(NOON + MINUTE),
        uses_left: Some(1),
        scope: keylodge_store::TokenScope::Live,
        constraints: None,
        created_at: keylodge_rules::Timestamp::from_micros(NOON),
    };
    let project = house.manage("GET", "/v1/projects/default-project", None).await.ok();
    let number = keylodge_rules::ProjectNumber::parse(project["projectNumber"].as_str().unwrap()).unwrap();
    let file = keylodge_store::Ephemeral::open(&house.folder.path().join("ephemeral.db")).await.unwrap();
    // Nearly all at once by the back door: making each with a call takes a minute.
    for which in 0..9_999 {
        file.add(&keylodge_store::EphemeralRecord { project: number, ..record(which) }).await.unwrap();
    }
    file.close().await;
    let house = house.reopened().await;

    assert_eq!(house.ask_for_token(&short).await.http, 200);
    assert_eq!(house.ask_for_token(&short).await.refused(), (429, "RESOURCE_EXHAUSTED".to_owned()));
    house.wait(HOUR);
    assert_eq!(house.ask_for_token(&json!({})).await.http, 200);
}
