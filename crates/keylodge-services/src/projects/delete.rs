//! `DELETE /v1|v3/projects/*`, `POST /v1|v3/projects/*:undelete`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::operation::Operation;
use keylodge_api::proto_json::Empty;
use keylodge_api::resource_manager::v3::PROJECT_TYPE;
use keylodge_rules::ProjectState;
use keylodge_store::{OperationKind, ProjectError, ProjectRecord};
use serde_json::json;

use super::to_v3;
use crate::failure;
use crate::keys::operation_name;
use crate::management::Call;

/// Deletes a project: its keys are refused when this has answered, and it can come back for 30 days.
pub(crate) async fn delete_v1(call: Call) -> Result<Response, Status> {
    alter(&call, None, delete).await?;
    call.answer(&json!({}))
}

pub(crate) async fn delete_v3(call: Call) -> Result<Response, Status> {
    answer(&call, OperationKind::DeleteProject, delete).await
}

pub(crate) async fn undelete_v1(mut call: Call) -> Result<Response, Status> {
    let Empty {} = call.read().await?;
    alter(&call, None, undelete).await?;
    call.answer(&json!({}))
}

pub(crate) async fn undelete_v3(mut call: Call) -> Result<Response, Status> {
    let Empty {} = call.read().await?;
    answer(&call, OperationKind::UndeleteProject, undelete).await
}

fn delete(project: &mut ProjectRecord, now: keylodge_rules::Timestamp) -> Result<(), ProjectError> {
    if project.state != ProjectState::Active {
        return Err(ProjectError::AlreadyDeleted);
    }
    project.state = ProjectState::DeleteRequested;
    project.delete_time = Some(now);
    Ok(())
}

fn undelete(project: &mut ProjectRecord, _: keylodge_rules::Timestamp) -> Result<(), ProjectError> {
    if project.state != ProjectState::DeleteRequested {
        return Err(ProjectError::NotDeleted);
    }
    project.state = ProjectState::Active;
    project.delete_time = None;
    Ok(())
}

type Step = fn(&mut ProjectRecord, keylodge_rules::Timestamp) -> Result<(), ProjectError>;

async fn answer(call: &Call, kind: OperationKind, step: Step) -> Result<Response, Status> {
    let operation = operation_name(&call.lodge, kind, call.project()?.number);
    let project = alter(call, Some((kind, &operation)), step).await?;
    call.answer(&Operation::done(operation.clone(), PROJECT_TYPE, to_v3(&project)))
}

async fn alter(call: &Call, operation: Option<(OperationKind, &str)>, step: Step) -> Result<ProjectRecord, Status> {
    let (number, act) = (call.project()?.number, call.act());
    let operation = operation.map(|(kind, name)| (kind, name, ""));
    let altered = call.lodge.store.alter_project(number, operation, &act, |project| step(project, act.at)).await;
    let altered = altered.map_err(|error| failure::project(&error))?;
    call.in_force(altered.revision).await?;
    Ok(altered.value)
}
