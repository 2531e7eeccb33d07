//! Which call of the Interactions API a path means.

use http::{Method, Uri};
use keylodge_api::{Envelope, Status};
use keylodge_gate::Target;
use percent_encoding::percent_decode_str;

use crate::paths::{Paths, cut};

/// A call. Ids are as callers wrote them: one that was never given is not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    /// About the interaction of this id.
    OfOne(OfOne, String),
}

/// What is wanted of one interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfOne {
    Get,
    Delete,
    Cancel,
}

/// The longest id that is looked up.
pub(super) const ID_CHARS_MAX: usize = 256;

const PATHS: Paths = Paths {
    root: "/interactions",
    served: "POST interactions, GET and DELETE interactions/ID, POST interactions/ID/cancel",
};

/// Reads method and path, as `/v1/interactions/ID/cancel`, into the version and the call.
pub(super) fn call(method: &Method, uri: &Uri) -> Result<(String, Call), Status> {
    PATHS.call(method, uri, |rest| {
        let mut pieces = rest.split('/').filter(|piece| !piece.is_empty());
        let of_one =
            |verb, id: &str| Some(Call::OfOne(verb, cut(&percent_decode_str(id).decode_utf8_lossy(), ID_CHARS_MAX)));
        match (method, pieces.next(), pieces.next(), pieces.next()) {
            (&Method::POST, None, None, None) => Some(Call::Create),
            (&Method::GET, Some(id), None, None) => of_one(OfOne::Get, id),
            (&Method::DELETE, Some(id), None, None) => of_one(OfOne::Delete, id),
            (&Method::POST, Some(id), Some("cancel"), None) => of_one(OfOne::Cancel, id),
            _ => None,
        }
    })
}

/// The same for the gate. Which model is asked stands in the body and is looked at later.
///
/// How Google names these methods is UNCONFIRMED: no client sends their names. They follow the names of the others.
pub(crate) fn target(method: &Method, uri: &Uri) -> Result<Target, Status> {
    let (version, call) = call(method, uri)?;
    let rpc = match call {
        Call::Create => "CreateInteraction",
        Call::OfOne(OfOne::Get, _) => "GetInteraction",
        Call::OfOne(OfOne::Delete, _) => "DeleteInteraction",
        Call::OfOne(OfOne::Cancel, _) => "CancelInteraction",
    };
    let method = format!("google.ai.generativelanguage.{version}.InteractionsService.{rpc}");
    Ok(Target::new(method).enveloped(Envelope::Word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_call() {
        let check = |method: Method, path: &str, expected: Option<Call>| {
            let found = call(&method, &path.parse().unwrap()).ok().map(|(_, call)| call);
            assert_eq!(found, expected, "{method} {path}");
        };
        check(Method::POST, "/v1/interactions", Some(Call::Create));
        check(Method::POST, "/v1beta/interactions/", Some(Call::Create));
        let of_one = |verb, id: &str| Some(Call::OfOne(verb, id.to_owned()));
        check(Method::GET, "/v1beta/interactions/v1_a-b", of_one(OfOne::Get, "v1_a-b"));
        check(Method::GET, "/v1beta/interactions/v1_a%3D%2Fb", of_one(OfOne::Get, "v1_a=/b"));
        check(Method::DELETE, "/v1/interactions/v1_a", of_one(OfOne::Delete, "v1_a"));
        check(Method::POST, "/v1/interactions/v1_a/cancel", of_one(OfOne::Cancel, "v1_a"));
        for (method, path) in [
            (Method::GET, "/v1/interactions"),
            (Method::POST, "/v1/interactions/a"),
            (Method::POST, "/v1/interactions/a:cancel"),
            (Method::GET, "/v1/interactions/a/cancel"),
            (Method::POST, "/v1/interactions/a/cancel/b"),
        ] {
            check(method, path, None);
        }
    }
}
