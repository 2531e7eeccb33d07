//! Service Usage v1.

use serde_json::{Value, json};

use crate::support::{Answer, House};
use crate::visitor::{GEMINI, refusal, text, texts};

const SERVICES: &str = "/v1/projects/default-project/services";
const JULES: &str = "jules.googleapis.com";

async fn number(house: &House) -> String {
    text(&house.manage("GET", "/v1/projects/default-project", None).await.ok(), "/projectNumber")
}

async fn switch(house: &House, service: &str, verb: &str, body: Value) -> Answer {
    house.manage("POST", &format!("{SERVICES}/{service}:{verb}?alt=json"), Some(body)).await
}

fn jules(number: &str, state: &str) -> Value {
    json!({"name": format!("projects/{number}/services/{JULES}"), "parent": format!("projects/{number}"),
           "config": {"name": JULES, "title": "Jules API"}, "state": state})
}

#[tokio::test]
async fn switching_answers_a_finished_operation_of_google_s_shape() {
    let house = House::new().await;
    let number = number(&house).await;
    let check = async |verb: &str, body: Value, kind: &str, state: &str| {
        let operation = switch(&house, JULES, verb, body).await.ok();
        let name = text(&operation, "/name");
        assert!(name.starts_with(&format!("operations/acat.p2-{number}-")), "{name}");
        let expected = json!({"name": name, "done": true,
            "metadata": {"@type": "type.googleapis.com/google.api.serviceusage.v1.OperationMetadata",
                         "resourceNames": [format!("services/{JULES}/projectSettings/{number}")]},
            "response": {"@type": format!("type.googleapis.com/google.api.serviceusage.v1.{kind}"),
                         "service": jules(&number, state)}});
        assert_eq!(operation, expected);
        assert_eq!(house.manage("GET", &format!("/v1/{name}"), None).await.ok(), operation);
        let shown = house.manage("GET", &format!("{SERVICES}/{JULES}"), None).await.ok();
        assert_eq!(shown["state"], state);
        assert_eq!(shown["config"]["usage"], json!({}), "one service is shown with more of its configuration");
    };

    check("enable", json!({}), "EnableServiceResponse", "ENABLED").await;
    check("enable", json!({}), "EnableServiceResponse", "ENABLED").await;
    let force = json!({"checkIfServiceHasUsage": "SKIP", "disableDependentServices": true});
    check("disable", force, "DisableServiceResponse", "DISABLED").await;
}

#[tokio::test]
async fn what_is_off_cannot_be_switched_off() {
    let house = House::new().await;
    let plain = json!({"checkIfServiceHasUsage": "CHECK", "disableDependentServices": false});

    assert_eq!(switch(&house, JULES, "disable", plain).await.refused(), refusal(400, "FAILED_PRECONDITION"));
    let wrong = json!({"disableDependentServices": "perhaps", "foo": 1});
    assert_eq!(switch(&house, GEMINI, "disable", wrong).await.wrong_fields().len(), 2);
    assert_eq!(house.lets_in(&house.key).await, 200);
}

#[tokio::test]
async fn services_are_listed_by_state_and_in_pages() {
    let house = House::new().await;
    let list = async |query: &str| {
        let page = house.manage("GET", &format!("{SERVICES}?{query}"), None).await.ok();
        (texts(&page["services"], "/config/name"), page["nextPageToken"].as_str().map(str::to_owned))
    };

    let (all, _) = list("pageSize=200").await;
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted());
    assert_eq!(list("filter=state%3ADISABLED").await, (vec![JULES.to_owned()], None));
    assert_eq!(list("alt=json&filter=state%3AENABLED&pageSize=200").await.0.len(), 6);
    let (mut paged, mut token) = (Vec::new(), Some(String::new()));
    while let Some(next) = token {
        let (page, more) = list(&format!("pageSize=3&pageToken={next}")).await;
        paged.extend(page);
        token = more;
    }
    assert_eq!(paged, all);
    assert_eq!(house.manage("GET", &format!("{SERVICES}?filter=name%3Ax"), None).await.wrong_fields(), ["filter"]);
}

