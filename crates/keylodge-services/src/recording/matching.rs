//! Which recorded request a request is, and if none, which is nearest and where it differs.
//!
//! Two requests are the same where upstream, method, path and query are, and the bodies: as JSON, where the order of fields
//! means nothing and `1` is `1.0`, or byte by byte. Headers are not compared.

use std::cmp::Reverse;
use std::fmt;

use keylodge_rules::secret::head;
use serde_json::Value;

use super::exchange::{Asked, Body, Exchange};

/// As much of a value is said.
const SAID_BYTES_MAX: usize = 80;

/// A place where two requests differ, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// `path`, `body` or a field of it, as `contents[0].parts[0].text`.
    at: String,
    recorded: Option<String>,
    asked: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        match (&self.recorded, &self.asked) {
            (Some(recorded), Some(asked)) => write!(f, "recorded {recorded}, asked {asked}"),
            (Some(recorded), None) => write!(f, "recorded {recorded}, not asked"),
            (None, Some(asked)) => write!(f, "not recorded, asked {asked}"),
            (None, None) => Ok(()),
        }
    }
}

/// The first place where two requests differ; none where they are the same.
pub(crate) fn difference(upstream: &str, asked: &Asked, recorded: &Exchange) -> Option<Difference> {
    let line = |at: &str, recorded: &str, asked: &str| (recorded != asked).then(|| different(at, recorded, asked));
    let request = &recorded.request;
    line("upstream", &recorded.upstream, upstream)
        .or_else(|| line("method", &request.method, &asked.method))
        .or_else(|| line("path", &request.path, &asked.path))
        .or_else(|| of_queries(&request.query, &asked.query))
        .or_else(|| of_bodies(&request.body, &asked.body))
}

/// The place of the recorded request that is most like one, and the first place where it differs.
pub(crate) fn nearest(upstream: &str, asked: &Asked, recorded: &[Exchange]) -> Option<(usize, Difference)> {
    let closeness = |exchange: &Exchange| {
        let request = &exchange.request;
        let shared = request.path.bytes().zip(asked.path.bytes()).take_while(|(one, other)| one == other).count();
        let is_near = [exchange.upstream == upstream, request.method == asked.method, request.path == asked.path];
        let differing = match (&request.body, &asked.body) {
            (Body::Json(one), Body::Json(other)) => differing(one, other),
            (one, other) => usize::from(one != other),
        };
        (is_near, shared, request.query == asked.query, Reverse(differing))
    };
    // Of those that are alike the first.
    let nearest = recorded.iter().enumerate().min_by_key(|(_, exchange)| Reverse(closeness(exchange)));
    nearest.and_then(|(at, exchange)| Some((at, difference(upstream, asked, exchange)?)))
}

fn different(at: &str, recorded: &str, asked: &str) -> Difference {
    Difference { at: at.to_owned(), recorded: Some(quoted(recorded)), asked: Some(quoted(asked)) }
}

/// Parameters may stand in any order.
fn of_queries(recorded: &str, asked: &str) -> Option<Difference> {
    let pairs = |query: &str| {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        pairs.sort();
        pairs
    };
    (pairs(recorded) != pairs(asked)).then(|| different("query", recorded, asked))
}

fn of_bodies(recorded: &Body, asked: &Body) -> Option<Difference> {
    if let (Body::Json(recorded), Body::Json(asked)) = (recorded, asked) {
        return of_values(recorded, asked, &mut String::new());
    }
    let (one, other) = (recorded.pieces().concat(), asked.pieces().concat());
    if one == other {
        return None;
    }
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let said = |body: &Body, bytes: &[u8]| match body {
        Body::Json(_) | Body::Text(_) => quoted(&String::from_utf8_lossy(bytes)),
        Body::Bytes(_) => format!("{} bytes, other ones from byte {same} on", bytes.len()),
    };
    let (recorded, asked) = (said(recorded, &one), said(asked, &other));
    Some(Difference { at: "body".to_owned(), recorded: Some(recorded), asked: Some(asked) })
}

/// The first place where two values differ, fields in the order of their names. `path` is as it was afterwards.
fn of_values(recorded: &Value, asked: &Value, path: &mut String) -> Option<Difference> {
    let length = path.len();
    let here = |path: &str, recorded: Option<&Value>, asked: Option<&Value>| {
        let said = |value: &Value| cut(&value.to_string());
        let at = if path.is_empty() { "body".to_owned() } else { path.to_owned() };
        Some(Difference { at, recorded: recorded.map(said), asked: asked.map(said) })
    };
    match (recorded, asked) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                let found = match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => of_values(one, other, path),
                    (one, other) => here(path, one, other),
                };
                path.truncate(length);
                if found.is_some() {
                    return found;
                }
            }
            None
        }
        (Value::Array(one), Value::Array(other)) => (0..one.len().max(other.len())).find_map(|at| {
            path.push_str(&format!("[{at}]"));
            let found = match (one.get(at), other.get(at)) {
                (Some(one), Some(other)) => of_values(one, other, path),
                (one, other) => here(path, one, other),
            };
            path.truncate(length);
            found
        }),
        (Value::Number(one), Value::Number(other)) if one == other || one.as_f64() == other.as_f64() => None,
        (one, other) if one == other => None,
        (one, other) => here(path, Some(one), Some(other)),
    }
}

