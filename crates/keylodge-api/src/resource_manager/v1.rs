//! Resource Manager v1 (`google.cloudresourcemanager.v1`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::labels;
use crate::proto_json::{Fields, Message};

/// The full name of [`Project`] in operations.
pub const PROJECT_TYPE: &str = "google.cloudresourcemanager.v1.Project";

/// A project, as v1 shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    /// The number, as a string of int64.
    pub project_number: String,
    /// The id.
    pub project_id: String,
    /// `ACTIVE` or `DELETE_REQUESTED`.
    pub lifecycle_state: String,
    /// The name for people.
    pub name: String,
    /// When it was made.
    pub create_time: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The organization that owns it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<ResourceId>,
}

/// A resource above a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceId {
    /// `organization` or `project`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its number, or a project's id.
    pub id: String,
}

impl Message for ResourceId {
    const NAME: &str = "google.cloudresourcemanager.v1.ResourceId";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { kind: fields.string("type").unwrap_or_default(), id: fields.string("id").unwrap_or_default() }
    }
}

/// What a caller sends to make a project, or to replace one: v1 replaces as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewProject {
    /// The id wanted; empty lets the server choose.
    pub project_id: String,
    /// The name for people; empty takes the id.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The number of the organization that is to own it.
    pub parent: Option<String>,
}

impl Message for NewProject {
    const NAME: &str = "google.cloudresourcemanager.v1.Project";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        for output_only in ["projectNumber", "lifecycleState", "createTime"] {
            fields.any(output_only);
        }
        if fields.any("tags").is_some_and(|tags| tags.as_object().is_none_or(|tags| !tags.is_empty())) {
            fields.refuse("tags", "Tags are not supported by this version of Keylodge.");
        }
        let parent = fields.message::<ResourceId>("parent");
        if parent.as_ref().is_some_and(|parent| parent.kind != "organization" || parent.id.is_empty()) {
            fields.refuse("parent", "The parent of a project is an organization: {\"type\": \"organization\", \"id\": NUMBER}. Keylodge has no folders.");
        }
        Self {
            project_id: fields.string("projectId").unwrap_or_default(),
            name: fields.string("name").unwrap_or_default(),
            parent: parent.map(|parent| parent.id),
            labels: labels(fields),
        }
    }
}

/// A page of projects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListProjectsResponse {
    /// The projects of this page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<Project>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What getAncestry answers: the project, then what is above it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAncestryResponse {
    /// From the project upwards.
    pub ancestor: Vec<Ancestor>,
}

/// One step of the way up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ancestor {
    /// What stands there.
    pub resource_id: ResourceId,
}

/// An organization, as v1 shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Organization {
    /// `organizations/<number>`
    pub name: String,
    /// A name for people.
    pub display_name: String,
    /// When it was made.
    pub creation_time: String,
    /// Always `ACTIVE`.
    pub lifecycle_state: String,
}

/// A page of organizations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SearchOrganizationsResponse {
    /// The organizations of this page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<Organization>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What a caller sends to search organizations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchOrganizationsRequest {
    /// How many on a page.
    pub page_size: i32,
    /// Where to go on.
    pub page_token: String,
}

impl Message for SearchOrganizationsRequest {
    const NAME: &str = "google.cloudresourcemanager.v1.SearchOrganizationsRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        fields.any("filter");
        Self {
            page_size: fields.int32("pageSize").unwrap_or_default(),
            page_token: fields.string("pageToken").unwrap_or_default(),
        }
    }
}
