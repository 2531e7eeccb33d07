//! Which headers end here: those of one connection, and those that are between the caller and Keylodge.
//!
//! Both are one pass over the names of a request that has ten or fifteen of them, and take no memory unless something
//! is to be removed. Run them before the upstream's own headers are set: a caller who lists `x-goog-api-key` in
//! `Connection` then removes only its own.

use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Removes what belongs to one connection only (RFC 9110, 7.6.1): `Connection` and every header it lists, and the
/// headers that are such by themselves. Of `TE` only `trailers` stays, which says that the caller reads them.
///
/// Where there was a `Transfer-Encoding`, `Content-Length` goes, too: it said nothing (RFC 9112, 6.3), and would say
/// something without it.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    sweep(headers, |_| false);
}

/// Removes from an answer what belongs to one connection only, and what looks like our own words (`x-keylodge-*`).
pub fn keep_for_caller(headers: &mut HeaderMap) {
    sweep(headers, |name| name.starts_with("x-keylodge-"));
}

/// The protocol that the caller wants to change to, if it is websocket: `Upgrade` counts only if `Connection` names it.
/// Ask before [`strip_hop_by_hop`], which removes both.
#[must_use]
pub fn upgrade_wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE)?;
    let is_websocket = members(wanted).any(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    let is_said = headers.get_all(CONNECTION).into_iter().any(|value| lists(value, "upgrade"));
    (is_websocket && is_said).then(|| HeaderValue::from_static("websocket"))
}

/// Removes what belongs to one connection only, what is between the caller and Keylodge, and what would tell the upstream
/// who calls.
///
/// - credentials (`x-goog-api-key`, `authorization`, `cookie`): they open this house, not the next one;
/// - `x-keylodge-*`: our own words;
/// - `x-http-method-override`, `x-original-url` and their like: they would make it another request than was let through;
/// - `x-goog-user-project`: names a project of ours, and Google would refuse a project it does not know;
/// - `x-goog-iam-authorization-token`, `x-goog-authenticated-user-*` and such of front ends before us: identities;
/// - proofs of the caller for the restrictions of our keys (`referer`, `origin`, `x-android-*`, `x-ios-*`): they would
///   be held against the restrictions of the upstream's key;
/// - the caller's address (`forwarded`, `x-forwarded-*`, `x-real-ip`, `true-client-ip`, `cf-connecting-ip`, `via`).
///
/// A name forgotten here leaks something about a caller; one too many takes a fact from the upstream that Gemini's
/// servers do not read.
pub fn keep_for_upstream(headers: &mut HeaderMap) {
    sweep(headers, is_ours);
}

/// One pass over a request's or an answer's headers, most of which stay.
fn sweep(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    let mut unwanted = Vec::new();
    let mut takes_trailers = false;
    for (name, value) in &*headers {
        match name.as_str() {
            "connection" => {
                unwanted.extend(members(value).filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()));
                unwanted.push(CONNECTION);
            }
            "te" => {
                takes_trailers |= lists(value, "trailers");
                unwanted.push(TE);
            }
            "transfer-encoding" => unwanted.extend([TRANSFER_ENCODING, CONTENT_LENGTH]),
            text if is_hop_by_hop(text) || is_unwanted(text) => unwanted.push(name.clone()),
            _ => {}
        }
    }
    // Removing twice is nothing the second time.
    for name in unwanted {
        headers.remove(name);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes from an answer what an upstream says of its own house: where it can be reached otherwise, which pages may read
/// it. All of that would be taken for ours.
pub fn drop_theirs(headers: &mut HeaderMap) {
    sweep(headers, |name| {
        matches!(name, "alt-svc" | "set-cookie" | "strict-transport-security") || name.starts_with("access-control-")
    });
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "keep-alive" | "proxy-authenticate" | "proxy-authorization" | "proxy-connection" | "trailer" | "upgrade"
    )
}

