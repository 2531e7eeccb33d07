//! A call noted on its way to an upstream, and its answer on the way back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use keylodge_api::{Envelope, Status};
use tokio::time::timeout;

use super::body::{Answer, Outgoing};
use super::credentials::is_encoded;
use super::headers::upgrade_wanted;
use super::upstream::{Upstream, UpstreamError};
use crate::recording::{Asked, BODY_BYTES_MAX, Missed, Noted, Recorder, Scrubber};

/// Notes a request, which is read whole for that. It has no credential yet.
pub(super) async fn note(
    upstream: &Upstream,
    recorder: &Arc<Recorder>,
    slot: &mut Option<Request<Outgoing>>,
    rest: &str,
) -> Result<Option<Box<Noted>>, UpstreamError> {
    let Some(request) = slot.take() else { return Ok(None) };
    if upgrade_wanted(request.headers()).is_some() {
        recorder.miss(Missed::Websocket);
        *slot = Some(request);
        return Ok(None);
    }
    if is_encoded(request.headers()) {
        // Secrets in it could not be found.
        recorder.miss(Missed::Compressed);
        *slot = Some(request);
        return Ok(None);
    }
    let (parts, body) = request.into_parts();
    let reading = timeout(upstream.settings.head_time_max, Limited::new(body, BODY_BYTES_MAX).collect());
    let body = reading.await.ok().and_then(Result::ok).map(|body| body.to_bytes());
    let whole = body.clone().filter(|body| !body.is_empty());
    let request = slot.insert(Request::from_parts(parts, Outgoing::Whole(whole)));
    let body = body.ok_or(UpstreamError::Unreadable)?;
    let scrubber = Scrubber::knowing(upstream.credentials.secrets());
    let (method, query) = (request.method().as_str(), request.uri().query());
    let asked = Asked::of(method, rest, query, request.headers(), &body, &scrubber);
    Ok(Some(Box::new(recorder.note(&upstream.name, asked, scrubber))))
}

/// Has an answer written down as it passes.
pub(super) async fn record(mut noted: Box<Noted>, response: Response<Answer>) -> Response<Answer> {
    if is_encoded(response.headers()) {
        noted.missed_as(Missed::Compressed);
        return response;
    }
    noted.missed_as(Missed::Left);
    let head = (response.status().as_u16(), response.headers().clone());
    if response.body().is_end_stream() {
        // Nobody would ask for what is in it.
        return match noted.write(head.0, head.1, Vec::new(), false).await {
            Ok(()) => response,
            Err(error) => {
                tracing::error!(%error, "a call could not be recorded");
                Status::internal().response(Envelope::Object)
            }
        };
    }
    let taped = |body| Taped { body, noted: Some((noted, head)), pieces: Vec::new(), bytes: 0, end: End::Ahead };
    response.map(|body| Answer::Own(Body::new(taped(body))))
}

/// An answer that is written down when it has passed, before its end is said.
struct Taped {
    body: Answer,
    /// None where it is not recorded after all.
    noted: Option<(Box<Noted>, (u16, HeaderMap))>,
    pieces: Vec<Vec<u8>>,
    bytes: usize,
    end: End,
}

/// Where the end of a body is.
enum End {
    Ahead,
    /// It is being written down; then this is said last.
    Written(Writing, Last),
    Said,
}

type Writing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
type Last = Option<Result<Frame<Bytes>, BoxError>>;

impl Taped {
    /// Keeps a piece that passes.
    fn keep(&mut self, piece: &[u8]) {
        self.bytes += piece.len();
        if self.bytes <= BODY_BYTES_MAX {
            self.pieces.push(piece.to_vec());
        } else if let Some((mut noted, _)) = self.noted.take() {
            noted.missed_as(Missed::TooLong);
        }
    }

    fn write(&mut self, last: Last) -> End {
        let Some((noted, (status, headers))) = self.noted.take() else {
            return End::Written(Box::pin(std::future::ready(Ok(()))), last);
        };
        let broke_off = matches!(last, Some(Err(_)));
        let pieces = std::mem::take(&mut self.pieces);
        End::Written(Box::pin(noted.write(status, headers, pieces, broke_off)), last)
    }
}

impl HttpBody for Taped {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if matches!(this.end, End::Ahead) {
            let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
            if let Some(Ok(piece)) = &frame {
                this.keep(piece.data_ref().map_or(&[][..], |data| &data[..]));
                if !this.body.is_end_stream() {
                    return Poll::Ready(frame);
                }
            }
            this.end = this.write(frame);
        }
        let End::Written(writing, _) = &mut this.end else { return Poll::Ready(None) };
        let written = ready!(writing.as_mut().poll(cx));
        let End::Written(_, last) = std::mem::replace(&mut this.end, End::Said) else { return Poll::Ready(None) };
        Poll::Ready(match written {
            Ok(()) => last,
            Err(error) => Some(Err(error.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Said)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
