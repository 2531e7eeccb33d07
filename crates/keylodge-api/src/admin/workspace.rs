//! An operator's workspace: what AI Studio adds to projects and keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Time, request};
use crate::apikeys::Key;
use crate::resource_manager::v3::Project;

/// An operator's workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// Whose it is, as IAM policies have it.
    pub member: String,
    /// The version of the terms there are.
    pub terms_version: String,
    /// The version that was accepted last; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_terms_version: Option<String>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_accept_time: Option<Time>,
    /// The most projects it lists.
    pub projects_max: u32,
    /// The most keys it lists.
    pub keys_max: u32,
    /// The most projects that one call makes.
    pub projects_at_once_max: u32,
}

request! {
    /// What a caller sends to accept the terms.
    AcceptTermsRequest = "keylodge.v1.AcceptTermsRequest" {
        /// The version that was read; it must be the one there is.
        version: String = "version",
    }
}

/// The workspace after the terms were accepted. Whoever is new gets a project and a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptTermsResponse {
    /// The workspace.
    pub workspace: Workspace,
    /// The project of whoever is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub project: Option<Project>,
    /// A key in it, with its string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub key: Option<Key>,
}

request! {
    /// A project to be made.
    NewWorkspaceProject = "keylodge.v1.NewWorkspaceProject" {
        /// The id wanted; one is chosen if none is given.
        project_id: String = "projectId",
        /// A name for people, 4 to 30 characters.
        display_name: String = "displayName",
    }
}

request! {
    /// What a caller sends to make projects in the workspace.
    CreateWorkspaceProjectsRequest = "keylodge.v1.CreateWorkspaceProjectsRequest" {
        /// At most 10, unless the settings say otherwise.
        projects: Vec<NewWorkspaceProject> = "projects",
    }
}

request! {
    /// What a caller sends to take a project into the workspace.
    ImportProjectRequest = "keylodge.v1.ImportProjectRequest" {
        /// Its id or number.
        project: String = "project",
    }
}

/// A key in the workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceKey {
    /// The key without its string.
    #[schemars(with = "serde_json::Value")]
    pub key: Key,
    /// Its project's id.
    pub project_id: String,
    /// Its project's name for people.
    pub project_display_name: String,
}

/// The keys in the workspace: unrestricted ones, and those that are for the Gemini API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListWorkspaceKeysResponse {
    /// The newest first; at most 100, unless the settings say otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<WorkspaceKey>,
}

request! {
    /// What a caller sends to make a key in the workspace.
    CreateWorkspaceKeyRequest = "keylodge.v1.CreateWorkspaceKeyRequest" {
        /// The project's id or number.
        project: String = "project",
        /// A name for people.
        display_name: String = "displayName",
        /// The service it is for: `generativelanguage.googleapis.com`, also when nothing is given, or
        /// `jules.googleapis.com`. A key for Jules is shown this once, and an operator has at most 3 of them.
        service: String = "service",
    }
}
