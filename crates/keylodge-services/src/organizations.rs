//! Organizations: they can own projects, and what their policies grant holds there too.

use axum::response::Response;
use keylodge_api::resource_manager::{v1, v3};
use keylodge_api::{Status, timestamp};
use keylodge_rules::Revision;
use keylodge_store::OrganizationRecord;

use crate::management::access::sees_organization;
use crate::management::route::route;
use crate::management::{Call, Route};
use crate::{failure, paging};

/// The routes of organizations. Their policies are with the other policies; Keylodge's own API makes them.
pub(crate) const ROUTES: &[Route] = &[
    route!("GET" "/v1/organizations/{organization}", RESOURCE_MANAGER "GetOrganization",
        "resourcemanager.organizations.get" on Organization, [], get_v1),
    route!("POST" "/v1/organizations:search", RESOURCE_MANAGER "SearchOrganizations",
        "resourcemanager.organizations.get" on Each, [], search_v1),
    route!("GET" "/v3/organizations/{organization}",
        RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Organizations.GetOrganization",
        "resourcemanager.organizations.get" on Organization, [], get_v3),
    route!("GET" "/v3/organizations:search",
        RESOURCE_MANAGER "google.cloud.resourcemanager.v3.Organizations.SearchOrganizations",
        "resourcemanager.organizations.get" on Each, ["query", "pageSize", "pageToken"], search_v3),
];

const PAGE_MAX: u32 = 500;

async fn get_v1(call: Call) -> Result<Response, Status> {
    call.answer(&to_v1(call.organization()?))
}

async fn get_v3(call: Call) -> Result<Response, Status> {
    call.answer(&to_v3(call.organization()?))
}

async fn search_v1(mut call: Call) -> Result<Response, Status> {
    let request: v1::SearchOrganizationsRequest = call.read().await?;
    let size = u32::try_from(request.page_size).ok().filter(|size| *size > 0).unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let after = paging::parse_or_first(&request.page_token)?;
    let (organizations, next) = visible(&call, after, size).await?;
    call.answer(&v1::SearchOrganizationsResponse {
        organizations: organizations.iter().map(to_v1).collect(),
        next_page_token: next.map(paging::token),
    })
}

async fn search_v3(call: Call) -> Result<Response, Status> {
    let size = call.query.page_size(PAGE_MAX, PAGE_MAX)?;
    let (organizations, next) = visible(&call, paging::begin(&call.query)?, size).await?;
    call.answer(&v3::SearchOrganizationsResponse {
        organizations: organizations.iter().map(to_v3).collect(),
        next_page_token: next.map(paging::token),
    })
}

/// A page of the organizations that the caller may see. There are few, so each is looked at.
async fn visible(
    call: &Call,
    after: Revision,
    size: u32,
) -> Result<(Vec<OrganizationRecord>, Option<Revision>), Status> {
    let page = call.lodge.store.organizations(after, size).await.map_err(|error| failure::store(&error))?;
    let mut organizations = Vec::new();
    for organization in page.items {
        if sees_organization(&call.lodge, &call.operator, &organization).await? {
            organizations.push(organization);
        }
    }
    Ok((organizations, page.next))
}

fn to_v1(organization: &OrganizationRecord) -> v1::Organization {
    v1::Organization {
        name: format!("organizations/{}", organization.number),
        display_name: organization.display_name.clone(),
        creation_time: timestamp::print(organization.create_time),
        lifecycle_state: "ACTIVE".to_owned(),
    }
}

/// An organization as it is kept, into an organization as v3 has it.
pub(crate) fn to_v3(organization: &OrganizationRecord) -> v3::Organization {
    v3::Organization {
        name: format!("organizations/{}", organization.number),
        display_name: organization.display_name.clone(),
        state: "ACTIVE".to_owned(),
        create_time: timestamp::print(organization.create_time),
        update_time: timestamp::print(organization.update_time),
    }
}
