//! Organizations own projects, and roles in them hold there too.

use serde_json::{Value, json};

use crate::support::{Answer, House};
use crate::visitor::{HOUR, refusal, text, texts};

const ANA: &str = "user:ana@example.com";

/// Makes a project in an organization.
async fn project_in(house: &House, organization: &str, id: &str) {
    let body = json!({"projectId": id, "parent": organization});
    house.manage("POST", "/v3/projects", Some(body)).await.ok();
}

/// Whether the keys of a project can be listed.
async fn lists_keys(house: &House, token: &str, project: &str) -> bool {
    let answer = house.as_(token, "GET", &format!("/v2/projects/{project}/locations/global/keys"), None).await;
    answer.http == 200 || {
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"));
        false
    }
}

async fn relocate(house: &House, token: &str, project: &str, organization: &str) -> Answer {
    let body = json!({"destinationParent": organization});
    house.as_(token, "POST", &format!("/v3/projects/{project}:move"), Some(body)).await
}

#[tokio::test]
async fn an_organization_belongs_to_whoever_made_it_and_reads_in_both_versions() {
    let house = House::new().await;

    let name = house.new_organization("Acme").await;

    let v3 = json!({"name": name, "displayName": "Acme", "state": "ACTIVE", "createTime": "2026-01-31T12:00:00Z",
                    "updateTime": "2026-01-31T12:00:00Z"});
    assert_eq!(house.manage("GET", &format!("/v3/{name}"), None).await.ok(), v3);
    let v1 = json!({"name": name, "displayName": "Acme", "creationTime": "2026-01-31T12:00:00Z", "lifecycleState": "ACTIVE"});
    assert_eq!(house.manage("GET", &format!("/v1/{name}"), None).await.ok(), v1);
    assert_eq!(house.manage("GET", "/v3/organizations:search", None).await.ok(), json!({"organizations": [v3]}));
    let found = house.manage("POST", "/v1/organizations:search", Some(json!({}))).await.ok();
    assert_eq!(found, json!({"organizations": [v1]}));
    assert_eq!(house.policy(&name).await["bindings"], json!([{"role": "roles/owner", "members": ["user:owner"]}]));
    for name in ["", &"x".repeat(64)] {
        let answer = house.manage("POST", "/keylodge/v1/organizations", Some(json!({"displayName": name}))).await;
        assert_eq!(answer.wrong_fields(), ["display_name"]);
    }
}

#[tokio::test]
async fn a_role_in_an_organization_holds_in_its_projects_and_in_no_other() {
    let house = House::new().await;
    let (acme, other) = (house.new_organization("Acme").await, house.new_organization("Other").await);
    project_in(&house, &acme, "acme-blue").await;
    project_in(&house, &other, "other-blue").await;
    let ana = house.operator(ANA, &[]).await;
    let may = async |project: &str| lists_keys(&house, &ana, project).await;

    house.grant(&acme, "roles/viewer", ANA).await;
    assert_eq!([may("acme-blue").await, may("other-blue").await, may("default-project").await], [true, false, false]);
    house.grant("deployment", "roles/viewer", ANA).await;
    assert_eq!([may("acme-blue").await, may("other-blue").await, may("default-project").await], [true, true, true]);
    house.set_policy(&acme, json!({"policy": {}})).await.ok();
    assert!(may("acme-blue").await, "the deployment's role is left");
}

#[tokio::test]
async fn an_organization_s_condition_ends_in_its_projects_too() {
    let house = House::new().await;
    let acme = house.new_organization("Acme").await;
    project_in(&house, &acme, "acme-blue").await;
    let ana = house.operator(ANA, &[]).await;
    let condition = json!({"title": "an hour", "expression": "request.time < timestamp('2026-01-31T13:00:00Z')"});
    let binding = json!({"role": "roles/viewer", "members": [ANA], "condition": condition});
    house.set_policy(&acme, json!({"policy": {"version": 3, "bindings": [binding]}})).await.ok();

    assert!(lists_keys(&house, &ana, "acme-blue").await);
    house.wait(HOUR);
    assert!(!lists_keys(&house, &ana, "acme-blue").await);
}

