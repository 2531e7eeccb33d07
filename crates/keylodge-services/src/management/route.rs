//! A route of the control plane, as data: what it is called, whose policy decides, which parameters it has, who answers.

use std::future::Future;
use std::pin::Pin;

use axum::response::Response;
use keylodge_api::Status;
use percent_encoding::percent_decode_str;

use super::Call;

pub(crate) const API_KEYS: &str = "apikeys.googleapis.com";
pub(crate) const RESOURCE_MANAGER: &str = "cloudresourcemanager.googleapis.com";
pub(crate) const SERVICE_USAGE: &str = "serviceusage.googleapis.com";
pub(crate) const IAM: &str = "iam.googleapis.com";
pub(crate) const KEYLODGE: &str = "keylodge";

/// A route of the control plane.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The HTTP method.
    pub verb: &'static str,
    /// The path; `{name}` stands for one segment, and a last segment may end in `:verb`.
    pub path: &'static str,
    /// The service, as `apikeys.googleapis.com`.
    pub service: &'static str,
    /// The full name of the method.
    pub method: &'static str,
    /// The permission a caller needs; empty where every operator may call, and sees what is theirs to see.
    pub permission: &'static str,
    /// Whose policy says whether the caller has it.
    pub on: On,
    /// The query parameters it has, in lowerCamelCase.
    pub query: &'static [&'static str],
    /// What it is for, in a line; only the routes of Keylodge's own API have one.
    pub summary: &'static str,
    pub(crate) handle: Handler,
}

/// Whose policy says whether a caller has the permission. What is further down inherits from what is further up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The project in the path.
    Project,
    /// The organization in the path.
    Organization,
    /// The whole deployment.
    Deployment,
    /// No one policy: the handler asks about each thing it touches.
    Each,
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response, Status>> + Send>>;
pub(crate) type Handler = fn(Call) -> Answer;

/// A route in a table: verb, path, service, method, permission, whose policy, query parameters, handler.
macro_rules! route {
    ($verb:literal $path:literal, $service:ident $method:literal, $permission:literal on $on:ident, [$($query:literal),*],
     $handle:expr $(, $summary:literal)?) => {
        crate::management::Route {
            verb: $verb,
            path: $path,
            service: crate::management::route::$service,
            method: $method,
            permission: $permission,
            on: crate::management::On::$on,
            query: &[$($query),*],
            summary: concat!($($summary)?),
            handle: |call| Box::pin($handle(call)),
        }
    };
}
pub(crate) use route;

/// What stands at the places of a route's path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places(Vec<(&'static str, String)>);

impl Places {
    /// What stands at a place; nothing where the route has no such place.
    pub(crate) fn at(&self, name: &str) -> &str {
        self.0.iter().find(|(place, _)| *place == name).map_or("", |(_, value)| value)
    }
}

impl Route {
    /// A path of this route, with something at each of its places: for whoever calls every route there is.
    pub fn filled(&self, at: impl Fn(&str) -> String) -> String {
        let segments = self.path.split('/').map(|segment| match place(segment) {
            None => segment.to_owned(),
            Some((name, action)) => at(name) + action,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// Whether a request means this route.
    #[must_use]
    pub fn is_meant_by(&self, verb: &str, path: &str) -> bool {
        self.matches(verb, &RequestPath::of(path)).is_some()
    }

    /// Whether a request means this route, and what stands at its places. The docs show both `keys/k1:undelete` and
    /// `keys/k1/:undelete`.
    pub(crate) fn matches(&self, verb: &str, path: &RequestPath) -> Option<Places> {
        if self.verb != verb {
            return None;
        }
        let mut places = Vec::new();
        let mut given = path.0.iter();
        let mut wanted = self.path.split('/').skip(1).peekable();
        while let Some(wanted_segment) = wanted.next() {
            let given_segment = given.next()?;
            let last = wanted.peek().is_none();
            match place(wanted_segment) {
                None if wanted_segment == given_segment => {}
                None => return None,
                Some((name, action)) => {
                    let value = match given_segment.strip_suffix(action) {
                        Some(value) => value,
                        // `/:undelete` as a segment of its own.
                        None if last && given.next().is_some_and(|next| next == action) => given_segment,
                        _ => return None,
                    };
                    if value.is_empty() {
                        return None;
                    }
                    places.push((name, value.to_owned()));
                }
            }
        }
        given.next().is_none().then_some(Places(places))
    }
}

/// `{key}:undelete` as the name of the place and the action behind it.
fn place(segment: &'static str) -> Option<(&'static str, &'static str)> {
    let (name, action) = segment.strip_prefix('{')?.split_once('}')?;
    Some((name, action))
}

/// The segments of a request's path, each decoded by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestPath(Vec<String>);

impl RequestPath {
    pub(crate) fn of(path: &str) -> Self {
        let segments = path.trim_start_matches('/').split('/');
        Self(segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &'static str, given: &str) -> Option<Vec<(&'static str, String)>> {
        let route =
            Route { path, ..route!("POST" "", KEYLODGE "x", "" on Each, [], |_| async { Err(Status::internal()) }) };
        route.matches("POST", &RequestPath::of(given)).map(|places| places.0)
    }

    #[test]
    fn an_action_is_found_behind_its_name_in_every_way_that_clients_write_it() {
        for given in ["/v2/keys/k1:undelete", "/v2/keys/k1/:undelete", "/v2/keys/k1%3Aundelete"] {
            assert_eq!(check("/v2/keys/{key}:undelete", given), Some(vec![("key", "k1".to_owned())]), "{given}");
            assert_eq!(check("/v2/keys", given), None, "{given}");
        }
        for given in ["/v2/keys/k1", "/v2/keys/:undelete", "/v2/keys/k1:delete", "/v2/keys/k1/undelete"] {
            assert_eq!(check("/v2/keys/{key}:undelete", given), None, "{given}");
        }
    }

    #[test]
    fn a_place_takes_one_segment_and_decodes_it() {
        assert_eq!(check("/a/{b}/c", "/a/x%2Fy/c"), Some(vec![("b", "x/y".to_owned())]));
        assert_eq!(check("/a/{b}/c", "/a/x/y/c"), None);
        assert_eq!(check("/a/{b}", "/a/"), None);
        assert_eq!(check("/a/{b}", "/a/user:ana@example.com"), Some(vec![("b", "user:ana@example.com".to_owned())]));
    }
}
