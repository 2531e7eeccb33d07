//! Which websocket a path means.

use super::Credential;

/// A websocket of the Live API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Websocket {
    /// The version of the API that the caller speaks.
    pub(super) version: &'static str,
    /// What opens it.
    pub(super) takes: Credential,
}

/// Reads a path, as `/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent`; a slash in place of
/// the last dot is taken, too.
pub(super) fn websocket(path: &str) -> Option<Websocket> {
    let rest = path.strip_prefix("/ws/google.ai.generativelanguage.")?;
    let (version, rest) = rest.split_once('.')?;
    let version = crate::router::VERSIONS.into_iter().find(|known| *known == version)?;
    let takes = match rest.strip_prefix("GenerativeService")?.strip_prefix(['.', '/'])? {
        "BidiGenerateContent" => Credential::Key,
        "BidiGenerateContentConstrained" => Credential::Token,
        _ => return None,
    };
    Some(Websocket { version, takes })
}

impl Websocket {
    /// The full name of the method, for keys that are restricted to some.
    pub(super) fn method(&self) -> String {
        format!("google.ai.generativelanguage.{}.GenerativeService.BidiGenerateContent", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_websocket() {
        let check = |path: &str, expected: Option<(&'static str, Credential)>| {
            assert_eq!(websocket(path).map(|found| (found.version, found.takes)), expected, "{path}");
        };
        let service = "/ws/google.ai.generativelanguage";
        check(&format!("{service}.v1beta.GenerativeService.BidiGenerateContent"), Some(("v1beta", Credential::Key)));
        check(&format!("{service}.v1.GenerativeService/BidiGenerateContent"), Some(("v1", Credential::Key)));
        let constrained = format!("{service}.v1alpha.GenerativeService.BidiGenerateContentConstrained");
        check(&constrained, Some(("v1alpha", Credential::Token)));
        for unknown in [
            format!("{service}.v2.GenerativeService.BidiGenerateContent"),
            format!("{service}.v1.GenerativeService.BidiGenerateMusic"),
            format!("{service}.v1.GenerativeServiceBidiGenerateContent"),
            "/ws/".to_owned(),
        ] {
            check(&unknown, None);
        }
    }
}
