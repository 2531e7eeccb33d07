//! `POST /v2/projects/*/locations/global/keys/*:undelete`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::KEY_TYPE;
use keylodge_api::operation::Operation;
use keylodge_api::proto_json::Empty;
use keylodge_store::OperationKind;

use super::{key_id, operation_name, reveal};
use crate::failure;
use crate::management::Call;

pub(crate) async fn undelete(mut call: Call) -> Result<Response, Status> {
    let Empty = call.read().await?;
    let lodge = &call.lodge;
    let project = call.project()?.number;
    let operation = operation_name(lodge, OperationKind::UndeleteKey, project);
    let (id, act) = (key_id(call.place("key"))?, call.act());
    let step = Some((OperationKind::UndeleteKey, operation.as_str()));
    let undeleted = lodge.store.alter_key(project, &id, step, &act, |key| {
        key.stage = key.stage.undelete(act.at)?;
        Ok(())
    });
    let undeleted = undeleted.await.map_err(|error| failure::key(&error))?;
    call.in_force(undeleted.revision).await?;
    let key = reveal(lodge, &undeleted.value).await?;
    call.answer(&Operation::done(operation, KEY_TYPE, key))
}
