//! Which call a path means, on surfaces whose paths begin with a version and a word of their own, as `/v1beta/openai/models`.

use http::{Method, Uri};
use keylodge_api::{Code, Status};

/// As much of a path that is not served is said.
const SAID_CHARS_MAX: usize = 128;

/// The paths of a surface.
pub(crate) struct Paths {
    /// What follows the version, as `/openai`.
    pub(crate) root: &'static str,
    /// What there is, in words for whoever asks for something else.
    pub(crate) served: &'static str,
}

impl Paths {
    /// The version, and the call that `call` makes of what stands behind the root, as it is written, without slashes at its
    /// beginning and end.
    ///
    /// # Errors
    /// It makes none of them, or the path is none of this surface's.
    pub(crate) fn call<Call>(
        &self,
        method: &Method,
        uri: &Uri,
        call: impl FnOnce(&str) -> Option<Call>,
    ) -> Result<(String, Call), Status> {
        let split = uri.path().trim_matches('/').split_once(self.root);
        let split = split.filter(|(_, rest)| rest.is_empty() || rest.starts_with('/'));
        let found = split.and_then(|(version, rest)| Some((version.to_owned(), call(rest.trim_matches('/'))?)));
        found.ok_or_else(|| {
            let path: String = uri.path().chars().take(SAID_CHARS_MAX).collect();
            let words = format!("{method} is not served at {path}. Served are: {}.", self.served);
            Status::new(Code::NotFound, words)
        })
    }
}

/// A name as callers meant it, one letter longer than names can be where it is too long: that is found nowhere.
pub(crate) fn cut(name: &str, chars_max: usize) -> String {
    name.chars().take(chars_max + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: Paths = Paths { root: "/things", served: "things" };

    #[test]
    fn a_path_is_a_version_and_what_stands_behind_the_root() {
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let found = PATHS.call(&Method::GET, &path.parse().unwrap(), |rest| Some(rest.to_owned())).ok();
            let found = found.as_ref().map(|(version, rest)| (version.as_str(), rest.as_str()));
            assert_eq!(found, expected, "{path}");
        };
        check("/v1/things", Some(("v1", "")));
        check("/v1beta/things/a/b/", Some(("v1beta", "a/b")));
        check("/v1/thingsa", None);
        check("/v1/others", None);
    }

    #[test]
    fn what_is_not_served_is_told_with_what_is() {
        let path = format!("/v1/things/{}", "a".repeat(200));
        let refused = PATHS.call(&Method::PUT, &path.parse().unwrap(), |_| None::<()>).unwrap_err();
        assert_eq!(refused.code, Code::NotFound);
        assert_eq!(refused.message, format!("PUT is not served at {}. Served are: things.", &path[..SAID_CHARS_MAX]));
    }
}