#[tokio::test]
async fn a_custom_role_of_an_organization_can_be_granted_in_its_projects() {
    let house = House::new().await;
    let (acme, other) = (house.new_organization("Acme").await, house.new_organization("Other").await);
    project_in(&house, &acme, "acme-blue").await;
    let body = json!({"roleId": "listers", "role": {"includedPermissions": ["apikeys.keys.list"]}});
    house.manage("POST", &format!("/v1/{acme}/roles"), Some(body)).await.ok();
    let role = format!("{acme}/roles/listers");

    let ana = house.operator(ANA, &[("projects/acme-blue", &role)]).await;
    assert!(lists_keys(&house, &ana, "acme-blue").await);
    let policy = json!({"policy": {"bindings": [{"role": role, "members": [ANA]}]}});
    for elsewhere in ["projects/default-project", &other] {
        assert_eq!(house.set_policy(elsewhere, policy.clone()).await.wrong_fields(), ["policy.bindings[0].role"]);
    }
    house.manage("DELETE", &format!("/v1/{role}"), None).await.ok();
    assert!(!lists_keys(&house, &ana, "acme-blue").await);
}

#[tokio::test]
async fn the_projects_of_an_organization_are_listed_to_those_who_may() {
    let house = House::new().await;
    let acme = house.new_organization("Acme").await;
    for id in ["acme-blue", "acme-red"] {
        project_in(&house, &acme, id).await;
    }
    house.manage("DELETE", "/v3/projects/acme-red", None).await.ok();
    let list = async |query: &str| {
        let path = format!("/v3/projects?parent={acme}{query}");
        texts(&house.manage("GET", &path, None).await.ok()["projects"], "/projectId")
    };

    assert_eq!(list("").await, ["acme-blue"]);
    assert_eq!(list("&showDeleted=True").await, ["acme-blue", "acme-red"]);
    assert_eq!(house.manage("GET", "/v3/projects", None).await.wrong_fields(), ["parent"]);
    let ana = house.operator(ANA, &[("projects/acme-blue", "roles/owner")]).await;
    let answer = house.as_(&ana, "GET", &format!("/v3/projects?parent={acme}"), None).await;
    assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn search_shows_the_projects_of_the_caller_s_organizations() {
    let house = House::new().await;
    let acme = house.new_organization("Acme").await;
    house.new_organization("Other").await;
    project_in(&house, &acme, "acme-blue").await;
    let ana = house.operator(ANA, &[(&acme, "roles/browser")]).await;

    let found = house.as_(&ana, "GET", "/v3/projects:search", None).await.ok();
    assert_eq!(texts(&found["projects"], "/projectId"), ["acme-blue"]);
    let number = acme.strip_prefix("organizations/").unwrap();
    for query in [
        format!("parent.id%3A{number}"),
        format!("parent%3Aorganizations%2F{number}"),
        "parent.type%3Aorganization".to_owned(),
    ] {
        let path = format!("/v3/projects:search?query={query}");
        assert_eq!(
            texts(&house.manage("GET", &path, None).await.ok()["projects"], "/projectId"),
            ["acme-blue"],
            "{query}"
        );
    }
    let found = house.as_(&ana, "GET", "/v3/organizations:search", None).await.ok();
    assert_eq!(texts(&found["organizations"], "/name"), [acme.as_str()]);
    let ancestry = house.as_(&ana, "POST", "/v1/projects/acme-blue:getAncestry", Some(json!({}))).await.ok();
    let ancestor = [json!({"type": "project", "id": "acme-blue"}), json!({"type": "organization", "id": number})];
    assert_eq!(ancestry, json!({"ancestor": [{"resourceId": ancestor[0]}, {"resourceId": ancestor[1]}]}));
    let v1 = house.manage("GET", "/v1/projects/acme-blue", None).await.ok();
    assert_eq!(v1["parent"], ancestor[1]);
}

#[tokio::test]
async fn making_projects_in_an_organization_takes_a_role_there() {
    let house = House::new().await;
    let (acme, other) = (house.new_organization("Acme").await, house.new_organization("Other").await);
    let ana = house.operator(ANA, &[(&acme, "roles/resourcemanager.projectCreator")]).await;
    let make = async |id: &str, parent: Value| {
        house.as_(&ana, "POST", "/v1/projects", Some(json!({"projectId": id, "parent": parent}))).await
    };
    let parent = |name: &str| json!({"type": "organization", "id": name.strip_prefix("organizations/").unwrap()});

    make("acme-blue", parent(&acme)).await.ok();
    assert_eq!(make("other-blue", parent(&other)).await.refused(), refusal(403, "PERMISSION_DENIED"));
    let alone = house.as_(&ana, "POST", "/v1/projects", Some(json!({"projectId": "alone-blue"}))).await;
    assert_eq!(alone.refused(), refusal(403, "PERMISSION_DENIED"));
    let body = json!({"projectId": "no-parent-1", "parent": "organizations/999"});
    assert_eq!(house.manage("POST", "/v3/projects", Some(body)).await.refused(), refusal(403, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn a_project_moves_between_organizations_and_with_it_who_may_see_it() {
    let house = House::new().await;
    let (acme, other) = (house.new_organization("Acme").await, house.new_organization("Other").await);
    project_in(&house, &acme, "acme-blue").await;
    let ana = house.operator(ANA, &[(&acme, "roles/viewer")]).await;
    assert!(lists_keys(&house, &ana, "acme-blue").await);

    let operation = relocate(&house, &house.token, "acme-blue", &other).await.ok();

    assert_eq!(operation["response"]["parent"], other.as_str());
    assert_eq!(house.manage("GET", &format!("/v3/{}", text(&operation, "/name")), None).await.ok(), operation);
    assert!(!lists_keys(&house, &ana, "acme-blue").await);
    house.grant(&other, "roles/viewer", ANA).await;
    assert!(lists_keys(&house, &ana, "acme-blue").await);
    assert_eq!(
        relocate(&house, &house.token, "acme-blue", "organizations/999").await.refused(),
        refusal(403, "PERMISSION_DENIED")
    );
    relocate(&house, &house.token, "acme-blue", "folders/1").await.wrong_fields();
}

#[tokio::test]
async fn a_move_takes_a_permission_on_the_project_and_at_both_ends() {
    let house = House::new().await;
    let (acme, other) = (house.new_organization("Acme").await, house.new_organization("Other").await);
    project_in(&house, &acme, "acme-blue").await;
    let ana = house.operator(ANA, &[("projects/acme-blue", "roles/owner")]).await;
    let ben = house.operator("user:ben@example.com", &[(&other, "roles/owner")]).await;

    assert_eq!(relocate(&house, &ana, "acme-blue", &other).await.refused(), refusal(403, "PERMISSION_DENIED"));
    assert_eq!(relocate(&house, &ben, "acme-blue", &other).await.refused(), refusal(403, "PERMISSION_DENIED"));
    house.grant(&other, "roles/resourcemanager.projectCreator", ANA).await;
    assert_eq!(relocate(&house, &ana, "acme-blue", &other).await.refused(), refusal(403, "PERMISSION_DENIED"));
    house.grant(&acme, "roles/owner", ANA).await;
    relocate(&house, &ana, "acme-blue", &other).await.ok();
}

#[tokio::test]
async fn an_organization_that_is_missing_reads_like_one_that_is_not_the_caller_s() {
    let house = House::new().await;
    let acme = house.new_organization("Acme").await;
    let ana = house.operator(ANA, &[]).await;

    for (token, name) in [
        (&ana, acme.as_str()),
        (&ana, "organizations/999"),
        (&house.token, "organizations/999"),
        (&ana, "organizations/x"),
    ] {
        for version in ["v1", "v3"] {
            let answer = house.as_(token, "GET", &format!("/{version}/{name}"), None).await;
            assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{version} {name}");
        }
    }
    let made = house.as_(&ana, "POST", "/keylodge/v1/organizations", Some(json!({"displayName": "Mine"}))).await;
    assert_eq!(made.refused(), refusal(403, "PERMISSION_DENIED"));
}
