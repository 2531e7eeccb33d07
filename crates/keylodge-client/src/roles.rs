//! Roles: the predefined ones, and those of projects and organizations.

use keylodge_api::iam::{ListRolesResponse, Role};
use serde::Serialize;
use serde_json::json;

use crate::transport::query;
use crate::{Client, ClientError, segment};

/// Whose roles are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleParent {
    /// Those that are there everywhere.
    Predefined,
    /// A project's, by id or number.
    Project(String),
    /// An organization's, by number.
    Organization(String),
}

/// What a role is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleDraft {
    /// A title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it permits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included_permissions: Option<Vec<String>>,
    /// How finished it is: `ALPHA`, `BETA`, `GA`, `DEPRECATED`, `DISABLED` or `EAP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

impl RoleParent {
    fn path(&self) -> String {
        match self {
            Self::Predefined => "/v1/roles".to_owned(),
            Self::Project(project) => format!("/v1/projects/{}/roles", segment(project)),
            Self::Organization(name) => {
                let number = name.strip_prefix("organizations/").unwrap_or(name);
                format!("/v1/organizations/{}/roles", segment(number))
            }
        }
    }

    /// A role is named by its id, or by its whole name.
    fn role(&self, role: &str) -> String {
        let id = role.rsplit('/').next().unwrap_or(role);
        format!("{}/{}", self.path(), segment(id))
    }
}

impl Client {
    /// Roles, without their permissions.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_roles(
        &self,
        parent: &RoleParent,
        show_deleted: bool,
        limit: Option<usize>,
    ) -> Result<Vec<Role>, ClientError> {
        let deleted = show_deleted.then_some("true");
        self.transport.pages::<ListRolesResponse>(&parent.path(), &[("showDeleted", deleted)], limit).await
    }

    /// A role with its permissions.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_role(&self, parent: &RoleParent, role: &str) -> Result<Role, ClientError> {
        self.transport.get(&parent.role(role)).await
    }

    /// Makes a role.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_role(&self, parent: &RoleParent, id: &str, draft: &RoleDraft) -> Result<Role, ClientError> {
        self.transport.post(&parent.path(), &json!({"roleId": id, "role": draft})).await
    }

    /// Alters what is given of a role.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn update_role(&self, parent: &RoleParent, role: &str, draft: &RoleDraft) -> Result<Role, ClientError> {
        let given = [
            ("title", draft.title.is_some()),
            ("description", draft.description.is_some()),
            ("includedPermissions", draft.included_permissions.is_some()),
            ("stage", draft.stage.is_some()),
        ];
        let mask: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        let path = format!("{}{}", parent.role(role), query(&[("updateMask", Some(&mask.join(",")))]));
        self.transport.patch(&path, draft).await
    }

    /// Deletes a role. What it granted is not granted any more; it can come back.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn delete_role(&self, parent: &RoleParent, role: &str) -> Result<Role, ClientError> {
        self.transport.delete(&parent.role(role)).await
    }

    /// Brings a deleted role back.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn undelete_role(&self, parent: &RoleParent, role: &str) -> Result<Role, ClientError> {
        self.transport.post(&format!("{}:undelete", parent.role(role)), &json!({})).await
    }
}
