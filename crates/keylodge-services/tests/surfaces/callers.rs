//! Every route × every kind of caller. What is open is listed; everything else is closed.
//!
//! The routes of management are not listed here but taken from the program, so that none can be added without being
//! held against every caller.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::Request;
use keylodge_rules::iam::{Binding, Member, PREDEFINED, Permission, Policy, PredefinedRole, RoleName};
use keylodge_rules::{KeyUid, OperatorToken};
use keylodge_services::dispatch::routes;
use keylodge_services::management::{On, Route};
use keylodge_store::{Act, NewOperator, NewToken};
use serde_json::json;

use crate::support::{House, MODEL, NOON};

/// A method and a path.
type Call = (&'static str, String);

/// An organization of the house, which no route but those of organizations is about.
const ORGANIZATION: u64 = 123_456_789_012;

/// An interaction that there is not.
const NONE: &str = "v1_none";

/// Routes that ask for more than their permission, so that a caller who has it may still be refused. This list may only
/// shrink.
const ASK_FOR_MORE: [&str; 0] = [];

/// Routes that stand on no one policy, with what a caller without any role gets: they show what is the caller's to see.
const SHOW_WHAT_IS_ONES_OWN: [(&str, &str, u16); 24] = [
    ("GET", "/v2/keys:lookupKey", 400),
    ("GET", "/v1/operations/{operation}", 404),
    ("GET", "/v2/operations/{operation}", 404),
    ("GET", "/v3/operations/{operation}", 404),
    ("POST", "/v1/projects", 403),
    ("GET", "/v1/projects", 200),
    ("POST", "/v3/projects", 403),
    ("GET", "/v3/projects", 400),
    ("GET", "/v3/projects:search", 200),
    ("POST", "/v1/organizations:search", 200),
    ("GET", "/v3/organizations:search", 200),
    ("GET", "/v1/roles", 200),
    ("GET", "/v1/roles/{role}", 404),
    ("POST", "/v1/permissions:queryTestablePermissions", 200),
    ("GET", "/keylodge/v1/operators/{operator}", 403),
    ("GET", "/keylodge/v1/operators/{operator}/tokens", 403),
    ("POST", "/keylodge/v1/operators/{operator}/tokens", 403),
    ("DELETE", "/keylodge/v1/operators/{operator}/tokens/{token}", 403),
    ("GET", "/keylodge/v1/decisions/{decision}", 404),
    ("GET", "/keylodge/v1/workspace", 200),
    ("POST", "/keylodge/v1/workspace:acceptTerms", 400),
    ("GET", "/keylodge/v1/workspace/projects", 200),
    ("GET", "/keylodge/v1/workspace/projects:search", 200),
    ("GET", "/keylodge/v1/workspace/keys", 200),
];

/// The same, where what is asked for is somebody else's project.
const REFUSE_WHAT_IS_NOT: [(&str, &str); 3] = [
    ("POST", "/keylodge/v1/workspace/projects:import"),
    ("DELETE", "/keylodge/v1/workspace/projects/{project}"),
    ("POST", "/keylodge/v1/workspace/keys"),
];

/// Every route behind the gate.
fn gated() -> Vec<Call> {
    let mut gated = Vec::new();
    for version in ["v1", "v1beta", "v1alpha"] {
        gated.push(("GET", format!("/{version}/models")));
        gated.push(("GET", format!("/{version}/models/")));
        gated.push(("GET", format!("/{version}/models/{MODEL}")));
        gated.push(("GET", format!("/{version}/tunedModels")));
        for verb in ["generateContent", "streamGenerateContent", "countTokens"] {
            gated.push(("POST", format!("/{version}/models/{MODEL}:{verb}")));
        }
        gated.push(("POST", format!("/{version}/interactions")));
        gated.push(("GET", format!("/{version}/interactions/{NONE}")));
        gated.push(("DELETE", format!("/{version}/interactions/{NONE}")));
        gated.push(("POST", format!("/{version}/interactions/{NONE}/cancel")));
        gated.push(("POST", format!("/{version}/auth_tokens")));
    }
    gated
}

/// Every route of management, those that take the project away at the end.
fn managed() -> Vec<&'static Route> {
    let mut managed: Vec<_> = routes().collect();
    managed.sort_by_key(|route| route.method.ends_with("DeleteProject"));
    managed
}

