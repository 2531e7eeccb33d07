//! `DELETE /v2/projects/*/locations/global/keys/*`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::KEY_TYPE;
use keylodge_api::operation::Operation;
use keylodge_store::{KeyError, OperationKind};

use super::wire::etag;
use super::{key_id, operation_name};
use crate::failure;
use crate::management::Call;

/// Deletes a key. When this has answered, the gate refuses it.
pub(crate) async fn delete(call: Call) -> Result<Response, Status> {
    call.query.word("checkExistingUsage", &super::CHECK_EXISTING_USAGE)?;
    let lodge = &call.lodge;
    let project = call.project()?.number;
    let expected = call.query.get("etag");
    let operation = operation_name(lodge, OperationKind::DeleteKey, project);
    let (id, act) = (key_id(call.place("key"))?, call.act());
    let step = Some((OperationKind::DeleteKey, operation.as_str()));
    let deleted = lodge.store.alter_key(project, &id, step, &act, |key| {
        if expected.is_some_and(|expected| expected != etag(key)) {
            return Err(KeyError::EtagMismatch);
        }
        key.stage = key.stage.delete(act.at)?;
        Ok(())
    });
    let deleted = deleted.await.map_err(|error| failure::key(&error))?;
    call.in_force(deleted.revision).await?;
    let key = super::reveal_to(&call, &deleted.value).await?;
    call.answer(&Operation::done(operation, KEY_TYPE, key))
}
