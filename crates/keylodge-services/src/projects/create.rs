//! `POST /v1/projects`, `POST /v3/projects`

use std::collections::BTreeMap;

use axum::response::Response;
use keylodge_api::operation::Operation;
use keylodge_api::resource_manager::{v1, v3};
use keylodge_api::{Status, timestamp};
use keylodge_rules::iam::{Binding, Member, Policy, RoleName};
use keylodge_rules::{ProjectId, ProjectNumber};
use keylodge_store::{Act, OperationKind, ProjectRecord};
use serde_json::{Value, json};

use super::{display_name, issue, parent_number, to_v1, to_v3};
use crate::keys::operation_name;
use crate::management::Call;
use crate::management::access::Access;
use crate::{Lodge, failure, find, service_usage};

/// Words that Google does not let into ids of projects.
const PROHIBITED: [&str; 2] = ["google", "ssl"];

/// How a project is made.
#[derive(Debug, Default)]
pub(crate) struct Making {
    /// The id wanted; empty lets the server choose.
    pub(crate) id: String,
    /// The name for people; empty takes the id.
    pub(crate) display_name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) parent: Option<u64>,
    /// Who becomes its owner, as IAM policies have it.
    pub(crate) owner: String,
    pub(crate) operation: Option<OperationKind>,
}

pub(crate) async fn v1(mut call: Call) -> Result<Response, Status> {
    let new: v1::NewProject = call.read().await?;
    let parent = new.parent.as_deref().map(parent_number).transpose()?;
    let operation = Some(OperationKind::CreateProject);
    let (id, display_name) = (new.project_id, new.name);
    let making = Making { id, display_name, labels: new.labels, parent, owner: String::new(), operation };
    let (operation, project) = create(&call, making).await?;
    call.answer(&created_v1(operation, &project))
}

pub(crate) async fn v3(mut call: Call) -> Result<Response, Status> {
    let new: v3::NewProject = call.read_at("project").await?;
    if new.name.is_some() {
        return Err(issue("project.name", "field should not be set for new projects"));
    }
    let parent = new.parent.as_deref().map(parent_number).transpose()?;
    let making = Making {
        id: new.project_id,
        display_name: new.display_name.unwrap_or_default(),
        labels: new.labels.unwrap_or_default(),
        parent,
        owner: String::new(),
        operation: Some(OperationKind::CreateProjectV3),
    };
    let (operation, project) = create(&call, making).await?;
    call.answer(&created_v3(operation, &project))
}

/// The operation that made a project, as v1 has it.
pub(crate) fn created_v1(operation: String, project: &ProjectRecord) -> Operation<v1::Project> {
    Operation::done(operation, v1::PROJECT_TYPE, to_v1(project))
        .with_metadata("google.cloudresourcemanager.v1.ProjectCreationStatus", progress(project))
}

/// The operation that made a project, as v3 has it.
pub(crate) fn created_v3(operation: String, project: &ProjectRecord) -> Operation<v3::Project> {
    Operation::done(operation, v3::PROJECT_TYPE, to_v3(project))
        .with_metadata("google.cloud.resourcemanager.v3.CreateProjectMetadata", progress(project))
}

fn progress(project: &ProjectRecord) -> Value {
    json!({"createTime": timestamp::print(project.create_time), "gettable": true, "ready": true})
}

/// Makes a project for whoever calls, where they may make projects: in the organization, or in the deployment.
async fn create(call: &Call, making: Making) -> Result<(String, ProjectRecord), Status> {
    let (there, name, access) = match making.parent {
        Some(number) => {
            let found = find::organization(&call.lodge, &number.to_string()).await?;
            let access = Access::to_organization(&call.lodge, number).await?;
            (found.is_some(), format!("organizations/{number}"), access)
        }
        None => (true, making.id.clone(), Access::to_deployment(&call.lodge).await?),
    };
    if !there || !access.grants(&call.lodge, &call.operator, "resourcemanager.projects.create") {
        return Err(call.denied(&name));
    }
    let act = call.act_with([("project_id", making.id.clone()), ("display_name", making.display_name.clone())]);
    make(&call.lodge, &act, Making { owner: call.operator.member().to_owned(), ..making }).await
}

/// Makes a project that the gate knows when this returns. Its services are on, as in the projects AI Studio makes.
pub(crate) async fn make(lodge: &Lodge, act: &Act, making: Making) -> Result<(String, ProjectRecord), Status> {
    let id = match making.id.as_str() {
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
    let name = if making.display_name.is_empty() { id.to_string() } else { making.display_name };
    let number = ProjectNumber::from_random(lodge.random());
    let operation = making.operation.map(|kind| operation_name(lodge, kind, number));
    let new = keylodge_store::NewProject {
        number,
        id,
        display_name: display_name(name, "name")?,
        parent: making.parent,
        labels: making.labels,
        services: service_usage::on_from_the_start(),
        policy: owned_by(&making.owner),
        operation: operation.clone(),
    };
    let made = lodge.store.create_project(&new, act).await.map_err(|error| failure::project(&error))?;
    lodge.feed.caught_up_with(made.revision).await.map_err(failure::not_caught_up)?;
    Ok((operation.unwrap_or_default(), made.value))
}

/// The policy of something new: whoever made it owns it.
pub(crate) fn owned_by(member: &str) -> Policy {
    let owner = Member::parse(member).ok().zip(RoleName::parse("roles/owner").ok());
    let bindings = owner.map(|(member, role)| Binding { role, members: vec![member], condition: None });
    Policy { version: 1, bindings: bindings.into_iter().collect(), ..Policy::default() }
}
