//! Which management call a request means: every route of the control plane in one `match`.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Method, Request, Uri};
use keylodge_api::{Envelope, Status};
use keylodge_gate::Credentials;
use percent_encoding::percent_decode_str;

use crate::observe::RequestId;
use crate::operator::{CHALLENGE, Operator, Target};
use crate::query::Query;
use crate::{Lodge, failure, keys, operations, projects, service_usage};

/// A management call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call<'path> {
    CreateKey { project: &'path str, location: &'path str },
    ListKeys { project: &'path str, location: &'path str },
    GetKey { project: &'path str, location: &'path str, key: &'path str },
    GetKeyString { project: &'path str, location: &'path str, key: &'path str },
    DeleteKey { project: &'path str, location: &'path str, key: &'path str },
    UndeleteKey { project: &'path str, location: &'path str, key: &'path str },
    LookupKey,
    GetOperation { id: &'path str },
    CreateProject,
    ListProjects,
    GetProject { project: &'path str },
    ListServices { project: &'path str },
    GetService { project: &'path str, service: &'path str },
    EnableService { project: &'path str, service: &'path str },
    DisableService { project: &'path str, service: &'path str },
}

const API_KEYS: &str = "apikeys.googleapis.com";
const RESOURCE_MANAGER: &str = "cloudresourcemanager.googleapis.com";
const SERVICE_USAGE: &str = "serviceusage.googleapis.com";

impl<'path> Call<'path> {
    /// Reads method and path. The docs show both `keys/k1:undelete` and `keys/k1/:undelete`.
    pub(crate) fn parse(method: &Method, path: &'path str) -> Option<Self> {
        let pieces: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let call = match (method.as_str(), &pieces[..]) {
            ("POST", ["v2", "projects", project, "locations", location, "keys"]) => {
                Self::CreateKey { project, location }
            }
            ("GET", ["v2", "projects", project, "locations", location, "keys"]) => Self::ListKeys { project, location },
            ("GET", ["v2", "projects", project, "locations", location, "keys", key]) => {
                Self::GetKey { project, location, key }
            }
            ("GET", ["v2", "projects", project, "locations", location, "keys", key, "keyString"]) => {
                Self::GetKeyString { project, location, key }
            }
            ("DELETE", ["v2", "projects", project, "locations", location, "keys", key]) => {
                Self::DeleteKey { project, location, key }
            }
            ("POST", ["v2", "projects", project, "locations", location, "keys", key, ":undelete"]) => {
                Self::UndeleteKey { project, location, key }
            }
            ("POST", ["v2", "projects", project, "locations", location, "keys", key]) => {
                Self::UndeleteKey { project, location, key: key.strip_suffix(":undelete")? }
            }
            ("GET", ["v2", "keys:lookupKey"]) => Self::LookupKey,
            ("GET", ["v1" | "v2" | "v3", "operations", id]) => Self::GetOperation { id },
            ("POST", ["v1", "projects"]) => Self::CreateProject,
            ("GET", ["v1", "projects"]) => Self::ListProjects,
            ("GET", ["v1", "projects", project]) => Self::GetProject { project },
            ("GET", ["v1", "projects", project, "services"]) => Self::ListServices { project },
            ("GET", ["v1", "projects", project, "services", service]) => Self::GetService { project, service },
            ("POST", ["v1", "projects", project, "services", action]) => match action.rsplit_once(':')? {
                (service, "enable") => Self::EnableService { project, service },
                (service, "disable") => Self::DisableService { project, service },
                _ => return None,
            },
            _ => return None,
        };
        Some(call)
    }

    /// The service and the full name of the method.
    pub(crate) fn target(&self) -> Target {
        let (service, method) = match self {
            Self::CreateKey { .. } => (API_KEYS, "google.api.apikeys.v2.ApiKeys.CreateKey"),
            Self::ListKeys { .. } => (API_KEYS, "google.api.apikeys.v2.ApiKeys.ListKeys"),
            Self::GetKey { .. } => (API_KEYS, "google.api.apikeys.v2.ApiKeys.GetKey"),
            Self::GetKeyString { .. } => (API_KEYS, "google.api.apikeys.v2.ApiKeys.GetKeyString"),
            Self::DeleteKey { .. } => (API_KEYS, "google.api.apikeys.v2.ApiKeys.DeleteKey"),
            Self::UndeleteKey { .. } => (API_KEYS, "google.api.apikeys.v2.ApiKeys.UndeleteKey"),
            Self::LookupKey => (API_KEYS, "google.api.apikeys.v2.ApiKeys.LookupKey"),
            Self::GetOperation { .. } => (API_KEYS, "google.longrunning.Operations.GetOperation"),
            Self::CreateProject => (RESOURCE_MANAGER, "CreateProject"),
            Self::ListProjects => (RESOURCE_MANAGER, "ListProjects"),
            Self::GetProject { .. } => (RESOURCE_MANAGER, "GetProject"),
            Self::ListServices { .. } => (SERVICE_USAGE, "google.api.serviceusage.v1.ServiceUsage.ListServices"),
            Self::GetService { .. } => (SERVICE_USAGE, "google.api.serviceusage.v1.ServiceUsage.GetService"),
            Self::EnableService { .. } => (SERVICE_USAGE, "google.api.serviceusage.v1.ServiceUsage.EnableService"),
            Self::DisableService { .. } => (SERVICE_USAGE, "google.api.serviceusage.v1.ServiceUsage.DisableService"),
        };
        Target { service, method }
    }
}

/// Answers every request that no other surface takes.
pub(crate) async fn handle(State(lodge): State<Lodge>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
    let Some(call) = Call::parse(&parts.method, &path) else {
        return failure::no_such_path(&path).response(Envelope::Object);
    };
    let target = call.target();
    let request_id = RequestId::of(&parts.extensions);
    let proven = Operator::prove(&lodge, Credentials::of(&parts.extensions), request_id, &target).await;
    let answer = match proven {
        Ok(operator) => route(&lodge, &operator, call, &parts.uri, body).await,
        Err(status) => Err(status),
    };
    let mut response = answer.unwrap_or_else(|status| {
        let mut response = status.response(Envelope::Object);
        if response.status() == http::StatusCode::UNAUTHORIZED {
            let (name, value) = CHALLENGE;
            response.headers_mut().insert(name, value);
        }
        response
    });
    response.extensions_mut().insert(target);
    response
}

async fn route(lodge: &Lodge, operator: &Operator, call: Call<'_>, uri: &Uri, body: Body) -> Result<Response, Status> {
    let query = &Query::read(uri)?;
    let method = call.target().method;
    let act = || operator.act(lodge, method);
    match call {
        Call::CreateKey { project, location } => {
            let parent = keys::Parent::find(lodge, project, location, "apikeys.keys.create").await?;
            keys::create(lodge, &act(), &parent, query, body).await
        }
        Call::ListKeys { project, location } => {
            let parent = keys::Parent::find(lodge, project, location, "apikeys.keys.list").await?;
            keys::list(lodge, &parent, query).await
        }
        Call::GetKey { project, location, key } => {
            let parent = keys::Parent::find(lodge, project, location, "apikeys.keys.get").await?;
            keys::get(lodge, &parent, key, query).await
        }
        Call::GetKeyString { project, location, key } => {
            let parent = keys::Parent::find(lodge, project, location, "apikeys.keys.getKeyString").await?;
            keys::get_key_string(lodge, &act(), &parent, key, query).await
        }
        Call::DeleteKey { project, location, key } => {
            let parent = keys::Parent::find(lodge, project, location, "apikeys.keys.delete").await?;
            keys::delete(lodge, &act(), &parent, key, query).await
        }
        Call::UndeleteKey { project, location, key } => {
            let parent = keys::Parent::find(lodge, project, location, "apikeys.keys.undelete").await?;
            keys::undelete(lodge, &act(), &parent, key, query).await
        }
        Call::LookupKey => keys::lookup(lodge, query).await,
        Call::GetOperation { id } => operations::get(lodge, &act(), id, query).await,
        Call::CreateProject => projects::create(lodge, &act(), query, body).await,
        Call::ListProjects => projects::list(lodge, query).await,
        Call::GetProject { project } => projects::get(lodge, project, query).await,
        Call::ListServices { project } => service_usage::list(lodge, project, query).await,
        Call::GetService { project, service } => service_usage::get(lodge, project, service, query).await,
        Call::EnableService { project, service } => {
            service_usage::switch(lodge, &act(), project, service, true, query, body).await
        }
        Call::DisableService { project, service } => {
            service_usage::switch(lodge, &act(), project, service, false, query, body).await
        }
    }
}
