//! What was asked of an upstream and what it answered, as it is kept: without secrets, with what matters of it.
//!
//! An exchange is made from what went over the wire by [`Asked::of`] and [`Answered::of`] alone, which take the secrets
//! out, so nothing else can come to be written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, header};
use serde_json::Value;

use super::events;
use super::scrub::Scrubber;

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exchange {
    /// The upstream's name in the settings.
    pub(crate) upstream: String,
    pub(crate) request: Asked,
    pub(crate) response: Answered,
}

/// What was asked. It has no credential: those that callers send do not come so far, and ours is added later.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path below the upstream's URL.
    pub(crate) path: String,
    /// Without its question mark.
    pub(crate) query: String,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
    /// Whether the upstream broke off before its end.
    pub(crate) broke_off: bool,
}

/// Header fields by name; values of the same name with commas between.
pub(crate) type Headers = BTreeMap<String, String>;

/// A body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    /// One value; how it was laid out is forgotten.
    Json(Value),
    /// Text, in the pieces that it came in. None where the body is empty.
    Text(Vec<String>),
    /// Anything else, in the pieces that it came in.
    Bytes(Vec<Vec<u8>>),
}

/// The headers of a request that are kept: what an upstream answers may depend on them.
const ASKED: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::RANGE,
    HeaderName::from_static("api-revision"),
    HeaderName::from_static("openai-beta"),
];

/// The headers of an answer that are kept: what clients read. What changes from call to call (dates, servers, traces) is not,
/// nor what is about the upstream's own house.
const ANSWERED: [HeaderName; 11] = [
    header::ALLOW,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
];

/// The beginning of others that are kept in both directions: Google's resumable uploads.
const UPLOAD: &str = "x-goog-upload-";

impl Asked {
    /// What is kept of a request.
    pub(crate) fn of(
        method: &str,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
        scrubber: &Scrubber,
    ) -> Self {
        let pieces = if body.is_empty() { Vec::new() } else { vec![body.to_vec()] };
        // Clients do not always say that they send JSON.
        let body = Body::of(pieces, matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')), scrubber);
        Self {
            method: method.to_owned(),
            path: scrubber.path(path),
            query: scrubber.query(query.unwrap_or_default()),
            headers: kept(headers, &ASKED, scrubber),
            body,
        }
    }

    /// Method, path and query, as people write them.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{} {}", self.method, self.path);
        if !self.query.is_empty() {
            let _ = write!(line, "?{}", self.query);
        }
        line
    }
}

impl Answered {
    /// What is kept of an answer.
    pub(crate) fn of(
        status: u16,
        headers: &HeaderMap,
        pieces: Vec<Vec<u8>>,
        broke_off: bool,
        scrubber: &Scrubber,
    ) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_json = content_type.to_ascii_lowercase().contains("json") && !broke_off;
        let body = Body::of(pieces, is_json, scrubber);
        Self { status, headers: kept(headers, &ANSWERED, scrubber), body, broke_off }
    }

    /// The value of a header, without its parameters.
    pub(crate) fn content_type(&self) -> String {
        let value = self.headers.get("content-type").map_or("", |value| value);
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

impl Body {
    /// What came in these pieces. An object of JSON is a value; a list is one only if it came at once, because else it is
    /// a stream of what is in it.
    fn of(pieces: Vec<Vec<u8>>, is_json: bool, scrubber: &Scrubber) -> Self {
        let whole = pieces.concat();
        if is_json && let Ok(value) = serde_json::from_slice::<Value>(&whole) {
            let came_at_once = pieces.iter().filter(|piece| !piece.is_empty()).count() <= 1;
            if came_at_once || !value.is_array() {
                return Self::Json(scrubber.value(value));
            }
        }
        let pieces = events::scrubbed(scrubber.pieces(pieces), scrubber)
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .collect::<Vec<_>>();
        let Ok(whole) = String::from_utf8(pieces.concat()) else { return Self::Bytes(pieces) };
        let mut rest = &*whole;
        let mut end = 0;
        let mut begin = 0;
        let mut texts = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            end += piece.len();
            // A letter that came in two pieces is in the first of them.
            let cut = (end..=whole.len()).find(|at| whole.is_char_boundary(*at)).unwrap_or(whole.len());
            let (text, after) = rest.split_at(cut - begin);
            (rest, begin) = (after, cut);
            if !text.is_empty() {
                texts.push(text.to_owned());
            }
        }
        Self::Text(texts)
    }

    /// The body in the pieces that it is sent in.
    pub(crate) fn pieces(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Json(value) => vec![value.to_string().into_bytes()],
            Self::Text(pieces) => pieces.iter().map(|text| text.clone().into_bytes()).collect(),
            Self::Bytes(pieces) => pieces.clone(),
        }
    }
}

