//! A management call whose caller is proven and whose permission is checked.

use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;
use keylodge_api::proto_json::Message;
use keylodge_api::{Code, Status};
use keylodge_rules::Revision;
use keylodge_rules::secret::{head, mask};
use keylodge_store::{Act, DEPLOYMENT, OrganizationRecord, ProjectRecord};
use serde::Serialize;

use super::access::{self, Access};
use super::route::{Places, Route};
use crate::operator::Operator;
use crate::query::Query;
use crate::{Lodge, failure, wire};

/// How much of each thing that was asked for an audit line keeps.
const ASKED_BYTES_MAX: usize = 4096;

/// A management call whose caller is proven and whose permission is checked: only [`Call::permitted`] makes one.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) lodge: Lodge,
    pub(crate) operator: Operator,
    pub(crate) query: Query,
    route: &'static Route,
    places: Places,
    /// Behind a lock only because a body may not be shared between threads, and a call is.
    body: Mutex<Body>,
    resource: Resource,
}

/// What a call is about, found and permitted.
#[derive(Clone, Debug)]
pub(super) enum Resource {
    Project(Box<ProjectRecord>),
    Organization(OrganizationRecord),
    None,
}

impl Call {
    /// The call, once its permission is checked. There is no other way to get one.
    pub(crate) async fn permitted(
        lodge: &Lodge,
        operator: Operator,
        query: Query,
        route: &'static Route,
        places: Places,
        body: Mutex<Body>,
    ) -> Result<Self, Status> {
        let resource = access::check(lodge, &operator, route, &places).await?;
        Ok(Self { lodge: lodge.clone(), operator, query, route, places, body, resource })
    }

    /// What stands at a place of the path.
    pub(crate) fn place(&self, name: &str) -> &str {
        self.places.at(name)
    }

    /// The project of a route that stands on one.
    pub(crate) fn project(&self) -> Result<&ProjectRecord, Status> {
        match &self.resource {
            Resource::Project(project) => Ok(project),
            Resource::Organization(_) | Resource::None => Err(misplaced(self.route)),
        }
    }

    /// The organization of a route that stands on one.
    pub(crate) fn organization(&self) -> Result<&OrganizationRecord, Status> {
        match &self.resource {
            Resource::Organization(organization) => Ok(organization),
            Resource::Project(_) | Resource::None => Err(misplaced(self.route)),
        }
    }

    /// The resource whose policy a route of IAM is about: `projects/N`, `organizations/N` or the deployment.
    pub(crate) fn resource_name(&self) -> String {
        match &self.resource {
            Resource::Project(project) => format!("projects/{}", project.number),
            Resource::Organization(organization) => format!("organizations/{}", organization.number),
            Resource::None => DEPLOYMENT.to_owned(),
        }
    }

    /// What holds for the resource of this call.
    pub(crate) async fn access(&self) -> Result<Access, Status> {
        match &self.resource {
            Resource::Project(project) => Access::to_project(&self.lodge, project).await,
            Resource::Organization(organization) => Access::to_organization(&self.lodge, organization.number).await,
            Resource::None => Access::to_deployment(&self.lodge).await,
        }
    }

    /// The answer about something that is not there or not the caller's.
    pub(crate) fn denied(&self, name: &str) -> Status {
        access::denied(self.route, name)
    }

    /// The act of making this call now, for the audit line.
    pub(crate) fn act(&self) -> Act {
        self.operator.act(&self.lodge, self.route)
    }

    /// The same with what was asked for, without secrets.
    pub(crate) fn act_with<'text>(&self, asked: impl IntoIterator<Item = (&'text str, String)>) -> Act {
        let request = asked.into_iter().filter(|(_, value)| !value.is_empty());
        // Somebody may have put a key where a name belongs.
        let request = request.map(|(name, value)| (name.to_owned(), mask(head(&value, ASKED_BYTES_MAX)).into_owned()));
        Act { request: request.collect(), ..self.act() }
    }

    /// Reads the body.
    pub(crate) async fn read<T: Message>(&mut self) -> Result<T, Status> {
        self.read_at("").await
    }

    /// Reads the body where the message is a field of its request, which paths of mistakes begin with.
    pub(crate) async fn read_at<T: Message>(&mut self, root: &str) -> Result<T, Status> {
        {
            let body = self.take_body();
            wire::read_at(root, &self.lodge, body).await
        }
    }

    /// The same as it came, for what is read another way.
    pub(crate) async fn bytes(&mut self) -> Result<Vec<u8>, Status> {
        {
            let body = self.take_body();
            wire::bytes(&self.lodge, body).await
        }
    }

    fn take_body(&mut self) -> Body {
        std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until this node's gate acts on a change.
    pub(crate) async fn in_force(&self, revision: Revision) -> Result<(), Status> {
        self.lodge.feed.caught_up_with(revision).await.map_err(failure::not_caught_up)
    }

    /// Answers.
    pub(crate) fn answer<T: Serialize>(&self, message: &T) -> Result<Response, Status> {
        wire::answer(message, &self.query)
    }
}

/// A handler stands on another resource than its route says: a mistake in the table, which a test of that route finds.
fn misplaced(route: &Route) -> Status {
    tracing::error!(method = route.method, "the handler asks for another resource than its route stands on");
    Status::new(Code::Internal, Status::internal().message)
}
