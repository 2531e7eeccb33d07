//! `GET /v1|v2|v3/operations/*`: one registry for all surfaces, keyed by the full name.

use std::time::Duration;

use axum::response::Response;
use keylodge_api::apikeys::KEY_TYPE;
use keylodge_api::operation::Operation;
use keylodge_api::resource_manager::v3;
use keylodge_api::service_usage::{BATCH_ENABLE_TYPE, BatchEnableAnswer, DISABLE_TYPE, ENABLE_TYPE, ServiceAnswer};
use keylodge_api::{Code, Status};
use keylodge_rules::{KeyUid, ServiceName};
use keylodge_store::OperationKind;

use crate::management::access::Access;
use crate::management::route::route;
use crate::management::{Call, Route};
use crate::{failure, keys, projects, service_usage};

/// The routes of operations: gcloud asks one surface for the operations of another, so all three have all of them.
pub(crate) const ROUTES: &[Route] = &[
    route!("GET" "/v1/operations/{operation}", SERVICE_USAGE "google.longrunning.Operations.GetOperation",
        "serviceusage.operations.get" on Each, [], get),
    route!("GET" "/v2/operations/{operation}", API_KEYS "google.longrunning.Operations.GetOperation",
        "serviceusage.operations.get" on Each, [], get),
    route!("GET" "/v3/operations/{operation}", RESOURCE_MANAGER "google.longrunning.Operations.GetOperation",
        "serviceusage.operations.get" on Each, [], get),
];

/// How long the operation that made a key shows the string: whoever polls it needs it, and nobody later.
const STRING_SHOWN: Duration = Duration::from_secs(60 * 60);

/// Shows an operation to whoever did it, and to those who may look at the operations of its project. The key string is
/// for those who may see key strings.
async fn get(call: Call) -> Result<Response, Status> {
    let lodge = &call.lodge;
    let name = format!("operations/{}", call.place("operation"));
    let missing = || Status::new(Code::NotFound, "Operation not found.");
    let found = lodge.store.operation(&name).await.map_err(|error| failure::store(&error))?;
    let operation = found.ok_or_else(missing)?;
    let project = lodge.store.project_by_number(operation.project, lodge.now()).await;
    let project = project.map_err(|error| failure::store(&error))?.ok_or_else(missing)?;
    let access = Access::to_project(lodge, &project).await?;
    let grants = |permission: &str| access.grants(lodge, &call.operator, permission);
    let own = operation.principal == call.operator.member();
    if !own && !grants("serviceusage.operations.get") {
        return Err(missing());
    }
    match operation.kind {
        kind @ (OperationKind::CreateKey
        | OperationKind::UpdateKey
        | OperationKind::DeleteKey
        | OperationKind::UndeleteKey) => {
            let uid = KeyUid::parse(&operation.subject).map_err(|_| Status::internal())?;
            let key = lodge.store.key_by_uid(&uid, lodge.now()).await.map_err(|error| failure::store(&error))?;
            let key = key.ok_or_else(missing)?;
            // The permission of today, and the string of then: not one that came by a later rotation.
            let may = grants("apikeys.keys.getKeyString");
            let shown = kind != OperationKind::UpdateKey && lodge.now() < operation.create_time.plus(STRING_SHOWN);
            let kept = lodge.store.current_string(&uid).await.map_err(|error| failure::store(&error))?;
            let kept =
                kept.is_some_and(|string| string.sealed.is_some() && string.create_time <= operation.create_time);
            let key =
                if may && shown && kept { keys::show(lodge, &call.act(), &key).await? } else { keys::to_wire(&key) };
            call.answer(&Operation::done(name, KEY_TYPE, key))
        }
        OperationKind::CreateProject => call.answer(&projects::created_v1(name, &project)),
        OperationKind::CreateProjectV3 => call.answer(&projects::created_v3(name, &project)),
        OperationKind::UpdateProject
        | OperationKind::DeleteProject
        | OperationKind::UndeleteProject
        | OperationKind::MoveProject => {
            call.answer(&Operation::done(name, v3::PROJECT_TYPE, projects::to_v3(&project)))
        }
        kind @ (OperationKind::EnableService | OperationKind::DisableService) => {
            let service = ServiceName::parse(&operation.subject).map_err(|_| Status::internal())?;
            let answer = ServiceAnswer { service: service_usage::to_wire(lodge, &project, &service) };
            let kind = if kind == OperationKind::EnableService { ENABLE_TYPE } else { DISABLE_TYPE };
            let done = Operation::done(name, kind, answer);
            call.answer(&service_usage::with_metadata(done, &project, &[service]))
        }
        OperationKind::BatchEnableServices => {
            let services: Vec<ServiceName> =
                operation.subject.split(',').filter_map(|name| ServiceName::parse(name).ok()).collect();
            let answer = BatchEnableAnswer {
                services: services.iter().map(|service| service_usage::to_wire(lodge, &project, service)).collect(),
            };
            let done = Operation::done(name, BATCH_ENABLE_TYPE, answer);
            call.answer(&service_usage::with_metadata(done, &project, &services))
        }
    }
}
