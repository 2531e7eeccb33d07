//! Reading bodies and printing answers.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keylodge_api::proto_json::{self, Message};
use keylodge_api::status::{JSON, json_bytes};
use keylodge_api::{Code, Status};
use serde::Serialize;

use crate::query::Query;
use crate::{Limits, Lodge};

/// Reads a message from a body, within the limits of size and time.
pub(crate) async fn read<T: Message>(lodge: &Lodge, body: Body) -> Result<T, Status> {
    let Limits { body_bytes_max, body_time_max, .. } = lodge.limits;
    let collected = tokio::time::timeout(body_time_max, Limited::new(body, body_bytes_max).collect());
    match collected.await {
        Ok(Ok(body)) => proto_json::parse(&body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Status::new(
            Code::InvalidArgument,
            format!("Request payload size exceeds the limit: {body_bytes_max} bytes."),
        )),
        Ok(Err(_)) => Err(Status::new(Code::InvalidArgument, "The request body broke off before its end.")),
        Err(_) => Err(Status::new(
            Code::DeadlineExceeded,
            format!("The request body did not arrive within {} seconds.", body_time_max.as_secs()),
        )),
    }
}

/// An answer in JSON: always 200, since Google's Python client takes nothing else for a success.
pub(crate) fn answer<T: Serialize + ?Sized>(message: &T, query: &Query) -> Response {
    let mut response = Response::new(Body::from(json_bytes(message, query.pretty())));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
