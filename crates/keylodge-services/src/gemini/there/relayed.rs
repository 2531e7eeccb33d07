//! Calls that go to a server of the Gemini API as they are.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, Uri, request};
use keylodge_api::Status;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::identify::Verb;
use super::super::{Failure, with_clamp, with_upstream};
use super::Call;
use crate::query::{Query, invalid};
use crate::relay::{Counts, Outgoing, headers};
use crate::{failure, wire};

/// What stands for itself in the name of a model in a path.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A header that asks for a part of an answer.
pub(crate) const FIELD_MASK: &str = "x-goog-fieldmask";

/// A model's name as a piece of a path.
pub(crate) fn encoded(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, NAME)
}

/// Sends a call on, body and answer untouched. Only where limits count what it uses, where there is another of our
/// credentials to try it with, or where the model has another name there is its body read first.
pub(super) async fn answer(call: &mut Call<'_>, parts: &request::Parts, body: Body) -> Result<Response, Failure> {
    let uses_tokens = match call.verb {
        Verb::GenerateContent | Verb::StreamGenerateContent | Verb::EmbedContent | Verb::BatchEmbedContents => true,
        Verb::CountTokens => false,
        // What a batch takes, and what is billed by the picture, is beyond what is counted here.
        Verb::NotServed { .. } => return Err(call.not_served().into()),
    };
    let query = query(call.query, &[])?;
    let upstream = Arc::clone(&call.elsewhere.upstream);
    let counts_use = uses_tokens && call.counts_use();
    let (body, reserved, clamped) = if counts_use {
        let bytes = Bytes::from(wire::bytes(call.lodge, body).await?);
        let affordable = call.reserve(call.named(&bytes)?).await?;
        (Outgoing::Whole(Some(affordable.body)), affordable.reserved, affordable.clamped)
    } else if !call.elsewhere.is_same_name(call.model) {
        let bytes = Bytes::from(wire::bytes(call.lodge, body).await?);
        (Outgoing::Whole(Some(call.named(&bytes)?)), None, None)
    } else if upstream.credentials.are_several() {
        (Outgoing::Whole(Some(wire::bytes(call.lodge, body).await?.into())), None, None)
    } else {
        (Outgoing::Layered(body), None, None)
    };
    let model = encoded(call.elsewhere.model(call.model));
    let path = format!("/{}/models/{model}:{}", call.version, call.verb.path_word());
    let counts = if uses_tokens { Counts::Tokens(reserved) } else { Counts::Calls };
    let bill = call.bill.take().map(|bill| (bill, counts));
    let mut request = Request::from_parts(parts.clone(), body);
    *request.uri_mut() = query;
    // As `fields`, but nobody's client sends it unasked.
    request.headers_mut().remove(FIELD_MASK);
    let mut response = match upstream.relay(&mut Some(request), &path, &Arc::default(), bill).await {
        Ok(response) => response,
        Err(error) => return Ok(failure::of_upstream(&upstream.name, &error, call.envelope)),
    };
    headers::drop_theirs(response.headers_mut());
    Ok(with_clamp(with_upstream(response.map(Body::new), &upstream), clamped))
}

/// What goes on of a query: the form of the answer, if it is one whose counts can be read, whether it is on many lines, and
/// the method's own parameters. Everything else ends here, so that nothing of it can take the counts away.
///
/// # Errors
/// INVALID_ARGUMENT where an answer in another form or a part of one is asked for, which callers would miss.
pub(crate) fn query(given: &Query, own: &[(&str, &str)]) -> Result<Uri, Status> {
    if given.get("fields").is_some_and(|fields| fields != "*") {
        return Err(invalid(
            "fields",
            "Invalid value at 'fields': the server behind this API answers in full. Leave it out.",
        ));
    }
    let alt = match given.get("alt") {
        None => "",
        Some("json") => "&alt=json",
        Some("json;enum-encoding=int") => "&alt=json%3Benum-encoding%3Dint",
        Some("sse") => "&alt=sse",
        Some(_) => return Err(invalid("alt", "Invalid value at 'alt': it is json or sse here.")),
    };
    let pretty = if given.pretty() { "" } else { "&prettyPrint=false" };
    let own: String = own.iter().map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
    let query = format!("/?{alt}{pretty}{own}").replace("?&", "?");
    Uri::try_from(query.trim_end_matches('?')).map_err(|_| Status::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_query_only_the_form_of_the_answer_goes_on() {
        let check = |given: &str, expected: &str| {
            let passed = query(&Query::of(&format!("/?{given}").parse().unwrap()), &[]).unwrap();
            assert_eq!(passed.to_string(), expected, "{given}");
        };
        check("", "/");
        check("alt=sse", "/?alt=sse");
        check("%24alt=sse&x=1&key=k&$.xgafv=1&callback=f&fields=*", "/?alt=sse");
        check("alt=json;enum-encoding=int&pretty_print=false", "/?alt=json%3Benum-encoding%3Dint&prettyPrint=false");
        check("$prettyPrint=false&alt=", "/?prettyPrint=false");
        let own = query(&Query::of(&"/?alt=sse".parse().unwrap()), &[("last_event_id", "a&b")]).unwrap();
        assert_eq!(own.to_string(), "/?alt=sse&last_event_id=a%26b", "but what the method itself takes");
        for bad in ["fields=x", "$fields=candidates", "alt=proto", "$alt=media", "ALT=proto", "alt=sse;x=1"] {
            assert!(query(&Query::of(&format!("/?{bad}").parse().unwrap()), &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_one_piece_of_a_path() {
        assert_eq!(encoded("a:b/c%d").to_string(), "a%3Ab%2Fc%25d");
    }
}
