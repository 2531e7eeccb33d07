//! Resource Manager v3, and what v1 has beyond making and listing.

use serde_json::{Value, json};

use crate::support::{House, KEYS};
use crate::visitor::{DAY, HOUR, encoded, refusal, text, texts};

const BLUE: &str = "/v3/projects/team-blue";

async fn create(house: &House, body: Value) -> Value {
    house.manage("POST", "/v3/projects?%24alt=json%3Benum-encoding%3Dint", Some(body)).await.ok()
}

/// A house with the project team-blue.
async fn blue() -> House {
    let house = House::new().await;
    create(&house, json!({"projectId": "team-blue", "displayName": "Team Blue", "labels": {"team": "blue"}})).await;
    house
}

#[tokio::test]
async fn v3_makes_projects_too() {
    let house = House::new().await;

    let body = json!({"projectId": "team-blue", "displayName": "Team Blue", "labels": {"team": "blue"}});
    let operation = create(&house, body).await;

    let project = &operation["response"];
    let name = text(project, "/name");
    assert_eq!(
        operation,
        json!({"name": operation["name"], "done": true,
            "metadata": {"@type": "type.googleapis.com/google.cloud.resourcemanager.v3.CreateProjectMetadata",
                         "createTime": "2026-01-31T12:00:00Z", "gettable": true, "ready": true},
            "response": {"@type": "type.googleapis.com/google.cloud.resourcemanager.v3.Project", "name": name,
                         "projectId": "team-blue", "state": "ACTIVE", "displayName": "Team Blue",
                         "createTime": "2026-01-31T12:00:00Z", "updateTime": "2026-01-31T12:00:00Z",
                         "etag": project["etag"], "labels": {"team": "blue"}}})
    );
    let polled = house.manage("GET", &format!("/v3/{}", text(&operation, "/name")), None).await;
    assert_eq!(polled.ok(), operation);
    let mut shown = project.clone();
    shown.as_object_mut().unwrap().remove("@type");
    for path in [BLUE.to_owned(), format!("/v3/{name}")] {
        assert_eq!(house.manage("GET", &path, None).await.ok(), shown);
    }
}

#[tokio::test]
async fn a_project_without_an_id_gets_one_and_one_with_a_name_is_refused() {
    let house = House::new().await;

    let made = create(&house, json!({})).await;
    assert!(text(&made, "/response/projectId").starts_with("gen-lang-client-"), "{made}");
    let named =
        house.manage("POST", "/v3/projects", Some(json!({"name": "projects/1", "projectId": "team-blue"}))).await;
    assert_eq!(named.error().2, "field [project.name] has issue [field should not be set for new projects]");
    assert_eq!(named.wrong_fields(), ["project.name"]);
    let folder = json!({"projectId": "team-blue", "parent": "folders/123"});
    house.manage("POST", "/v3/projects", Some(folder)).await.wrong_fields();
}

#[tokio::test]
async fn what_is_missing_reads_like_what_is_not_the_caller_s() {
    let house = blue().await;
    let nobody = house.operator("user:ana@example.com", &[]).await;
    let check = async |token: &str, project: &str| {
        let answer = house.as_(token, "GET", &format!("/v3/projects/{project}"), None).await;
        let resource = format!("//cloudresourcemanager.googleapis.com/projects/{project}");
        let message =
            format!("Permission 'resourcemanager.projects.get' denied on resource '{resource}' (or it may not exist).");
        assert_eq!(
            answer.json(),
            json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
                 "domain": "cloudresourcemanager.googleapis.com",
                 "metadata": {"resource": format!("projects/{project}"), "permission": "resourcemanager.projects.get"}}]}})
        );
        let answer = house.as_(token, "GET", &format!("/v1/projects/{project}"), None).await;
        assert_eq!(
            answer.error(),
            (403, "PERMISSION_DENIED".to_owned(), "The caller does not have permission".to_owned())
        );
    };

    check(&nobody, "team-blue").await;
    check(&nobody, "no-such-project").await;
    check(&house.token, "no-such-project").await;
    check(&house.token, "123456").await;
    check(&house.token, "Not_An_Id").await;
}