/// In how many places two values differ.
fn differing(one: &Value, other: &Value) -> usize {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let of_one = one.iter().map(|(name, value)| other.get(name).map_or(1, |other| differing(value, other)));
            of_one.sum::<usize>() + other.keys().filter(|name| !one.contains_key(*name)).count()
        }
        (Value::Array(one), Value::Array(other)) => {
            let both = one.iter().zip(other).map(|(one, other)| differing(one, other));
            both.sum::<usize>() + one.len().abs_diff(other.len())
        }
        (Value::Number(one), Value::Number(other)) => usize::from(one != other && one.as_f64() != other.as_f64()),
        (one, other) => usize::from(one != other),
    }
}

fn quoted(text: &str) -> String {
    cut(&Value::from(text).to_string())
}

fn cut(text: &str) -> String {
    let begin = head(text, SAID_BYTES_MAX);
    if begin.len() == text.len() { begin.to_owned() } else { format!("{begin}…") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::exchange::samples::{answered, asked, exchange};
    use serde_json::json;

    const LINE: &str = "POST /v1/models/m:generateContent";

    fn recorded(line: &str, body: Value) -> Exchange {
        exchange(asked(line, body), answered(200, json!({})))
    }

    #[track_caller]
    fn check(line: &str, body: Value, expected: &str) {
        let recorded = recorded(&format!("{LINE}?a=1&b=2"), json!({"contents": [{"text": "Hi", "n": 1}], "x": null}));
        let found = difference("google", &asked(line, body), &recorded);
        assert_eq!(found.map(|found| found.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn the_same_request_is_the_same_in_any_order() {
        check(&format!("{LINE}?b=2&a=1"), json!({"x": null, "contents": [{"n": 1.0, "text": "Hi"}]}), "");
    }

    #[test]
    fn the_first_place_that_differs_is_named() {
        let line = format!("{LINE}?a=1&b=2");
        let body = |text: &str| json!({"contents": [{"text": text, "n": 1}], "x": null});
        check(&line, body("Ho"), r#"contents[0].text: recorded "Hi", asked "Ho""#);
        check(&line, json!({"contents": [], "x": null}), r#"contents[0]: recorded {"n":1,"text":"Hi"}, not asked"#);
        check(&line, json!({"a": 1, "contents": [{"text": "Hi", "n": 1}], "x": null}), "a: not recorded, asked 1");
        check(
            &line,
            json!([]),
            &format!(r#"body: recorded {}, asked []"#, r#"{"contents":[{"n":1,"text":"Hi"}],"x":null}"#),
        );
        check(LINE, body("Hi"), r#"query: recorded "a=1&b=2", asked """#);
        check("POST /v1/x?a=1&b=2", body("Hi"), &format!(r#"path: recorded "{}", asked "/v1/x""#, &LINE[5..]));
        check("GET /v1/x", body("Hi"), r#"method: recorded "POST", asked "GET""#);
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = "ä".repeat(100);
        let recorded = recorded(LINE, json!({ "text": long }));
        let found = difference("google", &asked(LINE, json!({})), &recorded).unwrap().to_string();
        assert_eq!(found, format!("text: recorded \"{}…, not asked", "ä".repeat(39)));
    }

    #[test]
    fn bodies_that_are_no_json_are_compared_byte_by_byte() {
        let with = |bytes: &[u8]| {
            let mut recorded = recorded(LINE, Value::Null);
            recorded.request.body = Body::Bytes(vec![bytes.to_vec()]);
            recorded
        };
        let asked = with(&[1, 255]).request;

        assert_eq!(difference("google", &asked, &with(&[1, 255])), None);
        let found = difference("google", &asked, &with(&[2, 255])).unwrap().to_string();
        assert!(found.starts_with("body: recorded 2 bytes, other ones from byte 0 on"), "{found}");
    }

    #[test]
    fn the_nearest_request_is_that_with_the_fewest_differences() {
        let all = [
            recorded("GET /v1/models", Value::Null),
            recorded(LINE, json!({"a": 1, "b": 2, "c": 3})),
            recorded(LINE, json!({"a": 1, "b": 2, "c": 4, "d": 5})),
            recorded(LINE, json!({"a": 1, "b": 2, "c": 4, "d": 5})),
        ];
        let nearest = |line: &str, body: Value| {
            let (at, found) = nearest("google", &asked(line, body), &all).unwrap();
            (at, found.to_string())
        };

        assert_eq!(nearest(LINE, json!({"a": 1, "b": 2, "c": 4, "d": 6})), (2, "d: recorded 5, asked 6".to_owned()));
        assert_eq!(nearest(LINE, json!({"a": 1, "b": 2})), (1, "c: recorded 3, not asked".to_owned()));
        assert_eq!(nearest("GET /v1/models/m", Value::Null).0, 0);
        assert_eq!(super::nearest("google", &asked(LINE, json!({})), &[]), None);
    }
}
