//! Projects and their services.

use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn a_project_is_made_listed_and_found_by_id_and_number() {
    let house = House::new().await;

    let body = json!({"projectId": "team-blue", "name": "Team Blue", "labels": {"team": "blue"}});
    let operation = house.manage("POST", "/v1/projects?alt=json", Some(body)).await.json();

    let project = &operation["response"];
    assert!(operation["name"].as_str().unwrap().starts_with("operations/pc."));
    assert_eq!(
        project,
        &json!({"@type": "type.googleapis.com/google.cloudresourcemanager.v1.Project",
            "projectNumber": project["projectNumber"], "projectId": "team-blue", "lifecycleState": "ACTIVE",
            "name": "Team Blue", "createTime": "2026-01-31T12:00:00Z", "labels": {"team": "blue"}})
    );
    let by_id = house.manage("GET", "/v1/projects/team-blue", None).await.json();
    let number = project["projectNumber"].as_str().unwrap();
    assert_eq!(house.manage("GET", &format!("/v1/projects/{number}"), None).await.json(), by_id);
    assert_eq!(house.manage("GET", "/v1/projects?pageSize=500", None).await.json()["projects"][1], by_id);
    let polled = house.manage("GET", &format!("/v1/{}", operation["name"].as_str().unwrap()), None).await;
    assert_eq!(polled.json(), operation);
}

#[tokio::test]
async fn a_filter_chooses_before_pages_are_cut() {
    let house = House::new().await;
    for (id, team) in [("team-red", "red"), ("team-blue", "blue"), ("other-blue", "blue")] {
        let body = json!({"projectId": id, "labels": {"team": team}});
        assert_eq!(house.manage("POST", "/v1/projects", Some(body)).await.http, 200);
    }
    let list = async |query: &str| {
        let page = house.manage("GET", &format!("/v1/projects?{query}"), None).await.json();
        let ids = page["projects"].as_array().into_iter().flatten();
        let ids: Vec<String> = ids.map(|project| project["projectId"].as_str().unwrap().to_owned()).collect();
        (ids, page["nextPageToken"].as_str().map(str::to_owned))
    };

    let active = "filter=lifecycleState%3AACTIVE+AND+%28labels.team%3Ablue%29";
    assert_eq!(list(active).await.0, ["team-blue", "other-blue"]);
    let (first, token) = list(&format!("{active}&pageSize=1")).await;
    assert_eq!(first, ["team-blue"]);
    assert_eq!(list(&format!("{active}&pageSize=1&pageToken={}", token.unwrap())).await.0, ["other-blue"]);
    assert_eq!(list("filter=id%3Anobody").await, (vec![], None));
    assert_eq!(house.manage("GET", "/v1/projects?filter=%28", None).await.error().0, 400);
}

#[tokio::test]
async fn a_bad_or_taken_id_is_refused_in_google_s_words() {
    let house = House::new().await;
    let create = async |id: &str| house.manage("POST", "/v1/projects", Some(json!({"projectId": id}))).await;

    let bad = create("Bad_Id").await;
    assert_eq!(bad.error().2, "field [project_id] has issue [project_id contains invalid characters]");
    assert_eq!(bad.json()["error"]["details"][0]["fieldViolations"][0]["field"], "project_id");
    let prohibited = create("my-google-project").await;
    assert_eq!(prohibited.error().2, "field [project_id] has issue [project_id contains prohibited words]");
    let label = json!({"projectId": "team-red", "labels": {"BAD KEY": "x"}});
    assert_eq!(house.manage("POST", "/v1/projects", Some(label)).await.error().0, 400);
    let taken = create("default-project").await;
    assert_eq!(taken.error(), (409, "ALREADY_EXISTS".into(), "Requested entity already exists".into()));
    assert_eq!(house.manage("GET", "/v1/projects/nobody-s-project", None).await.error().0, 403);
}

#[tokio::test]
async fn a_service_that_is_switched_off_is_refused_by_the_very_next_call() {
    let house = House::new().await;
    let service = "/v1/projects/default-project/services/generativelanguage.googleapis.com";

    for (verb, state, http) in [("disable", "DISABLED", 403), ("enable", "ENABLED", 200)] {
        let operation = house.manage("POST", &format!("{service}:{verb}"), Some(json!({}))).await.json();
        assert_eq!(operation["response"]["service"]["state"], state);
        assert_eq!(house.lets_in(&house.key).await, http);
        assert_eq!(house.manage("GET", service, None).await.json()["state"], state);
    }
    let on = house.manage("GET", "/v1/projects/default-project/services?filter=state%3AENABLED", None).await.json();
    assert_eq!(on["services"].as_array().unwrap().len(), 6);
    let unknown = house.manage("POST", &service.replace("generativelanguage", "nosuch"), None).await;
    assert_eq!(unknown.http, 404, "no such verb");
    let unknown = format!("{}:enable", service.replace("generativelanguage", "nosuch"));
    assert_eq!(house.manage("POST", &unknown, None).await.error().0, 403);
}
