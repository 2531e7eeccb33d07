//! `GET /v1/models/*`

use axum::response::Response;
use keylodge_api::Status;

use super::models::to_wire;
use super::no_such_model;
use crate::query::Query;
use crate::{Lodge, wire};

/// Google's text for an unknown model is UNCONFIRMED here; the one of the other methods serves.
pub(super) fn answer(lodge: &Lodge, version: &str, model: &str, query: &Query) -> Result<Response, Status> {
    let entry = lodge.models.find(model).ok_or_else(|| no_such_model(version, model, "getModel"))?;
    wire::answer(&to_wire(entry), query)
}
