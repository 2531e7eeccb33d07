//! What operators see of it all.

use axum::body::Body;
use http::Request;

use crate::support::{House, KEYS};

#[tokio::test]
async fn metrics_count_calls_refusals_and_tokens_with_bounded_labels() {
    let house = House::new().await;
    let path = "/v1/models/gemini-2.5-flash:generateContent";
    house.gemini(path, &serde_json::json!({"contents": [{"parts": [{"text": "Hi"}]}]})).await;
    house.lets_in("kl_wrong").await;
    house.manage("GET", KEYS, None).await;

    let metrics = house.send(Request::get("/metrics").body(Body::empty()).unwrap()).await.text();

    for line in [
        r#"keylodge_requests_total{surface="gemini",method="GenerateContent",code="200"} 1"#,
        r#"keylodge_requests_total{surface="gemini",method="ListModels",code="400"} 1"#,
        r#"keylodge_requests_total{surface="management",method="ListKeys",code="200"} 1"#,
        r#"keylodge_refusals_total{reason="malformed_key"} 1"#,
        r#"keylodge_tokens_total{direction="input"} 4"#,
        r#"keylodge_tokens_total{direction="output"} 3"#,
        "keylodge_index_keys 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    assert!(!metrics.contains(&house.key) && metrics.ends_with("# EOF\n"));
}

#[tokio::test]
async fn every_answer_names_its_request_and_every_refusal_its_decision() {
    let house = House::new().await;

    let good = house.send(Request::get("/healthz").body(Body::empty()).unwrap()).await;
    let refused = house.send(Request::get("/v1/models").body(Body::empty()).unwrap()).await;

    assert_eq!(good.headers["x-request-id"].len(), 20);
    assert!(!good.headers.contains_key("x-keylodge-decision"));
    assert_eq!(refused.headers["x-keylodge-decision"].len(), 20);
    assert_ne!(refused.headers["x-keylodge-decision"], refused.headers["x-request-id"]);
}

#[tokio::test]
async fn readiness_tells_the_state_of_each_part() {
    let house = House::new().await;

    let report = house.send(Request::get("/readyz").body(Body::empty()).unwrap()).await.json();

    assert_eq!(report["ready"], true);
    assert_eq!(report["engines"][0]["name"], "script");
    assert_eq!(report["index"]["keys"], 1);
    assert!(house.folder.path().exists());
}
