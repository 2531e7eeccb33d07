//! The Gemini surface for our other surfaces: they say what their callers want in Gemini's words and read the answer in
//! them, whoever gives it. So limits, budgets, engines and upstreams are in one place for all of them.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use keylodge_api::status::JSON;
use keylodge_api::{Code, Envelope, Status};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::identify::Verb;
use super::{CLAMPED_HEADER, ENGINE_HEADER, Failure, OfModel, get_model, list_models, prompt};
use crate::Lodge;
use crate::bill::{Bill, outcome};
use crate::origins::Origins;
use crate::query::Query;

/// The largest answer that is read whole.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest piece of a streamed answer.
const PIECE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What another surface asks.
pub(crate) struct Wanted<'call> {
    pub(crate) lodge: &'call Lodge,
    /// The version of the API that the caller spoke.
    pub(crate) version: &'call str,
    pub(crate) model: &'call str,
    pub(crate) verb: Verb,
    /// The request in Gemini's words.
    pub(crate) body: &'call Value,
    pub(crate) deadline: Instant,
    /// What the caller's request had, for an upstream that is asked.
    pub(crate) headers: &'call HeaderMap,
}

/// What the Gemini surface answered.
pub(crate) struct Heard {
    pub(crate) said: Said,
    /// What callers are told besides: who answered, and how short the answer was made.
    pub(crate) headers: HeaderMap,
}

/// The answer itself.
pub(crate) enum Said {
    Whole(Value),
    Pieces(Pieces),
}

/// An error of the Gemini surface or of whoever answered: its HTTP status, and the `error` of its body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) http: StatusCode,
    pub(crate) error: Value,
    pub(crate) retry_after: Option<HeaderValue>,
}

/// Why there is no answer.
pub(crate) enum Unanswered {
    Fault(Fault),
    /// A limit has no room; the surface that was called says so, in its own wrapping.
    Refused(keylodge_rules::Refusal),
}

impl Wanted<'_> {
    /// Asks. The bill goes with the answer, or says how it ended where there is none.
    pub(crate) async fn ask(self, bill: &mut Option<Box<Bill>>) -> Result<Heard, Unanswered> {
        let Self { lodge, version, model, verb, body, deadline, headers } = self;
        let streams = verb == Verb::StreamGenerateContent;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(if streams { "/?alt=sse" } else { "/" });
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        for name in [USER_AGENT, HeaderName::from_static("x-server-timeout")] {
            if let Some(value) = headers.get(&name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let (parts, ()) = request.into_parts();
        let query = &Query::of(&parts.uri);
        let envelope = Envelope::Object;
        let call = OfModel { lodge, version, model, verb, query, deadline, bill, envelope };
        let response = match call.answer(&parts, Body::from(body.to_string())).await {
            Ok(response) => response,
            Err(Failure::Status(status)) => status.response(envelope),
            Err(Failure::Refused(refusal)) => {
                if let Some(bill) = bill.take() {
                    bill.void();
                }
                return Err(Unanswered::Refused(refusal));
            }
        };
        if let Some(bill) = bill {
            bill.outcome = outcome(response.status());
        }
        if !response.status().is_success() {
            return Err(Unanswered::Fault(Fault::of(response).await));
        }
        let told = [ENGINE_HEADER, CLAMPED_HEADER].map(HeaderName::from_static);
        let kept = told.into_iter().filter_map(|name| Some((name.clone(), response.headers().get(name)?.clone())));
        let headers = kept.collect();
        let body = response.into_body();
        let said = if streams { Said::Pieces(Pieces::new(body)) } else { Said::Whole(whole(body).await?) };
        Ok(Heard { said, headers })
    }
}

/// When an answer must be there.
pub(crate) fn deadline(lodge: &Lodge, headers: &HeaderMap) -> Instant {
    prompt::deadline(lodge, headers)
}

/// All models there are, as the Gemini surface lists them.
pub(crate) async fn list_models(lodge: &Lodge, version: &str, deadline: Instant) -> Result<Vec<Value>, Fault> {
    let query = Query::of(&Uri::from_static("/?pageSize=1000"));
    let mut listed = read(list_models::answer(lodge, version, &query, deadline).await).await?;
    match listed.get_mut("models").map(Value::take) {
        Some(Value::Array(models)) => Ok(models),
        _ => Ok(Vec::new()),
    }
}

/// A model, as the Gemini surface shows it.
pub(crate) async fn get_model(lodge: &Lodge, version: &str, name: &str, deadline: Instant) -> Result<Value, Fault> {
    let query = Query::of(&Uri::from_static("/"));
    read(get_model::answer(lodge, version, name, &query, deadline).await).await
}

async fn read(answered: Result<Response, Status>) -> Result<Value, Fault> {
    match answered {
        Ok(response) => whole(response.into_body()).await,
        Err(status) => Err(Fault::of_status(&status)),
    }
}

async fn whole(body: Body) -> Result<Value, Fault> {
    let bytes = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|_| Fault::of_status(&broke_off()))?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|_| Fault::of_status(&broke_off()))
}