#[tokio::test]
async fn a_mask_says_what_of_a_project_is_altered() {
    let house = blue().await;
    let patch =
        async |mask: &str, body: Value| house.manage("PATCH", &format!("{BLUE}?updateMask={mask}"), Some(body)).await;
    house.wait(HOUR);

    let operation = patch("displayName", json!({"displayName": "Team Red", "labels": {}})).await.ok();
    let project = &operation["response"];
    assert_eq!((&project["displayName"], &project["labels"]), (&json!("Team Red"), &json!({"team": "blue"})));
    assert_eq!(project["updateTime"], "2026-01-31T13:00:00Z");
    assert_eq!(house.manage("GET", &format!("/v3/{}", text(&operation, "/name")), None).await.ok(), operation);
    let cleared = patch("labels", json!({})).await.ok();
    assert_eq!(cleared["response"]["labels"], Value::Null);
    let both = patch("display_name,labels", json!({"displayName": "Team Blue", "labels": {"a": "b"}})).await.ok();
    assert_eq!(
        (&both["response"]["displayName"], &both["response"]["labels"]),
        (&json!("Team Blue"), &json!({"a": "b"}))
    );
    let given = house.manage("PATCH", BLUE, Some(json!({"labels": {"c": "d"}}))).await.ok();
    assert_eq!(
        (&given["response"]["displayName"], &given["response"]["labels"]),
        (&json!("Team Blue"), &json!({"c": "d"}))
    );

    assert_eq!(patch("colour", json!({})).await.wrong_fields(), ["update_mask"]);
    assert_eq!(patch("displayName", json!({"displayName": "abc"})).await.wrong_fields(), ["project.display_name"]);
    let labels = json!({"labels": {"BAD KEY": "x"}});
    assert_eq!(patch("labels", labels).await.wrong_fields(), ["project.labels"]);
    let stale = patch("displayName", json!({"displayName": "Team Red", "etag": project["etag"]})).await;
    assert_eq!(stale.refused(), refusal(409, "ABORTED"));
    let current = house.manage("GET", BLUE, None).await.ok()["etag"].take();
    patch("displayName", json!({"displayName": "Team Red", "etag": current})).await.ok();
}

#[tokio::test]
async fn v1_replaces_a_project_whole_and_reads_past_what_gcloud_echoes() {
    let house = blue().await;
    let mut echoed = house.manage("GET", "/v1/projects/team-blue", None).await.ok();
    echoed["name"] = json!("Team Red");

    let updated = house.manage("PUT", "/v1/projects/team-blue?alt=json", Some(echoed.clone())).await.ok();
    assert_eq!(updated, echoed);
    echoed.as_object_mut().unwrap().remove("labels");
    let updated = house.manage("PUT", "/v1/projects/team-blue", Some(echoed)).await.ok();
    assert_eq!(updated["labels"], Value::Null);
}

#[tokio::test]
async fn a_deleted_project_stops_its_keys_and_can_come_back() {
    for version in ["v1", "v3"] {
        let house = House::new().await;
        let path = format!("/{version}/projects/default-project");
        let undelete = async || house.manage("POST", &format!("{path}:undelete"), Some(json!({}))).await;
        assert_eq!(undelete().await.refused(), refusal(400, "FAILED_PRECONDITION"));

        let deleted = house.manage("DELETE", &path, None).await.ok();
        if version == "v1" {
            assert_eq!(deleted, json!({}));
        } else {
            assert_eq!(deleted["response"]["state"], "DELETE_REQUESTED");
            assert_eq!(deleted["response"]["deleteTime"], "2026-01-31T12:00:00Z");
            assert_eq!(house.manage("GET", &format!("/v3/{}", text(&deleted, "/name")), None).await.ok(), deleted);
        }
        assert_eq!(house.lets_in(&house.key).await, 403);
        assert_eq!(
            house.manage("GET", "/v1/projects/default-project", None).await.ok()["lifecycleState"],
            "DELETE_REQUESTED"
        );
        assert_eq!(house.manage("DELETE", &path, None).await.refused(), refusal(400, "FAILED_PRECONDITION"));
        for (verb, path) in [
            ("GET", KEYS.to_owned()),
            ("POST", KEYS.to_owned()),
            ("GET", "/v1/projects/default-project/services".to_owned()),
        ] {
            let body = (verb == "POST").then(|| json!({}));
            assert_eq!(
                house.manage(verb, &path, body).await.refused(),
                refusal(403, "PERMISSION_DENIED"),
                "{verb} {path}"
            );
        }
        house.wait(29 * DAY);
        undelete().await.ok();
        assert_eq!(house.lets_in(&house.key).await, 200);
    }
}

