//! `GET /v1/projects`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::resource_manager::ListProjectsResponse;

use super::to_wire;
use crate::query::Query;
use crate::{Lodge, failure, paging, wire};

const PAGE_MAX: u32 = 500;

/// Lists all projects. `filter` is not looked at yet, so too much comes; gcloud filters only what it could not send.
pub(crate) async fn list(lodge: &Lodge, query: &Query) -> Result<Response, Status> {
    let size = query.page_size(PAGE_MAX, PAGE_MAX)?;
    let page = lodge.store.projects(paging::begin(query)?, size).await.map_err(|error| failure::store(&error))?;
    let answer = ListProjectsResponse {
        projects: page.items.iter().map(to_wire).collect(),
        next_page_token: page.next.map(paging::token),
    };
    wire::answer(&answer, query)
}