fn broke_off() -> Status {
    Status::new(Code::Unavailable, "The answer broke off before its end. Please try again.")
}

/// The same, with the places named in errors that the caller wrote.
pub(crate) fn named(heard: Result<Heard, Unanswered>, origins: &Origins) -> Result<Heard, Unanswered> {
    match heard {
        Ok(Heard { said: Said::Pieces(pieces), headers }) => {
            Ok(Heard { said: Said::Pieces(pieces.named(origins.clone())), headers })
        }
        Err(Unanswered::Fault(mut fault)) => {
            origins.name_in(&mut fault.error);
            Err(Unanswered::Fault(fault))
        }
        other => other,
    }
}

impl From<Fault> for Unanswered {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Fault {
    /// An error of our own.
    pub(crate) fn of_status(status: &Status) -> Self {
        let bytes = status.stream_chunk();
        let http = StatusCode::from_u16(status.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { http, error: error_of(&bytes).unwrap_or_default(), retry_after: None }
    }

    async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let bytes = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
        let error = bytes.ok().and_then(|bytes| error_of(&bytes));
        let error = error.unwrap_or_else(|| {
            let code = Code::from_http(head.status.as_u16());
            json!({"code": head.status.as_u16(), "message": "The server behind this API refused the call.", "status": code.name()})
        });
        Self { http: head.status, error, retry_after: head.headers.get(RETRY_AFTER).cloned() }
    }
}

/// The `error` of a body, an object or one in an array.
fn error_of(bytes: &[u8]) -> Option<Value> {
    let mut body: Value = serde_json::from_slice(bytes).ok()?;
    let body = if body.is_array() { body.get_mut(0)?.take() } else { body };
    body.get("error").filter(|error| error.is_object()).cloned()
}

/// The pieces of a streamed answer, in order. Dropped, it ends the call.
pub(crate) struct Pieces {
    body: Option<Body>,
    line: Vec<u8>,
    /// Where the caller wrote what an error may name.
    origins: Origins,
    /// Whether a piece has said why the answer ends.
    is_complete: bool,
    ready: std::collections::VecDeque<Result<Value, Fault>>,
}

impl Pieces {
    fn new(body: Body) -> Self {
        let (line, origins, ready) = (Vec::new(), Origins::default(), std::collections::VecDeque::new());
        Self { body: Some(body), line, origins, is_complete: false, ready }
    }

    fn named(self, origins: Origins) -> Self {
        Self { origins, ..self }
    }

