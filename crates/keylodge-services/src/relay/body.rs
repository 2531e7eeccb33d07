//! Bodies on their way: to an upstream, and to a caller.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use keylodge_rules::upstream::Member;
use tokio::time::{Sleep, sleep};

use super::count::Counting;
use super::credentials::Chosen;
use super::link::{Link, Pair, Pool};
use super::quiet::hush;

/// The body of a request to an upstream.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// As it comes from the caller.
    Streamed(Incoming),
    /// The same, after it went through layers of ours.
    Layered(Body),
    /// Read whole, because something in it had to be known.
    Whole(Option<Bytes>),
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Streamed(body) => poll_piece(body, cx).map_err(Into::into),
            Self::Layered(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streamed(body) => body.is_end_stream(),
            Self::Layered(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streamed(body) => body.size_hint(),
            Self::Layered(body) => body.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

/// The next piece of a body. The connection that it comes from is only told that there is room for more if there is more.
fn poll_piece(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let (frame, _) = hush(
        cx.waker(),
        || {
            let frame = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(cx.waker()));
            (frame, body.is_end_stream())
        },
        |(_, is_over)| !is_over,
    );
    frame
}

/// The body of an answer of the data plane.
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each relayed call, the usual kind")]
pub enum Answer {
    /// One piece, made here.
    Whole(Option<Bytes>),
    /// From an upstream, as it comes.
    Relayed(Relayed),
    /// From one of our own surfaces.
    Own(Body),
}

impl Answer {
    /// Which of our accounts a call went with, while its answer is on the way.
    pub(crate) fn account(&self) -> Option<Member> {
        match self {
            Self::Relayed(body) => body.chosen.as_ref()?.member(),
            Self::Whole(_) | Self::Own(_) => None,
        }
    }
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(body) => body.poll_frame(cx),
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Relayed(body) => body.is_over(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Relayed(body) => body.incoming.size_hint(),
            Self::Own(body) => body.size_hint(),
        }
    }
}

/// The body of an upstream's answer on its way to a caller. It works the connection that it comes over; when it is
/// complete, the connection goes back for the next call. When it is dropped before, the connection is closed, and the
/// upstream knows that nobody listens any more.
pub struct Relayed {
    incoming: Incoming,
    link: Option<Link>,
    pair: Arc<Pair>,
    pool: Arc<Pool>,
    counting: Option<Counting>,
    /// The credential that the call went with, in flight until the body has come.
    chosen: Option<Chosen>,
    silence: Silence,
    /// What ends the body in the upstream's place.
    last: Last,
}

/// The end of a body that the upstream was not let finish, or did not.
enum Last {
    None,
    Chunk(Bytes),
    Broken(BoxError),
    Said,
}

/// How long nothing has come. The clock runs only while somebody waits, so that a caller who reads slowly is not held
/// against the upstream, and costs nothing while there is something to read.
struct Silence {
    longest: Duration,
    since: Option<Pin<Box<Sleep>>>,
}

impl Relayed {
    pub(super) fn new(
        incoming: Incoming,
        link: Link,
        pair: Arc<Pair>,
        pool: Arc<Pool>,
        chosen: Option<Chosen>,
        silence_max: Duration,
    ) -> Self {
        let silence = Silence { longest: silence_max, since: None };
        let (link, counting, last) = (Some(link), None, Last::None);
        let mut relayed = Self { incoming, link, pair, pool, counting, chosen, silence, last };
        if relayed.incoming.is_end_stream() {
            relayed.done();
        }
        relayed
    }

    /// Counts what passes, and ends the bill with it.
    pub(super) fn count(&mut self, counting: Counting) {
        self.counting = Some(counting);
        if self.incoming.is_end_stream() {
            self.done();
        }
    }

    fn is_over(&self) -> bool {
        match self.last {
            Last::None => self.incoming.is_end_stream(),
            Last::Chunk(_) | Last::Broken(_) => false,
            Last::Said => true,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match std::mem::replace(&mut self.last, Last::Said) {
            Last::Chunk(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Last::Broken(error) => return Poll::Ready(Some(Err(error))),
            Last::Said => return Poll::Ready(None),
            Last::None => self.last = Last::None,
        }
        // What is here already goes first; the connection is worked for more.
        let mut frame = poll_piece(&mut self.incoming, cx);
        if frame.is_pending()
            && let Some(link) = &mut self.link
        {
            if link.work(cx).is_ready() {
                self.link = None;
            }
            frame = poll_piece(&mut self.incoming, cx);
        }
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence.since = None;
                self.passes(frame.data_ref());
            }
            Poll::Ready(None) => self.done(),
            Poll::Ready(Some(Err(_))) => {
                self.break_off();
                if let Poll::Ready(Some(Err(error))) = frame {
                    self.last = Last::Broken(error.into());
                }
                // Whoever writes to the caller drops what is not written yet when it hears of this, so it is let write
                // first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Pending if self.silence.is_too_long(cx) => {
                self.break_off();
                return Poll::Ready(Some(Err("the upstream was silent for too long".into())));
            }
            Poll::Pending => {}
        }
        frame.map_err(Into::into)
    }

    /// A piece of the body goes on.
    fn passes(&mut self, data: Option<&Bytes>) {
        let last = self.counting.as_mut().zip(data).and_then(|(counting, data)| counting.read(data));
        let is_open_ended = self.incoming.size_hint().exact().is_none();
        if self.incoming.is_end_stream() {
            self.done();
        } else if let Some(last) = last.filter(|_| is_open_ended) {
            // The upstream goes on for longer than was paid for.
            self.last = Last::Chunk(last);
            self.done_with(None);
        }
    }

    fn done(&mut self) {
        let link = self.link.take();
        self.done_with(link);
    }

    /// The body is complete. The connection is good for another call if it is given.
    fn done_with(&mut self, link: Option<Link>) {
        if let Some(counting) = self.counting.take() {
            counting.done();
        }
        self.chosen = None;
        self.link = None;
        if let Some(link) = link {
            self.pair.put(&self.pool, link);
        }
    }

    fn break_off(&mut self) {
        self.link = None;
        if let Some(counting) = self.counting.take() {
            counting.broken();
        }
    }
}

impl Silence {
    fn is_too_long(&mut self, cx: &mut Context<'_>) -> bool {
        let longest = self.longest;
        self.since.get_or_insert_with(|| Box::pin(sleep(longest))).as_mut().poll(cx).is_ready()
    }
}
