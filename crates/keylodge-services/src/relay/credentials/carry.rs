//! One call with a credential, and with another where that one did not get it through.
//!
//! What a server of Google's says of our credential, it says in words that may name it. So its errors are read before they
//! go on, and one that cannot be read does not.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use keylodge_rules::upstream::{Answered, Member};

use super::{Chosen, said};
use crate::relay::body::{Answer, Outgoing};
use crate::relay::link::{Link, Pair};
use crate::relay::upstream::{Upstream, UpstreamError};

/// How many credentials one call is tried with.
pub(super) const TRIES_MAX: u32 = 3;
/// How much of an error's body is looked at; it goes on to the caller whole all the same.
const LOOKED_AT_BYTES_MAX: usize = 64 * 1024;
/// How long that may take.
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);

/// How a call was answered.
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each relayed call, the usual kind")]
pub(in crate::relay) enum Carried {
    /// With a body that is on its way. The credential is in flight until that has come.
    Streams(Response<Incoming>, Link, Option<Chosen>),
    /// With an error whose body was looked at.
    Told(Box<Response<Answer>>),
}

impl Upstream {
    /// Sends a call with a credential of ours. Where the upstream lets no more calls through or refuses the credential, it
    /// did nothing of what was asked, so the call goes once more with another credential, if there is one that is free
    /// and the call's body is at hand. What was made with an account goes with that account alone.
    pub(in crate::relay) async fn carry(
        &self,
        slot: &mut Option<Request<Outgoing>>,
        model: Option<&Arc<str>>,
        account: Option<&Member>,
        pair: &Arc<Pair>,
    ) -> Result<Carried, UpstreamError> {
        let kind = self.settings.kind;
        let place = self.settings.credential.as_ref();
        let mut chosen = place.map(|_| self.credentials.choose(model, account)).transpose()?.flatten();
        let mut tries = 1;
        loop {
            let may_repeat = tries < TRIES_MAX && account.is_none();
            let again = slot.as_ref().filter(|_| may_repeat).and_then(|request| self.again(request));
            if let (Some(place), Some(chosen), Some(request)) = (place, &chosen, slot.as_mut()) {
                request.headers_mut().insert(place.name.clone(), chosen.secret());
            }
            let (response, link) = self.send(slot, pair).await?;
            let used = chosen.take();
            let status = response.status();
            if !said::is_open(kind, status) || (used.is_none() && !said::is_google(kind)) {
                if let Some(used) = &used {
                    used.answered(said::by_head(status));
                }
                return Ok(Carried::Streams(response, link, used));
            }
            let (head, incoming) = response.into_parts();
            let relayed = self.relayed(incoming, link, pair, None);
            let (looked_at, answer) = Box::pin(look_at(Answer::Relayed(relayed))).await;
            let is_whole = matches!(answer, Answer::Whole(_)) && !said::is_encoded(&head.headers);
            let answered = said::by_body(kind, status, &head.headers, &looked_at);
            let names_ours = used.as_ref().is_some_and(|used| used.is_named_in(&looked_at));
            if let Some(used) = &used {
                used.answered(answered);
            }
            drop(used);
            let next = match (answered, &again) {
                (Answered::TooMany(_) | Answered::Refused, Some(_)) => {
                    self.credentials.choose(model, None).ok().flatten()
                }
                _ => None,
            };
            if let Some(next) = next {
                (chosen, *slot, tries) = (Some(next), again, tries + 1);
                continue;
            }
            // What the upstream says of our key, its caller would take for his own.
            if answered == Answered::Refused || names_ours {
                return Err(UpstreamError::Credential);
            }
            if said::is_google(kind) && !(is_whole && said::is_readable(status, &looked_at)) {
                return Err(said::unread(status));
            }
            return Ok(Carried::Told(Box::new(Response::from_parts(head, answer))));
        }
    }

    /// A second of a request, if there is another credential that it could go with and its body is at hand.
    fn again(&self, request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
        let Outgoing::Whole(bytes) = request.body() else { return None };
        if !self.credentials.are_several() {
            return None;
        }
        let mut again = Request::new(Outgoing::Whole(bytes.clone()));
        again.method_mut().clone_from(request.method());
        again.uri_mut().clone_from(request.uri());
        again.headers_mut().clone_from(request.headers());
        Some(again)
    }
}

/// The beginning of an answer's body, and the answer as whole as it was.
async fn look_at(mut answer: Answer) -> (Bytes, Answer) {
    let mut begin = BytesMut::new();
    let end = tokio::time::Instant::now() + LOOK_TIME_MAX;
    loop {
        if answer.is_end_stream() {
            let begin = begin.freeze();
            return (begin.clone(), Answer::Whole(Some(begin)));
        }
        let frame = if begin.len() > LOOKED_AT_BYTES_MAX {
            None
        } else {
            tokio::time::timeout_at(end, answer.frame()).await.ok()
        };
        match frame {
            Some(Some(Ok(frame))) if frame.is_data() => begin.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(None) => {
                let begin = begin.freeze();
                return (begin.clone(), Answer::Whole(Some(begin)));
            }
            other => {
                // It is long, slow, broken or has trailers: the caller gets it as it comes.
                let begin = begin.freeze();
                let first = Some(Ok(Frame::data(begin.clone()))).into_iter();
                let next = other.flatten();
                let before = futures_util::stream::iter(first.chain(next));
                let rest = http_body_util::BodyStream::new(answer);
                let whole = futures_util::StreamExt::chain(before, rest);
                return (begin, Answer::Own(Body::new(http_body_util::StreamBody::new(whole))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::BoxError;
    use futures_util::stream;

    /// What is looked at, and what the caller gets, of a body in these pieces.
    async fn looked_at(pieces: Vec<Result<Frame<Bytes>, BoxError>>) -> (Bytes, Result<Bytes, ()>) {
        let body = Body::new(http_body_util::StreamBody::new(stream::iter(pieces)));
        let (begin, answer) = look_at(Answer::Own(body)).await;
        (begin, answer.collect().await.map(http_body_util::Collected::to_bytes).map_err(drop))
    }

    fn piece(text: &'static [u8]) -> Result<Frame<Bytes>, BoxError> {
        Ok(Frame::data(Bytes::from_static(text)))
    }

    #[tokio::test]
    async fn an_answer_that_was_looked_at_comes_whole() {
        static LONG: [u8; LOOKED_AT_BYTES_MAX + 1] = [b'x'; LOOKED_AT_BYTES_MAX + 1];
        for pieces in [vec![], vec![b"one".as_slice()], vec![b"one", b"", b"two"], vec![b"one", &LONG, b"two"]] {
            let (begin, got) = looked_at(pieces.iter().map(|text| piece(text)).collect()).await;

            let whole = pieces.concat();
            assert!(got.unwrap() == whole && whole.starts_with(&begin));
            assert!(begin.len() == whole.len() || begin.len() > LOOKED_AT_BYTES_MAX);
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_breaks_off_for_the_caller() {
        let (begin, got) = looked_at(vec![piece(b"one"), Err("gone".into())]).await;

        assert_eq!((&*begin, got), (b"one".as_slice(), Err(())));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_stalls_is_passed_on_as_it_comes() {
        let begin = stream::iter([piece(b"one")]);
        let body = Body::new(http_body_util::StreamBody::new(futures_util::StreamExt::chain(begin, stream::pending())));

        let (looked_at, mut answer) = look_at(Answer::Own(body)).await;

        let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((&*looked_at, &*first), (b"one".as_slice(), b"one".as_slice()));
    }
}
