//! Every change leaves its line, and nobody can alter the log unnoticed.

use axum::body::Body;
use http::Request;
use keylodge_api::audit_log::ExportVerifier;
use keylodge_services::dispatch::routes;
use keylodge_services::management::Route;
use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS};
use crate::visitor::{ADMIN, GEMINI, peer, refusal, text, texts};

const AGENT: &str = "google-cloud-sdk gcloud/528.0.0";
const LOG: &str = "/keylodge/v1/auditLogs";

/// Routes that are no `GET` and yet change nothing.
const READS: [&str; 6] =
    ["getIamPolicy", "testIamPermissions", "queryTestablePermissions", "getAncestry", "search", "rehearse"];

fn changes(route: &Route) -> bool {
    route.verb != "GET" && !READS.iter().any(|read| route.path.ends_with(&format!(":{read}")))
}

/// A step of the tour below: verb, path, body, and what its audit line is about. `{n}` stands for the number of the
/// default project, `{m}` for that of another, `{o}` for the organization.
type Step = (&'static str, &'static str, Value, &'static str);

/// Every change there is, in an order in which each is possible.
fn tour() -> Vec<Step> {
    let (key, one) =
        ("projects/{n}/locations/global/keys/one", "/v2/projects/default-project/locations/global/keys/one");
    let (other, role) = ("projects/{m}", "projects/default-project/roles/rrr");
    let policy = || json!({"policy": {"bindings": [{"role": "roles/owner", "members": ["user:owner"]}]}});
    let admin = "/keylodge/v1/projects/default-project/keys/one";
    vec![
        ("POST", "/v2/projects/default-project/locations/global/keys?keyId=one", json!({"displayName": "One"}), key),
        ("PATCH", one, json!({"displayName": "Two"}), key),
        ("DELETE", one, json!({}), key),
        ("POST", "/v2/projects/default-project/locations/global/keys/one:undelete", json!({}), key),
        ("PATCH", admin, json!({"owner": "ana"}), key),
        ("PUT", "/keylodge/v1/projects/default-project/keys/one/rules", json!({"allowedModels": ["gemini-*"]}), key),
        (
            "PUT",
            "/keylodge/v1/projects/default-project/limits",
            json!({"limits": [{"metric": "REQUESTS", "window": "MINUTE", "value": "1000"}]}),
            "projects/{n}",
        ),
        ("POST", "/keylodge/v1/projects/default-project/keys/one:disable", json!({}), key),
        ("POST", "/keylodge/v1/projects/default-project/keys/one:enable", json!({}), key),
        ("POST", "/keylodge/v1/projects/default-project/keys/one:rotate", json!({"overlap": "60s"}), key),
        ("POST", "/keylodge/v1/projects/default-project/keys/one:retire", json!({}), key),
        ("POST", "/keylodge/v1/projects/default-project/keys/one:revoke", json!({}), key),
        (
            "POST",
            "/keylodge/v1/projects/default-project/keys:import",
            json!({"keys": [{"keyId": "two", "keyString": "sk-0123456789abcdef"}]}),
            "projects/{n}/locations/global/keys/two",
        ),
        (
            "POST",
            "/keylodge/v1/projects/default-project/keys:revoke",
            json!({"keys": ["two"]}),
            "projects/{n}/locations/global/keys/two",
        ),
        (
            "PATCH",
            "/keylodge/v1/projects/default-project/settings",
            json!({"keyStringsShownOnce": false}),
            "projects/{n}",
        ),
        ("POST", "/v1/projects/default-project/services/jules.googleapis.com:enable", json!({}), "projects/{n}"),
        ("POST", "/v1/projects/default-project/services/jules.googleapis.com:disable", json!({}), "projects/{n}"),
        ("POST", "/v1/projects/default-project/services:batchEnable", json!({"serviceIds": [GEMINI]}), "projects/{n}"),
        ("PUT", "/v1/projects/{m}", json!({"name": "Team Blue"}), other),
        ("DELETE", "/v1/projects/{m}", json!({}), other),
        ("POST", "/v1/projects/{m}:undelete", json!({}), other),
        ("PATCH", "/v3/projects/{m}", json!({"displayName": "Team Red"}), other),
        ("DELETE", "/v3/projects/{m}", json!({}), other),
        ("POST", "/v3/projects/{m}:undelete", json!({}), other),
        ("POST", "/v3/projects/{m}:move", json!({"destinationParent": "{o}"}), other),
        ("POST", "/v1/projects", json!({"projectId": "made-by-v1"}), "projects/"),
        ("POST", "/v3/projects", json!({"projectId": "made-by-v3"}), "projects/"),
        ("POST", "/v1/projects/default-project:setIamPolicy", policy(), "projects/{n}"),
        ("POST", "/v3/projects/default-project:setIamPolicy", policy(), "projects/{n}"),
        ("POST", "/v1/{o}:setIamPolicy", policy(), "{o}"),
        ("POST", "/v3/{o}:setIamPolicy", policy(), "{o}"),
        ("POST", "/keylodge/v1/deployment:setIamPolicy", policy(), "deployment"),
        ("POST", "/v1/projects/default-project/roles", json!({"roleId": "rrr"}), role),
        ("PATCH", "/v1/projects/default-project/roles/rrr", json!({"title": "R"}), role),
        ("DELETE", "/v1/projects/default-project/roles/rrr", json!({}), role),
        ("POST", "/v1/projects/default-project/roles/rrr:undelete", json!({}), role),
        ("POST", "/v1/{o}/roles", json!({"roleId": "rrr"}), "{o}/roles/rrr"),
        ("PATCH", "/v1/{o}/roles/rrr", json!({"title": "R"}), "{o}/roles/rrr"),
        ("DELETE", "/v1/{o}/roles/rrr", json!({}), "{o}/roles/rrr"),
        ("POST", "/v1/{o}/roles/rrr:undelete", json!({}), "{o}/roles/rrr"),
        ("POST", "/keylodge/v1/organizations", json!({"displayName": "Other"}), "organizations/"),
        (
            "POST",
            "/keylodge/v1/operators",
            json!({"operatorId": "ana", "member": "user:ana@example.com"}),
            "operators/ana",
        ),
        ("POST", "/keylodge/v1/operators/ana:disable", json!({}), "operators/ana"),
        ("POST", "/keylodge/v1/operators/ana:enable", json!({}), "operators/ana"),
        ("POST", "/keylodge/v1/operators/ana/tokens", json!({}), "operators/ana/tokens/"),
        ("DELETE", "/keylodge/v1/operators/ana/tokens/{t}", json!({}), "operators/ana/tokens/{t}"),
        (
            "POST",
            "/keylodge/v1/upstreams/weather/credentials",
            json!({"secret": "sk-9876543210fedcba"}),
            "upstreams/weather/credentials/",
        ),
        ("DELETE", "/keylodge/v1/upstreams/weather/credentials/{c}", json!({}), "upstreams/weather/credentials/{c}"),
        ("POST", "/keylodge/v1/workspace:acceptTerms", json!({"version": "1"}), "operators/owner"),
        ("POST", "/keylodge/v1/workspace/projects", json!({"projects": [{"projectId": "made-in-ws"}]}), "projects/"),
        ("POST", "/keylodge/v1/workspace/projects:import", json!({"project": "default-project"}), "projects/{n}"),
        ("DELETE", "/keylodge/v1/workspace/projects/default-project", json!({}), "projects/{n}"),
        (
            "POST",
            "/keylodge/v1/workspace/keys",
            json!({"project": "default-project"}),
            "projects/{n}/locations/global/keys/",
        ),
    ]
}

/// A call from gcloud at 192.0.2.7.
async fn call(house: &House, verb: &str, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(verb).uri(path);
    let request = request.header("authorization", format!("Bearer {}", house.token)).header("user-agent", AGENT);
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    request.extensions_mut().insert(peer("192.0.2.7"));
    house.send(request).await
}

fn route_of(verb: &str, path: &str) -> &'static Route {
    let path = path.split('?').next().unwrap();
    routes().find(|route| route.is_meant_by(verb, path)).unwrap_or_else(|| panic!("no route: {verb} {path}"))
}

