//! Which permissions does the caller have?

use keylodge_rules::iam::{Permission, PermissionError};
use serde::{Deserialize, Serialize};

use crate::proto_json::{Fields, Message};

/// The permissions that a caller asks about. Names that Keylodge does not have are let through: nobody holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestIamPermissionsRequest {
    /// Names, at most [`Self::PERMISSIONS_MAX`].
    pub permissions: Vec<String>,
}

impl TestIamPermissionsRequest {
    /// Most permissions in one question.
    pub const PERMISSIONS_MAX: usize = 100;
}

impl Message for TestIamPermissionsRequest {
    const NAME: &str = "google.iam.v1.TestIamPermissionsRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let permissions = fields.strings("permissions");
        if permissions.len() > Self::PERMISSIONS_MAX {
            fields.refuse("permissions", format!("Please ask about at most {} permissions.", Self::PERMISSIONS_MAX));
        }
        for (at, name) in permissions.iter().enumerate() {
            match Permission::parse(name) {
                Ok(_) | Err(PermissionError::Unknown) => {}
                Err(error) => refuse_permission(fields, "permissions", at, name, error),
            }
        }
        Self { permissions }
    }
}

/// Notes what is wrong with one of a list of permissions.
pub(super) fn refuse_permission(
    fields: &mut Fields<'_, '_>,
    list: &str,
    at: usize,
    name: &str,
    error: PermissionError,
) {
    let name: String = name.chars().take(64).collect();
    fields.refuse(&format!("{list}[{at}]"), format!("Permission {name} is not valid: {error}."));
}

/// The permissions that the caller has, of those asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestIamPermissionsResponse {
    /// Names, in the order asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
}

/// A question for the permissions that a role may have. The answer is the same for every resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryTestablePermissionsRequest;

impl Message for QueryTestablePermissionsRequest {
    const NAME: &str = "google.iam.admin.v1.QueryTestablePermissionsRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        fields.string("fullResourceName");
        fields.int32("pageSize");
        fields.string("pageToken");
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto_json::parse;

    #[test]
    fn unknown_permissions_may_be_asked_about_and_wildcards_not() {
        let body = br#"{"permissions": ["apikeys.keys.create", "storage.buckets.get"]}"#;
        assert_eq!(
            parse::<TestIamPermissionsRequest>(body).unwrap().permissions,
            ["apikeys.keys.create", "storage.buckets.get"]
        );

        let status = parse::<TestIamPermissionsRequest>(br#"{"permissions": ["apikeys.keys.*", "x"]}"#).unwrap_err();
        assert_eq!(
            status.message,
            "Permission apikeys.keys.* is not valid: wildcards are not allowed, name each permission.\n\
             Permission x is not valid: a permission has the form service.resource.verb, as apikeys.keys.create."
        );
    }

    #[test]
    fn a_question_has_an_end() {
        let permissions = vec!["apikeys.keys.get"; 101];
        let body = serde_json::json!({ "permissions": permissions }).to_string();

        let status = parse::<TestIamPermissionsRequest>(body.as_bytes()).unwrap_err();
        assert_eq!(status.message, "Please ask about at most 100 permissions.");
    }

    #[test]
    fn nothing_held_is_an_empty_answer() {
        let print = |answer: &TestIamPermissionsResponse| serde_json::to_string(answer).unwrap();

        assert_eq!(print(&TestIamPermissionsResponse::default()), "{}");
        let held = TestIamPermissionsResponse { permissions: vec!["apikeys.keys.get".to_owned()] };
        assert_eq!(print(&held), r#"{"permissions":["apikeys.keys.get"]}"#);
    }
}
