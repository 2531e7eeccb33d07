//! Policies as they are shown.

use keylodge_rules::iam as rules;
use serde::{Deserialize, Serialize};

use super::bytes;
use crate::proto_json::{Fields, Message};

/// A policy. Fields are in Google's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// 3 when a condition is shown, otherwise 1.
    pub version: i32,
    /// Differs after every change: bytes in base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub etag: String,
    /// Who has which role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
    /// What should be written down of accesses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit_configs: Vec<AuditConfig>,
}

/// A role and who has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Binding {
    /// The role's name.
    pub role: String,
    /// Who has it.
    pub members: Vec<String>,
    /// When it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expr>,
}

/// A condition (`google.type.Expr`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Expr {
    /// A title for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// When it holds, in CEL.
    pub expression: String,
}

/// What should be written down of accesses to a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditConfig {
    /// The service, or `allServices`.
    pub service: String,
    /// Which kinds of access.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit_log_configs: Vec<AuditLogConfig>,
}

/// A kind of access that should be written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditLogConfig {
    /// `ADMIN_READ`, `DATA_WRITE` or `DATA_READ`.
    pub log_type: String,
    /// Whose accesses not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exempted_members: Vec<String>,
}

impl Policy {
    /// The policy for a reader who asked for a version. Below version 3 a role with a condition is shown as
    /// `ROLE_withcond_MARK`, as at Google: shown plainly, a reader who writes the policy back would make it hold for ever.
    #[must_use]
    pub fn shown(policy: &rules::Policy, requested_version: i32) -> Self {
        let conditions = requested_version >= 3;
        let bindings = policy.bindings.iter().map(|binding| {
            let members = binding.members.iter().map(ToString::to_string).collect();
            match &binding.condition {
                None => Binding { role: binding.role.to_string(), members, condition: None },
                Some(condition) if conditions => {
                    Binding { role: binding.role.to_string(), members, condition: Some(condition.into()) }
                }
                Some(condition) => {
                    let role = format!("{}_withcond_{}", binding.role, condition.mark());
                    Binding { role, members, condition: None }
                }
            }
        });
        let bindings: Vec<Binding> = bindings.collect();
        Self {
            version: if bindings.iter().any(|binding| binding.condition.is_some()) { 3 } else { 1 },
            etag: bytes::print(&policy.etag),
            bindings,
            audit_configs: policy.audit_configs.as_deref().map(audit_configs).unwrap_or_default(),
        }
    }
}

/// What a policy keeps as text was written by [`SetIamPolicyRequest`](super::SetIamPolicyRequest), so it always reads;
/// text from elsewhere that does not is shown as nothing.
fn audit_configs(text: &str) -> Vec<AuditConfig> {
    serde_json::from_str(text).unwrap_or_default()
}

impl From<&rules::Condition> for Expr {
    fn from(condition: &rules::Condition) -> Self {
        Self {
            title: condition.title.clone(),
            description: condition.description.clone(),
            expression: condition.expression.as_str().to_owned(),
        }
    }
}

/// How a caller wants a policy shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetIamPolicyRequest {
    /// 0 (not said), 1 or 3.
    pub requested_policy_version: i32,
}

impl Message for GetIamPolicyRequest {
    const NAME: &str = "google.iam.v1.GetIamPolicyRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let Options(requested_policy_version) = fields.message("options").unwrap_or_default();
        Self { requested_policy_version }
    }
}

#[derive(Default)]
struct Options(i32);

