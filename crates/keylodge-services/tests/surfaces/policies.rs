//! IAM policies and custom roles.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{House, KEYS};
use crate::visitor::{HOUR, SECOND, refusal, text, texts};

const PROJECT: &str = "projects/default-project";
const ANA: &str = "user:ana@example.com";

fn binding(role: &str, members: &[&str]) -> Value {
    json!({"role": role, "members": members})
}

async fn may_list_keys(house: &House, token: &str) -> bool {
    let answer = house.as_(token, "GET", KEYS, None).await;
    answer.http == 200 || {
        assert_eq!(answer.refused(), refusal(403, "PERMISSION_DENIED"));
        false
    }
}

#[tokio::test]
async fn a_policy_is_shown_merged_and_sorted_in_both_versions_of_the_api() {
    let house = House::new().await;
    let bindings = [
        binding("roles/viewer", &[ANA]),
        binding("roles/owner", &["user:owner"]),
        binding("roles/viewer", &[ANA, "user:ben@example.com"]),
        binding("roles/editor", &[]),
    ];

    let set = house
        .manage("POST", "/v1/projects/default-project:setIamPolicy", Some(json!({"policy": {"bindings": bindings}})))
        .await
        .ok();

    let expected = [binding("roles/owner", &["user:owner"]), binding("roles/viewer", &[ANA, "user:ben@example.com"])];
    assert_eq!(set, json!({"version": 1, "etag": set["etag"], "bindings": expected}));
    assert_eq!(house.policy(PROJECT).await, set);
    for body in [None, Some(json!({})), Some(json!({"options": {"requestedPolicyVersion": 1}}))] {
        assert_eq!(house.manage("POST", "/v1/projects/default-project:getIamPolicy", body).await.ok(), set);
    }
    STANDARD.decode(text(&set, "/etag")).unwrap();
}

#[tokio::test]
async fn a_new_project_belongs_to_whoever_made_it() {
    let house = House::new().await;
    house.new_project("team-blue").await;

    let policy = house.policy("projects/team-blue").await;

    assert_eq!(policy["bindings"], json!([binding("roles/owner", &["user:owner"])]));
}

#[tokio::test]
async fn an_old_etag_is_refused_in_google_s_words_and_none_overwrites() {
    let house = House::new().await;
    let old = text(&house.policy(PROJECT).await, "/etag");
    let set = async |etag: Option<String>, role: &str| {
        let mut policy = json!({"bindings": [binding(role, &[ANA])], "version": 3});
        if let Some(etag) = etag {
            policy["etag"] = json!(etag);
        }
        house.set_policy(PROJECT, json!({"policy": policy})).await
    };

    let url_safe = URL_SAFE_NO_PAD.encode(STANDARD.decode(&old).unwrap());
    set(Some(url_safe), "roles/viewer").await.ok();
    let message =
        "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.";
    let stale = set(Some(old), "roles/editor").await.error();
    assert_eq!(stale, (409, "ABORTED".to_owned(), message.to_owned()));
    assert_eq!(house.policy(PROJECT).await["bindings"], json!([binding("roles/viewer", &[ANA])]));
    set(None, "roles/editor").await.ok();
    assert_eq!(house.policy(PROJECT).await["bindings"], json!([binding("roles/editor", &[ANA])]));
}

#[tokio::test]
async fn a_mask_says_which_parts_are_set() {
    let house = House::new().await;
    let audit = json!([{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}]);
    let policy = json!({"bindings": [binding("roles/viewer", &[ANA])], "auditConfigs": audit});
    let set = async |mask: &str, policy: &Value| {
        house.set_policy(PROJECT, json!({"policy": policy, "updateMask": mask})).await
    };

    assert_eq!(set("bindings,etag", &policy).await.ok()["auditConfigs"], Value::Null);
    let set_both = set("auditConfigs,bindings,etag", &policy).await.ok();
    assert_eq!(set_both["auditConfigs"], audit);
    let only_audit = set("audit_configs", &json!({})).await.ok();
    assert_eq!((&only_audit["auditConfigs"], &only_audit["bindings"]), (&Value::Null, &policy["bindings"]));
    assert_eq!(set("roles", &policy).await.wrong_fields(), ["update_mask"]);
}

