//! `GET /v2/projects/*/locations/global/keys/*/keyString`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::GetKeyStringResponse;
use keylodge_store::Act;

use super::Parent;
use crate::query::Query;
use crate::{Lodge, failure, wire};

/// The only read that shows a string, and so the only one with an audit line.
pub(crate) async fn get_key_string(
    lodge: &Lodge,
    act: &Act,
    parent: &Parent,
    key: &str,
    query: &Query,
) -> Result<Response, Status> {
    let key = parent.key(lodge, key).await?;
    let sealed = lodge.store.look_at_sealed(&key, act).await.map_err(|error| failure::key(&error))?;
    let string = lodge.vault.open(&key.uid, &sealed).map_err(failure::vault)?;
    wire::answer(&GetKeyStringResponse { key_string: string.reveal().to_owned() }, query)
}
