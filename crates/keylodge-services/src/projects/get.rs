//! `GET /v1/projects/*`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_store::ProjectError;

use super::{find, to_wire};
use crate::query::Query;
use crate::{Lodge, failure, wire};

pub(crate) async fn get(lodge: &Lodge, project: &str, query: &Query) -> Result<Response, Status> {
    let project = find(lodge, project).await?.ok_or_else(|| failure::project(&ProjectError::NoSuchProject))?;
    wire::answer(&to_wire(&project), query)
}
