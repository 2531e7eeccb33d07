//! Reading bodies and printing answers.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body_util::BodyExt;
use keylodge_api::proto_json::{self, Message};
use keylodge_api::status::{JSON, json_bytes};
use keylodge_api::{Code, Status};
use serde::Serialize;
use serde_json::Value;

use crate::query::Query;
use crate::{Limits, Lodge};

/// Reads a message from a body, within the limits of size and time.
pub(crate) async fn read<T: Message>(lodge: &Lodge, body: Body) -> Result<T, Status> {
    read_at("", lodge, body).await
}

/// The same where the message is a field of its request, which paths of mistakes begin with.
pub(crate) async fn read_at<T: Message>(root: &str, lodge: &Lodge, body: Body) -> Result<T, Status> {
    proto_json::parse_at(root, &bytes(lodge, body).await?)
}

/// Reads a body as it is, within the limits of size and time.
pub(crate) async fn bytes(lodge: &Lodge, body: Body) -> Result<Vec<u8>, Status> {
    let Limits { body_bytes_max, body_time_max, .. } = lodge.limits;
    match tokio::time::timeout(body_time_max, collect(body, body_bytes_max)).await {
        Ok(bytes) => bytes,
        Err(_) => Err(Status::new(
            Code::DeadlineExceeded,
            format!("The request body did not arrive within {} seconds.", body_time_max.as_secs()),
        )),
    }
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Status::new(Code::InvalidArgument, "The request body broke off before its end."))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len().saturating_add(data.len()) > bytes_max {
            let message = format!("Request payload size exceeds the limit: {bytes_max} bytes.");
            return Err(Status::new(Code::InvalidArgument, message));
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

/// An answer in JSON, cut to the `fields` that the caller wants: always 200, since Google's Python client takes nothing
/// else for a success.
pub(crate) fn answer<T: Serialize>(message: &T, query: &Query) -> Result<Response, Status> {
    let bytes = match query.fields() {
        None => json_bytes(message, query.pretty()),
        Some(mask) => {
            let mut value = serde_json::to_value(message).map_err(|_| Status::internal())?;
            mask.keep(&mut value);
            json_bytes(&value, query.pretty())
        }
    };
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(response)
}

/// An answer of other surfaces than Google's own, on one line.
pub(crate) fn json(body: &Value) -> Response {
    let mut response = Response::new(Body::from(json_bytes(body, false)));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// The content type of server-sent events.
pub(crate) const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// A streamed answer, of which proxies in between must pass each chunk on at once.
pub(crate) fn streamed(body: Body, content_type: HeaderValue) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
