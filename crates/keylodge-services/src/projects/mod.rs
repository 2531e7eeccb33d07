//! Resource Manager v1, a file for each method.

mod create;
mod filter;
mod get;
mod list;

pub(crate) use create::{create, make};
pub(crate) use get::get;
pub(crate) use list::list;

use keylodge_api::resource_manager::Project;
use keylodge_api::{Code, Detail, Status, timestamp};
use keylodge_rules::{ProjectId, ProjectNumber, ProjectState};
use keylodge_store::ProjectRecord;

use crate::{Lodge, failure};

/// Finds a project by id or number. Text that can be neither names no project.
pub(crate) async fn find(lodge: &Lodge, text: &str) -> Result<Option<ProjectRecord>, Status> {
    let found = if let Ok(number) = ProjectNumber::parse(text) {
        lodge.store.project_by_number(number).await
    } else if let Ok(id) = ProjectId::parse(text) {
        lodge.store.project_by_id(&id).await
    } else {
        Ok(None)
    };
    found.map_err(|error| failure::store(&error))
}

/// The answer about a resource that is not there or not the caller's: Google does not say which.
pub(crate) fn denied(permission: &str, resource: &str) -> Status {
    let message = format!("Permission '{permission}' denied on resource '{resource}' (or it may not exist).");
    let metadata = vec![("permission", permission.to_owned()), ("resource", resource.to_owned())];
    Status::new(Code::PermissionDenied, message).with(Detail::info("IAM_PERMISSION_DENIED", metadata))
}

/// A project as it is kept, into a project as it travels.
pub(crate) fn to_wire(project: &ProjectRecord) -> Project {
    Project {
        project_number: project.number.to_string(),
        project_id: project.id.to_string(),
        lifecycle_state: match project.state {
            ProjectState::Active => "ACTIVE",
            ProjectState::DeleteRequested => "DELETE_REQUESTED",
        }
        .to_owned(),
        name: project.display_name.clone(),
        create_time: timestamp::print(project.create_time),
        labels: project.labels.clone(),
    }
}
