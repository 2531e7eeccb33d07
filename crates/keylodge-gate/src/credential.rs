//! Finding the credential and taking it out of the request, before anything can log or forward it.
//!
//! A key travels in `x-goog-api-key` or in the query as `key` (`$key` is the same); a token in `Authorization` or as
//! `access_token` (or `oauth_token`). All of these are removed, good or bad, on every path. An ephemeral token, known by
//! its prefix, travels where tokens do and in `x-goog-api-key`; Google's Python client sends it in both places at once.

use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, Entry};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use keylodge_api::API_KEY_HEADER;
use keylodge_rules::{EphemeralToken, KeyString, Refusal};
use tower::{Layer, Service};
use zeroize::Zeroizing;

use crate::OnBehalf;

/// What a request brought to prove who it is for. It sits in the request's extensions and shows nothing in Debug.
#[derive(Clone)]
pub struct Credentials {
    key: Result<KeyString, Refusal>,
    /// Whether something in the query was meant as a key.
    in_query: bool,
    /// Every `Authorization`, with its scheme.
    tokens: Vec<Zeroizing<String>>,
    /// The ephemeral token that came in place of all of these.
    ephemeral: Option<EphemeralToken>,
    /// The key that stands behind it.
    behalf: Option<OnBehalf>,
}

impl Credentials {
    /// Takes all credentials out of a request's header fields and URI.
    pub fn take(headers: &mut HeaderMap, uri: &mut Uri) -> Self {
        static API_KEY: HeaderName = HeaderName::from_static(API_KEY_HEADER);
        let mut keys = Keys::default();
        let mut tokens: Vec<Zeroizing<String>> = Vec::new();
        let mut ephemerals = Keys::default();
        // A header that is no UTF-8 is no key either; the replacement characters make the parser say so.
        take_header(headers, &API_KEY, |value| {
            let text = Zeroizing::new(String::from_utf8_lossy(value.as_bytes()).into_owned());
            if text.starts_with(EphemeralToken::PREFIX) { ephemerals.add(&text) } else { keys.add(&text) }
        });
        let mut add_token = |token: Zeroizing<String>| match ephemeral_in(&token) {
            Some(text) => ephemerals.add(text),
            None => tokens.push(token),
        };
        take_header(headers, &AUTHORIZATION, |value| {
            add_token(Zeroizing::new(String::from_utf8_lossy(value.as_bytes()).into_owned()));
        });
        let mut in_query = false;
        for (name, value) in take_query(uri) {
            match name {
                Name::Key => {
                    in_query |= !value.is_empty();
                    keys.add(&value);
                }
                Name::Token => add_token(Zeroizing::new(format!("Bearer {}", *value))),
            }
        }
        let (key, ephemeral) = match ephemerals.first {
            None => (keys.the_one(!tokens.is_empty()), None),
            Some(_) if ephemerals.are_two || keys.first.is_some() || !tokens.is_empty() => {
                (Err(Refusal::TwoCredentials), None)
            }
            Some(text) => (Err(Refusal::UnknownToken), EphemeralToken::parse(&text).ok()),
        };
        Self { key, in_query, tokens, ephemeral, behalf: None }
    }

    /// The same request as a surface reads it whose keys are bearer tokens: one credential, and none in the query.
    #[must_use]
    pub(crate) fn with_bearer_key(&self) -> Self {
        if self.ephemeral.is_some() {
            return self.clone();
        }
        let has_key = !matches!(self.key, Err(Refusal::NoCredential | Refusal::NotAnApiKey));
        let key = match (has_key, self.has_authorization()) {
            (true, true) => Err(Refusal::TwoCredentials),
            (true, false) if self.in_query => Err(Refusal::NoCredential),
            (_, false) => self.key.clone(),
            (false, true) => match self.bearer_token() {
                None | Some("") => Err(Refusal::NoCredential),
                Some(token) => KeyString::of(Zeroizing::new(token.to_owned())).map_err(Refusal::Malformed),
            },
        };
        Self { key, in_query: self.in_query, tokens: Vec::new(), ephemeral: None, behalf: None }
    }

