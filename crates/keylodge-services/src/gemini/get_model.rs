//! `GET /v1/models/*`

use axum::response::Response;
use keylodge_api::Status;
use tokio::time::Instant;

use super::models::{Found, of_embedder, of_engine};
use super::{no_such_model, there};
use crate::query::Query;
use crate::{Lodge, wire};

/// Google's text for an unknown model is UNCONFIRMED here; the one of the other methods serves.
pub(super) async fn answer(
    lodge: &Lodge,
    version: &str,
    model: &str,
    query: &Query,
    deadline: Instant,
) -> Result<Response, Status> {
    match lodge.models.find(model) {
        Some(Found::Here(entry)) => return wire::answer(&of_engine(entry), query),
        Some(Found::Embeds(entry)) => return wire::answer(&of_embedder(entry), query),
        Some(Found::There(elsewhere)) => {
            let is_settled = lodge.models.entries().iter().any(|entry| entry.name() == model);
            if let Some(described) = there::models::describe(elsewhere, version, model, is_settled, deadline).await? {
                return wire::answer(&described, query);
            }
        }
        None => {}
    }
    Err(no_such_model(version, model, "getModel"))
}
