//! Resource Manager v3 (`google.cloud.resourcemanager.v3`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::labels;
use crate::proto_json::{Fields, Message};

/// The full name of [`Project`] in operations.
pub const PROJECT_TYPE: &str = "google.cloud.resourcemanager.v3.Project";

/// A project, as v3 shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    /// `projects/<number>`
    pub name: String,
    /// `organizations/<number>`, where an organization owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The id.
    pub project_id: String,
    /// `ACTIVE` or `DELETE_REQUESTED`.
    pub state: String,
    /// The name for people.
    pub display_name: String,
    /// When it was made.
    pub create_time: String,
    /// When it last changed.
    pub update_time: String,
    /// When it was deleted; only while it can be brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_time: Option<String>,
    /// A fingerprint, to notice other people's changes.
    pub etag: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a caller sends to make or to alter a project. Output-only fields are read past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewProject {
    /// The resource's name; a new project has none yet.
    pub name: Option<String>,
    /// The id wanted; empty lets the server choose.
    pub project_id: String,
    /// The name for people, if given.
    pub display_name: Option<String>,
    /// `organizations/<number>`, if given.
    pub parent: Option<String>,
    /// Labels, if given.
    pub labels: Option<BTreeMap<String, String>>,
    /// What the caller last read of it, if it cares.
    pub etag: Option<String>,
}

impl Message for NewProject {
    const NAME: &str = "google.cloud.resourcemanager.v3.Project";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        for output_only in ["state", "createTime", "updateTime", "deleteTime"] {
            fields.any(output_only);
        }
        if fields.any("tags").is_some_and(|tags| tags.as_object().is_none_or(|tags| !tags.is_empty())) {
            fields.refuse("tags", "Tags are not supported by this version of Keylodge.");
        }
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            name: filled(fields.string("name")),
            project_id: fields.string("projectId").unwrap_or_default(),
            display_name: fields.string("displayName"),
            parent: filled(fields.string("parent")),
            labels: fields.has("labels").then(|| labels(fields)),
            etag: filled(fields.string("etag")),
        }
    }
}

/// A page of projects, as list and search answer it.
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

/// What a caller sends to put a project under another organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveProjectRequest {
    /// `organizations/<number>`
    pub destination_parent: String,
}

impl Message for MoveProjectRequest {
    const NAME: &str = "google.cloud.resourcemanager.v3.MoveProjectRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { destination_parent: fields.string("destinationParent").unwrap_or_default() }
    }
}

/// An organization, as v3 shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Organization {
    /// `organizations/<number>`
    pub name: String,
    /// A name for people.
    pub display_name: String,
    /// Always `ACTIVE`.
    pub state: String,
    /// When it was made.
    pub create_time: String,
    /// When it last changed.
    pub update_time: String,
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
