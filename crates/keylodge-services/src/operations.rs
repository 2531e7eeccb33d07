//! `GET /v1|v2|v3/operations/*`: one registry for all surfaces, keyed by the full name.

use std::time::Duration;

use axum::response::Response;
use keylodge_api::apikeys::KEY_TYPE;
use keylodge_api::operation::Operation;
use keylodge_api::resource_manager::PROJECT_TYPE;
use keylodge_api::service_usage::{DISABLE_TYPE, ENABLE_TYPE, ServiceAnswer};
use keylodge_api::{Code, Status};
use keylodge_rules::{KeyUid, ServiceName};
use keylodge_store::{Act, OperationKind};

use crate::query::Query;
use crate::{Lodge, failure, keys, projects, service_usage, wire};

/// How long the operation that made a key shows the string: whoever polls it needs it, and nobody later.
const STRING_SHOWN: Duration = Duration::from_secs(60 * 60);

pub(crate) async fn get(lodge: &Lodge, act: &Act, id: &str, query: &Query) -> Result<Response, Status> {
    let name = format!("operations/{id}");
    let found = lodge.store.operation(&name).await.map_err(|error| failure::store(&error))?;
    let operation = found.ok_or_else(|| Status::new(Code::NotFound, "Operation not found."))?;
    let project = lodge.store.project_by_number(operation.project).await.map_err(|error| failure::store(&error))?;
    let project = project.ok_or_else(failure::no_such_key)?;
    match operation.kind {
        OperationKind::CreateKey | OperationKind::DeleteKey | OperationKind::UndeleteKey => {
            let uid = KeyUid::parse(&operation.subject).map_err(|_| Status::internal())?;
            let key = lodge.store.key_by_uid(&uid, lodge.now()).await.map_err(|error| failure::store(&error))?;
            let key = key.ok_or_else(failure::no_such_key)?;
            let key = if act.at < operation.create_time.plus(STRING_SHOWN) {
                keys::show(lodge, act, &key).await?
            } else {
                keys::to_wire(&key)
            };
            wire::answer(&Operation::done(name, KEY_TYPE, key), query)
        }
        OperationKind::CreateProject => {
            wire::answer(&Operation::done(name, PROJECT_TYPE, projects::to_wire(&project)), query)
        }
        kind @ (OperationKind::EnableService | OperationKind::DisableService) => {
            let service = ServiceName::parse(&operation.subject).map_err(|_| Status::internal())?;
            let answer = ServiceAnswer { service: service_usage::to_wire(&project, &service) };
            let kind = if kind == OperationKind::EnableService { ENABLE_TYPE } else { DISABLE_TYPE };
            wire::answer(&Operation::done(name, kind, answer), query)
        }
    }
}
