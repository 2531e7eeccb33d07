//! `POST /v2/projects/*/locations/global/keys/*:undelete`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::KEY_TYPE;
use keylodge_api::operation::Operation;
use keylodge_api::proto_json::Empty;
use keylodge_store::{KeyError, OperationKind};

use super::JULES_PROFILE;
use super::{find, key_id, operation_name};
use crate::failure;
use crate::management::Call;

pub(crate) async fn undelete(mut call: Call) -> Result<Response, Status> {
    let Empty {} = call.read().await?;
    let lodge = &call.lodge;
    let project = call.project()?.number;
    within_profile(&call).await?;
    let operation = operation_name(lodge, OperationKind::UndeleteKey, project);
    let (id, act) = (key_id(call.place("key"))?, call.act());
    let step = Some((OperationKind::UndeleteKey, operation.as_str()));
    let undeleted = lodge.store.alter_key(project, &id, step, &act, |key| {
        key.stage = key.stage.undelete(act.at)?;
        Ok(())
    });
    let undeleted = undeleted.await.map_err(|error| failure::key(&error))?;
    call.in_force(undeleted.revision).await?;
    let key = super::reveal_to(&call, &undeleted.value).await?;
    call.answer(&Operation::done(operation, KEY_TYPE, key))
}

/// A key of a limited kind comes back only where a new one could be made.
async fn within_profile(call: &Call) -> Result<(), Status> {
    let lodge = &call.lodge;
    let key = find(lodge, call.project()?.number, call.place("key")).await?;
    let keys_max = lodge.workspace.jules_keys_max;
    if key.profile != JULES_PROFILE {
        return Ok(());
    }
    let known = lodge.store.keys_of_profile(&key.creator, &key.profile).await;
    if known.map_err(|error| failure::store(&error))? < keys_max {
        return Ok(());
    }
    Err(failure::key(&KeyError::TooManyOfProfile { keys_max }))
}
