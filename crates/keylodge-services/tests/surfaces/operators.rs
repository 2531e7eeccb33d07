//! People and machines that manage keys, and their tokens.

use serde_json::{Value, json};

use crate::support::{House, KEYS};
use crate::visitor::{HOUR, SECOND, refusal, text, texts};

const OPERATORS: &str = "/keylodge/v1/operators";
const ME: &str = "/keylodge/v1/operators/me";

async fn create(house: &House, body: Value) -> Value {
    house.manage("POST", OPERATORS, Some(body)).await.ok()
}

/// Whether a token still proves anybody.
async fn proves(house: &House, token: &str) -> bool {
    let answer = house.as_(token, "GET", ME, None).await;
    answer.http == 200 || {
        assert_eq!(answer.refused(), refusal(401, "UNAUTHENTICATED"));
        false
    }
}

#[tokio::test]
async fn an_operator_is_made_with_a_token_that_is_shown_once() {
    let house = House::new().await;

    let body = json!({"operatorId": "ana", "member": "user:ana@example.com", "displayName": "Ana"});
    let made = create(&house, body).await;

    let operator = json!({"name": "operators/ana", "member": "user:ana@example.com", "displayName": "Ana",
                          "createTime": "2026-01-31T12:00:00Z"});
    assert_eq!(made["operator"], operator);
    let token = text(&made, "/token/token");
    assert!(token.starts_with("klo_") && text(&made, "/token/name").starts_with("operators/ana/tokens/"), "{made}");
    assert_eq!(house.as_(&token, "GET", ME, None).await.ok(), operator);
    for name in ["ana", "user:ana@example.com"] {
        assert_eq!(house.manage("GET", &format!("{OPERATORS}/{name}"), None).await.ok(), operator);
    }
    let tokens = house.manage("GET", &format!("{OPERATORS}/ana/tokens"), None).await;
    assert!(!tokens.text().contains("klo_"), "{}", tokens.text());
    assert_eq!(texts(&tokens.ok()["tokens"], "/displayName"), ["first"]);
}

#[tokio::test]
async fn service_accounts_are_operators_too() {
    let house = House::new().await;
    let token = house.operator("serviceAccount:ci@example.com", &[("projects/default-project", "roles/viewer")]).await;

    assert_eq!(house.as_(&token, "GET", ME, None).await.ok()["member"], "serviceAccount:ci@example.com");
    house.as_(&token, "GET", KEYS, None).await.ok();
    let listed = house.manage("GET", OPERATORS, None).await.ok();
    assert_eq!(texts(&listed["operators"], "/member"), ["user:owner", "serviceAccount:ci@example.com"]);
}

#[tokio::test]
async fn operators_are_listed_in_pages() {
    let house = House::new().await;
    for id in ["ana", "ben", "cem"] {
        create(&house, json!({"operatorId": id, "member": format!("user:{id}@example.com")})).await;
    }

    let first = house.manage("GET", &format!("{OPERATORS}?pageSize=3"), None).await.ok();
    let token = text(&first, "/nextPageToken");
    let second = house.manage("GET", &format!("{OPERATORS}?pageSize=3&pageToken={token}"), None).await.ok();

    assert_eq!(texts(&first["operators"], "/name"), ["operators/owner", "operators/ana", "operators/ben"]);
    assert_eq!(texts(&second["operators"], "/name"), ["operators/cem"]);
    assert_eq!(second["nextPageToken"], Value::Null);
}

#[tokio::test]
async fn every_mistake_about_an_operator_is_told_at_once() {
    let house = House::new().await;

    let body = json!({"operatorId": "me", "member": "group:all@example.com", "displayName": "x".repeat(64),
                      "roles": ["roles/viewer", "roles/none", "projects/p/roles/x"], "ttl": "0s"});
    let answer = house.manage("POST", OPERATORS, Some(body)).await;
    assert_eq!(answer.wrong_fields(), ["operator_id", "member", "display_name", "roles[1]", "roles[2]", "expire_time"]);

    create(&house, json!({"operatorId": "ana", "member": "user:ana@example.com"})).await;
    for body in [
        json!({"operatorId": "ana", "member": "user:other@example.com"}),
        json!({"operatorId": "other", "member": "user:ana@example.com"}),
    ] {
        let answer = house.manage("POST", OPERATORS, Some(body)).await;
        assert_eq!(answer.refused(), refusal(409, "ALREADY_EXISTS"));
    }
    assert_eq!(house.manage("GET", &format!("{OPERATORS}/none"), None).await.refused(), refusal(404, "NOT_FOUND"));
}

