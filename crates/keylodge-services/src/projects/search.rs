//! `GET /v3/projects:search?query=…`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::resource_manager::v3::ListProjectsResponse;
use keylodge_store::ProjectRecord;

use super::filter::Filter;
use super::list::{PAGE_MAX, page};
use super::{to_v1, to_v3};
use crate::management::Call;
use crate::management::access::projects_with;
use crate::paging;
use crate::query::invalid;

/// Finds the projects that the caller may see and that match the query; all of them without one.
pub(crate) async fn search(call: Call) -> Result<Response, Status> {
    let query = call.query.get("query").map(Filter::parse_query).transpose().map_err(|_| {
        invalid("query", "Invalid query. It looks like displayName:\"team*\" or id:team-blue or state:ACTIVE.")
    })?;
    let among = projects_with(&call.lodge, &call.operator, "resourcemanager.projects.get").await?;
    let size = call.query.page_size(PAGE_MAX, PAGE_MAX)?;
    let wanted = |project: &ProjectRecord| query.as_ref().is_none_or(|query| query.matches(&to_v1(project)));
    let (projects, next) = page(&call.lodge, &among, paging::begin(&call.query)?, size, wanted).await?;
    call.answer(&ListProjectsResponse {
        projects: projects.iter().map(to_v3).collect(),
        next_page_token: next.map(paging::token),
    })
}
