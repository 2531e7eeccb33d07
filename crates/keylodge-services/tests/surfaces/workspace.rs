//! What AI Studio adds: terms, a project and a key for whoever is new, and a workspace of one's own.

use serde_json::{Value, json};

use crate::support::{Answer, House, KEYS};
use crate::visitor::{GEMINI, HOUR, refusal, text, texts};

const WORKSPACE: &str = "/keylodge/v1/workspace";
const PROJECTS: &str = "/keylodge/v1/workspace/projects";
const JULES: &str = "jules.googleapis.com";

async fn accept(house: &House, token: &str) -> Answer {
    house.as_(token, "POST", &format!("{WORKSPACE}:acceptTerms"), Some(json!({"version": "1"}))).await
}

async fn import(house: &House, token: &str, project: &str) -> Answer {
    house.as_(token, "POST", &format!("{PROJECTS}:import"), Some(json!({"project": project}))).await
}

async fn projects(house: &House, token: &str, query: &str) -> Vec<String> {
    texts(&house.as_(token, "GET", &format!("{PROJECTS}{query}"), None).await.ok()["projects"], "/projectId")
}

async fn key_names(house: &House, token: &str) -> Vec<String> {
    let listed = house.as_(token, "GET", &format!("{WORKSPACE}/keys"), None).await.ok();
    texts(&listed["keys"], "/key/displayName")
}

async fn make_key(house: &House, token: &str, body: Value) -> Answer {
    house.as_(token, "POST", &format!("{WORKSPACE}/keys"), Some(body)).await
}

#[tokio::test]
async fn a_new_operator_who_accepts_the_terms_gets_a_project_and_a_key_once() {
    let house = House::new().await;
    let ana = house.operator("user:ana@example.com", &[]).await;
    let workspace = json!({"member": "user:ana@example.com", "termsVersion": "1", "projectsMax": 50, "keysMax": 100, "projectsAtOnceMax": 10});
    assert_eq!(house.as_(&ana, "GET", WORKSPACE, None).await.ok(), workspace);

    let accepted = accept(&house, &ana).await.ok();

    assert_eq!(accepted["workspace"]["acceptedTermsVersion"], "1");
    assert_eq!(accepted["workspace"]["termsAcceptTime"], "2026-01-31T12:00:00Z");
    assert_eq!(house.as_(&ana, "GET", WORKSPACE, None).await.ok(), accepted["workspace"]);
    let id = text(&accepted, "/project/projectId");
    assert!(id.starts_with("gen-lang-client-"), "{id}");
    assert_eq!(accepted["project"]["displayName"], "Default Gemini Project");
    assert_eq!(house.lets_in(&text(&accepted, "/key/keyString")).await, 200);
    assert_eq!(accepted["key"]["restrictions"], json!({"apiTargets": [{"service": GEMINI}]}));
    assert_eq!(projects(&house, &ana, "").await, [id.as_str()]);
    assert_eq!(key_names(&house, &ana).await, ["Default Gemini API Key"]);
    assert_eq!(
        house.policy(&format!("projects/{id}")).await["bindings"],
        json!([{"role": "roles/owner", "members": ["user:ana@example.com"]}])
    );

    house.wait(HOUR);
    let again = accept(&house, &ana).await.ok();
    assert_eq!((&again["project"], &again["key"]), (&Value::Null, &Value::Null));
    let operator = house.as_(&ana, "GET", "/keylodge/v1/operators/me", None).await.ok();
    assert_eq!(
        (&operator["termsVersion"], &operator["termsAcceptTime"]),
        (&json!("1"), &json!("2026-01-31T13:00:00Z"))
    );
}

