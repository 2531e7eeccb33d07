//! What a caller still sends of a request that has its answer already.
//!
//! HTTP/1 has no way to say "stop": the rest of the body is read and thrown away, or the connection ends with the answer.
//! hyper reads what happens to be there and else closes the connection without a word, so that a caller who sends its next
//! request on it finds it gone, and one that is still sending never sees why it was refused.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::relay::{Answer, Outgoing};

/// How much of a body is thrown away for the sake of the connection, in bytes. Three times what a request to Gemini may
/// have, so that whoever sends too much is told so.
const BYTES_MAX: u64 = 64 << 20;

/// A body of which something may be left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unread {
    /// The caller waits with its body until it is asked for it.
    is_held_back: bool,
    /// How long a body may take.
    time_max: Duration,
}

impl Unread {
    /// None if nothing can be left: there is no body, or HTTP/2 says itself that no more is wanted.
    pub(crate) fn of(request: &Request<Incoming>, time_max: Duration) -> Option<Self> {
        let is_whole = request.body().is_end_stream() || request.version() > Version::HTTP_11;
        (!is_whole).then(|| Self { is_held_back: request.headers().contains_key(EXPECT), time_max })
    }

    /// What was not sent on is in the slot still.
    pub(crate) async fn settle_slot(self, slot: Option<Request<Outgoing>>, response: &mut Response<Answer>) {
        if let Some(request) = slot {
            self.settle(request.into_body(), Instant::now(), response).await;
        }
    }

    /// Reads the rest of a body that is under way since `began`. Where it is too long, the answer is the connection's last.
    async fn settle<B>(self, body: B, began: Instant, response: &mut Response<Answer>)
    where
        B: HttpBody<Data = Bytes> + Send,
    {
        let is_read = !self.is_held_back
            && body.size_hint().lower() <= BYTES_MAX
            && timeout_at(began + self.time_max, read(body)).await.unwrap_or(false);
        if !is_read {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

async fn read<B: HttpBody<Data = Bytes>>(body: B) -> bool {
    let (mut body, mut left) = (pin!(body), BYTES_MAX);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

/// Lends a body out. What is given up of it comes back through the receiver.
pub(crate) fn lend(request: Request<Incoming>, unread: Option<Unread>) -> (Request<Body>, Option<Lender>) {
    let Some(unread) = unread else {
        return (request.map(Body::new), None);
    };
    let (give_back, given_back) = oneshot::channel();
    let lent = |body| Body::new(Lent { body: Some(body), give_back: Some(give_back) });
    (request.map(lent), Some(Lender { unread, began: Instant::now(), given_back }))
}

/// Waits for the rest of a body that was lent out.
pub(crate) struct Lender {
    unread: Unread,
    began: Instant,
    given_back: oneshot::Receiver<Incoming>,
}

impl Lender {
    /// Deals with what came back. A body that somebody still reads is left to them.
    pub(crate) async fn settle(mut self, response: &mut Response<Answer>) {
        if let Ok(body) = self.given_back.try_recv() {
            self.unread.settle(body, self.began, response).await;
        }
    }
}

struct Lent {
    body: Option<Incoming>,
    give_back: Option<oneshot::Sender<Incoming>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let Some((body, give_back)) = rest.zip(self.give_back.take()) {
            // Nobody waits for it when the caller has left.
            drop(give_back.send(body));
        }
    }
}
