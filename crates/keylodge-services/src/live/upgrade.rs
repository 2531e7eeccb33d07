//! From a request to a websocket (RFC 6455, 4.2).

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::upgrade::OnUpgrade;
use keylodge_api::{Code, Status};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::relay::headers::upgrade_wanted;

/// Agrees to change to a websocket: the answer that says so, and the connection, which is there once it was sent.
///
/// Whoever asks gets it, with or without a key: clients show a refusal only if it comes as a close after their first
/// message.
///
/// # Errors
/// When the request is none for a websocket.
pub(super) fn agree(request: &mut Request<Body>) -> Result<(Response, OnUpgrade), Status> {
    let headers = request.headers();
    let wanted = upgrade_wanted(headers).filter(|_| request.method() == Method::GET);
    let is_13 = headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let accept = headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let protocol = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(first_protocol);
    let connection = request.extensions_mut().remove::<OnUpgrade>();
    let (Some(protocol_wanted), true, Some(accept), Some(connection)) = (wanted, is_13, accept, connection) else {
        return Err(Status::new(
            Code::InvalidArgument,
            "This address is a websocket (RFC 6455, version 13, over HTTP/1.1). Connect to it with a client of the Live API.",
        ));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let said = response.headers_mut();
    said.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    said.insert(UPGRADE, protocol_wanted);
    said.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).map_err(|_| Status::internal())?);
    if let Some(protocol) = protocol {
        // Browsers hang up where none of those they name is taken.
        said.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok((response, connection))
}

fn first_protocol(named: &HeaderValue) -> Option<HeaderValue> {
    let first = named.to_str().ok()?.split(',').next()?.trim();
    HeaderValue::from_str(first).ok().filter(|first| !first.is_empty())
}
