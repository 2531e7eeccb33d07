//! What whoever runs a Keylodge sees: health, log, metrics.

use serde_json::{Value, json};

use crate::support::http::{generate, get};
use crate::support::server::scripted;

#[test]
fn every_log_line_is_json_that_stands_alone() {
    let server = scripted().set("log.level", "debug").up();
    server.call(&generate("Hello").key(&server.key())).good();
    server.call(&get("/nowhere"));

    let log = server.stop().log;

    assert!(log.lines().count() >= 3, "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "no {field} in {line}");
        }
    }
}

#[test]
fn a_request_is_one_line_that_names_method_project_and_key_and_never_the_string_or_the_prompt() {
    let server = scripted().up();
    let prompt = "a prompt that is nobody's business";

    let answer = server.call(&generate(prompt).key(&server.key()).header("x-request-id", "forged")).good();

    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_ne!(id, "forged", "nobody writes into the log");
    let line = server.log_line("request.id", &id);
    assert_eq!(line["message"], "request answered");
    assert_eq!(line["method"], "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent");
    assert_eq!((&line["http.verb"], &line["http.status"]), (&json!("POST"), &json!(200)));
    assert_eq!(line["http.path"], "/v1beta/models/gemini-2.0-flash:generateContent");
    assert_eq!(line["project.number"].to_string(), server.project_number());
    assert!(line["key.uid"].as_str().is_some_and(|uid| uid.len() == 36), "{line}");
    assert!(line["duration_ms"].is_number());
    let log = server.stop().log;
    assert_eq!(log.lines().filter(|line| line.contains(&id)).count(), 1);
    assert!(!log.contains(prompt));
}

#[test]
fn metrics_count_requests_refusals_and_tokens_under_bounded_labels() {
    let server = scripted().up();
    server.call(&generate("Hello").key(&server.key())).good();
    for at in 0..3 {
        server.call(&generate("Hello").key(&format!("nonsense-{at}")));
        server.call(&get(format!("/nowhere-{at}")));
    }

    let page = server.call(&get("/metrics")).good();

    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
    let page = page.text();
    for expected in [
        r#"keylodge_requests_total{surface="gemini",method="GenerateContent",code="200"} 1"#,
        r#"keylodge_requests_total{surface="gemini",method="GenerateContent",code="400"} 3"#,
        r#"keylodge_requests_total{surface="other",method="",code="404"} 3"#,
        r#"keylodge_refusals_total{reason="unknown_key"} 3"#,
        r#"keylodge_tokens_total{direction="input"} 1"#,
        "keylodge_index_keys 1",
        "keylodge_generations_running 0",
    ] {
        assert!(page.lines().any(|line| line == expected), "{expected} in:\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
    assert!(!page.contains("nonsense") && !page.contains("nowhere"), "what callers choose is no label");
}

#[test]
fn readiness_says_how_each_part_does() {
    let server = scripted().up();

    let ready = server.call(&get("/readyz")).good().json();

    assert_eq!(ready["ready"], true);
    assert_eq!(ready["store"], json!({"state": "ready"}));
    assert_eq!(ready["engines"], json!([{"name": "script", "state": "ready", "reason": null}]));
    assert_eq!(ready["index"]["keys"], 1);
    assert_eq!(server.call(&get("/healthz")).good().text(), "ok\n");
}
