//! Service Usage v1: which services a project has switched on.

mod catalogue;
mod switch;

use axum::response::Response;
use keylodge_api::proto_json::Empty;
use keylodge_api::service_usage::{Documentation, ListServicesResponse, Service, ServiceConfig};
use keylodge_api::status::FieldViolation;
use keylodge_api::{Code, Detail, Status};
use keylodge_rules::{Revision, ServiceName};
use keylodge_store::ProjectRecord;

use crate::management::route::route;
use crate::management::{Call, Route};
use crate::query::invalid;
use crate::{Lodge, paging};

pub(crate) use catalogue::on_from_the_start;
pub use catalogue::{Catalogue, ServiceEntry};
pub(crate) use switch::with_metadata;

/// The routes of Service Usage.
pub(crate) const ROUTES: &[Route] = &[
    route!("GET" "/v1/projects/{project}/services", SERVICE_USAGE "google.api.serviceusage.v1.ServiceUsage.ListServices",
        "serviceusage.services.list" on Project, ["filter", "pageSize", "pageToken"], list),
    route!("GET" "/v1/projects/{project}/services/{service}",
        SERVICE_USAGE "google.api.serviceusage.v1.ServiceUsage.GetService",
        "serviceusage.services.get" on Project, [], get),
    route!("GET" "/v1/projects/{project}/services:batchGet",
        SERVICE_USAGE "google.api.serviceusage.v1.ServiceUsage.BatchGetServices",
        "serviceusage.services.get" on Project, ["names"], batch_get),
    route!("POST" "/v1/projects/{project}/services/{service}:enable",
        SERVICE_USAGE "google.api.serviceusage.v1.ServiceUsage.EnableService",
        "serviceusage.services.enable" on Project, [], switch::enable),
    route!("POST" "/v1/projects/{project}/services/{service}:disable",
        SERVICE_USAGE "google.api.serviceusage.v1.ServiceUsage.DisableService",
        "serviceusage.services.disable" on Project, [], switch::disable),
    route!("POST" "/v1/projects/{project}/services:batchEnable",
        SERVICE_USAGE "google.api.serviceusage.v1.ServiceUsage.BatchEnableServices",
        "serviceusage.services.enable" on Project, [], switch::batch_enable),
];

const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 200;
const BATCH_GET_MAX: usize = 30;

/// The filter is `state:ENABLED` or `state:DISABLED`.
async fn list(call: Call) -> Result<Response, Status> {
    let project = call.project()?;
    let size = usize::try_from(call.query.page_size(PAGE_DEFAULT, PAGE_MAX)?).unwrap_or(usize::MAX);
    let begin = usize::try_from(paging::begin(&call.query)?.0).unwrap_or(usize::MAX);
    let wanted = match call.query.get("filter").map(|filter| filter.trim().strip_prefix("state:")) {
        None => None,
        Some(Some(state @ ("ENABLED" | "DISABLED"))) => Some(state),
        Some(_) => return Err(invalid("filter", "The filter is state:ENABLED or state:DISABLED.")),
    };
    let services = call.lodge.catalogue.services().iter().map(|entry| to_wire(&call.lodge, project, &entry.name));
    let mut services = services.filter(|service| wanted.is_none_or(|state| service.state == state)).skip(begin);
    let page: Vec<Service> = services.by_ref().take(size).collect();
    let next = services.next().map(|_| Revision(u64::try_from(begin.saturating_add(size)).unwrap_or(u64::MAX)));
    call.answer(&ListServicesResponse { services: page, next_page_token: next.map(paging::token) })
}

async fn get(call: Call) -> Result<Response, Status> {
    let service = known(&call.lodge, &[call.place("service")])?.remove(0);
    let mut service = to_wire(&call.lodge, call.project()?, &service);
    let summary = format!("{} as this Keylodge serves it.", service.config.title);
    service.config = ServiceConfig {
        documentation: Some(Documentation { summary }),
        quota: Some(Empty {}),
        authentication: Some(Empty {}),
        usage: Some(Empty {}),
        ..service.config
    };
    call.answer(&service)
}

async fn batch_get(call: Call) -> Result<Response, Status> {
    let names = call.query.all("names");
    if names.is_empty() {
        let violation = FieldViolation { field: "names".to_owned(), description: "names is missing.".to_owned() };
        let info =
            Detail::ErrorInfo { reason: "SU_MISSING_NAMES", domain: "serviceusage.googleapis.com", metadata: vec![] };
        return Err(Status::new(Code::InvalidArgument, "The names of the services to get are missing.")
            .with(info)
            .with(Detail::BadRequest(vec![violation])));
    }
    if names.len() > BATCH_GET_MAX {
        return Err(invalid("names", format!("names must have at most {BATCH_GET_MAX} entries.")));
    }
    let project = call.project()?;
    let parents = [format!("projects/{}/services/", project.number), format!("projects/{}/services/", project.id)];
    let services: Option<Vec<&str>> =
        names.iter().map(|name| parents.iter().find_map(|parent| name.strip_prefix(parent.as_str()))).collect();
    let services = services.ok_or_else(|| {
        invalid("names", "Each of names is projects/PROJECT/services/SERVICE, with the project of the path.")
    })?;
    let services = known(&call.lodge, &services)?;
    let services = services.iter().map(|service| to_wire(&call.lodge, project, service)).collect();
    call.answer(&ListServicesResponse { services, next_page_token: None })
}

/// A service and its state in a project.
pub(crate) fn to_wire(lodge: &Lodge, project: &ProjectRecord, service: &ServiceName) -> Service {
    let title = lodge.catalogue.title(service).to_owned();
    Service {
        name: format!("projects/{}/services/{service}", project.number),
        parent: format!("projects/{}", project.number),
        config: ServiceConfig { name: service.to_string(), title, ..ServiceConfig::default() },
        state: if project.services.contains(service) { "ENABLED" } else { "DISABLED" }.to_owned(),
    }
}

/// The services of these names, or the error about those that are none.
fn known(lodge: &Lodge, names: &[&str]) -> Result<Vec<ServiceName>, Status> {
    let (mut services, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        match lodge.catalogue.find(name) {
            Some(service) => services.push(service.clone()),
            None => unknown.push(*name),
        }
    }
    if unknown.is_empty() {
        return Ok(services);
    }
    let unknown = unknown.join(", ");
    let message = format!("Not found or permission denied for service(s): {unknown}.");
    Err(Status::new(Code::PermissionDenied, message).with(Detail::ErrorInfo {
        reason: "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
        domain: "serviceusage.googleapis.com",
        metadata: vec![("services", unknown)],
    }))
}