#[tokio::test]
async fn a_policy_that_cannot_be_is_refused_with_every_mistake() {
    let house = House::new().await;
    let bindings = json!([
        binding("roles/none", &[ANA]),
        binding("roles/viewer", &["ana@example.com", "allUsers", "robot:ana", "user:ben@example.com"]),
        binding("projects/default-project/roles/none", &[ANA]),
        {"role": "roles/editor", "members": [ANA], "condition": {"title": "t", "expression": "true"}},
    ]);

    let answer = house.set_policy(PROJECT, json!({"policy": {"version": 3, "bindings": bindings}})).await;

    assert_eq!(
        answer.wrong_fields(),
        [
            "policy.bindings[0].role",
            "policy.bindings[1].members[0]",
            "policy.bindings[1].members[1]",
            "policy.bindings[1].members[2]",
            "policy.bindings[2].role",
            "policy.bindings[3].condition.expression",
        ]
    );
    let told = answer.text();
    assert!(
        told.contains(
            "The member ana@example.com is of an unknown type. Please set a valid type prefix for the member."
        ),
        "{told}"
    );
    assert!(told.contains("Role roles/none is not supported for this resource."), "{told}");
}

#[tokio::test]
async fn a_condition_ends_access_when_its_time_has_come() {
    let house = House::new().await;
    let token = house.operator(ANA, &[]).await;
    let condition = json!({"title": "an hour", "expression": "request.time < timestamp('2026-01-31T13:00:00Z')"});
    let binding = json!({"role": "roles/serviceusage.apiKeysViewer", "members": [ANA], "condition": condition});
    let set = async |version: u32| {
        house.set_policy(PROJECT, json!({"policy": {"version": version, "bindings": [&binding]}})).await
    };

    assert_eq!(set(1).await.refused(), refusal(400, "INVALID_ARGUMENT"));
    assert_eq!(set(3).await.ok()["version"], 3);
    assert_eq!(house.policy(PROJECT).await["bindings"][0], binding);
    assert!(may_list_keys(&house, &token).await);
    house.wait(HOUR - SECOND);
    assert!(may_list_keys(&house, &token).await);
    house.wait(SECOND);
    assert!(!may_list_keys(&house, &token).await);
    let old_reader = house.manage("POST", "/v1/projects/default-project:getIamPolicy", None).await.ok();
    assert_eq!((&old_reader["version"], &old_reader["bindings"][0]["condition"]), (&json!(1), &Value::Null));
    assert!(text(&old_reader, "/bindings/0/role").starts_with("roles/serviceusage.apiKeysViewer_withcond_"));
}

#[tokio::test]
async fn a_change_of_policy_holds_for_the_very_next_call() {
    let house = House::new().await;
    let token = house.operator(ANA, &[]).await;

    assert!(!may_list_keys(&house, &token).await);
    house.grant(PROJECT, "roles/viewer", ANA).await;
    assert!(may_list_keys(&house, &token).await);
    house.set_policy(PROJECT, json!({"policy": {}})).await.ok();
    assert!(!may_list_keys(&house, &token).await);
    house.grant(PROJECT, "roles/viewer", "domain:example.com").await;
    assert!(may_list_keys(&house, &token).await);
}

#[tokio::test]
async fn the_permissions_asked_about_come_back_where_they_are_held() {
    let house = House::new().await;
    let token = house.operator(ANA, &[(PROJECT, "roles/serviceusage.apiKeysViewer")]).await;
    let nobody = house.operator("user:ben@example.com", &[]).await;
    let asked = json!({"permissions": ["apikeys.keys.create", "apikeys.keys.get", "resourcemanager.projects.get", "apikeys.keys.getKeyString"]});

    for version in ["v1", "v3"] {
        let path = format!("/{version}/{PROJECT}:testIamPermissions");
        let held = house.as_(&token, "POST", &path, Some(asked.clone())).await.ok();
        assert_eq!(held, json!({"permissions": ["apikeys.keys.get", "apikeys.keys.getKeyString"]}));
        assert_eq!(house.as_(&nobody, "POST", &path, Some(asked.clone())).await.ok(), json!({}));
        let wild = house.as_(&token, "POST", &path, Some(json!({"permissions": ["apikeys.keys.*"]}))).await;
        assert_eq!(wild.refused(), refusal(400, "INVALID_ARGUMENT"));
    }
    let everywhere = house.manage("POST", "/keylodge/v1/deployment:testIamPermissions", Some(asked.clone())).await.ok();
    assert_eq!(everywhere, asked);
}

