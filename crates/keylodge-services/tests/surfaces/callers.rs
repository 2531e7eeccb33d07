//! Every route × every kind of caller. What is open is listed; everything else is closed.

use axum::body::Body;
use http::Request;

use crate::support::{House, KEYS, MODEL};

/// A method and a path.
type Route = (&'static str, String);

/// Every route behind the gate.
fn gated() -> Vec<Route> {
    let mut gated = Vec::new();
    for version in ["v1", "v1beta", "v1alpha"] {
        gated.push(("GET", format!("/{version}/models")));
        gated.push(("GET", format!("/{version}/models/")));
        gated.push(("GET", format!("/{version}/models/{MODEL}")));
        gated.push(("GET", format!("/{version}/tunedModels")));
        for verb in ["generateContent", "streamGenerateContent", "countTokens"] {
            gated.push(("POST", format!("/{version}/models/{MODEL}:{verb}")));
        }
    }
    gated
}

/// Every route of management.
fn managed() -> Vec<Route> {
    let services = "/v1/projects/default-project/services";
    let gemini = format!("{services}/generativelanguage.googleapis.com");
    vec![
        ("POST", KEYS.to_owned()),
        ("GET", KEYS.to_owned()),
        ("GET", format!("{KEYS}/default-key")),
        ("GET", format!("{KEYS}/default-key/keyString")),
        ("DELETE", format!("{KEYS}/no-such-key")),
        ("POST", format!("{KEYS}/no-such-key:undelete")),
        ("POST", format!("{KEYS}/no-such-key/:undelete")),
        ("POST", format!("{KEYS}/no-such-key%3Aundelete")),
        ("GET", "/v2/keys:lookupKey?keyString=x".to_owned()),
        ("GET", "/v2/operations/akmf.x".to_owned()),
        ("GET", "/v1/operations/pc.1".to_owned()),
        ("POST", "/v1/projects".to_owned()),
        ("GET", "/v1/projects".to_owned()),
        ("GET", "/v1/projects/default-project".to_owned()),
        ("GET", services.to_owned()),
        ("GET", gemini.clone()),
        ("POST", format!("{gemini}:disable")),
        ("POST", format!("{gemini}:enable")),
    ]
}

async fn call(house: &House, (method, path): &Route, header: Option<(&str, &str)>) -> u16 {
    let mut request = Request::builder().method(*method).uri(path);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    house.send(request.body(Body::from(r#"{"contents": [{"parts": [{"text": "Hi"}]}]}"#)).unwrap()).await.http
}

#[tokio::test]
async fn a_gated_route_opens_to_a_good_key_and_to_nobody_else() {
    let house = House::new().await;
    let owner = format!("Bearer {}", house.token);

    for route in gated() {
        assert_eq!(call(&house, &route, None).await, 403, "nobody: {route:?}");
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", "kl_wrong"))).await, 400, "wrong key: {route:?}");
        assert_eq!(call(&house, &route, Some(("authorization", &owner))).await, 401, "an operator: {route:?}");
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", &house.token))).await, 400, "token as key: {route:?}");
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", &house.key))).await, 200, "right key: {route:?}");
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
async fn a_management_route_opens_to_an_operator_and_to_nobody_else() {
    let house = House::new().await;
    let owner = format!("Bearer {}", house.token);
    let as_bearer = format!("Bearer {}", house.key);

    for route in managed() {
        assert_eq!(call(&house, &route, None).await, 401, "nobody: {route:?}");
        assert_eq!(call(&house, &route, Some(("authorization", "Bearer klo_wrong"))).await, 401, "{route:?}");
        assert_eq!(call(&house, &route, Some(("authorization", &as_bearer))).await, 401, "a key: {route:?}");
        assert_eq!(call(&house, &route, Some(("x-goog-api-key", &house.key))).await, 401, "a key: {route:?}");
        let proven = call(&house, &route, Some(("authorization", &owner))).await;
        assert!(proven != 401 && proven != 403, "the owner: {route:?} {proven}");
    }
}

#[tokio::test]
async fn only_the_listed_paths_are_open() {
    let house = House::new().await;

    for path in keylodge_services::router::OPEN {
        assert_eq!(call(&house, &("GET", path.to_owned()), None).await, 200, "{path}");
    }
    for path in
        ["/", "/v1", "/v1/files", "/v1beta/openai/chat/completions", "/studio", "/keylodge/v1/keys", "/v3/projects"]
    {
        assert_eq!(call(&house, &("GET", path.to_owned()), None).await, 404, "{path}");
    }
}