#[tokio::test]
async fn roles_given_at_the_start_hold_everywhere() {
    let house = House::new().await;
    house.new_project("team-blue").await;

    let made =
        create(&house, json!({"member": "user:ana@example.com", "roles": ["roles/viewer", "roles/browser"]})).await;

    let token = text(&made, "/token/token");
    house.as_(&token, "GET", KEYS, None).await.ok();
    house.as_(&token, "GET", &KEYS.replace("default-project", "team-blue"), None).await.ok();
    assert_eq!(house.as_(&token, "POST", KEYS, Some(json!({}))).await.refused(), refusal(403, "PERMISSION_DENIED"));
    let roles = texts(&house.policy("deployment").await["bindings"], "/role");
    assert_eq!(roles, ["roles/browser", "roles/owner", "roles/viewer"]);
}

#[tokio::test]
async fn who_may_not_set_the_policy_gives_no_roles_and_makes_nobody() {
    let house = House::new().await;
    for (id, role) in [("vi", "roles/viewer"), ("ed", "roles/editor"), ("pia", "roles/resourcemanager.projectIamAdmin")]
    {
        let body = json!({"member": format!("user:{id}@example.com"), "roles": [role]});
        let token = text(&create(&house, body).await, "/token/token");
        let wanted = json!({"member": "user:eve@example.com", "roles": ["roles/owner"]});

        let answer = house.as_(&token, "POST", OPERATORS, Some(wanted)).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{role}");
        let policy =
            json!({"policy": {"bindings": [{"role": "roles/owner", "members": [format!("user:{id}@example.com")]}]}});
        let answer = house.as_(&token, "POST", "/keylodge/v1/deployment:setIamPolicy", Some(policy)).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{role}");
        let answer = house.as_(&token, "POST", &format!("{OPERATORS}/owner:disable"), Some(json!({}))).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{role}");
        let answer = house.as_(&token, "POST", &format!("{OPERATORS}/owner/tokens"), Some(json!({}))).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{role}");
    }
}

#[tokio::test]
async fn an_operator_without_a_role_sees_itself_and_nobody_else() {
    let house = House::new().await;
    let token = house.operator("user:ana@example.com", &[]).await;

    house.as_(&token, "GET", &format!("{OPERATORS}/user:ana@example.com"), None).await.ok();
    for path in [
        OPERATORS,
        "/keylodge/v1/operators/owner",
        "/keylodge/v1/operators/owner/tokens",
        "/keylodge/v1/operators/none",
    ] {
        assert_eq!(house.as_(&token, "GET", path, None).await.refused(), refusal(403, "PERMISSION_DENIED"), "{path}");
    }
    assert_eq!(house.as_(&token, "GET", KEYS, None).await.refused(), refusal(403, "PERMISSION_DENIED"));
    assert_eq!(house.as_(&token, "GET", "/v1/projects", None).await.ok(), json!({}));
}

