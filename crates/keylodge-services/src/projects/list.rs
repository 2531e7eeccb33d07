//! `GET /v1/projects`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::resource_manager::ListProjectsResponse;

use super::filter::Filter;
use super::to_wire;
use crate::query::{Query, invalid};
use crate::{Lodge, failure, paging, wire};

const PAGE_MAX: u32 = 500;

/// Lists the projects that match the filter, all of them without one. Answers are made of whole pages of the store, so a
/// filter that few projects match reads them all.
pub(crate) async fn list(lodge: &Lodge, query: &Query) -> Result<Response, Status> {
    let size = query.page_size(PAGE_MAX, PAGE_MAX)?;
    let filter = query.get("filter").map(Filter::parse).transpose().map_err(|_| {
        invalid(
            "filter",
            "Invalid filter. It looks like lifecycleState:ACTIVE AND (id:\"team-*\" OR labels.team:blue).",
        )
    })?;
    let wanted = usize::try_from(size).unwrap_or(usize::MAX);
    let mut after = paging::begin(query)?;
    let mut projects = Vec::new();
    let next = loop {
        let left = u32::try_from(wanted - projects.len()).unwrap_or(size);
        let page = lodge.store.projects(after, left).await.map_err(|error| failure::store(&error))?;
        let all = page.items.iter().map(to_wire);
        projects.extend(all.filter(|project| filter.as_ref().is_none_or(|filter| filter.matches(project))));
        match page.next {
            Some(next) if projects.len() < wanted => after = next,
            next => break next,
        }
    };
    let answer = ListProjectsResponse { projects, next_page_token: next.map(paging::token) };
    wire::answer(&answer, query)
}