#[tokio::test]
async fn several_services_are_enabled_at_once_or_none_is() {
    let house = House::new().await;
    let number = number(&house).await;
    let batch = async |ids: Value| {
        house.manage("POST", &format!("{SERVICES}:batchEnable"), Some(json!({"serviceIds": ids}))).await
    };

    let unknown = batch(json!([JULES, "nosuch.googleapis.com"])).await;
    assert_eq!(unknown.refused(), refusal(403, "PERMISSION_DENIED"));
    assert_eq!(house.manage("GET", &format!("{SERVICES}/{JULES}"), None).await.ok()["state"], "DISABLED");

    let operation = batch(json!([JULES, GEMINI])).await.ok();
    assert!(text(&operation, "/name").starts_with(&format!("operations/acat.p17-{number}-")));
    assert_eq!(
        operation["response"]["@type"],
        "type.googleapis.com/google.api.serviceusage.v1.BatchEnableServicesResponse"
    );
    assert_eq!(texts(&operation["response"]["services"], "/state"), ["ENABLED", "ENABLED"]);
    assert_eq!(house.manage("GET", &format!("/v1/{}", text(&operation, "/name")), None).await.ok(), operation);

    assert_eq!(batch(json!([])).await.wrong_fields(), ["service_ids"]);
    assert_eq!(batch(json!(vec![JULES; 20])).await.ok()["done"], true);
    assert_eq!(batch(json!(vec![JULES; 21])).await.wrong_fields(), ["service_ids"]);
}

#[tokio::test]
async fn several_services_are_read_at_once() {
    let house = House::new().await;
    let number = number(&house).await;
    let get = async |query: &str| house.manage("GET", &format!("{SERVICES}:batchGet{query}"), None).await;

    let both =
        get(&format!("?names=projects/default-project/services/{JULES}&names=projects/{number}/services/{GEMINI}"))
            .await
            .ok();
    assert_eq!(both["services"][0], jules(&number, "DISABLED"));
    assert_eq!(texts(&both["services"], "/config/name"), [JULES, GEMINI]);
    let empty = get("").await;
    assert_eq!((empty.http, empty.reason().0.as_str()), (400, "SU_MISSING_NAMES"));
    assert_eq!(get(&format!("?names=projects/other/services/{JULES}")).await.wrong_fields(), ["names"]);
    let many = format!("names=projects/default-project/services/{JULES}&").repeat(31);
    assert_eq!(get(&format!("?{many}")).await.wrong_fields(), ["names"]);
}

#[tokio::test]
async fn an_unknown_service_is_refused_in_google_s_words() {
    let house = House::new().await;
    let message = "Not found or permission denied for service(s): nosuch.googleapis.com.";

    for (verb, path) in [("GET", ""), ("POST", ":enable"), ("POST", ":disable")] {
        let answer = house.manage(verb, &format!("{SERVICES}/nosuch.googleapis.com{path}"), None).await;
        let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "serviceusage.googleapis.com",
                          "reason": "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                          "metadata": {"services": "nosuch.googleapis.com"}});
        let error = json!({"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": [info]});
        assert_eq!(answer.json()["error"], error);
    }
}

#[tokio::test]
async fn switching_takes_a_role_that_reading_does_not() {
    let house = House::new().await;
    let project = "projects/default-project";
    let viewer = house.operator("user:vi@example.com", &[(project, "roles/serviceusage.serviceUsageViewer")]).await;
    let admin = house.operator("user:ad@example.com", &[(project, "roles/serviceusage.serviceUsageAdmin")]).await;
    let keys = house.operator("user:ke@example.com", &[(project, "roles/serviceusage.apiKeysAdmin")]).await;
    let path = format!("{SERVICES}/{JULES}");

    house.as_(&viewer, "GET", &path, None).await.ok();
    for (token, path) in [
        (&viewer, format!("{path}:enable")),
        (&viewer, format!("{SERVICES}:batchEnable")),
        (&keys, format!("{path}:enable")),
    ] {
        let answer = house.as_(token, "POST", &path, Some(json!({}))).await;
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"), "{path}");
    }
    assert_eq!(house.as_(&keys, "GET", SERVICES, None).await.refused(), refusal(403, "PERMISSION_DENIED"));
    let operation = house.as_(&admin, "POST", &format!("{path}:enable"), Some(json!({}))).await.ok();
    let poll = format!("/v1/{}", text(&operation, "/name"));
    house.as_(&viewer, "GET", &poll, None).await.ok();
    let stranger = house.operator("user:st@example.com", &[]).await;
    assert_eq!(house.as_(&stranger, "GET", &poll, None).await.refused(), refusal(404, "NOT_FOUND"));
}

#[tokio::test]
async fn the_error_about_a_service_that_is_off_is_google_s() {
    let house = House::new().await;
    let number = number(&house).await;
    switch(&house, GEMINI, "disable", json!({})).await.ok();

    let answer = house.knock(&house.key, None, &[]).await;

    let (reason, metadata) = answer.reason();
    assert_eq!((answer.http, reason.as_str()), (403, "SERVICE_DISABLED"));
    assert_eq!(metadata["consumer"], format!("projects/{number}"));
    assert_eq!((&metadata["service"], &metadata["containerInfo"]), (&json!(GEMINI), &json!(number)));
    let message = answer.error().2;
    assert!(
        message.contains(&format!(
            " has not been used in project {number} before or it is disabled. Enable it by visiting "
        )),
        "{message}"
    );
    assert!(message.ends_with(" then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."), "{message}");
}
