//! `PATCH /v2/projects/*/locations/global/keys/*`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::{KEY_TYPE, KeyPatch};
use keylodge_api::operation::Operation;
use keylodge_store::{KeyError, OperationKind};

use super::wire::etag;
use super::{key_id, operation_name, to_wire};
use crate::failure;
use crate::management::Call;

/// Alters what the mask names. In force at this gate when it has answered. The string is no part of the answer, as at
/// Google.
pub(crate) async fn update(mut call: Call) -> Result<Response, Status> {
    call.query.word("checkExistingUsage", &super::CHECK_EXISTING_USAGE)?;
    let body = call.bytes().await?;
    let patch = KeyPatch::parse(call.query.given("updateMask"), &body)?;
    let lodge = &call.lodge;
    let project = call.project()?;
    let operation = operation_name(lodge, OperationKind::UpdateKey, project.number);
    let id = key_id(call.place("key"))?;
    let act = call.act_with([
        ("update_mask", call.query.get("updateMask").unwrap_or_default().to_owned()),
        ("display_name", patch.display_name.clone().unwrap_or_default()),
    ]);
    let step = Some((OperationKind::UpdateKey, operation.as_str()));
    let must_restrict = project.must_restrict;
    // What is wrong with the restrictions together with what the key has already.
    let mut mistake = None;
    let updated = lodge.store.alter_key(project.number, &id, step, &act, |key| {
        // Undelete it first.
        key.stage.delete(act.at)?;
        if patch.etag.as_ref().is_some_and(|expected| *expected != etag(key)) {
            return Err(KeyError::EtagMismatch);
        }
        if let Some(name) = patch.display_name {
            key.display_name = name;
        }
        if let Some(annotations) = patch.annotations {
            key.annotations = annotations;
        }
        key.restrictions = match patch.restrictions.apply(&key.restrictions, key.service_account.as_deref()) {
            Ok(restrictions) => restrictions,
            Err(status) => {
                mistake = Some(status);
                return Err(KeyError::Contradiction);
            }
        };
        if must_restrict && key.restrictions.is_unrestricted() && key.service_account.is_none() {
            return Err(KeyError::MustBeRestricted);
        }
        Ok(())
    });
    let updated = updated.await;
    if let Some(mistake) = mistake {
        return Err(mistake);
    }
    let updated = updated.map_err(|error| failure::key(&error))?;
    call.in_force(updated.revision).await?;
    call.answer(&Operation::done(operation, KEY_TYPE, to_wire(&updated.value)))
}