#[tokio::test]
async fn an_operator_who_sees_projects_already_gets_none() {
    let house = House::new().await;
    let ana = house.operator("user:ana@example.com", &[("projects/default-project", "roles/viewer")]).await;

    for token in [&ana, &house.token] {
        let accepted = accept(&house, token).await.ok();
        assert_eq!((&accepted["project"], &accepted["key"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(projects(&house, &ana, "").await, [""; 0]);
}

#[tokio::test]
async fn only_the_terms_there_are_can_be_accepted() {
    let house = House::new().await;
    for version in ["", "0", "2"] {
        let body = json!({"version": version});
        let answer = house.manage("POST", &format!("{WORKSPACE}:acceptTerms"), Some(body)).await;
        assert_eq!(answer.wrong_fields(), ["version"]);
    }
    assert_eq!(house.manage("GET", WORKSPACE, None).await.ok()["acceptedTermsVersion"], Value::Null);
}

#[tokio::test]
async fn a_project_is_imported_by_id_or_number_into_one_s_own_workspace() {
    let house = House::new().await;
    let number = house.new_project("team-blue").await;
    house.new_project("team-red").await;
    let viewer = [("projects/team-blue", "roles/viewer"), ("projects/team-red", "roles/viewer")];
    let (ana, ben) =
        (house.operator("user:ana@example.com", &viewer).await, house.operator("user:ben@example.com", &viewer).await);

    let imported = import(&house, &ana, &number).await.ok();
    assert_eq!(
        (&imported["projectId"], &imported["name"]),
        (&json!("team-blue"), &json!(format!("projects/{number}")))
    );
    import(&house, &ana, "team-blue").await.ok();
    import(&house, &ana, "team-red").await.ok();
    assert_eq!(projects(&house, &ana, "").await, ["team-blue", "team-red"]);
    assert_eq!(projects(&house, &ana, "?query=RED").await, ["team-red"]);
    assert_eq!(projects(&house, &ben, "").await, [""; 0]);

    let removed = house.as_(&ana, "DELETE", &format!("{PROJECTS}/team-blue"), None).await.ok();
    assert_eq!((removed, projects(&house, &ana, "").await), (json!({}), vec!["team-red".to_owned()]));
    house.manage("GET", "/v1/projects/team-blue", None).await.ok();
}

#[tokio::test]
async fn search_finds_what_the_caller_may_see_and_has_not_imported() {
    let house = House::new().await;
    for id in ["team-blue", "team-red", "secret-blue"] {
        house.new_project(id).await;
    }
    let roles = [("projects/team-blue", "roles/viewer"), ("projects/team-red", "roles/browser")];
    let ana = house.operator("user:ana@example.com", &roles).await;

    assert_eq!(projects(&house, &ana, ":search").await, ["team-blue", "team-red"]);
    assert_eq!(projects(&house, &ana, ":search?query=Blue").await, ["team-blue"]);
    import(&house, &ana, "team-blue").await.ok();
    assert_eq!(projects(&house, &ana, ":search").await, ["team-red"]);
    house.manage("DELETE", "/v1/projects/team-red", None).await.ok();
    assert_eq!(projects(&house, &ana, ":search").await, [""; 0]);
}

#[tokio::test]
async fn what_one_may_not_see_reads_like_what_is_not_there() {
    let house = House::new().await;
    house.new_project("secret-blue").await;
    let ana = house.operator("user:ana@example.com", &[]).await;
    let told = async |verb: &str, path: &str, project: &str| {
        let path = path.replace("{}", project);
        let body = (verb == "POST").then(|| json!({"project": project}));
        let answer = house.as_(&ana, verb, &path, body).await;
        (answer.http, answer.text().replace(project, "PROJECT"))
    };

    for (verb, path) in [
        ("POST", "/keylodge/v1/workspace/projects:import"),
        ("POST", "/keylodge/v1/workspace/keys"),
        ("DELETE", "/keylodge/v1/workspace/projects/{}"),
    ] {
        let missing = told(verb, path, "no-such-project").await;
        assert_eq!(missing.0, 403, "{verb} {path}");
        assert_eq!(told(verb, path, "secret-blue").await, missing, "{verb} {path}");
    }
}

#[tokio::test]
async fn a_workspace_lists_fifty_projects_at_most() {
    let house = House::new().await;
    for batch in 0..5 {
        let new: Vec<Value> = (0..10).map(|at| json!({"projectId": format!("team-{batch}-{at}")})).collect();
        let made = house.manage("POST", PROJECTS, Some(json!({"projects": new}))).await.ok();
        assert_eq!(made["projects"].as_array().unwrap().len(), 10);
    }

    assert_eq!(projects(&house, &house.token, "").await.len(), 50);
    assert_eq!(import(&house, &house.token, "default-project").await.refused(), refusal(400, "FAILED_PRECONDITION"));
    house.manage("DELETE", &format!("{PROJECTS}/team-0-0"), None).await.ok();
    import(&house, &house.token, "default-project").await.ok();
    assert_eq!(projects(&house, &house.token, "").await.len(), 50);
}

#[tokio::test]
async fn ten_projects_are_made_at_a_time_and_only_with_the_permission_to() {
    let house = House::new().await;
    let create = async |token: &str, count: usize| {
        let new: Vec<Value> =
            (0..count).map(|at| json!({"projectId": format!("team-{at}"), "displayName": "Team"})).collect();
        house.as_(token, "POST", PROJECTS, Some(json!({"projects": new}))).await
    };
    let editor = house.operator("user:ed@example.com", &[("deployment", "roles/editor")]).await;

    assert_eq!(create(&house.token, 0).await.wrong_fields(), ["projects"]);
    assert_eq!(create(&house.token, 11).await.wrong_fields(), ["projects"]);
    assert_eq!(create(&editor, 1).await.refused(), refusal(403, "PERMISSION_DENIED"));
    assert_eq!(projects(&house, &house.token, "").await, [""; 0]);
    assert_eq!(create(&house.token, 10).await.ok()["projects"].as_array().unwrap().len(), 10);
    assert_eq!(create(&house.token, 1).await.refused(), refusal(409, "ALREADY_EXISTS"));
    let some = json!({"projects": [{"projectId": "team-new"}, {"projectId": "team-0"}]});
    let partly = house.manage("POST", PROJECTS, Some(some)).await;
    assert!(partly.error().2.contains("The 1 projects before it in the list were made."), "{}", partly.text());
}

#[tokio::test]
async fn the_keys_of_a_workspace_are_those_for_the_gemini_api_or_for_anything() {
    let house = House::new().await;
    let targets = |services: &[&str]| {
        let targets: Vec<Value> = services.iter().map(|service| json!({"service": service})).collect();
        json!({"displayName": services.join(" "), "restrictions": {"apiTargets": targets}})
    };
    house.new_key("a", targets(&[GEMINI])).await;
    house.new_key("b", targets(&[JULES])).await;
    house.new_key("c", targets(&[GEMINI, JULES])).await;
    let by_address =
        json!({"displayName": "by address", "restrictions": {"serverKeyRestrictions": {"allowedIps": ["192.0.2.1"]}}});
    house.new_key("d", by_address).await;
    house.new_key("e", json!({"displayName": "deleted"})).await;
    house.manage("DELETE", &format!("{KEYS}/e"), None).await.ok();
    let (reader, blind) = ("roles/viewer", "roles/browser");
    let ana = house.operator("user:ana@example.com", &[("projects/default-project", reader)]).await;
    let ben = house.operator("user:ben@example.com", &[("projects/default-project", blind)]).await;

    assert_eq!(key_names(&house, &ana).await, [""; 0], "not imported yet");
    import(&house, &ana, "default-project").await.ok();
    import(&house, &ben, "default-project").await.ok();
    assert_eq!(key_names(&house, &ana).await, ["by address", GEMINI, "Default key"]);
    assert_eq!(key_names(&house, &ben).await, [""; 0], "may see the project and not its keys");
    let listed = house.as_(&ana, "GET", &format!("{WORKSPACE}/keys"), None).await;
    assert!(!listed.text().contains(&house.key) && !listed.text().contains("keyString"));
    house.set_policy("projects/default-project", json!({"policy": {}})).await.ok();
    assert_eq!(
        (key_names(&house, &ana).await, projects(&house, &ana, "").await),
        (vec![], vec![]),
        "may not see it any more"
    );
}

#[tokio::test]
async fn a_workspace_lists_the_newest_hundred_keys() {
    let house = House::new().await;
    import(&house, &house.token, "default-project").await.ok();
    for at in 0..101 {
        house.new_key(&format!("key-{at}"), json!({"displayName": format!("{at}")})).await;
    }

    let names = key_names(&house, &house.token).await;
    assert_eq!((names.len(), names[0].as_str(), names[99].as_str()), (100, "100", "1"));
}

#[tokio::test]
async fn a_key_of_the_workspace_is_for_the_gemini_api() {
    let house = House::new().await;
    let key = make_key(&house, &house.token, json!({"project": "default-project", "displayName": "Mine"})).await.ok();

    assert_eq!(
        (&key["displayName"], &key["restrictions"]),
        (&json!("Mine"), &json!({"apiTargets": [{"service": GEMINI}]}))
    );
    assert_eq!(house.lets_in(&text(&key, "/keyString")).await, 200);
    let body = json!({"project": "default-project", "service": "apikeys.googleapis.com"});
    assert_eq!(make_key(&house, &house.token, body).await.wrong_fields(), ["service"]);
    let body = json!({"project": "default-project", "displayName": "x".repeat(64)});
    assert_eq!(make_key(&house, &house.token, body).await.wrong_fields(), ["display_name"]);
    let viewer = house.operator("user:vi@example.com", &[("projects/default-project", "roles/viewer")]).await;
    let refused = make_key(&house, &viewer, json!({"project": "default-project"})).await;
    let message =
        "You do not have permission to create a key in this project. Missing permissions: apikeys.keys.create.";
    assert_eq!(refused.error(), (403, "PERMISSION_DENIED".to_owned(), message.to_owned()));
}

#[tokio::test]
async fn an_operator_has_three_keys_for_jules_and_sees_each_once() {
    let house = House::new().await;
    let ana = house.operator("user:ana@example.com", &[("projects/default-project", "roles/editor")]).await;
    let body = json!({"project": "default-project", "service": JULES});
    let mut last = Value::Null;
    for _ in 0..3 {
        last = make_key(&house, &ana, body.clone()).await.ok();
    }

    assert_eq!(last["restrictions"], json!({"apiTargets": [{"service": JULES}]}));
    assert!(text(&last, "/keyString").len() > 20);
    let path = format!("/v2/{}", text(&last, "/name"));
    let shown = house.as_(&ana, "GET", &format!("{path}/keyString"), None).await;
    assert_eq!(shown.refused(), refusal(400, "FAILED_PRECONDITION"));
    assert_eq!(make_key(&house, &ana, body.clone()).await.refused(), refusal(429, "RESOURCE_EXHAUSTED"));
    make_key(&house, &house.token, body.clone()).await.ok();
    house.as_(&ana, "DELETE", &path, None).await.ok();
    make_key(&house, &ana, body.clone()).await.ok();
    let undelete = house.as_(&ana, "POST", &format!("{path}:undelete"), Some(json!({}))).await;
    assert_ne!(undelete.http, 200, "a fourth key by way of an undelete: {}", undelete.text());
}
