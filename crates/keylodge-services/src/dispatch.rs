//! The control plane's door: which management call a request means, who asks, and whether they may. Then, and only then,
//! a handler is called.
//!
//! Every route is a line in a table that stands beside its handlers. The tables are data, so that tests can hold every
//! route against every kind of caller, and the description of the API is made from them.

use std::sync::Mutex;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use keylodge_api::{Envelope, Status};
use keylodge_gate::Credentials;

use crate::management::route::RequestPath;
use crate::management::{Call, Route};
use crate::operator::{CHALLENGE, Operator};
use crate::query::Query;
use crate::{Lodge, admin, failure, iam, keys, operations, organizations, projects, service_usage};

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
        let call = Call::permitted(&lodge, operator, query, route, places, Mutex::new(body)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_route_reads_back_what_stands_at_the_places_of_its_path(value in "[a-z0-9@.-]{1,40}") {
            for route in routes() {
                let path = RequestPath::of(&route.filled(|_| value.clone()));
                let places = route.matches(route.verb, &path).expect("a route means its own paths");
                prop_assert!(route.path.split(['{', '}']).skip(1).step_by(2).all(|place| places.at(place) == value), "{} {}", route.verb, route.path);
            }
        }

        #[test]
        fn no_path_makes_the_reader_panic(path: String) {
            for route in routes() {
                let _ = route.is_meant_by("POST", &path);
            }
        }
    }

    #[test]
    fn no_two_routes_mean_the_same_request() {
        let filled = |route: &Route| route.filled(|place| format!("some-{place}"));
        for route in routes() {
            let meant = routes().filter(|other| other.is_meant_by(route.verb, &filled(route)));
            assert_eq!(meant.count(), 1, "{} {}", route.verb, route.path);
        }
    }
}