/// Takes the whole tour; gives the methods that left their line and every string that was shown on the way.
async fn travelled(house: &House) -> (Vec<&'static str>, Vec<String>) {
    let number = text(&house.manage("GET", "/v1/projects/default-project", None).await.ok(), "/projectNumber");
    let (other, organization) = (house.new_project("team-blue").await, house.new_organization("Acme").await);
    let (mut methods, mut secrets, mut token) =
        (Vec::new(), vec!["sk-0123456789abcdef".to_owned(), "sk-9876543210fedcba".to_owned()], String::new());
    let mut credential = String::new();
    for (verb, path, body, resource) in tour() {
        let fill = |text: &str| {
            text.replace("{n}", &number)
                .replace("{m}", &other)
                .replace("{o}", &organization)
                .replace("{t}", &token)
                .replace("{c}", &credential)
        };
        let (path, resource) = (fill(path), fill(resource));
        let before = house.lodge.store.audit_lines().await.unwrap();
        let body = if verb == "DELETE" { String::new() } else { fill(&body.to_string()) };
        let answer = call(house, verb, &path, &body).await;
        let (answer, route) = (answer.ok(), route_of(verb, &path));
        for pointer in ["/response/keyString", "/key/keyString", "/keyString", "/token", "/token/token"] {
            secrets.extend(answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned));
        }
        if path.ends_with("/ana/tokens") {
            token = text(&answer, "/name").rsplit('/').next().unwrap().to_owned();
        }

        if path.ends_with("/weather/credentials") {
            credential = text(&answer, "/name").rsplit('/').next().unwrap().to_owned();
        }

        let lines = house.lodge.store.audit_lines().await.unwrap() - before;
        assert!(lines > 0, "{verb} {path} leaves no line");
        let log = house.manage("GET", &format!("{LOG}?afterSequence={before}"), None).await.ok();
        let told = log["entries"].as_array().unwrap().iter().map(|entry| &entry["protoPayload"]);
        let told: Vec<&Value> =
            told.filter(|line| line["resourceName"].as_str().unwrap().starts_with(&resource)).collect();
        assert!(!told.is_empty(), "{verb} {path} is not about {resource}: {log}");
        for line in told {
            check(line, route, &format!("{verb} {path}"));
        }
        methods.push(route.method);
    }
    (methods, secrets)
}