#[tokio::test]
async fn everybody_makes_and_revokes_tokens_of_their_own() {
    let house = House::new().await;
    let first = house.operator("user:ana@example.com", &[]).await;
    let tokens = format!("{ME}/tokens");

    let made = house.as_(&first, "POST", &tokens, Some(json!({"displayName": "laptop"}))).await.ok();
    let second = text(&made, "/token");
    assert!(proves(&house, &second).await);
    let path = format!("/keylodge/v1/{}", text(&made, "/name"));
    let revoked = house.as_(&first, "DELETE", &path, None).await.ok();
    assert_eq!((&revoked["revokeTime"], &revoked["token"]), (&json!("2026-01-31T12:00:00Z"), &Value::Null));

    assert_eq!([proves(&house, &first).await, proves(&house, &second).await], [true, false]);
    assert_eq!(house.as_(&second, "GET", ME, None).await.reason().0, "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    let listed = house.as_(&first, "GET", &tokens, None).await.ok();
    assert_eq!(texts(&listed["tokens"], "/displayName"), ["first", "laptop"]);
    assert_eq!(house.as_(&first, "DELETE", &path, None).await.refused(), refusal(400, "FAILED_PRECONDITION"));
    let none = format!("{tokens}/none");
    assert_eq!(house.as_(&first, "DELETE", &none, None).await.refused(), refusal(404, "NOT_FOUND"));
    let wrong = house.as_(&first, "POST", &tokens, Some(json!({"displayName": "x".repeat(64)}))).await;
    assert_eq!(wrong.wrong_fields(), ["display_name"]);
}

#[tokio::test]
async fn a_token_ends_when_it_was_said_to() {
    let house = House::new().await;
    let make =
        async |body: Value| text(&house.manage("POST", &format!("{ME}/tokens"), Some(body)).await.ok(), "/token");
    let by_ttl = make(json!({"ttl": "3600s"})).await;
    let by_time = make(json!({"expireTime": "2026-01-31T14:00:00+01:00"})).await;

    house.wait(HOUR - SECOND);
    assert!(proves(&house, &by_ttl).await && proves(&house, &by_time).await);
    house.wait(SECOND);
    for token in [&by_ttl, &by_time] {
        let answer = house.as_(token, "GET", ME, None).await;
        assert_eq!((answer.http, answer.reason().0.as_str()), (401, "ACCESS_TOKEN_EXPIRED"));
        assert!(answer.error().2.starts_with("Request had invalid authentication credentials."));
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"https://accounts.google.com/\"");
    }
    for body in
        [json!({"ttl": "1s", "expireTime": "2027-01-31T13:00:00Z"}), json!({"expireTime": "2026-01-31T13:00:00Z"})]
    {
        let answer = house.manage("POST", &format!("{ME}/tokens"), Some(body)).await;
        assert_eq!(answer.wrong_fields(), ["expire_time"]);
    }
}

#[tokio::test]
async fn the_list_of_tokens_says_when_each_was_last_used() {
    let house = House::new().await;
    let token = house.operator("user:ana@example.com", &[]).await;
    let last_use = async || {
        let listed = house.manage("GET", &format!("{OPERATORS}/user:ana@example.com/tokens"), None).await.ok();
        listed["tokens"][0]["lastUseTime"].clone()
    };

    assert_eq!(last_use().await, Value::Null);
    house.wait(HOUR);
    house.as_(&token, "GET", ME, None).await.ok();
    house.wait(HOUR);
    assert_eq!(last_use().await, "2026-01-31T13:00:00Z");
}

#[tokio::test]
async fn a_disabled_operator_is_nobody_until_it_is_enabled_again() {
    let house = House::new().await;
    let token = house.operator("user:ana@example.com", &[("projects/default-project", "roles/viewer")]).await;
    let switch = async |verb: &str| {
        house.manage("POST", &format!("{OPERATORS}/user:ana@example.com:{verb}"), Some(json!({}))).await
    };

    assert_eq!(switch("disable").await.ok()["disableTime"], "2026-01-31T12:00:00Z");
    assert!(!proves(&house, &token).await);
    assert_eq!(switch("disable").await.refused(), refusal(400, "FAILED_PRECONDITION"));
    assert_eq!(switch("enable").await.ok()["disableTime"], Value::Null);
    assert!(proves(&house, &token).await);
    assert_eq!(switch("enable").await.refused(), refusal(400, "FAILED_PRECONDITION"));
    let own = house.manage("POST", &format!("{ME}:disable"), Some(json!({}))).await;
    assert_eq!(own.refused(), refusal(400, "FAILED_PRECONDITION"));
}
