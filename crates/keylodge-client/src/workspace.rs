//! The operator's workspace: what AI Studio adds to projects and keys.

use keylodge_api::admin::{
    AcceptTermsRequest, AcceptTermsResponse, CreateWorkspaceKeyRequest, CreateWorkspaceProjectsRequest, EmptyResponse,
    ImportProjectRequest, ListWorkspaceKeysResponse, Workspace, WorkspaceKey,
};
use keylodge_api::resource_manager::v3::ListProjectsResponse;

use crate::transport::query;
use crate::{Client, ClientError, Key, Project, projects, segment};

const WORKSPACE: &str = "/keylodge/v1/workspace";

impl Client {
    /// The workspace and its limits.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn workspace(&self) -> Result<Workspace, ClientError> {
        self.transport.get(WORKSPACE).await
    }

    /// Accepts the terms of a version; whoever is new gets a project and a key.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn accept_terms(&self, version: &str) -> Result<AcceptTermsResponse, ClientError> {
        let request = AcceptTermsRequest { version: version.to_owned() };
        self.transport.post(&format!("{WORKSPACE}:acceptTerms"), &request).await
    }

    /// The projects in the workspace, those that match the words if any are given.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_workspace_projects(&self, words: Option<&str>) -> Result<Vec<Project>, ClientError> {
        self.workspace_projects("projects", words).await
    }

    /// Projects that the operator may see and that are not in the workspace yet, by name or id.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn search_workspace_projects(&self, words: Option<&str>) -> Result<Vec<Project>, ClientError> {
        self.workspace_projects("projects:search", words).await
    }

    async fn workspace_projects(&self, what: &str, words: Option<&str>) -> Result<Vec<Project>, ClientError> {
        let path = format!("{WORKSPACE}/{what}{}", query(&[("query", words)]));
        let answer: ListProjectsResponse = self.transport.get(&path).await?;
        Ok(answer.projects.into_iter().map(projects::as_v1).collect())
    }

    /// Makes projects in the workspace, one after the other: a refusal says how many were made before it.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_workspace_projects(
        &self,
        new: &CreateWorkspaceProjectsRequest,
    ) -> Result<Vec<Project>, ClientError> {
        let answer: ListProjectsResponse = self.transport.post(&format!("{WORKSPACE}/projects"), new).await?;
        Ok(answer.projects.into_iter().map(projects::as_v1).collect())
    }

    /// Takes a project into the workspace.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn import_workspace_project(&self, project: &str) -> Result<Project, ClientError> {
        let request = ImportProjectRequest { project: project.to_owned() };
        let project = self.transport.post(&format!("{WORKSPACE}/projects:import"), &request).await?;
        Ok(projects::as_v1(project))
    }

    /// Takes a project out of the workspace; the project stays.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn remove_workspace_project(&self, project: &str) -> Result<(), ClientError> {
        let EmptyResponse {} = self.transport.delete(&format!("{WORKSPACE}/projects/{}", segment(project))).await?;
        Ok(())
    }

    /// The keys in the workspace, the newest first.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_workspace_keys(&self) -> Result<Vec<WorkspaceKey>, ClientError> {
        let answer: ListWorkspaceKeysResponse = self.transport.get(&format!("{WORKSPACE}/keys")).await?;
        Ok(answer.keys)
    }

    /// Makes a key for the Gemini API or for Jules, and gives it with its string.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_workspace_key(&self, new: &CreateWorkspaceKeyRequest) -> Result<Key, ClientError> {
        self.transport.post(&format!("{WORKSPACE}/keys"), new).await
    }
}
