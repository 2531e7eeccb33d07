//! `GET /v2/projects/*/locations/global/keys/*`

use axum::response::Response;
use keylodge_api::Status;

use super::{Parent, to_wire};
use crate::query::Query;
use crate::{Lodge, wire};

pub(crate) async fn get(lodge: &Lodge, parent: &Parent, key: &str, query: &Query) -> Result<Response, Status> {
    let key = parent.key(lodge, key).await?;
    wire::answer(&to_wire(&key), query)
}
