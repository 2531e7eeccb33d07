use super::super::Policy;
use super::*;
use crate::Detail;
use crate::proto_json::parse;

fn request(body: &str) -> SetIamPolicyRequest {
    parse(body.as_bytes()).unwrap()
}

fn mistakes(body: &str) -> Vec<(String, String)> {
    let status = parse::<SetIamPolicyRequest>(body.as_bytes()).unwrap_err();
    violations(&status)
}

fn violations(status: &Status) -> Vec<(String, String)> {
    let [Detail::BadRequest(violations)] = &status.details[..] else { panic!("one BadRequest expected: {status:?}") };
    violations.iter().map(|violation| (violation.field.clone(), violation.description.clone())).collect()
}

/// What `gcloud projects add-iam-policy-binding` sends: version 3 always, the etag in the URL-safe alphabet, no mask.
const GCLOUD: &str = r#"{"policy": {"bindings": [
    {"members": ["user:admin@example.com"], "role": "roles/owner"},
    {"members": ["user:b@example.com"], "role": "roles/serviceusage.apiKeysViewer"}
  ], "etag": "Z-rPgQ==", "version": 3}}"#;

#[test]
fn gclouds_body_is_read_and_answered_with_version_1() {
    let request = request(GCLOUD);
    assert_eq!(request.update_mask, PolicyMask { bindings: true, audit_configs: false });
    assert_eq!(request.policy.etag, [0x67, 0xea, 0xcf, 0x81]);

    let policy = rules::Policy::read(&request.policy, &|_| false).unwrap();
    assert_eq!(
        serde_json::to_string(&Policy::shown(&policy, request.policy.version)).unwrap(),
        concat!(
            r#"{"version":1,"etag":"Z+rPgQ==","bindings":["#,
            r#"{"role":"roles/owner","members":["user:admin@example.com"]},"#,
            r#"{"role":"roles/serviceusage.apiKeysViewer","members":["user:b@example.com"]}]}"#
        )
    );
}

#[test]
fn what_is_shown_can_be_written_back() {
    let body = r#"{"policy": {"version": 3, "etag": "BwYh8eX0c3g=", "bindings": [
        {"role": "roles/owner", "members": ["user:admin@example.com"]},
        {"role": "roles/serviceusage.apiKeysViewer", "members": ["user:b@example.com"],
         "condition": {"title": "t", "description": "d", "location": "",
                       "expression": "request.time < timestamp('2030-01-01T00:00:00Z')"}}],
      "auditConfigs": [{"service": "allServices",
                        "auditLogConfigs": [{"logType": "DATA_READ", "exemptedMembers": []}]}]}}"#;
    let policy = rules::Policy::read(&request(body).policy, &|_| false).unwrap();

    let shown = serde_json::to_value(Policy::shown(&policy, 3)).unwrap();
    let again = request(&serde_json::json!({ "policy": shown }).to_string()).policy;

    assert_eq!(rules::Policy::read(&again, &|_| false).unwrap(), policy);
    assert_eq!(policy.version, 3);
    assert_eq!(shown["auditConfigs"][0]["auditLogConfigs"][0]["logType"], "DATA_READ");
}

#[test]
fn a_mask_is_read_in_both_spellings() {
    for (mask, bindings, audit_configs) in [
        (r#""bindings,etag""#, true, false),
        (r#""auditConfigs,bindings,etag""#, true, true),
        (r#""audit_configs, version""#, false, true),
        (r#""*""#, true, true),
        (r#""etag""#, false, false),
        (r#""""#, true, false),
        ("null", true, false),
    ] {
        for name in ["updateMask", "update_mask"] {
            let request = request(&format!(r#"{{"policy": {{}}, "{name}": {mask}}}"#));
            assert_eq!(request.update_mask, PolicyMask { bindings, audit_configs }, "{mask}");
        }
    }
    assert_eq!(mistakes(r#"{"policy": {}, "updateMask": "bindings.members"}"#)[0].0, "update_mask");
}

#[test]
fn only_what_the_mask_means_is_set() {
    let read = |body| rules::Policy::read(&request(body).policy, &|_| false).unwrap();
    let current = read(
        r#"{"policy": {"etag": "AAAA", "bindings": [{"role": "roles/owner", "members": ["user:owner"]}],
            "auditConfigs": [{"service": "allServices"}]}}"#,
    );
    let given = read(r#"{"policy": {"etag": "BBBB", "auditConfigs": [{"service": "x.example.com"}]}}"#);

    let bindings = PolicyMask::default().apply(&current, given.clone());
    assert_eq!(bindings, rules::Policy { bindings: Vec::new(), ..current.clone() });
    let audit = PolicyMask { bindings: false, audit_configs: true }.apply(&current, given.clone());
    assert_eq!(audit, rules::Policy { audit_configs: given.audit_configs, ..current });
}

#[test]
fn every_mistake_of_form_is_named_with_its_path() {
    let description = |text: &str| text.to_owned();
    assert_eq!(
        mistakes(
            r#"{"policy": {"version": "x", "etag": "*", "bindings": [{"role": 5, "members": ["user:a", 6], "x": 1}],
                "auditConfigs": [{"auditLogConfigs": [{"logType": "ALL"}]}]}}"#
        ),
        [
            (
                "policy.audit_configs[0].audit_log_configs[0].log_type".to_owned(),
                description(
                    "Invalid value at 'policy.audit_configs[0].audit_log_configs[0].log_type' (type.googleapis.com/google.iam.v1.AuditLogConfig.LogType), \"ALL\""
                )
            ),
            ("policy.version".to_owned(), description("Invalid value at 'policy.version' (TYPE_INT32), \"x\"")),
            (
                "policy.bindings[0].role".to_owned(),
                description("Invalid value at 'policy.bindings[0].role' (TYPE_STRING), 5")
            ),
            (
                "policy.bindings[0].members[1]".to_owned(),
                description("Invalid value at 'policy.bindings[0].members[1]' (TYPE_STRING), 6")
            ),
            (
                "policy.bindings[0]".to_owned(),
                description(
                    "Invalid JSON payload received. Unknown name \"x\" at 'policy.bindings[0]': Cannot find field."
                )
            ),
            ("policy.etag".to_owned(), description("Invalid value for etag (TYPE_BYTES): it is not base64.")),
        ]
    );
    assert_eq!(mistakes("{}")[0].0, "policy");
}

#[test]
fn every_mistake_of_meaning_is_named_with_its_path() {
    let draft = request(r#"{"policy": {"bindings": [{"role": "roles/king", "members": ["ada", "allUsers"]}]}}"#).policy;
    let status = bad_policy(&rules::Policy::read(&draft, &|_| false).unwrap_err());

    let fields: Vec<String> = violations(&status).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["policy.bindings[0].role", "policy.bindings[0].members[0]", "policy.bindings[0].members[1]"]);
    assert!(status.message.starts_with("Role roles/king is not supported for this resource.\n"), "{}", status.message);
}

#[test]
fn audit_configs_have_an_end() {
    let long = "x".repeat(AUDIT_CONFIGS_BYTES_MAX);
    let body = format!(r#"{{"policy": {{"auditConfigs": [{{"service": "{long}"}}]}}}}"#);

    assert_eq!(mistakes(&body)[0].0, "policy.audit_configs");
}
