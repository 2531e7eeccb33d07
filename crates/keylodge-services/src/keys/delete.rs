//! `DELETE /v2/projects/*/locations/global/keys/*`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::KEY_TYPE;
use keylodge_api::operation::Operation;
use keylodge_store::{Act, KeyError, OperationKind};

use super::wire::etag;
use super::{Parent, key_id, operation_name, reveal};
use crate::query::Query;
use crate::{Lodge, failure, wire};

/// Deletes a key. When this has answered, the gate refuses it.
pub(crate) async fn delete(
    lodge: &Lodge,
    act: &Act,
    parent: &Parent,
    key: &str,
    query: &Query,
) -> Result<Response, Status> {
    let project = parent.project.number;
    let fingerprint = match query.get("etag") {
        None => None,
        Some(expected) => {
            let key = parent.key(lodge, key).await?;
            if etag(&key) != expected {
                return Err(failure::key(&KeyError::EtagMismatch));
            }
            Some(key.fingerprint())
        }
    };
    let operation = operation_name(lodge, OperationKind::DeleteKey, project);
    let deleted = lodge.store.delete_key(project, &key_id(key)?, fingerprint, &operation, act).await;
    let deleted = deleted.map_err(|error| failure::key(&error))?;
    lodge.feed.caught_up_with(deleted.revision).await.map_err(failure::not_caught_up)?;
    let key = reveal(lodge, &deleted.value).await?;
    wire::answer(&Operation::done(operation, KEY_TYPE, key), query)
}
