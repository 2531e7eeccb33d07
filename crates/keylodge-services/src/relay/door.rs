//! Which requests are for which upstream.

use std::sync::Arc;

use http::{HeaderMap, Method, Uri, header};
use keylodge_api::Status;
use keylodge_gate::{Surface, Target};
use percent_encoding::percent_decode_str;

use super::method::{MethodRule, Methods};
use super::settings::{Kind, Place};
use super::upstream::Upstream;
use crate::failure;

/// The way to an HTTP service of somebody's own, or to Google's Jules.
pub(crate) struct Door {
    way: Way,
    methods: Methods,
    pub(crate) surface: Surface,
    pub(crate) upstream: Arc<Upstream>,
}

impl Door {
    pub(crate) fn new(upstream: Arc<Upstream>, console_url: &str) -> Self {
        let settings = &upstream.settings;
        // The door itself tells methods apart, since it knows what is left of the path.
        let nothing = |_: &Method, uri: &Uri| Err(failure::no_such_path(uri.path()));
        let (way, methods) = match settings.kind {
            Kind::Jules => (Way::Jules, jules()),
            Kind::Gemini | Kind::OpenAi | Kind::Http => (Way::Place(settings.place.clone()), settings.methods.clone()),
        };
        Self {
            way,
            methods: Methods::new(methods),
            surface: Surface::new(settings.service.clone(), &settings.title, console_url, nothing),
            upstream,
        }
    }

    /// What is left of the path, if a request is for this door.
    pub(crate) fn below<'uri>(&self, headers: &HeaderMap, uri: &'uri Uri) -> Option<&'uri str> {
        let host = || uri.host().or_else(|| headers.get(header::HOST)?.to_str().ok());
        match &self.way {
            Way::Place(place) if place.host.is_none() => place.below(None, uri.path()),
            Way::Place(place) => place.below(host(), uri.path()),
            // The path goes on whole.
            Way::Jules => {
                let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
                let mut found = JULES.iter().filter_map(|collection| uri.path().strip_prefix(collection));
                found.any(is_below).then(|| uri.path())
            }
        }
    }

    /// What a request wants.
    pub(crate) fn target(&self, verb: &Method, uri: &Uri, rest: &str) -> Result<Target, Status> {
        if !is_plain(rest) {
            return Err(failure::no_such_path(uri.path()));
        }
        self.methods.target(verb, uri, rest)
    }

    /// Whether callers come to it by a door: models are behind the Gemini surface.
    pub(crate) fn is_for(settings: &super::UpstreamSettings) -> bool {
        !settings.kind.has_models()
    }
}

/// How requests find a door.
enum Way {
    Place(Place),
    /// By the collections of the Jules API.
    Jules,
}

/// The collections of the Jules API.
const JULES: [&str; 2] = ["/v1alpha/sessions", "/v1alpha/sources"];

/// All methods of the Jules API (its discovery document of August 2026). The service's name among them is UNCONFIRMED: the
/// document names methods by collection.
fn jules() -> Vec<MethodRule> {
    const METHODS: [(&str, &str); 12] = [
        ("POST /v1alpha/sessions", "CreateSession"),
        ("GET /v1alpha/sessions", "ListSessions"),
        ("GET /v1alpha/sessions/{id}", "GetSession"),
        ("DELETE /v1alpha/sessions/{id}", "DeleteSession"),
        ("POST /v1alpha/sessions/{id}:approvePlan", "ApprovePlan"),
        ("POST /v1alpha/sessions/{id}:sendMessage", "SendMessage"),
        ("POST /v1alpha/sessions/{id}:archive", "ArchiveSession"),
        ("POST /v1alpha/sessions/{id}:unarchive", "UnarchiveSession"),
        ("GET /v1alpha/sessions/{id}/activities", "ListActivities"),
        ("GET /v1alpha/sessions/{id}/activities/{activity}", "GetActivity"),
        ("GET /v1alpha/sources", "ListSources"),
        ("GET /v1alpha/sources/{name=**}", "GetSource"),
    ];
    let rule = |(pattern, name): &(&str, &str)| {
        MethodRule::parse(pattern, &format!("google.labs.jules.v1alpha.JulesService.{name}")).ok()
    };
    METHODS.iter().filter_map(rule).collect()
}

/// Whether a path means the same to everybody. `..` and `.`, and slashes in disguise, are read in two ways by two
/// servers, and one of them may be behind a restriction.
fn is_plain(path: &str) -> bool {
    if !path.contains(['%', '.', '\\']) {
        return true;
    }
    path.split('/').all(|piece| {
        let decoded = percent_decode_str(piece).collect::<Vec<u8>>();
        decoded != b".." && decoded != b"." && !decoded.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_jules_is_a_rule() {
        assert_eq!(jules().len(), 12);
    }

    #[test]
    fn a_path_that_two_servers_read_differently_is_no_path() {
        for good in ["", "/", "/v1/a.b", "/v1/%20x", "/v1/..."] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["/v1/../admin", "/v1/%2e%2E/admin", "/./x", "/a%2fb", "/a%5Cb", "/a\\b", "/a%00"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
