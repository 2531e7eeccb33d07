//! `GET /v2/projects/*/locations/global/keys/*/keyString`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::GetKeyStringResponse;
use keylodge_store::Act;

use super::{Parent, show};
use crate::query::Query;
use crate::{Lodge, wire};

/// Shows the string, with an audit line.
pub(crate) async fn get_key_string(
    lodge: &Lodge,
    act: &Act,
    parent: &Parent,
    key: &str,
    query: &Query,
) -> Result<Response, Status> {
    let key = parent.key(lodge, key).await?;
    let shown = show(lodge, act, &key).await?;
    wire::answer(&GetKeyStringResponse { key_string: shown.key_string.unwrap_or_default() }, query)
}