fn kept(headers: &HeaderMap, names: &[HeaderName], scrubber: &Scrubber) -> Headers {
    let is_kept = |name: &HeaderName| names.contains(name) || name.as_str().starts_with(UPLOAD);
    let mut kept = Headers::new();
    for (name, value) in headers.iter().filter(|(name, _)| is_kept(name)) {
        let Ok(value) = value.to_str() else { continue };
        let value = scrubber.header(name.as_str(), value);
        let before = kept.entry(name.to_string()).or_default();
        *before = if before.is_empty() { value } else { format!("{before}, {value}") };
    }
    kept
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// A request with this body, as callers of Gemini's models send it.
    pub(in crate::recording) fn asked(path: &str, body: Value) -> Asked {
        let (method, path) = path.split_once(' ').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Asked {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Headers::new(),
            body: Body::Json(body),
        }
    }

    /// An answer in one piece.
    pub(in crate::recording) fn answered(status: u16, body: Value) -> Answered {
        let headers = Headers::from([("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())]);
        Answered { status, headers, body: Body::Json(body), broke_off: false }
    }

    /// An answer in events.
    pub(in crate::recording) fn streamed(pieces: &[&str]) -> Answered {
        let headers = Headers::from([("content-type".to_owned(), "text/event-stream".to_owned())]);
        let body = Body::Text(pieces.iter().map(|&text| text.to_owned()).collect());
        Answered { status: 200, headers, body, broke_off: false }
    }

    pub(in crate::recording) fn exchange(request: Asked, response: Answered) -> Exchange {
        Exchange { upstream: "google".to_owned(), request, response }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn answered(content_type: &'static str, pieces: &[&[u8]]) -> Body {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        Answered::of(200, &headers(&[("content-type", content_type)]), pieces, false, &Scrubber::default()).body
    }

    #[test]
    fn of_the_headers_only_those_are_kept_that_are_listed() {
        let given = headers(&[
            ("x-goog-api-key", "abc"),
            ("authorization", "Bearer abc"),
            ("cookie", "a=b"),
            ("user-agent", "me"),
            ("content-type", "application/json"),
        ]);

        let asked = Asked::of("POST", "/v1/x", Some("alt=sse"), &given, b"{\"a\":1}", &Scrubber::default());

        assert_eq!(asked.headers, Headers::from([("content-type".to_owned(), "application/json".to_owned())]));
        assert_eq!((asked.line().as_str(), asked.body), ("POST /v1/x?alt=sse", Body::Json(json!({"a": 1}))));
    }

    #[test]
    fn an_answer_in_json_is_a_value_and_a_stream_keeps_its_pieces() {
        assert_eq!(answered("application/json", &[b"{\"a\"", b": 1}"]), Body::Json(json!({"a": 1})));
        assert_eq!(answered("application/json", &[b"[1]"]), Body::Json(json!([1])));
        let texts = |texts: &[&str]| Body::Text(texts.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(answered("application/json", &[b"[1", b",2]"]), texts(&["[1", ",2]"]));
        assert_eq!(answered("text/event-stream", &[b"data: 1\n\n", b"", b"d"]), texts(&["data: 1\n\n", "d"]));
        assert_eq!(answered("text/plain", &["aä".as_bytes().split_at(2).0, b"\xa4b"]), texts(&["aä", "b"]));
        assert_eq!(answered("audio/wav", &[b"\xff", b"a"]), Body::Bytes(vec![b"\xff".to_vec(), b"a".to_vec()]));
        assert_eq!(answered("application/json", &[]), texts(&[]));
    }
}