impl Message for Options {
    const NAME: &str = "google.iam.v1.GetPolicyOptions";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let version = fields.int32("requestedPolicyVersion").unwrap_or_default();
        if !matches!(version, 0 | 1 | 3) {
            fields.refuse("requestedPolicyVersion", "Policies have version 1 or 3 (or 0, which means 1).");
        }
        Self(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto_json::parse;

    fn policy(with_condition: bool) -> rules::Policy {
        let draft = rules::PolicyDraft {
            version: 3,
            bindings: vec![
                rules::BindingDraft {
                    role: "roles/owner".to_owned(),
                    members: vec!["user:owner".to_owned(), "user:ada@example.com".to_owned()],
                    condition: None,
                },
                rules::BindingDraft {
                    role: "roles/viewer".to_owned(),
                    members: vec!["domain:example.com".to_owned()],
                    condition: with_condition.then(|| rules::ConditionDraft {
                        title: "a while".to_owned(),
                        description: String::new(),
                        expression: "request.time < timestamp('2030-01-01T00:00:00Z')".to_owned(),
                    }),
                },
            ],
            audit_configs: Some(
                r#"[{"service":"allServices","auditLogConfigs":[{"logType":"DATA_READ"}]}]"#.to_owned(),
            ),
            etag: vec![0x67, 0xeb, 0xff],
        };
        rules::Policy::read(&draft, &|_| false).unwrap()
    }

    fn shown(policy: &rules::Policy, requested_version: i32) -> String {
        serde_json::to_string(&Policy::shown(policy, requested_version)).unwrap()
    }

    #[test]
    fn a_policy_without_conditions_is_shown_with_version_1() {
        for requested in [0, 1, 3] {
            assert_eq!(
                shown(&policy(false), requested),
                concat!(
                    r#"{"version":1,"etag":"Z+v/","bindings":["#,
                    r#"{"role":"roles/owner","members":["user:ada@example.com","user:owner"]},"#,
                    r#"{"role":"roles/viewer","members":["domain:example.com"]}],"#,
                    r#""auditConfigs":[{"service":"allServices","auditLogConfigs":[{"logType":"DATA_READ"}]}]}"#
                )
            );
        }
    }

    #[test]
    fn conditions_are_shown_to_those_who_ask_for_version_3() {
        let shown = shown(&policy(true), 3);

        assert!(shown.starts_with(r#"{"version":3,"#), "{shown}");
        assert!(
            shown.contains(concat!(
                r#"{"role":"roles/viewer","members":["domain:example.com"],"condition":{"title":"a while","#,
                r#""expression":"request.time < timestamp('2030-01-01T00:00:00Z')"}}"#
            )),
            "{shown}"
        );
    }

    #[test]
    fn a_reader_of_version_1_cannot_make_a_role_with_a_condition_hold_for_ever() {
        for requested in [0, 1] {
            let shown = Policy::shown(&policy(true), requested);
            let binding = &shown.bindings[1];

            assert_eq!((shown.version, &binding.condition), (1, &None));
            assert!(binding.role.starts_with("roles/viewer_withcond_"), "{}", binding.role);
            let draft = rules::PolicyDraft {
                bindings: vec![rules::BindingDraft {
                    role: binding.role.clone(),
                    members: binding.members.clone(),
                    condition: None,
                }],
                ..rules::PolicyDraft::default()
            };
            assert!(rules::Policy::read(&draft, &|_| false).is_err(), "written back, it is no role");
        }
    }

    #[test]
    fn a_new_policy_is_shown_with_its_version_alone() {
        assert_eq!(shown(&rules::Policy::default(), 3), r#"{"version":1}"#);
    }

    #[test]
    fn the_version_wanted_is_read_from_gclouds_and_pythons_body() {
        for (body, version) in [
            (r#"{"options":{"requestedPolicyVersion":3}}"#, 3),
            (r#"{"options":{"requested_policy_version":"1"}}"#, 1),
            ("{}", 0),
            ("", 0),
        ] {
            let request: GetIamPolicyRequest = parse(body.as_bytes()).unwrap();
            assert_eq!(request.requested_policy_version, version, "{body}");
        }
        assert!(parse::<GetIamPolicyRequest>(br#"{"options":{"requestedPolicyVersion":2}}"#).is_err());
    }
}
