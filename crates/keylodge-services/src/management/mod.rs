//! Which management call a request means, who asks, and whether they may: then, and only then, a handler is called.
//!
//! Every route of the control plane is a line in a table that stands beside its handlers. The tables are data, so that
//! tests can hold every route against every kind of caller, and the description of the API is made from them.

pub(crate) mod access;
mod call;
pub(crate) mod route;

use std::sync::Mutex;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use keylodge_api::{Envelope, Status};
use keylodge_gate::Credentials;

pub(crate) use call::Call;
pub use route::{On, Route};

use crate::operator::{CHALLENGE, Operator};
use crate::query::Query;
use crate::{Lodge, admin, failure, iam, keys, operations, organizations, projects, service_usage};
use route::RequestPath;

/// Every route of the control plane.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    let tables: [&'static [Route]; 7] = [
        keys::ROUTES,
        operations::ROUTES,
        projects::ROUTES,
        organizations::ROUTES,
        service_usage::ROUTES,
        iam::ROUTES,
        admin::ROUTES,
    ];
    tables.into_iter().flatten()
}

/// Answers every request that no other surface takes.
pub(crate) async fn handle(State(lodge): State<Lodge>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let path = RequestPath::of(parts.uri.path());
    let found = routes().find_map(|route| Some((route, route.matches(parts.method.as_str(), &path)?)));
    let Some((route, places)) = found else {
        return failure::no_such_path(parts.uri.path()).response(Envelope::Object);
    };
    let call = async {
        let operator = Operator::prove(&lodge, Credentials::of(&parts.extensions), &parts, route).await?;
        let query = Query::read_known(&parts.uri, route.query)?;
        let resource = access::check(&lodge, &operator, route, &places).await?;
        let call = Call { lodge: lodge.clone(), operator, query, route, places, body: Mutex::new(body), resource };
        (route.handle)(call).await
    };
    let mut response = call.await.unwrap_or_else(|status: Status| {
        let mut response = status.response(Envelope::Object);
        if response.status() == http::StatusCode::UNAUTHORIZED {
            let (name, value) = CHALLENGE;
            response.headers_mut().insert(name, value);
        }
        response
    });
    response.extensions_mut().insert(route);
    response
}