#[tokio::test]
async fn who_may_not_set_a_policy_is_refused_and_reads_none_either() {
    let house = House::new().await;
    let token = house.operator(ANA, &[(PROJECT, "roles/serviceusage.apiKeysAdmin")]).await;
    let policy = json!({"policy": {"bindings": [binding("roles/owner", &[ANA])]}});

    for path in ["/v1/projects/default-project", "/v3/projects/default-project", "/keylodge/v1/deployment"] {
        let set = house.as_(&token, "POST", &format!("{path}:setIamPolicy"), Some(policy.clone())).await;
        assert_eq!(set.refused(), refusal(403, "PERMISSION_DENIED"), "{path}");
        let get = house.as_(&token, "POST", &format!("{path}:getIamPolicy"), None).await;
        assert_eq!(get.refused(), refusal(403, "PERMISSION_DENIED"), "{path}");
    }
}

#[tokio::test]
async fn the_deployment_always_keeps_an_owner() {
    let house = House::new().await;
    let until = json!({"title": "t", "expression": "request.time < timestamp('2030-01-01T00:00:00Z')"});
    for bindings in [
        json!([]),
        json!([binding("roles/viewer", &["user:owner"])]),
        json!([binding("roles/owner", &["domain:example.com"])]),
        json!([{"role": "roles/owner", "members": ["user:owner"], "condition": until}]),
    ] {
        let answer = house.set_policy("deployment", json!({"policy": {"version": 3, "bindings": bindings}})).await;
        assert_eq!(answer.refused(), refusal(400, "FAILED_PRECONDITION"), "{bindings}");
    }
    let handed_over = json!({"policy": {"bindings": [binding("roles/owner", &["user:ana@example.com"])]}});
    let ana = house.operator(ANA, &[]).await;
    house.set_policy("deployment", handed_over).await.ok();
    house.as_(&ana, "POST", "/keylodge/v1/deployment:getIamPolicy", None).await.ok();
}

#[tokio::test]
async fn the_owner_that_the_deployment_keeps_is_somebody_who_can_come_in() {
    let house = House::new().await;
    house.operator(ANA, &[]).await;
    house.manage("POST", &format!("/keylodge/v1/operators/{ANA}:disable"), Some(json!({}))).await.ok();

    for member in ["user:nobody@example.com", ANA] {
        let policy = json!({"policy": {"bindings": [binding("roles/owner", &[member])]}});
        assert_eq!(
            house.set_policy("deployment", policy).await.refused(),
            refusal(400, "FAILED_PRECONDITION"),
            "{member}"
        );
    }
    let both = json!({"policy": {"bindings": [binding("roles/owner", &["user:nobody@example.com", "user:owner"])]}});
    house.set_policy("deployment", both).await.ok();
}

/// Makes the role `projects/default-project/roles/listers`, which may list keys.
async fn listers(house: &House) -> Value {
    let role = json!({"title": "Listers", "includedPermissions": ["apikeys.keys.list"], "stage": "GA"});
    let body = json!({"roleId": "listers", "role": role});
    house.manage("POST", &format!("/v1/{PROJECT}/roles"), Some(body)).await.ok()
}

#[tokio::test]
async fn a_custom_role_grants_what_it_holds_as_long_as_it_is_there() {
    let house = House::new().await;
    let role = listers(&house).await;
    assert_eq!(
        role,
        json!({"name": "projects/default-project/roles/listers", "title": "Listers", "stage": "GA",
               "includedPermissions": ["apikeys.keys.list"], "etag": role["etag"]})
    );
    let token = house.operator(ANA, &[(PROJECT, "projects/default-project/roles/listers")]).await;
    let path = format!("/v1/{PROJECT}/roles/listers");
    let update = async |permissions: Value| {
        let update = format!("{path}?updateMask=includedPermissions");
        house.manage("PATCH", &update, Some(json!({"includedPermissions": permissions}))).await.ok();
    };

    assert!(may_list_keys(&house, &token).await);
    update(json!(["apikeys.keys.get"])).await;
    assert!(!may_list_keys(&house, &token).await);
    update(json!(["apikeys.keys.get", "apikeys.keys.list"])).await;
    assert!(may_list_keys(&house, &token).await);
    assert_eq!(house.manage("DELETE", &path, None).await.ok()["deleted"], true);
    assert!(!may_list_keys(&house, &token).await);
    house.manage("POST", &format!("{path}:undelete"), Some(json!({}))).await.ok();
    assert!(may_list_keys(&house, &token).await);
}