    /// Reads lines: each `data:` holds a whole piece, as Google and we write them.
    fn read(&mut self, bytes: &Bytes) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > PIECE_BYTES_MAX {
                self.end(Some(broke_off()));
                return;
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.read_line(line.trim_ascii_end());
            }
        }
    }

    fn read_line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let Ok(piece) = serde_json::from_slice::<Value>(data) else { return self.end(Some(broke_off())) };
        match piece.get("error") {
            None => {
                let ends = |candidate: &Value| candidate.get("finishReason").is_some();
                self.is_complete |=
                    piece["candidates"].as_array().is_some_and(|candidates| candidates.iter().any(ends))
                        || piece["promptFeedback"].get("blockReason").is_some();
                self.ready.push_back(Ok(piece));
            }
            Some(error) => {
                let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
                let http = code.and_then(|code| StatusCode::from_u16(code).ok());
                let http = http.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut error = error.clone();
                self.origins.name_in(&mut error);
                self.ready.push_back(Err(Fault { http, error, retry_after: None }));
                self.end(None);
            }
        }
    }

    fn end(&mut self, status: Option<Status>) {
        self.body = None;
        self.ready.extend(status.map(|status| Err(Fault::of_status(&status))));
    }
}

impl Stream for Pieces {
    type Item = Result<Value, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(piece));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match std::task::ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.read(&bytes);
                    }
                }
                Some(Err(_)) => self.end(Some(broke_off())),
                None => {
                    let line = std::mem::take(&mut self.line);
                    self.read_line(line.trim_ascii_end());
                    // Whoever reads it must not take a part of an answer for the whole.
                    let is_part = self.body.is_some() && !self.is_complete;
                    self.end(is_part.then(broke_off));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&'static str]) -> Vec<Result<Value, Fault>> {
        let mut pieces = Pieces::new(Body::empty());
        chunks.iter().for_each(|chunk| pieces.read(&Bytes::from_static(chunk.as_bytes())));
        pieces.ready.into()
    }

    #[test]
    fn pieces_are_read_from_bytes_cut_anywhere() {
        let said = pieces(&["data: {\"a\"", ": 1}\r", "\n\r\ndata: {\"a\": 2}\n\n", ": a comment\n"]);
        assert_eq!(said, [Ok(json!({"a": 1})), Ok(json!({"a": 2}))]);
    }

    #[tokio::test]
    async fn a_part_of_an_answer_is_not_taken_for_the_whole() {
        let last = async |body: &'static str| {
            let pieces: Vec<_> = futures_util::StreamExt::collect(Pieces::new(Body::from(body))).await;
            pieces.into_iter().next_back().unwrap()
        };
        let whole = "data: {\"candidates\": [{\"finishReason\": \"STOP\"}]}";
        assert!(last(whole).await.is_ok(), "without an end of its line, too");
        assert!(last("data: {\"promptFeedback\": {\"blockReason\": \"SAFETY\"}}\n\n").await.is_ok());
        for part in ["data: {\"candidates\": [{\"index\": 0}]}\n\n", "data: {\"candi"] {
            assert_eq!(last(part).await.unwrap_err().http, StatusCode::SERVICE_UNAVAILABLE, "{part}");
        }
    }

    #[test]
    fn an_error_inside_a_stream_is_the_last_piece() {
        let said = pieces(&["data: {}\n\n", "data: {\"error\": {\"code\": 503, \"message\": \"later\"}}\n\n"]);
        let fault = said[1].as_ref().unwrap_err();
        assert_eq!((fault.http, &fault.error["message"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("later")));
    }

    #[test]
    fn an_error_inside_a_stream_names_the_caller_s_place() {
        let mut origins = Origins::default();
        origins.made_of("tools", "functions");
        let mut pieces = Pieces::new(Body::empty()).named(origins);
        let violation = r#"{"field": "tools", "description": "'tools' cannot be followed"}"#;
        let error = format!(
            r#"{{"code": 400, "message": "'tools' cannot be followed", "details": [{{"fieldViolations": [{violation}]}}]}}"#
        );

        pieces.read(&Bytes::from(format!("data: {{\"error\": {error}}}\n\n")));

        let fault = pieces.ready.pop_front().unwrap().unwrap_err();
        assert_eq!(fault.error["message"], "'functions' cannot be followed");
    }

    #[test]
    fn an_error_is_found_in_an_object_and_in_an_array() {
        for body in [r#"{"error": {"code": 400}}"#, r#"[{"error": {"code": 400}}]"#] {
            assert_eq!(error_of(body.as_bytes()), Some(json!({"code": 400})), "{body}");
        }
        assert_eq!(error_of(b"<html>"), None);
    }
}
