//! What settings say of an upstream. Hosts come from here and from nowhere else, so no caller can send us anywhere.

use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, Uri};
use keylodge_rules::ServiceName;

use super::method::MethodRule;

/// An upstream: where it is, what it speaks, and which requests are for it.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// Its name in settings, logs and usage.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// Where it is.
    pub url: Base,
    /// The service it is to callers: projects switch it on, keys are restricted to it.
    pub service: ServiceName,
    /// The service's title for people.
    pub title: String,
    /// Which requests are for it, where it is an HTTP service of somebody's own.
    pub place: Place,
    /// The header that carries our credential, and what stands before it (`Bearer ` for one).
    pub credential: Option<CredentialHeader>,
    /// The methods of the service; none means that the verb is the method.
    pub methods: Vec<MethodRule>,
    /// How long it may take until the head of an answer is there.
    pub head_time_max: Duration,
    /// How long it may be silent in the middle of an answer.
    pub silence_max: Duration,
    /// How long connecting may take, TLS included.
    pub connect_time_max: Duration,
    /// How many tokens an answer of its models has at most, where a request does not say; for budgets.
    pub output_tokens_max: u64,
    /// Whether it takes `top_k`, which OpenAI's own server refuses.
    pub takes_top_k: bool,
    /// Whether it takes `reasoning_effort`.
    pub takes_effort: bool,
    /// Whether anybody may call it, without a key. Said as `dangerous_without_key`.
    pub is_open: bool,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The Gemini API, as Google's.
    Gemini,
    /// The Jules API, as Google's.
    Jules,
    /// The chat completions of OpenAI and of many local servers.
    OpenAi,
    /// Anything over HTTP.
    Http,
}

impl Kind {
    /// Whether models of the Gemini surface can be there.
    #[must_use]
    pub const fn has_models(self) -> bool {
        matches!(self, Self::Gemini | Self::OpenAi)
    }
}

/// Where our credential goes in a request to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHeader {
    /// The header's name.
    pub name: HeaderName,
    /// What stands before the credential.
    pub prefix: &'static str,
}

/// Which requests are for an upstream: those of a host, of a path and what is below it, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The host that callers name, lower case, without a port.
    pub host: Option<String>,
    /// The beginning of the path, without a slash at its end; it is cut off before the request goes on.
    pub path: String,
}

impl Place {
    /// What is left of a path below this place.
    pub(crate) fn below<'path>(&self, host: Option<&str>, path: &'path str) -> Option<&'path str> {
        if let Some(wanted) = &self.host {
            let given = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
            given.filter(|given| given.eq_ignore_ascii_case(wanted))?;
        }
        let rest = path.strip_prefix(&*self.path)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// The address of an upstream: `http` or `https`, host, port, and a path that all of its paths begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// Host and port, as the `Host` header names them.
    pub authority: Authority,
    /// What its paths begin with, without a slash at the end.
    pub path: String,
}

impl Base {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL, or has a user, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a URL with http:// or https://, a host, and neither user, query nor fragment";
        let parts = text.parse::<Uri>().map_err(|_| WRONG)?.into_parts();
        let is_tls = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTPS => true,
            Some(scheme) if scheme == Scheme::HTTP => false,
            Some(_) | None => return Err(WRONG),
        };
        let authority = parts.authority.filter(|authority| !authority.as_str().contains('@')).ok_or(WRONG)?;
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() || text.contains('#') {
            return Err(WRONG);
        }
        Ok(Self { is_tls, authority, path: path.path().trim_end_matches('/').to_owned() })
    }

    /// The port, by default the scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls { 443 } else { 80 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_a_path_or_both() {
        let place = |host: Option<&str>, path: &str| Place { host: host.map(str::to_owned), path: path.to_owned() };

        assert_eq!(place(None, "/weather").below(None, "/weather/v1"), Some("/v1"));
        assert_eq!(place(None, "/weather").below(None, "/weather"), Some(""));
        assert_eq!(place(None, "/weather").below(None, "/weatherman"), None);
        assert_eq!(place(Some("api.example.com"), "").below(Some("API.example.com:8080"), "/v1"), Some("/v1"));
        assert_eq!(place(Some("api.example.com"), "").below(Some("example.com"), "/v1"), None);
        assert_eq!(place(Some("api.example.com"), "").below(None, "/v1"), None);
    }

    #[test]
    fn an_address_is_a_url_without_frills() {
        let base = Base::parse("https://models.example.com/v1/").unwrap();

        assert_eq!(
            (base.is_tls, base.authority.as_str(), base.port(), &*base.path),
            (true, "models.example.com", 443, "/v1")
        );
        for bad in
            ["models.example.com", "ftp://x.example.com", "http://user@x.example.com", "http://x/?a", "http://x/#a", ""]
        {
            assert!(Base::parse(bad).is_err(), "{bad}");
        }
    }
}
