//! Resource Manager v1 (`google.cloudresourcemanager.v1`).

use std::collections::BTreeMap;

use keylodge_rules::names::is_label;
use serde::{Deserialize, Serialize};

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
}

/// What a caller sends to make a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewProject {
    /// The id wanted; empty lets the server choose.
    pub project_id: String,
    /// The name for people; empty takes the id.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
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
        if fields.any("parent").is_some() {
            fields.refuse("parent", "Organizations and folders are not supported by this version of Keylodge.");
        }
        Self {
            project_id: fields.string("projectId").unwrap_or_default(),
            name: fields.string("name").unwrap_or_default(),
            labels: labels(fields),
        }
    }
}

/// Labels of a project (Resource Manager: at most 64, keys and values of at most 63 characters).
fn labels(fields: &mut Fields<'_, '_>) -> BTreeMap<String, String> {
    let labels = fields.string_map("labels");
    let fits = |text: &str| text.len() <= 63 && is_label(text);
    if labels.len() > 64 {
        fields.refuse("labels", "A project has at most 64 labels.");
    }
    if !labels.iter().all(|(key, value)| fits(key) && (value.is_empty() || fits(value))) {
        fields.refuse(
            "labels",
            "Keys and values of labels have at most 63 lower-case letters, digits and hyphens, start with a letter and do not end with a hyphen; values may be empty.",
        );
    }
    labels
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