#[tokio::test]
async fn a_project_is_gone_after_thirty_days_and_its_id_with_it() {
    let house = blue().await;
    house.manage("DELETE", BLUE, None).await.ok();
    house.wait(30 * DAY);

    assert_eq!(house.manage("GET", BLUE, None).await.refused(), refusal(403, "PERMISSION_DENIED"));
    let undelete = house.manage("POST", &format!("{BLUE}:undelete"), Some(json!({}))).await;
    assert_eq!(undelete.refused(), refusal(403, "PERMISSION_DENIED"));
    let found = house.manage("GET", "/v3/projects:search", None).await.ok();
    assert_eq!(texts(&found["projects"], "/projectId"), ["default-project"]);
    let again = house.manage("POST", "/v3/projects", Some(json!({"projectId": "team-blue"}))).await;
    assert_eq!(again.refused(), refusal(409, "ALREADY_EXISTS"));
}

#[tokio::test]
async fn search_finds_projects_by_their_words() {
    let house = blue().await;
    create(&house, json!({"projectId": "team-red", "displayName": "Team Red", "labels": {"team": "red"}})).await;
    house.manage("DELETE", "/v3/projects/team-red", None).await.ok();
    let search = async |query: &str| {
        let path = format!("/v3/projects:search?pageSize=500&query={}", encoded(query));
        texts(&house.manage("GET", &path, None).await.ok()["projects"], "/projectId")
    };

    assert_eq!(search("").await, ["default-project", "team-blue", "team-red"]);
    assert_eq!(search("displayName:team*").await, ["team-blue", "team-red"]);
    assert_eq!(search("name:\"Team Blue\"").await, ["team-blue"]);
    assert_eq!(search("projectId:TEAM-RED").await, ["team-red"]);
    assert_eq!(search("id:team-blue state:DELETE_REQUESTED").await, ["team-blue", "team-red"]);
    assert_eq!(search("displayName:team* AND state:ACTIVE").await, ["team-blue"]);
    assert_eq!(search("labels.team:red").await, ["team-red"]);
    assert_eq!(search("labels.team:*").await, ["team-blue", "team-red"]);
    assert_eq!(search("lifecycleState=ACTIVE").await, ["default-project", "team-blue"]);
    assert_eq!(search("id:nobody").await, [""; 0]);
    assert_eq!(house.manage("GET", "/v3/projects:search?query=%28", None).await.wrong_fields(), ["query"]);
}

#[tokio::test]
async fn search_shows_what_the_caller_may_see_in_pages() {
    let house = blue().await;
    create(&house, json!({"projectId": "team-red"})).await;
    let roles =
        [("projects/team-red", "roles/browser"), ("projects/default-project", "roles/serviceusage.apiKeysAdmin")];
    let ana = house.operator("user:ana@example.com", &roles).await;
    let find = async |path: &str| house.as_(&ana, "GET", path, None).await.ok();

    assert_eq!(texts(&find("/v3/projects:search").await["projects"], "/projectId"), ["team-red"]);
    assert_eq!(texts(&find("/v1/projects").await["projects"], "/projectId"), ["team-red"]);
    house.grant("projects/team-blue", "roles/viewer", "domain:example.com").await;
    let first = find("/v3/projects:search?pageSize=1").await;
    assert_eq!(texts(&first["projects"], "/projectId"), ["team-blue"]);
    let second = find(&format!("/v3/projects:search?pageSize=1&pageToken={}", text(&first, "/nextPageToken"))).await;
    assert_eq!(texts(&second["projects"], "/projectId"), ["team-red"]);
    assert_eq!(second["nextPageToken"], Value::Null);
}

#[tokio::test]
async fn making_projects_takes_the_permission_to() {
    let house = House::new().await;
    let editor = house.operator("user:ed@example.com", &[("deployment", "roles/editor")]).await;
    let creator =
        house.operator("user:cr@example.com", &[("deployment", "roles/resourcemanager.projectCreator")]).await;

    for path in ["/v1/projects", "/v3/projects"] {
        let answer = house.as_(&editor, "POST", path, Some(json!({"projectId": "team-blue"}))).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{path}");
    }
    house.as_(&creator, "POST", "/v1/projects", Some(json!({"projectId": "team-blue"}))).await.ok();
    let policy = house.policy("projects/team-blue").await;
    assert_eq!(policy["bindings"], json!([{"role": "roles/owner", "members": ["user:cr@example.com"]}]));
    house.as_(&creator, "DELETE", BLUE, None).await.ok();
}