#[tokio::test]
async fn roles_are_listed_looked_at_and_protected_by_their_etag() {
    let house = House::new().await;
    let old = text(&listers(&house).await, "/etag");
    let path = format!("/v1/{PROJECT}/roles/listers");
    let rename = async |etag: &str| house.manage("PATCH", &path, Some(json!({"title": "L", "etag": etag}))).await;

    let predefined = house.manage("GET", "/v1/roles", None).await.ok();
    assert!(texts(&predefined["roles"], "/name").contains(&"roles/serviceusage.apiKeysAdmin".to_owned()));
    let admin = house.manage("GET", "/v1/roles/serviceusage.apiKeysAdmin", None).await.ok();
    assert_eq!(
        admin["includedPermissions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|name| name.as_str().unwrap().starts_with("apikeys."))
            .count(),
        8
    );
    let basic = house.manage("GET", &format!("/v1/{PROJECT}/roles"), None).await.ok();
    assert_eq!(basic["roles"][0]["includedPermissions"], Value::Null);
    let full = house.manage("GET", &format!("/v1/{PROJECT}/roles?view=FULL"), None).await.ok();
    assert_eq!(full["roles"][0], house.manage("GET", &path, None).await.ok());

    rename(&old).await.ok();
    assert_eq!(rename(&old).await.refused(), refusal(409, "ABORTED"));
    let again = house.manage("POST", &format!("/v1/{PROJECT}/roles"), Some(json!({"roleId": "listers"}))).await;
    assert_eq!(again.refused(), refusal(409, "ALREADY_EXISTS"));
    house.manage("DELETE", &path, None).await.ok();
    assert_eq!(house.manage("GET", &format!("/v1/{PROJECT}/roles"), None).await.ok(), json!({}));
    let all = house.manage("GET", &format!("/v1/{PROJECT}/roles?showDeleted=true"), None).await.ok();
    assert_eq!(texts(&all["roles"], "/title"), ["L"]);
    assert_eq!(house.manage("DELETE", &path, None).await.refused(), refusal(400, "FAILED_PRECONDITION"));
    let none = house.manage("GET", &format!("/v1/{PROJECT}/roles/none"), None).await;
    assert_eq!(none.refused(), refusal(404, "NOT_FOUND"));
    let wild =
        json!({"roleId": "wild", "role": {"includedPermissions": ["apikeys.*", "apikeys.keys.get", "no.such.one"]}});
    let wild = house.manage("POST", &format!("/v1/{PROJECT}/roles"), Some(wild)).await;
    assert_eq!(wild.wrong_fields().len(), 2, "{}", wild.text());
}

#[tokio::test]
async fn a_custom_role_is_named_by_the_id_of_its_project_whichever_the_caller_used() {
    let house = House::new().await;
    listers(&house).await;
    let number = text(&house.manage("GET", "/v1/projects/default-project", None).await.ok(), "/projectNumber");

    let token = house.operator(ANA, &[(PROJECT, &format!("projects/{number}/roles/listers"))]).await;
    assert!(may_list_keys(&house, &token).await);
    let roles = texts(&house.policy(PROJECT).await["bindings"], "/role");
    assert_eq!(roles, ["roles/owner", "projects/default-project/roles/listers"]);
    house.manage("GET", &format!("/v1/projects/{number}/roles/listers"), None).await.ok();
}

#[tokio::test]
async fn a_role_of_one_project_means_nothing_in_another() {
    let house = House::new().await;
    listers(&house).await;
    house.new_project("team-blue").await;

    let policy = json!({"bindings": [binding("projects/default-project/roles/listers", &[ANA])]});
    let answer = house.set_policy("projects/team-blue", json!({"policy": policy})).await;
    assert_eq!(answer.wrong_fields(), ["policy.bindings[0].role"]);
    let answer = house.set_policy("deployment", json!({"policy": policy})).await;
    assert_eq!(answer.wrong_fields(), ["policy.bindings[0].role"]);
}
