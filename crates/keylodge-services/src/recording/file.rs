//! A recording as text: values of JSON one after the other, each on lines of its own, as `jq` reads them.
//!
//! The first says the version, each that follows is one exchange. So an exchange can be added at the end without touching
//! what is there, and a file that was cut off in the middle of one has all those before it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::exchange::{Answered, Asked, Body, Exchange, Headers};

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// Why a recording cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a recording begins.
pub(crate) fn head() -> String {
    printed(&Head { keylodge_recording: VERSION })
}

/// One exchange.
pub(crate) fn print(exchange: &Exchange) -> String {
    printed(&Line::of(exchange))
}

/// The exchanges of a recording, in order, and whether it was cut off at its end: what was cut is left out.
///
/// # Errors
/// What is wrong, with its place.
pub(crate) fn parse(text: &str) -> Result<(Vec<Exchange>, bool), Unreadable> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let head = values.next().transpose().ok().flatten();
    let head = head.and_then(|head| serde_json::from_value::<Head>(head).ok());
    let Some(Head { keylodge_recording: version }) = head else {
        return Err(Unreadable(format!("it does not begin with {{\"keylodge_recording\": {VERSION}}}")));
    };
    if version != VERSION {
        return Err(Unreadable(format!("it has version {version}; this program reads {VERSION}")));
    }
    let mut exchanges = Vec::new();
    for (at, value) in values.enumerate() {
        let value = match value {
            Ok(value) => value,
            Err(error) if error.is_eof() => return Ok((exchanges, true)),
            Err(error) => return Err(Unreadable(error.to_string())),
        };
        let exchange = serde_json::from_value::<Line>(value).map_err(|error| error.to_string());
        let exchange = exchange.and_then(Line::into_exchange);
        exchanges.push(exchange.map_err(|problem| Unreadable(format!("exchange {}: {problem}", at + 1)))?);
    }
    Ok((exchanges, false))
}

fn printed(value: &impl Serialize) -> String {
    // Nothing that could fail: names are texts, and numbers come from JSON.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Deserialize, Serialize)]
struct Head {
    keylodge_recording: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    upstream: String,
    request: Request,
    response: Response,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(default, flatten)]
    body: Said,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Response {
    status: u16,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(default, flatten)]
    body: Said,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    broke_off: bool,
}

/// A body: one of these, or none where it is empty.
#[derive(Default, Deserialize, Serialize)]
struct Said {
    // `null` is a value, too, so it is told from none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    json: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    text: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    base64: Vec<String>,
}

fn some<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Line {
    fn of(exchange: &Exchange) -> Self {
        let Exchange { upstream, request, response } = exchange.clone();
        Self {
            upstream,
            request: Request {
                method: request.method,
                path: request.path,
                query: request.query,
                headers: request.headers,
                body: Said::of(request.body),
            },
            response: Response {
                status: response.status,
                headers: response.headers,
                body: Said::of(response.body),
                broke_off: response.broke_off,
            },
        }
    }

    fn into_exchange(self) -> Result<Exchange, String> {
        let Self { upstream, request, response } = self;
        let request = Asked {
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
            body: request.body.into_body()?,
        };
        if http::StatusCode::from_u16(response.status).is_err() || response.status < 200 {
            return Err(format!("{} is no status of an answer", response.status));
        }
        let response = Answered {
            status: response.status,
            headers: response.headers,
            body: response.body.into_body()?,
            broke_off: response.broke_off,
        };
        Ok(Exchange { upstream, request, response })
    }
}

impl Said {
    fn of(body: Body) -> Self {
        match body {
            Body::Json(value) => Self { json: Some(value), ..Self::default() },
            Body::Text(text) => Self { text, ..Self::default() },
            Body::Bytes(pieces) => {
                let base64 = pieces.iter().map(|piece| STANDARD.encode(piece)).collect();
                Self { base64, ..Self::default() }
            }
        }
    }

    fn into_body(self) -> Result<Body, String> {
        let pieces = self.base64.iter().map(|piece| STANDARD.decode(piece));
        let pieces: Vec<Vec<u8>> = pieces.collect::<Result<_, _>>().map_err(|_| "'base64' is not base64")?;
        match (self.json, self.text.is_empty(), pieces.is_empty()) {
            (Some(value), true, true) => Ok(Body::Json(value)),
            (None, _, true) => Ok(Body::Text(self.text)),
            (None, true, false) => Ok(Body::Bytes(pieces)),
            _ => Err("a body is one of 'json', 'text' and 'base64'".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::exchange::samples::{answered, asked, exchange, streamed};
    use serde_json::json;

    fn samples() -> Vec<Exchange> {
        let mut broken = streamed(&["data: {\"a\":", "1}\r\n\r\n"]);
        broken.broke_off = true;
        let mut bytes = answered(200, Value::Null);
        bytes.body = Body::Bytes(vec![vec![255, 0], vec![1]]);
        let mut empty = answered(204, Value::Null);
        empty.body = Body::Text(Vec::new());
        vec![
            exchange(asked("POST /v1/x?alt=sse", json!({"b": [1, 2.5], "a": "ä\n"})), broken),
            exchange(asked("GET /v1/x", Value::Null), bytes),
            exchange(asked("GET /v1/x", json!([])), answered(404, json!({"error": null}))),
            exchange(asked("DELETE /v1/x", json!({})), empty),
        ]
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let text: String = [head()].into_iter().chain(samples().iter().map(print)).collect();

        assert_eq!(parse(&text).unwrap(), (samples(), false));
    }

    #[test]
    fn a_recording_reads_as_a_text_for_people() {
        let text = head() + &print(&exchange(asked("POST /v1/x", json!({"a": 1})), answered(200, json!({"b": 2}))));

        let expected = r#"{
  "keylodge_recording": 1
}
{
  "upstream": "google",
  "request": {
    "method": "POST",
    "path": "/v1/x",
    "json": {
      "a": 1
    }
  },
  "response": {
    "status": 200,
    "headers": {
      "content-type": "application/json; charset=UTF-8"
    },
    "json": {
      "b": 2
    }
  }
}
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_recording_that_was_cut_off_has_what_came_before() {
        let whole: String = [head()].into_iter().chain(samples().iter().map(print)).collect();
        let last = print(&samples()[3]).len();

        for cut in 1..last - 2 {
            let kept = parse(&whole[..whole.len() - 1 - cut]).unwrap();
            assert_eq!((&kept.0[..], kept.1), (&samples()[..3], true), "{cut}");
        }
    }

    #[test]
    fn what_is_no_recording_says_why() {
        let check = |text: &str, expected: &str| {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains(expected), "{text}: {problem}");
        };
        check("", "does not begin with");
        check("{}", "does not begin with");
        check("{\"keylodge_recording\": 2}", "version 2");
        check(&format!("{}{{\"upstream\": 1}}", head()), "exchange 1");
        check(&format!("{}nonsense", head()), "line 4");
        let exchange = print(&samples()[2]);
        check(&(head() + &exchange.replace("404", "7")), "7 is no status");
        check(&(head() + &exchange.replace("\"json\": []", "\"json\": [], \"text\": [\"a\"]")), "one of");
        check(&(head() + &exchange.replace("\"json\": []", "\"jsno\": []")), "exchange 1");
    }
}
