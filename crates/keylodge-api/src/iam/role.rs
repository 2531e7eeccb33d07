//! Roles (`google.iam.admin.v1`).

use keylodge_rules::iam::{CustomRole, CustomRoleName, Permission, PermissionSet, PredefinedRole, RoleId, Stage};
use serde::{Deserialize, Serialize};

use super::bytes;
use super::permissions::refuse_permission;
use crate::Status;
use crate::proto_json::{self, Fields, Message};
use crate::status::FieldViolation;

/// A role, as answers show it. Fields are in Google's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Role {
    /// `roles/ID`, `projects/P/roles/ID` or `organizations/N/roles/ID`
    pub name: String,
    /// A title for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it permits; only in the full view.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_permissions: Vec<String>,
    /// How finished it is.
    pub stage: String,
    /// Differs after every change: bytes in base64.
    pub etag: String,
    /// Whether it is deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// How much of each role a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoleView {
    /// Without permissions. What a list shows when nothing is said.
    #[default]
    Basic,
    /// Everything.
    Full,
}

impl RoleView {
    /// Reads the query parameter `view`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "BASIC" | "0" => Some(Self::Basic),
            "FULL" | "1" => Some(Self::Full),
            _ => None,
        }
    }
}

impl Role {
    /// A predefined role. Its etag is Google's for all of them.
    #[must_use]
    pub fn predefined(role: &PredefinedRole, view: RoleView) -> Self {
        Self {
            name: format!("roles/{}", role.id),
            title: role.title.to_owned(),
            description: role.description.to_owned(),
            included_permissions: names(role.permissions, view),
            stage: Stage::Ga.as_str().to_owned(),
            etag: "AA==".to_owned(),
            deleted: false,
        }
    }

    /// A custom role.
    #[must_use]
    pub fn custom(role: &CustomRole, view: RoleView) -> Self {
        Self {
            name: role.name.to_string(),
            title: role.title.clone(),
            description: role.description.clone(),
            included_permissions: names(role.permissions, view),
            stage: role.stage.as_str().to_owned(),
            etag: bytes::print(&role.etag),
            deleted: role.deleted,
        }
    }
}

fn names(permissions: PermissionSet, view: RoleView) -> Vec<String> {
    match view {
        RoleView::Basic => Vec::new(),
        RoleView::Full => permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
    }
}

/// A page of roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListRolesResponse {
    /// The roles of this page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A role to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRoleRequest {
    /// Its id.
    pub role_id: RoleId,
    /// What it shall be.
    pub role: RoleFields,
}

