//! `POST /v1/projects/*/services/*:enable`, `:disable`, `POST /v1/projects/*/services:batchEnable`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::operation::Operation;
use keylodge_api::service_usage::{
    BATCH_ENABLE_TYPE, BatchEnableAnswer, BatchEnableServicesRequest, DISABLE_TYPE, DisableServiceRequest, ENABLE_TYPE,
    EnableServiceRequest, ServiceAnswer,
};
use keylodge_rules::ServiceName;
use keylodge_store::{OperationKind, ProjectRecord};
use serde::Serialize;
use serde_json::json;

use super::{known, to_wire};
use crate::failure;
use crate::keys::operation_name;
use crate::management::Call;

pub(crate) async fn enable(mut call: Call) -> Result<Response, Status> {
    let EnableServiceRequest {} = call.read().await?;
    let services = known(&call.lodge, &[call.place("service")])?;
    let (operation, project) = switch(&call, &services, OperationKind::EnableService).await?;
    let answer = ServiceAnswer { service: to_wire(&call.lodge, &project, &services[0]) };
    call.answer(&with_metadata(Operation::done(operation, ENABLE_TYPE, answer), &project, &services))
}

pub(crate) async fn disable(mut call: Call) -> Result<Response, Status> {
    let DisableServiceRequest = call.read().await?;
    let services = known(&call.lodge, &[call.place("service")])?;
    let (operation, project) = switch(&call, &services, OperationKind::DisableService).await?;
    let answer = ServiceAnswer { service: to_wire(&call.lodge, &project, &services[0]) };
    call.answer(&with_metadata(Operation::done(operation, DISABLE_TYPE, answer), &project, &services))
}

pub(crate) async fn batch_enable(mut call: Call) -> Result<Response, Status> {
    let request: BatchEnableServicesRequest = call.read().await?;
    let names: Vec<&str> = request.service_ids.iter().map(String::as_str).collect();
    let services = known(&call.lodge, &names)?;
    let (operation, project) = switch(&call, &services, OperationKind::BatchEnableServices).await?;
    let answer = BatchEnableAnswer {
        services: services.iter().map(|service| to_wire(&call.lodge, &project, service)).collect(),
    };
    call.answer(&with_metadata(Operation::done(operation, BATCH_ENABLE_TYPE, answer), &project, &services))
}

/// Switches services on or off, all or none. In force at this gate when it has answered.
async fn switch(call: &Call, services: &[ServiceName], kind: OperationKind) -> Result<(String, ProjectRecord), Status> {
    let number = call.project()?.number;
    let operation = operation_name(&call.lodge, kind, number);
    let on = kind != OperationKind::DisableService;
    let switched = call.lodge.store.switch_services(number, services, on, (kind, &operation), &call.act()).await;
    let switched = switched.map_err(|error| failure::project(&error))?;
    call.in_force(switched.revision).await?;
    Ok((operation, switched.value))
}

/// The operation with the resources it was about.
pub(crate) fn with_metadata<T: Serialize>(
    operation: Operation<T>,
    project: &ProjectRecord,
    services: &[ServiceName],
) -> Operation<T> {
    let names = services.iter().map(|service| format!("services/{service}/projectSettings/{}", project.number));
    let names: Vec<String> = names.collect();
    operation.with_metadata("google.api.serviceusage.v1.OperationMetadata", json!({ "resourceNames": names }))
}
