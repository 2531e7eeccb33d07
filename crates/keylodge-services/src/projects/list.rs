//! `GET /v1/projects`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::resource_manager::ListProjectsResponse;

use super::filter::Filter;
use super::to_wire;
use crate::query::{Query, invalid};
use crate::{Lodge, failure, paging, wire};

const PAGE_MAX: u32 = 500;

/// Lists the projects that match the filter, all of them without one. A filter that few match reads them all.
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
    // Ends when one more is found than fits on the page, or nothing more is there.
    let next = 'pages: loop {
        let page = lodge.store.projects(after, PAGE_MAX).await.map_err(|error| failure::store(&error))?;
        for record in &page.items {
            let project = to_wire(record);
            if filter.as_ref().is_none_or(|filter| filter.matches(&project)) {
                if projects.len() == wanted {
                    break 'pages Some(after);
                }
                projects.push(project);
            }
            after = record.created_at;
        }
        if page.next.is_none() {
            break None;
        }
    };
    let answer = ListProjectsResponse { projects, next_page_token: next.map(paging::token) };
    wire::answer(&answer, query)
}
