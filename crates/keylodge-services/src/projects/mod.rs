//! Resource Manager's projects, in both versions, a file for each method.

mod ancestry;
mod create;
mod delete;
mod filter;
mod get;
mod list;
mod search;
mod update;

pub(crate) use create::{Making, created_v1, created_v3, make, owned_by};
pub(crate) use list::page;

use keylodge_api::resource_manager::{v1, v3};
use keylodge_api::status::FieldViolation;
use keylodge_api::{Code, Detail, Status, timestamp};
use keylodge_rules::ProjectState;
use keylodge_store::ProjectRecord;

use crate::management::Route;
use crate::management::route::route;

/// The routes of projects. Policies of projects are with the other policies.
pub(crate) const ROUTES: &[Route] = &[
    route!("POST" "/v1/projects", RESOURCE_MANAGER "CreateProject",
        "resourcemanager.projects.create" on Each, [], create::v1),
    route!("GET" "/v1/projects", RESOURCE_MANAGER "ListProjects",
        "resourcemanager.projects.get" on Each, ["filter", "pageSize", "pageToken"], list::v1),
    route!("GET" "/v1/projects/{project}", RESOURCE_MANAGER "GetProject",
        "resourcemanager.projects.get" on Project, [], get::v1),
    route!("PUT" "/v1/projects/{project}", RESOURCE_MANAGER "UpdateProject",
        "resourcemanager.projects.update" on Project, [], update::v1),
    route!("DELETE" "/v1/projects/{project}", RESOURCE_MANAGER "DeleteProject",
        "resourcemanager.projects.delete" on Project, [], delete::delete_v1),
    route!("POST" "/v1/projects/{project}:undelete", RESOURCE_MANAGER "UndeleteProject",
        "resourcemanager.projects.undelete" on Project, [], delete::undelete_v1),
    route!("POST" "/v1/projects/{project}:getAncestry", RESOURCE_MANAGER "GetAncestry",
        "resourcemanager.projects.get" on Project, [], ancestry::get_ancestry),
    route!("POST" "/v3/projects", RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.CreateProject",
        "resourcemanager.projects.create" on Each, [], create::v3),
    route!("GET" "/v3/projects", RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.ListProjects",
        "resourcemanager.projects.list" on Each, ["parent", "pageSize", "pageToken", "showDeleted"], list::v3),
    route!("GET" "/v3/projects:search", RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.SearchProjects",
        "resourcemanager.projects.get" on Each, ["query", "pageSize", "pageToken"], search::search),
    route!("GET" "/v3/projects/{project}", RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.GetProject",
        "resourcemanager.projects.get" on Project, [], get::v3),
    route!("PATCH" "/v3/projects/{project}", RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.UpdateProject",
        "resourcemanager.projects.update" on Project, ["updateMask"], update::v3),
    route!("DELETE" "/v3/projects/{project}", RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.DeleteProject",
        "resourcemanager.projects.delete" on Project, [], delete::delete_v3),
    route!("POST" "/v3/projects/{project}:undelete",
        RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.UndeleteProject",
        "resourcemanager.projects.undelete" on Project, [], delete::undelete_v3),
    route!("POST" "/v3/projects/{project}:move", RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Projects.MoveProject",
        "resourcemanager.projects.move" on Project, [], update::relocate),
];

fn state(project: &ProjectRecord) -> String {
    match project.state {
        ProjectState::Active => "ACTIVE",
        ProjectState::DeleteRequested => "DELETE_REQUESTED",
    }
    .to_owned()
}

/// A project as it is kept, into a project as v1 has it.
pub(crate) fn to_v1(project: &ProjectRecord) -> v1::Project {
    v1::Project {
        project_number: project.number.to_string(),
        project_id: project.id.to_string(),
        lifecycle_state: state(project),
        name: project.display_name.clone(),
        create_time: timestamp::print(project.create_time),
        labels: project.labels.clone(),
        parent: project.parent.map(|number| v1::ResourceId { kind: "organization".to_owned(), id: number.to_string() }),
    }
}

/// A project as it is kept, into a project as v3 has it.
pub(crate) fn to_v3(project: &ProjectRecord) -> v3::Project {
    v3::Project {
        name: format!("projects/{}", project.number),
        parent: project.parent.map(|number| format!("organizations/{number}")),
        project_id: project.id.to_string(),
        state: state(project),
        display_name: project.display_name.clone(),
        create_time: timestamp::print(project.create_time),
        update_time: timestamp::print(project.update_time),
        delete_time: project.delete_time.map(timestamp::print),
        etag: format!("W/\"{:016x}\"", project.revision.0),
        labels: project.labels.clone(),
    }
}

/// Google's rule for names of projects. A name made from an id always fits.
fn is_display_name(name: &str) -> bool {
    (4..=30).contains(&name.chars().count())
        && name.chars().all(|letter| letter.is_alphanumeric() || "-'\" !".contains(letter))
}

/// A name that people see, or what is wrong with it.
fn display_name(name: String, field: &str) -> Result<String, Status> {
    if is_display_name(&name) {
        return Ok(name);
    }
    Err(issue(field, "a display name has 4 to 30 letters, digits, hyphens, quotes, spaces and exclamation marks"))
}

/// The number of the organization that `organizations/N`, or N alone, means.
fn parent_number(text: &str) -> Result<u64, Status> {
    let number = text.strip_prefix("organizations/").unwrap_or(text);
    number.parse().map_err(|_| {
        issue("parent", "the parent of a project is an organization, as organizations/123; Keylodge has no folders")
    })
}

/// Resource Manager's own way of naming a bad field.
fn issue(field: &str, description: &str) -> Status {
    let violation = FieldViolation { field: field.to_owned(), description: description.to_owned() };
    Status::new(Code::InvalidArgument, format!("field [{field}] has issue [{description}]"))
        .with(Detail::BadRequest(vec![violation]))
}
