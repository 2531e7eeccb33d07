//! `POST /v2/projects/*/locations/global/keys/*:undelete`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::KEY_TYPE;
use keylodge_api::operation::Operation;
use keylodge_store::{Act, OperationKind};

use super::{Parent, key_id, operation_name, reveal};
use crate::query::Query;
use crate::{Lodge, failure, wire};

pub(crate) async fn undelete(
    lodge: &Lodge,
    act: &Act,
    parent: &Parent,
    key: &str,
    query: &Query,
) -> Result<Response, Status> {
    let project = parent.project.number;
    let operation = operation_name(lodge, OperationKind::UndeleteKey, project);
    let undeleted = lodge.store.undelete_key(project, &key_id(key)?, &operation, act).await;
    let undeleted = undeleted.map_err(|error| failure::key(&error))?;
    lodge.feed.caught_up_with(undeleted.revision).await.map_err(failure::not_caught_up)?;
    let key = reveal(lodge, &undeleted.value).await?;
    wire::answer(&Operation::done(operation, KEY_TYPE, key), query)
}