impl CreateRoleRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every mistake, as [`proto_json::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Status> {
        let Draft { role_id, role } = proto_json::parse(body)?;
        role_id.map(|role_id| Self { role_id, role }).ok_or_else(Status::internal)
    }
}

/// The request while it is read: without an id only when that was noted as a mistake.
struct Draft {
    role_id: Option<RoleId>,
    role: RoleFields,
}

impl Message for Draft {
    const NAME: &str = "google.iam.admin.v1.CreateRoleRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let role_id = RoleId::parse(&fields.string("roleId").unwrap_or_default())
            .map_err(|error| fields.refuse("roleId", format!("Not a valid role id: {error}.")))
            .ok();
        Self { role_id, role: fields.message("role").unwrap_or_default() }
    }
}

/// What a caller says of a role: the body of an update, and part of that of a creation. Empty counts as not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleFields {
    /// A title for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it permits.
    pub permissions: Option<PermissionSet>,
    /// How finished it is.
    pub stage: Option<Stage>,
    /// The etag of the role that is updated; empty updates whatever there is.
    pub etag: Vec<u8>,
}

impl RoleFields {
    /// The role these make under a name, with an etag of the store's.
    #[must_use]
    pub fn create(self, name: CustomRoleName, etag: Vec<u8>) -> CustomRole {
        CustomRole {
            name,
            title: self.title.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            permissions: self.permissions.unwrap_or_default(),
            stage: self.stage.unwrap_or_default(),
            deleted: false,
            etag,
        }
    }
}

impl Message for RoleFields {
    const NAME: &str = "google.iam.admin.v1.Role";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        for output_only in ["name", "deleted"] {
            fields.any(output_only);
        }
        let permissions = permissions(fields);
        Self {
            title: text(fields, "title", CustomRole::TITLE_CHARS_MAX),
            description: text(fields, "description", CustomRole::DESCRIPTION_CHARS_MAX),
            permissions,
            stage: fields.enumeration("stage", STAGE_TYPE, STAGES).and_then(Stage::parse),
            etag: bytes::field(fields, "etag"),
        }
    }
}

const STAGE_TYPE: &str = "type.googleapis.com/google.iam.admin.v1.Role.RoleLaunchStage";
/// By number. Google has none with number 3; it counts as not said, like the empty name.
const STAGES: &[&str] = &["ALPHA", "BETA", "GA", "", "DEPRECATED", "DISABLED", "EAP"];

fn text(fields: &mut Fields<'_, '_>, name: &str, chars_max: usize) -> Option<String> {
    let text = fields.string(name).filter(|text| !text.is_empty())?;
    if text.chars().count() > chars_max {
        fields.refuse(name, format!("Please use at most {chars_max} characters for the {name} of a role."));
    }
    Some(text)
}

fn permissions(fields: &mut Fields<'_, '_>) -> Option<PermissionSet> {
    let names = fields.strings("includedPermissions");
    let read = |(at, name): (usize, &String)| match Permission::parse(name) {
        Ok(permission) => Some(permission),
        Err(error) => {
            refuse_permission(fields, "includedPermissions", at, name, error);
            None
        }
    };
    (!names.is_empty()).then(|| names.iter().enumerate().filter_map(read).collect())
}

/// The parts of a role that an update sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleMask {
    title: bool,
    description: bool,
    permissions: bool,
    stage: bool,
}

impl RoleMask {
    /// Reads the query parameter `updateMask` in either spelling. An empty one means the fields that the body says
    /// something about (AIP-134).
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it names what cannot be updated.
    pub fn parse(text: &str, given: &RoleFields) -> Result<Self, Status> {
        if text.trim().is_empty() {
            return Ok(Self {
                title: given.title.is_some(),
                description: given.description.is_some(),
                permissions: given.permissions.is_some(),
                stage: given.stage.is_some(),
            });
        }
        let mut mask = Self { title: false, description: false, permissions: false, stage: false };
        for path in text.split(',') {
            match path.trim() {
                "title" => mask.title = true,
                "description" => mask.description = true,
                "includedPermissions" | "included_permissions" => mask.permissions = true,
                "stage" => mask.stage = true,
                "*" => mask = Self { title: true, description: true, permissions: true, stage: true },
                // Compared whenever the body has one.
                "etag" => {}
                _ => {
                    let description = "The parts of a role that can be updated are title, description, includedPermissions and stage.";
                    return Err(Status::bad_request(vec![FieldViolation {
                        field: "update_mask".to_owned(),
                        description: description.to_owned(),
                    }]));
                }
            }
        }
        Ok(mask)
    }

    /// The role with the parts of the body that are meant; what is meant and not said becomes empty. The etag stays the
    /// old one's; a new one is the store's to give.
    #[must_use]
    pub fn apply(self, current: &CustomRole, given: RoleFields) -> CustomRole {
        let mut role = current.clone();
        if self.title {
            role.title = given.title.unwrap_or_default();
        }
        if self.description {
            role.description = given.description.unwrap_or_default();
        }
        if self.permissions {
            role.permissions = given.permissions.unwrap_or_default();
        }
        if self.stage {
            role.stage = given.stage.unwrap_or_default();
        }
        role
    }
}

/// The body that brings a deleted role back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndeleteRoleRequest {
    /// The etag of the role; empty brings back whatever there is.
    pub etag: Vec<u8>,
}

impl Message for UndeleteRoleRequest {
    const NAME: &str = "google.iam.admin.v1.UndeleteRoleRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { etag: bytes::field(fields, "etag") }
    }
}

#[cfg(test)]
mod tests;