/// A call of a route of management. A place that nobody has said anything about fails the test.
fn call_of(route: &'static Route) -> Call {
    let path = route.filled(|place| match place {
        "project" => "default-project".to_owned(),
        "location" => "global".to_owned(),
        "service" => "nosuch.example.com".to_owned(),
        "organization" => ORGANIZATION.to_string(),
        "key" | "role" | "operator" | "token" | "operation" | "upstream" | "credential" | "decision" => {
            "nobody".to_owned()
        }
        place => panic!("say in callers.rs what can stand at {{{place}}}"),
    });
    (route.verb, path)
}

async fn call(house: &House, (method, path): &Call, header: Option<(&str, &str)>) -> u16 {
    let body = if path.ends_with("/interactions") {
        json!({"model": MODEL, "input": "Hi"})
    } else if path.ends_with("/auth_tokens") {
        json!({})
    } else {
        json!({"contents": [{"parts": [{"text": "Hi"}]}]})
    };
    let body = body.to_string();
    send(house, method, path, header, &body).await
}

/// A call whose body is wrong for every route of management: whoever may make it gets no further than that.
async fn manage(house: &House, (method, path): &Call, token: &str) -> (u16, String) {
    let request = Request::builder().method(*method).uri(path).header("authorization", format!("Bearer {token}"));
    let answer = house.send(request.body(Body::from(r#"{"nonsense": 1}"#)).unwrap()).await;
    (answer.http, answer.text())
}

async fn send(house: &House, method: &str, path: &str, header: Option<(&str, &str)>, body: &str) -> u16 {
    let mut request = Request::builder().method(method).uri(path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    house.send(request.body(Body::from(body.to_owned())).unwrap()).await.http
}

pub(crate) fn act() -> Act {
    Act {
        principal: "serviceAccount:test".to_owned(),
        service: "test",
        method: "test",
        permission: "",
        request_id: String::new(),
        caller_ip: String::new(),
        user_agent: String::new(),
        request: [].into(),
        at: keylodge_rules::Timestamp::from_micros(NOON),
    }
}

/// A house with an organization.
async fn house() -> House {
    let house = House::new().await;
    let made = house.lodge.store.create_organization(ORGANIZATION, "Acme", &Policy::default(), &act()).await;
    made.unwrap();
    house
}

/// Somebody without any role, and the token.
async fn somebody(house: &House, which: u8, ends: Option<i64>) -> (String, String) {
    let (id, member) = (format!("somebody-{which}"), format!("user:somebody-{which}@example.com"));
    let token = OperatorToken::issue(&[which + 100; 32]);
    let new = NewOperator { id: id.clone(), member: member.clone(), display_name: String::new() };
    let new_token = NewToken {
        id: KeyUid::from_random([which; 16]).to_string(),
        operator: id,
        display_name: String::new(),
        hash: house.lodge.master.pepper().hash_token(&token),
        expire_time: ends.map(keylodge_rules::Timestamp::from_micros),
    };
    house.lodge.store.create_operator(&new, Some(&new_token), &act()).await.unwrap();
    (member, token.reveal().to_owned())
}

/// Gives somebody one role, and nobody any other but the owner, on what a route stands on.
async fn grant(house: &House, on: On, member: &str, role: &PredefinedRole) {
    let resource = match on {
        On::Project => {
            let project = house.manage("GET", "/v1/projects/default-project", None).await.json();
            format!("projects/{}", project["projectNumber"].as_str().unwrap())
        }
        On::Organization => format!("organizations/{ORGANIZATION}"),
        On::Deployment => "deployment".to_owned(),
        On::Each => return,
    };
    let binding = |role: &str, member: &str| Binding {
        role: RoleName::parse(role).unwrap(),
        members: vec![Member::parse(member).unwrap()],
        condition: None,
    };
    let mut bindings = vec![binding(&format!("roles/{}", role.id), member)];
    if on == On::Deployment {
        bindings.push(binding("roles/owner", "user:owner"));
    }
    let policy = Policy { version: 1, bindings, ..Policy::default() };
    house.lodge.store.set_policy(&resource, &policy, None, None, &act()).await.unwrap();
}

#[tokio::test]
async fn a_gated_route_opens_to_a_good_key_and_to_nobody_else() {
    let house = House::new().await;
    let owner = format!("Bearer {}", house.token);
    let for_sessions = house.make_token(&serde_json::json!({})).await;

    for route in gated() {
        assert_eq!(call(&house, &route, None).await, 403, "nobody: {route:?}");
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", "kl_wrong"))).await, 400, "wrong key: {route:?}");
        assert_eq!(call(&house, &route, Some(("authorization", &owner))).await, 401, "an operator: {route:?}");
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", &house.token))).await, 400, "token as key: {route:?}");
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", &for_sessions))).await, 403, "Live's token: {route:?}");
        let opened = if route.1.contains(NONE) { 404 } else { 200 };
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", &house.key))).await, opened, "right key: {route:?}");
    }
}

#[tokio::test]
async fn a_gated_route_stays_closed_to_a_key_of_a_project_without_the_service() {
    let house = House::new().await;
    let path = "/v1/projects/default-project/services/generativelanguage.googleapis.com:disable";
    house.manage("POST", path, None).await;

    for route in gated() {
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", &house.key))).await, 403, "{route:?}");
    }
}

#[tokio::test]
async fn a_management_route_asks_for_proof_before_anything_else() {
    let house = house().await;
    let as_bearer = format!("Bearer {}", house.key);
    let (_, expired) = somebody(&house, 1, Some(NOON)).await;
    let (_, disabled) = somebody(&house, 2, None).await;
    assert_eq!(house.manage("POST", "/keylodge/v1/operators/somebody-2:disable", None).await.http, 200);
    let (_, revoked) = somebody(&house, 3, None).await;
    let token = format!("/keylodge/v1/operators/somebody-3/tokens/{}", KeyUid::from_random([3; 16]));
    assert_eq!(house.manage("DELETE", &token, None).await.http, 200);
    let before = house.lodge.store.audit_lines().await.unwrap();

    for call_made in routes().map(call_of) {
        for (who, header) in [
            ("nobody", None),
            ("a wrong token", Some(("authorization", "Bearer klo_wrong".to_owned()))),
            ("a key as bearer", Some(("authorization", as_bearer.clone()))),
            ("a key", Some(("x-goog-api-key", house.key.clone()))),
            ("an expired token", Some(("authorization", format!("Bearer {expired}")))),
            ("a disabled operator", Some(("authorization", format!("Bearer {disabled}")))),
            ("a revoked token", Some(("authorization", format!("Bearer {revoked}")))),
        ] {
            let header = header.as_ref().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(call(&house, &call_made, header).await, 401, "{who}: {call_made:?}");
        }
    }

    assert_eq!(house.lodge.store.audit_lines().await.unwrap(), before, "and nobody changed anything");
}

#[tokio::test]
async fn a_management_route_opens_to_exactly_those_roles_that_have_its_permission() {
    for (which, role) in PREDEFINED.iter().enumerate() {
        let house = house().await;
        let (member, token) = somebody(&house, u8::try_from(which).unwrap(), None).await;
        for on in [On::Project, On::Organization, On::Deployment] {
            grant(&house, on, &member, role).await;
            for route in managed().into_iter().filter(|route| route.on == on && !ASK_FOR_MORE.contains(&route.method)) {
                let permission = Permission::parse(route.permission).ok();
                let may = permission.is_none_or(|permission| role.permissions.contains(permission));

                let (http, text) = manage(&house, &call_of(route), &token).await;

                let refused = http == 403 && text.contains("IAM_PERMISSION_DENIED") && text.contains(route.permission);
                assert_eq!(refused, !may, "{} at {} {}: {http} {text}", role.id, route.verb, route.path);
                assert!(may || http == 403, "{} at {} {}: {http}", role.id, route.verb, route.path);
            }
            // What the role gives here must not be what lets the caller in elsewhere.
            grant(&house, on, "user:nobody@example.com", role).await;
        }
    }
}

#[tokio::test]
async fn whoever_has_no_role_reaches_what_is_their_own_and_nothing_else() {
    let house = house().await;
    let (_, token) = somebody(&house, 1, None).await;

    for route in managed() {
        let (http, text) = manage(&house, &call_of(route), &token).await;
        let own = SHOW_WHAT_IS_ONES_OWN.iter().find(|(verb, path, _)| (*verb, *path) == (route.verb, route.path));
        let refused = REFUSE_WHAT_IS_NOT.contains(&(route.verb, route.path));
        let place = format!("{} {}", route.verb, route.path);
        match (route.on, own) {
            // These read their body first, which is nonsense here.
            (On::Each, Some((_, _, expected))) => assert!(http == *expected || http == 400, "{place}: {http} {text}"),
            (On::Each, None) => assert!(refused && matches!(http, 400 | 403), "{place}: {http} {text}"),
            (_, None) if route.permission.is_empty() => assert!(matches!(http, 200 | 400), "{place}: {http} {text}"),
            (_, None) => assert_eq!(http, 403, "{place}: {text}"),
            (_, Some(_)) => panic!("{place} stands on a policy and is no exception"),
        }
    }
}

#[tokio::test]
async fn the_owner_reaches_every_route_and_a_stranger_s_project_reads_as_missing() {
    let house = house().await;

    for route in managed() {
        let (http, text) = manage(&house, &call_of(route), &house.token).await;
        assert!(http != 401 && http < 500 && !text.contains("IAM_PERMISSION_DENIED"), "{route:?}: {http} {text}");
    }
    let house = self::house().await;
    let (_, token) = somebody(&house, 1, None).await;
    for route in routes().filter(|route| route.on == On::Project && !route.permission.is_empty()) {
        let there = manage(&house, &call_of(route), &token).await;
        let missing = (route.verb, call_of(route).1.replace("default-project", "missing-project"));
        let missing = manage(&house, &missing, &token).await;
        assert_eq!(there.1.replace("default-project", "missing-project"), missing.1, "{} {}", route.verb, route.path);
    }
}

#[test]
fn every_permission_that_a_route_asks_for_exists() {
    for route in routes().filter(|route| !route.permission.is_empty()) {
        assert!(Permission::parse(route.permission).is_ok(), "{} asks for {}", route.method, route.permission);
    }
}

#[tokio::test]
async fn only_the_listed_paths_are_open() {
    let house = House::new().await;
    house.clock.store(NOON, Ordering::SeqCst);

    for path in keylodge_services::router::OPEN {
        assert_eq!(call(&house, &("GET", path.to_owned()), None).await, 200, "{path}");
    }
    for path in
        ["/", "/v1", "/v1/files", "/v1beta/openai/chat/completions", "/studio", "/keylodge/v1/keys", "/v3/nothing"]
    {
        assert_eq!(call(&house, &("GET", path.to_owned()), None).await, 404, "{path}");
    }
}

/// `?key=` is a credential, which is taken out before a route sees it.
#[test]
fn no_route_asks_for_what_is_taken_for_a_credential() {
    for route in routes() {
        assert!(!route.query.contains(&"key"), "{}", route.path);
    }
}