fn is_ours(name: &str) -> bool {
    const PREFIXES: [&str; 5] = ["x-keylodge-", "x-forwarded-", "x-goog-authenticated-user-", "x-android-", "x-ios-"];
    matches!(
        name,
        "authorization"
            | "cookie"
            | "cf-connecting-ip"
            | "forwarded"
            | "origin"
            | "referer"
            | "true-client-ip"
            | "via"
            | "x-goog-api-key"
            | "x-goog-iam-authorization-token"
            | "x-goog-iap-jwt-assertion"
            | "x-goog-user-project"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-original-url"
            | "x-real-ip"
            | "x-rewrite-url"
    ) || (name.starts_with("x-") && PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// Whether a header that is a list has this member, without its parameters.
fn lists(value: &HeaderValue, member: &str) -> bool {
    members(value).any(|given| given.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(member)))
}

fn members(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn check(
        act: fn(&mut HeaderMap),
        given: &[(&'static str, &'static str)],
        expected: &[(&'static str, &'static str)],
    ) {
        let mut left = headers(given);
        act(&mut left);
        assert_eq!(left, headers(expected), "{given:?}");
    }

    #[test]
    fn headers_of_one_connection_end_here() {
        check(
            strip_hop_by_hop,
            &[
                ("connection", "keep-alive"),
                ("keep-alive", "timeout=5"),
                ("proxy-authenticate", "Basic"),
                ("proxy-authorization", "Basic abc"),
                ("proxy-connection", "close"),
                ("trailer", "expires"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("content-type", "application/json"),
            ],
            &[("content-type", "application/json")],
        );
    }

    #[test]
    fn whatever_connection_lists_ends_here_too() {
        check(
            strip_hop_by_hop,
            &[
                ("connection", "close, X-One"),
                ("connection", "x-two,,"),
                ("x-one", "1"),
                ("x-two", "2"),
                ("x-three", "3"),
            ],
            &[("x-three", "3")],
        );
        check(strip_hop_by_hop, &[("connection", "not a name"), ("x-one", "1")], &[("x-one", "1")]);
    }

    #[test]
    fn only_the_wish_for_trailers_stays_of_te() {
        check(strip_hop_by_hop, &[("te", "trailers")], &[("te", "trailers")]);
        check(strip_hop_by_hop, &[("connection", "te"), ("te", "gzip;q=0.5, Trailers")], &[("te", "trailers")]);
        check(strip_hop_by_hop, &[("te", "gzip")], &[]);
    }

    #[test]
    fn a_length_that_an_encoding_made_void_goes_with_it() {
        check(strip_hop_by_hop, &[("content-length", "5"), ("transfer-encoding", "chunked")], &[]);
        check(strip_hop_by_hop, &[("content-length", "5")], &[("content-length", "5")]);
    }

    #[test]
    fn an_upstream_does_not_speak_our_words() {
        check(keep_for_caller, &[("x-keylodge-engine", "mine"), ("keep-alive", "5"), ("x-b", "1")], &[("x-b", "1")]);
    }

    #[test]
    fn a_request_without_such_headers_stays_as_it_is() {
        let usual = [("content-type", "application/json"), ("user-agent", "a"), ("user-agent", "b"), ("accept", "*/*")];

        check(strip_hop_by_hop, &usual, &usual);
        check(keep_for_upstream, &usual, &usual);
    }

    #[test]
    fn an_upgrade_is_wanted_only_if_connection_says_so_and_only_to_websocket() {
        let wanted = |lines: &[(&'static str, &'static str)]| upgrade_wanted(&headers(lines)).is_some();

        assert!(wanted(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")]));
        assert!(!wanted(&[("connection", "keep-alive"), ("upgrade", "websocket")]));
        assert!(!wanted(&[("connection", "upgrade"), ("upgrade", "h2c")]));
        assert!(!wanted(&[("connection", "upgrade")]));
    }

    #[test]
    fn credentials_addresses_and_our_own_words_never_go_on() {
        check(
            keep_for_upstream,
            &[
                ("authorization", "Bearer secret"),
                ("cookie", "session=1"),
                ("x-goog-api-key", "secret"),
                ("x-goog-user-project", "demo"),
                ("x-keylodge-anything", "1"),
                ("x-http-method-override", "DELETE"),
                ("x-http-method", "DELETE"),
                ("x-method-override", "DELETE"),
                ("x-original-url", "/admin"),
                ("x-rewrite-url", "/admin"),
                ("x-forwarded-for", "203.0.113.5"),
                ("forwarded", "for=203.0.113.5"),
                ("referer", "https://app.example/"),
                ("x-android-package", "com.example"),
                ("x-ios-bundle-identifier", "com.example"),
                ("x-goog-api-client", "google-genai-sdk/3.3.0"),
                ("x-server-timeout", "30"),
            ],
            &[("x-goog-api-client", "google-genai-sdk/3.3.0"), ("x-server-timeout", "30")],
        );
    }
}
