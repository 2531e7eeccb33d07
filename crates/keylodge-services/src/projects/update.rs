//! `PUT /v1/projects/*`, `PATCH /v3/projects/*`, `POST /v3/projects/*:move`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::operation::Operation;
use keylodge_api::resource_manager::{v1, v3};
use keylodge_rules::ProjectState;
use keylodge_store::{OperationKind, ProjectError, ProjectRecord};

use super::{display_name, parent_number, to_v1, to_v3};
use crate::keys::operation_name;
use crate::management::Call;
use crate::management::access::Access;
use crate::query::invalid;
use crate::{failure, find};

/// Replaces a project: a body without labels removes all labels. Id, number, state and parent, echoed back, are read
/// past.
pub(crate) async fn v1(mut call: Call) -> Result<Response, Status> {
    let new: v1::NewProject = call.read().await?;
    let number = call.project()?.number;
    let name = display_name(new.name, "name")?;
    let act = call.act_with([("display_name", name.clone())]);
    let updated = call.lodge.store.alter_project(number, None, &act, |project| {
        still_there(project)?;
        project.display_name = name;
        project.labels = new.labels;
        Ok(())
    });
    let updated = updated.await.map_err(|error| failure::project(&error))?;
    call.in_force(updated.revision).await?;
    call.answer(&to_v1(&updated.value))
}

/// Alters what the mask names: `displayName` and `labels`. Without a mask, what is given.
pub(crate) async fn v3(mut call: Call) -> Result<Response, Status> {
    let new: v3::NewProject = call.read_at("project").await?;
    let mask = call.query.get("updateMask").map(|mask| mask.split(',').map(str::trim).collect::<Vec<_>>());
    let wanted = |names: [&str; 2], given: bool| match &mask {
        None => given,
        Some(mask) => mask.iter().any(|path| names.contains(path) || *path == "*"),
    };
    const KNOWN: [&str; 14] = [
        "display_name",
        "displayName",
        "labels",
        "*",
        "name",
        "parent",
        "project_id",
        "projectId",
        "state",
        "etag",
        "create_time",
        "createTime",
        "update_time",
        "updateTime",
    ];
    if let Some(path) = mask.iter().flatten().find(|path| !KNOWN.contains(path)) {
        let path: String = path.chars().take(64).collect();
        return Err(invalid(
            "update_mask",
            format!("Unknown path '{path}'. A project's display_name and labels can be altered."),
        ));
    }
    let name = wanted(["display_name", "displayName"], new.display_name.is_some());
    let name = name.then(|| display_name(new.display_name.unwrap_or_default(), "project.display_name")).transpose()?;
    let labels = wanted(["labels", "labels"], new.labels.is_some()).then(|| new.labels.unwrap_or_default());
    let project = call.project()?;
    let operation = operation_name(&call.lodge, OperationKind::UpdateProject, project.number);
    let act = call.act_with([("display_name", name.clone().unwrap_or_default())]);
    let step = Some((OperationKind::UpdateProject, operation.as_str(), ""));
    let updated = call.lodge.store.alter_project(project.number, step, &act, |project| {
        still_there(project)?;
        if new.etag.as_ref().is_some_and(|expected| *expected != to_v3(project).etag) {
            return Err(ProjectError::EtagMismatch);
        }
        if let Some(name) = name {
            project.display_name = name;
        }
        if let Some(labels) = labels {
            project.labels = labels;
        }
        Ok(())
    });
    let updated = updated.await.map_err(|error| failure::project(&error))?;
    call.in_force(updated.revision).await?;
    call.answer(&Operation::done(operation, v3::PROJECT_TYPE, to_v3(&updated.value)))
}

/// A project that is deleted is brought back before it is altered.
fn still_there(project: &ProjectRecord) -> Result<(), ProjectError> {
    if project.state == ProjectState::Active { Ok(()) } else { Err(ProjectError::AlreadyDeleted) }
}

/// Puts a project under another organization; the caller must be allowed to make projects there.
pub(crate) async fn relocate(mut call: Call) -> Result<Response, Status> {
    let request: v3::MoveProjectRequest = call.read().await?;
    let parent = parent_number(&request.destination_parent)?;
    let there = find::organization(&call.lodge, &parent.to_string()).await?.is_some();
    let access = Access::to_organization(&call.lodge, parent).await?;
    if !there || !access.grants(&call.lodge, &call.operator, "resourcemanager.projects.create") {
        return Err(call.denied(&format!("organizations/{parent}")));
    }
    // Whoever owns a project alone cannot take it from the organization that it is in.
    if let Some(current) = call.project()?.parent {
        let access = Access::to_organization(&call.lodge, current).await?;
        if !access.grants(&call.lodge, &call.operator, "resourcemanager.projects.move") {
            return Err(call.denied(&format!("organizations/{current}")));
        }
    }
    let number = call.project()?.number;
    let operation = operation_name(&call.lodge, OperationKind::MoveProject, number);
    let act = call.act_with([("destination_parent", format!("organizations/{parent}"))]);
    let step = Some((OperationKind::MoveProject, operation.as_str(), ""));
    let moved = call.lodge.store.alter_project(number, step, &act, |project| {
        project.parent = Some(parent);
        Ok(())
    });
    let moved = moved.await.map_err(|error| failure::project(&error))?;
    call.in_force(moved.revision).await?;
    call.answer(&Operation::done(operation, v3::PROJECT_TYPE, to_v3(&moved.value)))
}
