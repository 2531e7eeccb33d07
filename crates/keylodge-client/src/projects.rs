//! Projects. All are given as Resource Manager v1 has them, whichever version was asked.

use std::collections::BTreeMap;

use keylodge_api::operation::Operation;
use keylodge_api::resource_manager::v1::{ListProjectsResponse, Project, ResourceId};
use keylodge_api::resource_manager::v3;
use serde::Serialize;
use serde_json::{Value, json};

use crate::transport::query;
use crate::{Client, ClientError, segment};

/// A project to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewProject {
    /// Its id, for ever; the server chooses one if none is given.
    pub project_id: Option<String>,
    /// Its name for people, 4 to 30 characters; the id if none is given.
    pub name: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The number of the organization that is to own it.
    pub organization: Option<String>,
}

/// What is to change of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectUpdate {
    /// Its name for people, 4 to 30 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// All of its labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

impl Client {
    /// Makes a project.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_project(&self, new: &NewProject) -> Result<Project, ClientError> {
        let parent = new.organization.as_ref().map(|id| ResourceId { kind: "organization".to_owned(), id: id.clone() });
        let body = json!({"projectId": new.project_id, "name": new.name, "labels": new.labels, "parent": parent});
        let operation: Operation<Project> = self.transport.post("/v1/projects", &body).await?;
        Ok(operation.response.message)
    }

    /// The projects that the operator may see and that match the filter, in the order they were made. A filter looks like
    /// `lifecycleState:ACTIVE AND id:"team-*"`.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_projects(&self, filter: Option<&str>, limit: Option<usize>) -> Result<Vec<Project>, ClientError> {
        self.transport.pages::<ListProjectsResponse>("/v1/projects", &[("filter", filter)], limit).await
    }

    /// The same by a query of version 3, as `displayName:"team*"`, where of several terms one must match.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn search_projects(
        &self,
        words: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<Project>, ClientError> {
        let found =
            self.transport.pages::<v3::ListProjectsResponse>("/v3/projects:search", &[("query", words)], limit).await?;
        Ok(found.into_iter().map(as_v1).collect())
    }

    /// A project, by id or number.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_project(&self, project: &str) -> Result<Project, ClientError> {
        self.transport.get(&format!("/v1/projects/{}", segment(project))).await
    }

    /// Alters a project; what is not given stays.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn update_project(&self, project: &str, update: &ProjectUpdate) -> Result<Project, ClientError> {
        let named = [("displayName", update.display_name.is_some()), ("labels", update.labels.is_some())];
        let mask: Vec<&str> = named.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        let path = format!("{}{}", path(project), query(&[("updateMask", Some(&mask.join(",")))]));
        let operation: Operation<v3::Project> = self.transport.patch(&path, update).await?;
        Ok(as_v1(operation.response.message))
    }

    /// Deletes a project: its keys are refused when this returns, and it can come back for 30 days.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn delete_project(&self, project: &str) -> Result<Project, ClientError> {
        let operation: Operation<v3::Project> = self.transport.delete(&path(project)).await?;
        Ok(as_v1(operation.response.message))
    }

    /// Brings a deleted project back.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn undelete_project(&self, project: &str) -> Result<Project, ClientError> {
        self.step(project, "undelete", json!({})).await
    }

    /// Puts a project under an organization, by the organization's number.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn move_project(&self, project: &str, organization: &str) -> Result<Project, ClientError> {
        let number = organization.strip_prefix("organizations/").unwrap_or(organization);
        self.step(project, "move", json!({"destinationParent": format!("organizations/{number}")})).await
    }

    async fn step(&self, project: &str, verb: &str, body: Value) -> Result<Project, ClientError> {
        let operation: Operation<v3::Project> =
            self.transport.post(&format!("{}:{verb}", path(project)), &body).await?;
        Ok(as_v1(operation.response.message))
    }
}

fn path(project: &str) -> String {
    format!("/v3/projects/{}", segment(project))
}

/// A project of version 3, as version 1 has it.
pub(crate) fn as_v1(project: v3::Project) -> Project {
    let number = project.name.strip_prefix("projects/").unwrap_or(&project.name);
    let parent = project.parent.as_deref().and_then(|parent| parent.strip_prefix("organizations/"));
    Project {
        project_number: number.to_owned(),
        parent: parent.map(|id| ResourceId { kind: "organization".to_owned(), id: id.to_owned() }),
        project_id: project.project_id,
        lifecycle_state: project.state,
        name: project.display_name,
        create_time: project.create_time,
        labels: project.labels,
    }
}
