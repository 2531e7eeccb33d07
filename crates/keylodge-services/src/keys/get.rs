//! `GET /v2/projects/*/locations/global/keys/*`

use axum::response::Response;
use keylodge_api::Status;

use super::{find, to_wire};
use crate::management::Call;

pub(crate) async fn get(call: Call) -> Result<Response, Status> {
    let key = find(&call.lodge, call.project()?.number, call.place("key")).await?;
    call.answer(&to_wire(&key))
}
