//! `GET /v1/projects/*`, `GET /v3/projects/*`

use axum::response::Response;
use keylodge_api::Status;

use super::{to_v1, to_v3};
use crate::management::Call;

pub(crate) async fn v1(call: Call) -> Result<Response, Status> {
    call.answer(&to_v1(call.project()?))
}

pub(crate) async fn v3(call: Call) -> Result<Response, Status> {
    call.answer(&to_v3(call.project()?))
}