fn check(line: &Value, route: &Route, step: &str) {
    assert_eq!(line["methodName"], route.method, "{step}");
    assert_eq!(line["serviceName"], route.service, "{step}");
    assert_eq!(
        line["authenticationInfo"],
        json!({"principalEmail": "owner", "principalSubject": "user:owner"}),
        "{step}"
    );
    assert_eq!(line["requestMetadata"]["callerIp"], "192.0.2.7", "{step}");
    assert_eq!(line["requestMetadata"]["callerSuppliedUserAgent"], AGENT, "{step}");
    if !route.permission.is_empty() {
        assert_eq!(line["authorizationInfo"][0]["permission"], route.permission, "{step}");
        assert_eq!(line["authorizationInfo"][0]["granted"], true, "{step}");
    }
}

async fn export(house: &House, query: &str) -> String {
    let answer = house.manage("GET", &format!("{LOG}:export{query}"), None).await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson; charset=UTF-8");
    answer.text()
}

#[tokio::test]
async fn every_change_leaves_its_line_and_no_line_a_secret() {
    let house = crate::upstreams::house().await;

    let (methods, secrets) = travelled(&house).await;

    let missing: Vec<_> = routes().filter(|route| changes(route) && !methods.contains(&route.method)).collect();
    assert!(missing.is_empty(), "take these into the tour: {missing:?}");
    let log = export(&house, "").await;
    assert!(secrets.len() >= 6, "the tour shows fewer strings than it did: {secrets:?}");
    for secret in secrets.iter().chain([&house.key, &house.token]) {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
    }
    assert!(!log.contains("kl_") && !log.contains("klo_"), "something like a key is in the log");
}

#[tokio::test]
async fn a_call_that_changes_nothing_leaves_no_line() {
    let house = House::new().await;
    let before = house.lodge.store.audit_lines().await.unwrap();

    house.manage("POST", &format!("{KEYS}?keyId=default-key"), Some(json!({}))).await.refused();
    house.manage("DELETE", &format!("{KEYS}/none"), None).await.refused();
    house.manage("GET", KEYS, None).await.ok();

    assert_eq!(house.lodge.store.audit_lines().await.unwrap(), before);
}

