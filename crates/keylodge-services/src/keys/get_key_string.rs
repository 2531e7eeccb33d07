//! `GET /v2/projects/*/locations/global/keys/*/keyString`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::GetKeyStringResponse;

use super::{find, show};
use crate::management::Call;

/// Shows the string, with an audit line.
pub(crate) async fn get_key_string(call: Call) -> Result<Response, Status> {
    let key = find(&call.lodge, call.project()?.number, call.place("key")).await?;
    let shown = show(&call.lodge, &call.act(), &key).await?;
    call.answer(&GetKeyStringResponse { key_string: shown.key_string.unwrap_or_default() })
}