    /// The credentials that [`CredentialLayer`] found.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The one key of the request.
    ///
    /// # Errors
    /// When there is none, it can be none, or there are two.
    pub fn key(&self) -> Result<&KeyString, &Refusal> {
        self.key.as_ref()
    }

    /// The ephemeral token of the request, if that is all it brought.
    #[must_use]
    pub fn token(&self) -> Option<&EphemeralToken> {
        self.ephemeral.as_ref()
    }

    /// Says which key stands behind the ephemeral token. Where nobody says so, the token is refused as unknown.
    pub fn answer_for_token(&mut self, behalf: OnBehalf) {
        self.behalf = Some(behalf);
    }

    /// The key behind the request's ephemeral token, if somebody has answered for it.
    pub(crate) fn behalf(&self) -> Option<&OnBehalf> {
        self.behalf.as_ref()
    }

    /// The bearer token, if the request brought one and nothing that contradicts it.
    #[must_use]
    pub fn bearer_token(&self) -> Option<&str> {
        let (first, others) = self.tokens.split_first()?;
        if others.iter().any(|other| other != first) {
            return None;
        }
        let (scheme, token) = first.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Whether the request brought anything in place of a key.
    #[must_use]
    pub fn has_authorization(&self) -> bool {
        !self.tokens.is_empty() || self.ephemeral.is_some()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// The strings that a request brought as keys. An empty one counts as missing (UNCONFIRMED at Google; its clients read an
/// empty variable as unset); equal strings in two places are one.
#[derive(Default)]
struct Keys {
    first: Option<Zeroizing<String>>,
    are_two: bool,
}

impl Keys {
    fn add(&mut self, text: &str) {
        match &self.first {
            _ if text.is_empty() => {}
            None => self.first = Some(Zeroizing::new(text.to_owned())),
            Some(first) => self.are_two |= **first != *text,
        }
    }

    fn the_one(self, has_authorization: bool) -> Result<KeyString, Refusal> {
        match self.first {
            None if has_authorization => Err(Refusal::NotAnApiKey),
            None => Err(Refusal::NoCredential),
            Some(_) if self.are_two => Err(Refusal::TwoCredentials),
            Some(text) => KeyString::of(text).map_err(Refusal::Malformed),
        }
    }
}

/// The ephemeral token in a value of `Authorization`, if it is one: Google's clients say `Token`, and what knows only
/// bearer tokens may say that.
fn ephemeral_in(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let is_known = ["token", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    Some(token.trim()).filter(|token| is_known && token.starts_with(EphemeralToken::PREFIX))
}

/// Removes a header, however often it is there.
fn take_header(headers: &mut HeaderMap, name: &HeaderName, mut take: impl FnMut(HeaderValue)) {
    if let Entry::Occupied(entry) = headers.entry(name) {
        entry.remove_entry_mult().1.for_each(&mut take);
    }
}

enum Name {
    Key,
    Token,
}

/// Removes the credential parameters from a query and leaves every other byte of it as it was.
fn take_query(uri: &mut Uri) -> Vec<(Name, Zeroizing<String>)> {
    let Some(query) = uri.query() else { return Vec::new() };
    let mut taken = Vec::new();
    let mut kept = Vec::new();
    for piece in query.split('&') {
        let Some((name, value)) = form_urlencoded::parse(piece.as_bytes()).next() else {
            kept.push(piece);
            continue;
        };
        match &*name {
            "key" | "$key" => taken.push((Name::Key, Zeroizing::new(value.into_owned()))),
            "access_token" | "oauth_token" => taken.push((Name::Token, Zeroizing::new(value.into_owned()))),
            _ => kept.push(piece),
        }
    }
    if !taken.is_empty() {
        let rest = if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) };
        *uri = with_path_and_query(uri, &rest);
    }
    taken
}

fn with_path_and_query(uri: &Uri, rest: &str) -> Uri {
    let mut parts = uri.clone().into_parts();
    // Pieces of a valid URI in their old order make a valid URI; should that ever fail, the credential goes all the same.
    parts.path_and_query = Some(PathAndQuery::try_from(rest).unwrap_or_else(|_| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_default()
}

/// Puts [`Credentials`] in the place of the credentials themselves. It refuses nobody: what a refusal looks like
/// depends on the surface.
#[derive(Clone, Copy, Debug, Default)]
pub struct CredentialLayer;

impl<S> Layer<S> for CredentialLayer {
    type Service = TakeCredential<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TakeCredential { inner }
    }
}

/// The service that [`CredentialLayer`] makes.
#[derive(Clone, Debug)]
pub struct TakeCredential<S> {
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for TakeCredential<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let credentials = Credentials::take(&mut parts.headers, &mut parts.uri);
        parts.extensions.insert(credentials);
        self.inner.call(Request::from_parts(parts, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keylodge_rules::Malformed;
    use proptest::prelude::*;

    struct Given<'a> {
        header: &'a [&'a str],
        authorization: Option<&'a str>,
        uri: &'a str,
    }

    fn check(given: &Given<'_>) -> (Result<String, Refusal>, String) {
        let mut headers = HeaderMap::new();
        for value in given.header {
            headers.append("X-Goog-Api-Key", HeaderValue::from_str(value).unwrap());
        }
        if let Some(value) = given.authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let mut uri: Uri = given.uri.parse().unwrap();

        let credentials = Credentials::take(&mut headers, &mut uri);

        assert!(headers.is_empty(), "every credential header is gone");
        (credentials.key.map(|key| key.reveal().to_owned()), uri.to_string())
    }

    fn in_query(uri: &str) -> (Result<String, Refusal>, String) {
        check(&Given { header: &[], authorization: None, uri })
    }

    #[test]
    fn a_key_is_taken_out_of_the_query_and_the_rest_stays_byte_for_byte() {
        assert_eq!(
            in_query("/v1/models?alt=sse&key=abc&x=%20y"),
            (Ok("abc".into()), "/v1/models?alt=sse&x=%20y".into())
        );
        assert_eq!(in_query("/v1/models?key=abc"), (Ok("abc".into()), "/v1/models".into()));
        assert_eq!(in_query("/v1/models?%24key=abc&"), (Ok("abc".into()), "/v1/models?".into()));
        assert_eq!(in_query("/v1/models?%6Bey=a%62c"), (Ok("abc".into()), "/v1/models".into()));
    }

    #[test]
    fn equal_keys_in_two_places_are_one_and_different_ones_are_refused() {
        let both = |query| check(&Given { header: &["abc"], authorization: None, uri: query }).0;

        assert_eq!(both("/?key=abc"), Ok("abc".into()));
        assert_eq!(both("/?key=abd"), Err(Refusal::TwoCredentials));
        assert_eq!(in_query("/?key=a&key=b").0, Err(Refusal::TwoCredentials));
        assert_eq!(
            check(&Given { header: &["a", "b"], authorization: None, uri: "/" }).0,
            Err(Refusal::TwoCredentials)
        );
    }

    #[test]
    fn an_empty_key_counts_as_missing() {
        assert_eq!(in_query("/?key=").0, Err(Refusal::NoCredential));
        assert_eq!(check(&Given { header: &[""], authorization: None, uri: "/?key=abc" }).0, Ok("abc".into()));
    }

    #[test]
    fn a_blank_or_quotation_mark_around_a_key_is_noticed_and_not_trimmed() {
        assert_eq!(in_query("/?key=abc%0A").0, Err(Refusal::Malformed(Malformed::Character)));
        assert_eq!(in_query("/?key=+abc").0, Err(Refusal::Malformed(Malformed::Character)));
    }

    #[test]
    fn a_bearer_token_alone_is_no_key_and_does_not_stand_in_for_one() {
        let bearer = |header| check(&Given { header, authorization: Some("Bearer abc"), uri: "/" }).0;

        assert_eq!(bearer(&[]), Err(Refusal::NotAnApiKey));
        assert_eq!(bearer(&["key"]), Ok("key".into()));
        assert_eq!(in_query("/?access_token=abc"), (Err(Refusal::NotAnApiKey), "/".into()));
    }

    /// What is found of credentials, an ephemeral token among them.
    fn ephemeral(headers: &[(&str, &str)], uri: &str) -> Result<EphemeralToken, Option<Refusal>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let mut uri: Uri = uri.parse().unwrap();
        let found = Credentials::take(&mut map, &mut uri);
        assert!(map.is_empty() && !uri.to_string().contains("auth_tokens"), "nothing of it is left: {uri}");
        found.ephemeral.ok_or(found.key.err())
    }

    #[test]
    fn an_ephemeral_token_is_found_wherever_clients_put_it() {
        let token = EphemeralToken::issue(&[7; 32]);
        let text = token.reveal();
        let check = |headers: &[(&str, &str)], uri: &str| {
            let found = ephemeral(headers, uri);
            assert_eq!(found.as_ref().map(EphemeralToken::reveal), Ok(text), "{uri}");
        };
        let (scheme, bearer) = (format!("Token {text}"), format!("bearer {text}"));
        check(&[("authorization", &scheme)], "/");
        check(&[("authorization", &bearer)], "/");
        check(&[("x-goog-api-key", text)], "/");
        check(&[], &format!("/?access_token={text}"));
        check(&[], &format!("/?a=b&access_token={}", text.replace('/', "%2F")));
        // As Google's Python client does.
        check(&[("authorization", &scheme), ("x-goog-api-key", text)], "/");
    }

    #[test]
    fn an_ephemeral_token_beside_another_credential_is_refused() {
        let (one, other) = (EphemeralToken::issue(&[7; 32]), EphemeralToken::issue(&[8; 32]));
        let (one, other) = (one.reveal(), other.reveal());
        let check = |headers: &[(&str, &str)], uri: &str| {
            assert_eq!(ephemeral(headers, uri).unwrap_err(), Some(Refusal::TwoCredentials), "{uri}");
        };
        check(&[("x-goog-api-key", one), ("x-goog-api-key", other)], "/");
        check(&[("x-goog-api-key", one)], "/?key=kl_abc");
        check(&[("x-goog-api-key", one), ("authorization", "Bearer abc")], "/");
        check(&[("x-goog-api-key", one)], &format!("/?access_token={other}"));
    }

    #[test]
    fn what_only_begins_as_an_ephemeral_token_is_unknown() {
        let short = ephemeral(&[("x-goog-api-key", "auth_tokens/short")], "/");
        assert_eq!(short.unwrap_err(), Some(Refusal::UnknownToken));
    }

    #[test]
    fn two_tokens_that_differ_are_none() {
        let token = |headers: &[&str], uri: &str| {
            let mut map = HeaderMap::new();
            for value in headers {
                map.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            Credentials::take(&mut map, &mut uri.parse().unwrap()).bearer_token().map(str::to_owned)
        };

        assert_eq!(token(&["bearer a"], "/"), Some("a".into()));
        assert_eq!(token(&["Bearer a"], "/?access_token=a"), Some("a".into()));
        assert_eq!(token(&["Bearer a"], "/?access_token=b"), None);
        assert_eq!(token(&["Bearer a", "Bearer b"], "/"), None);
        assert_eq!(token(&["Basic a"], "/"), None);
    }

    proptest! {
        #[test]
        fn no_query_keeps_a_key(pieces in proptest::collection::vec("(key|%6bey|%24key|k|alt|=|&|%|[a-z0-9]){0,6}", 0..6)) {
            let query = pieces.join("&");
            let Ok(mut uri) = format!("/v1/models?{query}").parse::<Uri>() else { return Ok(()) };

            Credentials::take(&mut HeaderMap::new(), &mut uri);

            let left = uri.query().unwrap_or_default().to_owned();
            prop_assert!(form_urlencoded::parse(left.as_bytes()).all(|(name, _)| name != "key" && name != "$key"), "{left}");
        }
    }
}