#[tokio::test]
async fn looking_at_a_string_is_told_with_who_looked() {
    let house = House::new().await;

    call(&house, "GET", &format!("{KEYS}/default-key/keyString"), "").await.ok();

    let line = house.audit_log().await.pop().unwrap();
    let route = route_of("GET", &format!("{KEYS}/default-key/keyString"));
    check(&line["protoPayload"], route, "getKeyString");
    assert!(text(&line, "/protoPayload/resourceName").ends_with("/keys/default-key"));
    assert_eq!(line["logName"], "projects/default-project/logs/cloudaudit.googleapis.com%2Fdata_access");
    assert_eq!(line["timestamp"], "2026-01-31T12:00:00Z");
}

#[tokio::test]
async fn a_key_in_the_place_of_a_name_does_not_reach_the_log() {
    let house = House::new().await;
    let own = house.key.clone();

    house.new_key("one", json!({"displayName": format!("key {own}")})).await;
    let agent = Request::delete(format!("{KEYS}/one")).header("authorization", format!("Bearer {}", house.token));
    house.send(agent.header("user-agent", format!("curl {own}")).body(Body::empty()).unwrap()).await.ok();

    let log = export(&house, "").await;
    assert!(!log.contains(&own), "{log}");
}

#[tokio::test]
async fn an_export_verifies_and_a_changed_one_does_not() {
    let house = crate::upstreams::house().await;
    travelled(&house).await;
    let log = export(&house, "").await;
    let verify = |log: &str| {
        let mut verifier = ExportVerifier::new(None);
        log.lines().try_for_each(|line| verifier.line(line.as_bytes()))?;
        verifier.finish(None)
    };

    verify(&log).unwrap();
    assert_eq!(log.lines().count() as u64, house.lodge.store.audit_lines().await.unwrap() + 1);
    verify(&log.replacen("user:owner", "user:other", 1)).unwrap_err();
    let without_second: Vec<&str> = log.lines().take(1).chain(log.lines().skip(2)).collect();
    verify(&without_second.join("\n")).unwrap_err();
    let cut_off: Vec<&str> = log.lines().take(5).collect();
    verify(&cut_off.join("\n")).unwrap_err();

    let checkpoint = house.manage("GET", &format!("{LOG}:checkpoint"), None).await.ok();
    let end: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(text(&end, "/keylodgeCheckpoint/hash"), text(&checkpoint, "/hash"));
    let rest = export(&house, "?afterSequence=5").await;
    assert_eq!(rest.lines().next(), log.lines().nth(5));
}

#[tokio::test]
async fn the_view_of_a_project_shows_that_project_alone() {
    let house = House::new().await;
    house.new_project("team-blue").await;
    house.new_key("one", json!({})).await;
    let blue = KEYS.replace("default-project", "team-blue");
    house.manage("POST", &format!("{blue}?keyId=two"), Some(json!({}))).await.ok();
    let viewer = house.operator("user:vi@example.com", &[("projects/team-blue", "roles/viewer")]).await;

    let path = "/keylodge/v1/projects/team-blue/auditLogs";
    let shown = house.as_(&viewer, "GET", path, None).await.ok();

    let projects = texts(&shown["entries"], "/resource/labels/project_id");
    assert!(projects.len() >= 3 && projects.iter().all(|project| project == "team-blue"), "{projects:?}");
    assert_eq!(house.manage("GET", path, None).await.ok(), shown);
    for path in [LOG.to_owned(), format!("{LOG}:export"), format!("{LOG}:checkpoint"), format!("{ADMIN}/auditLogs")] {
        let answer = house.as_(&viewer, "GET", &path, None).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{path}");
    }
}

#[tokio::test]
async fn the_log_is_shown_in_pages_and_from_any_place_on() {
    let house = House::new().await;
    for id in ["a", "b", "c"] {
        house.new_key(id, json!({})).await;
    }
    let all = house.audit_log().await;
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page = house.manage("GET", &format!("{LOG}?pageSize=2&pageToken={token}"), None).await.ok();
        paged.extend(page["entries"].as_array().into_iter().flatten().cloned());
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = next.to_owned();
    }

    assert_eq!(paged, all);
    let rest = house.manage("GET", &format!("{LOG}?afterSequence=2"), None).await.ok();
    assert_eq!(rest["entries"], json!(all[2..]));
    assert_eq!(house.manage("GET", &format!("{LOG}?afterSequence=x"), None).await.wrong_fields(), ["after_sequence"]);
}
