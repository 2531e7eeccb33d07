//! Calls that go to a server of the Gemini API as they are.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::identify::Verb;
use super::super::{Failure, with_clamp, with_upstream};
use super::Call;
use crate::relay::{Counts, Outgoing, headers};
use crate::{failure, wire};

/// What stands for itself in the name of a model in a path.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A model's name as a piece of a path.
pub(super) fn encoded(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, NAME)
}

/// Sends a call on, body and answer untouched. Only where limits count what it uses, or where there is another of our
/// credentials to try it with, is its body read first.
pub(super) async fn answer(call: &mut Call<'_>, parts: &request::Parts, body: Body) -> Result<Response, Failure> {
    let uses_tokens = match call.verb {
        Verb::GenerateContent | Verb::StreamGenerateContent => true,
        verb if verb.embeds() => true,
        Verb::CountTokens => false,
        // What a batch takes, and what is billed by the picture, is beyond what is counted here.
        Verb::NotServed { .. } => return Err(call.not_served().into()),
    };
    let upstream = Arc::clone(&call.elsewhere.upstream);
    let counts_use = uses_tokens && call.counts_use();
    let (body, reserved, clamped) = if counts_use {
        let bytes = Bytes::from(wire::bytes(call.lodge, body).await?);
        let reserved = call.reserve(bytes).await?;
        (Outgoing::Whole(Some(reserved.body)), Some(reserved.worst), reserved.clamped)
    } else if upstream.credentials.are_several() {
        (Outgoing::Whole(Some(wire::bytes(call.lodge, body).await?.into())), None, None)
    } else {
        (Outgoing::Layered(body), None, None)
    };
    let model = encoded(call.elsewhere.model(call.model));
    let path = format!("/{}/models/{model}:{}", call.version, call.verb.path_word());
    let counts = if uses_tokens { Counts::Tokens { reserved } } else { Counts::Calls };
    let bill = call.bill.take().map(|bill| (bill, counts));
    let mut request = Some(Request::from_parts(parts.clone(), body));
    let mut response = match upstream.relay(&mut request, &path, &Arc::default(), bill).await {
        Ok(response) => response,
        Err(error) => return Ok(failure::of_upstream(&upstream.name, &error, call.envelope)),
    };
    headers::drop_theirs(response.headers_mut());
    Ok(with_clamp(with_upstream(response.map(Body::new), &upstream), clamped))
}
