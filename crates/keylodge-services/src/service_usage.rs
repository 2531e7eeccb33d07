//! Service Usage v1: which services a project has switched on.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::response::Response;
use keylodge_api::operation::Operation;
use keylodge_api::service_usage::{DISABLE_TYPE, ENABLE_TYPE, Service, ServiceAnswer, ServiceConfig, SwitchService};
use keylodge_api::{Code, Detail, GEMINI_SERVICE, Status};
use keylodge_rules::ServiceName;
use keylodge_store::{Act, OperationKind, ProjectError, ProjectRecord};
use serde_json::json;

use crate::query::Query;
use crate::{Lodge, failure, keys, projects, wire};

/// The services Keylodge knows, with their titles.
pub(crate) const CATALOGUE: [(&str, &str); 2] =
    [(GEMINI_SERVICE, "Generative Language API"), ("cloudapis.googleapis.com", "Google Cloud APIs")];

/// The names of all services.
pub(crate) fn names() -> BTreeSet<ServiceName> {
    CATALOGUE.iter().filter_map(|(name, _)| ServiceName::parse(name).ok()).collect()
}

/// `GET /v1/projects/*/services`, whole: the catalogue fits on a page. The filter is `state:ENABLED` or `state:DISABLED`.
pub(crate) async fn list(lodge: &Lodge, project: &str, query: &Query) -> Result<Response, Status> {
    let project = find(lodge, project).await?;
    let wanted = query.get("filter").and_then(|filter| filter.strip_prefix("state:"));
    let services: Vec<Service> = names()
        .iter()
        .map(|name| to_wire(&project, name))
        .filter(|service| wanted.is_none_or(|state| service.state == state))
        .collect();
    let answer = if services.is_empty() { json!({}) } else { json!({ "services": services }) };
    wire::answer(&answer, query)
}

/// `GET /v1/projects/*/services/*`
pub(crate) async fn get(lodge: &Lodge, project: &str, service: &str, query: &Query) -> Result<Response, Status> {
    let project = find(lodge, project).await?;
    let service = known(service)?;
    wire::answer(&to_wire(&project, &service), query)
}

/// `POST /v1/projects/*/services/*:enable` and `:disable`. In force at this gate when it has answered.
pub(crate) async fn switch(
    lodge: &Lodge,
    act: &Act,
    project: &str,
    service: &str,
    on: bool,
    query: &Query,
    body: Body,
) -> Result<Response, Status> {
    let SwitchService = wire::read(lodge, body).await?;
    let number = find(lodge, project).await?.number;
    let service = known(service)?;
    let operation = keys::operation_name(lodge, OperationKind::EnableService, number);
    let switched = lodge.store.switch_service(number, &service, on, &operation, act).await;
    let switched = switched.map_err(|error| failure::project(&error))?;
    lodge.feed.caught_up_with(switched.revision).await.map_err(failure::not_caught_up)?;
    let answer = ServiceAnswer { service: to_wire(&switched.value, &service) };
    let kind = if on { ENABLE_TYPE } else { DISABLE_TYPE };
    wire::answer(&Operation::done(operation, kind, answer), query)
}

/// A service and its state in a project.
pub(crate) fn to_wire(project: &ProjectRecord, service: &ServiceName) -> Service {
    let title = CATALOGUE.iter().find(|(name, _)| *name == service.as_str()).map_or("", |(_, title)| title);
    Service {
        name: format!("projects/{}/services/{service}", project.number),
        parent: format!("projects/{}", project.number),
        config: ServiceConfig { name: service.to_string(), title: title.to_owned() },
        state: if project.services.contains(service) { "ENABLED" } else { "DISABLED" }.to_owned(),
    }
}

async fn find(lodge: &Lodge, project: &str) -> Result<ProjectRecord, Status> {
    projects::find(lodge, project).await?.ok_or_else(|| failure::project(&ProjectError::NoSuchProject))
}

fn known(service: &str) -> Result<ServiceName, Status> {
    names().into_iter().find(|name| name.as_str() == service).ok_or_else(|| {
        Status::new(Code::PermissionDenied, format!("Not found or permission denied for service(s): {service}.")).with(
            Detail::ErrorInfo {
                reason: "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                domain: "serviceusage.googleapis.com",
                metadata: vec![("services", service.to_owned())],
            },
        )
    })
}
