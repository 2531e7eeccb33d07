//! `POST /v1/projects`

use axum::body::Body;
use axum::response::Response;
use keylodge_api::operation::Operation;
use keylodge_api::resource_manager::{NewProject, PROJECT_TYPE};
use keylodge_api::status::FieldViolation;
use keylodge_api::{Code, Detail, Status};
use keylodge_rules::{ProjectId, ProjectNumber};
use keylodge_store::{Act, OperationKind, ProjectRecord};

use super::to_wire;
use crate::query::Query;
use crate::{Lodge, failure, keys, service_usage, wire};

/// Words that Google does not let into ids of projects.
const PROHIBITED: [&str; 2] = ["google", "ssl"];

pub(crate) async fn create(lodge: &Lodge, act: &Act, query: &Query, body: Body) -> Result<Response, Status> {
    let new: NewProject = wire::read(lodge, body).await?;
    let id = match new.project_id.as_str() {
        // As AI Studio names the projects it makes.
        "" => format!("gen-lang-client-{:010}", u64::from_le_bytes(lodge.random()) % 10_000_000_000),
        given => given.to_owned(),
    };
    let Ok(id) = ProjectId::parse(&id) else {
        return Err(issue("project_id", "project_id contains invalid characters"));
    };
    if PROHIBITED.iter().any(|word| id.as_str().contains(word)) {
        return Err(issue("project_id", "project_id contains prohibited words"));
    }
    let display_name = if new.name.is_empty() { id.to_string() } else { new.name };
    if !is_display_name(&display_name) {
        return Err(issue(
            "name",
            "a display name has 4 to 30 letters, digits, hyphens, quotes, spaces and exclamation marks",
        ));
    }
    let (operation, project) = make(lodge, act, id, display_name, new.labels).await?;
    wire::answer(&Operation::done(operation, PROJECT_TYPE, to_wire(&project)), query)
}

/// Makes a project that the gate knows when this returns. Its services are on, as in the projects AI Studio makes.
pub(crate) async fn make(
    lodge: &Lodge,
    act: &Act,
    id: ProjectId,
    display_name: String,
    labels: std::collections::BTreeMap<String, String>,
) -> Result<(String, ProjectRecord), Status> {
    let number = ProjectNumber::from_random(lodge.random());
    let operation = keys::operation_name(lodge, OperationKind::CreateProject, number);
    let new = keylodge_store::NewProject {
        number,
        id,
        display_name,
        labels,
        services: service_usage::names(),
        operation: operation.clone(),
    };
    let made = lodge.store.create_project(&new, act).await.map_err(|error| failure::project(&error))?;
    lodge.feed.caught_up_with(made.revision).await.map_err(failure::not_caught_up)?;
    Ok((operation, made.value))
}

/// Google's rule for names of projects. A name made from an id always fits.
fn is_display_name(name: &str) -> bool {
    (4..=30).contains(&name.chars().count())
        && name.chars().all(|letter| letter.is_alphanumeric() || "-'\" !".contains(letter))
}

/// Resource Manager's own way of naming a bad field.
fn issue(field: &str, description: &str) -> Status {
    let violation = FieldViolation { field: field.to_owned(), description: description.to_owned() };
    Status::new(Code::InvalidArgument, format!("field [{field}] has issue [{description}]"))
        .with(Detail::BadRequest(vec![violation]))
}
