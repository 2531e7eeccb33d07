//! `GET /v1/projects`, `GET /v3/projects?parent=…`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::resource_manager::{v1, v3};
use keylodge_rules::{ProjectState, Revision};
use keylodge_store::{Among, ProjectRecord};

use super::filter::Filter;
use super::{parent_number, to_v1, to_v3};
use crate::management::Call;
use crate::management::access::{Access, projects_with};
use crate::query::invalid;
use crate::{Lodge, failure, find, paging};

pub(super) const PAGE_MAX: u32 = 500;

/// Lists the projects that the caller may see and that match the filter. A filter that few match reads them all.
pub(crate) async fn v1(call: Call) -> Result<Response, Status> {
    let filter = call.query.get("filter").map(Filter::parse).transpose().map_err(|_| {
        invalid(
            "filter",
            "Invalid filter. It looks like lifecycleState:ACTIVE AND (id:\"team-*\" OR labels.team:blue).",
        )
    })?;
    let among = projects_with(&call.lodge, &call.operator, "resourcemanager.projects.get").await?;
    let size = call.query.page_size(PAGE_MAX, PAGE_MAX)?;
    let wanted = |project: &ProjectRecord| filter.as_ref().is_none_or(|filter| filter.matches(&to_v1(project)));
    let (projects, next) = page(&call.lodge, &among, paging::begin(&call.query)?, size, wanted).await?;
    call.answer(&v1::ListProjectsResponse {
        projects: projects.iter().map(to_v1).collect(),
        next_page_token: next.map(paging::token),
    })
}

/// Lists the projects of an organization.
pub(crate) async fn v3(call: Call) -> Result<Response, Status> {
    let Some(parent) = call.query.get("parent") else {
        return Err(invalid("parent", "parent is missing: organizations/NUMBER. projects:search finds all projects."));
    };
    let number = parent_number(parent)?;
    let there = find::organization(&call.lodge, &number.to_string()).await?.is_some();
    let access = Access::to_organization(&call.lodge, number).await?;
    if !there || !access.grants(&call.lodge, &call.operator, "resourcemanager.projects.list") {
        return Err(call.denied(parent));
    }
    let among = Among::These { parents: [number].into(), projects: [].into() };
    let size = call.query.page_size(PAGE_MAX, PAGE_MAX)?;
    let deleted = call.query.flag("showDeleted")?;
    let wanted = |project: &ProjectRecord| deleted || project.state == ProjectState::Active;
    let (projects, next) = page(&call.lodge, &among, paging::begin(&call.query)?, size, wanted).await?;
    call.answer(&v3::ListProjectsResponse {
        projects: projects.iter().map(to_v3).collect(),
        next_page_token: next.map(paging::token),
    })
}

/// A page of the projects that are wanted, and where the next begins.
pub(crate) async fn page(
    lodge: &Lodge,
    among: &Among,
    mut after: Revision,
    size: u32,
    wanted: impl Fn(&ProjectRecord) -> bool,
) -> Result<(Vec<ProjectRecord>, Option<Revision>), Status> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut projects = Vec::new();
    // Ends when one more is found than fits on the page, or nothing more is there.
    loop {
        let page = lodge.store.projects(among, after, PAGE_MAX, lodge.now()).await;
        let page = page.map_err(|error| failure::store(&error))?;
        for project in page.items {
            let created_at = project.created_at;
            if wanted(&project) {
                if projects.len() == size {
                    return Ok((projects, Some(after)));
                }
                projects.push(project);
            }
            after = created_at;
        }
        if page.next.is_none() {
            return Ok((projects, None));
        }
    }
}
