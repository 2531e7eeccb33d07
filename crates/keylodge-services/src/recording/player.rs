//! Answers in an upstream's place, from a recording.
//!
//! The relay speaks HTTP to it over a connection that never leaves the process, so all that is before the upstream is the
//! same as with a real one. The same request is given the answers that were recorded for it one after the other, and the
//! last of them for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::BoxError;
use axum::body::Body;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keylodge_api::{Code, Detail, Envelope, Status};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;

use super::BODY_BYTES_MAX;
use super::exchange::{Answered, Asked, Exchange};
use super::matching::{difference, nearest};
use super::recorder::calls;
use super::scrub::Scrubber;

/// How much is on its way inside the process at most, in bytes.
const ON_ITS_WAY_BYTES_MAX: usize = 64 * 1024;
/// How many requests without an answer are told of.
const MISSES_TOLD_MAX: usize = 20;

/// A recording that is played.
pub struct Player {
    exchanges: Vec<Exchange>,
    scrubber: Scrubber,
    played: Mutex<Played>,
    connections: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Played {
    /// How often the request of an exchange was asked, by the place of the first that is the same.
    asked: BTreeMap<usize, usize>,
    /// What was asked and is not in the recording.
    misses: Vec<String>,
}

impl Player {
    /// Reads a recording.
    ///
    /// # Errors
    /// Words for whoever started the program.
    pub fn open(file: &Path) -> Result<Arc<Self>, String> {
        Ok(Self::of(super::read(file)?.0))
    }

    fn of(exchanges: Vec<Exchange>) -> Arc<Self> {
        let (scrubber, played, connections) = (Scrubber::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { exchanges, scrubber, played, connections })
    }

    /// The names of the upstreams that it answers for.
    #[must_use]
    pub fn upstreams(&self) -> BTreeSet<&str> {
        self.exchanges.iter().map(|exchange| &*exchange.upstream).collect()
    }

    /// What was asked and is not in the recording, in words; none where all was.
    #[must_use]
    pub fn missed(&self) -> Option<String> {
        let misses = &self.played().misses;
        if misses.is_empty() {
            return None;
        }
        let mut said = format!("{} not in the recording:", calls(misses.len()));
        for miss in misses.iter().take(MISSES_TOLD_MAX) {
            said.push_str(&format!("\n  {miss}"));
        }
        Some(said)
    }

    /// A connection to the upstream of this name, whose paths begin with `base`.
    pub(crate) fn connect(self: &Arc<Self>, upstream: &Arc<str>, base: &str) -> DuplexStream {
        let (near, far) = tokio::io::duplex(ON_ITS_WAY_BYTES_MAX);
        let (player, upstream, base): (_, _, Arc<str>) = (Arc::clone(self), Arc::clone(upstream), base.into());
        let mut connections = self.connections();
        // Those that ended are let go of, so that the set holds only those that live.
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let (player, upstream, base) = (Arc::clone(&player), Arc::clone(&upstream), Arc::clone(&base));
                async move { Ok::<_, Infallible>(player.answer(&upstream, &base, request).await) }
            });
            // It ends when the relay lets go of it, or where a recorded answer broke off.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(far), answer).await;
        });
        near
    }

    /// Ends all connections, and waits until they have.
    pub(crate) async fn hang_up(&self) {
        let mut connections = std::mem::take(&mut *self.connections());
        connections.shutdown().await;
    }

    async fn answer(&self, upstream: &str, base: &str, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return Status::new(Code::InvalidArgument, "The body is too long to be looked up in a recording.")
                .response(Envelope::Object);
        };
        let path = parts.uri.path().strip_prefix(base).unwrap_or_default();
        let (method, query) = (parts.method.as_str(), parts.uri.query());
        let asked = Asked::of(method, path, query, &parts.headers, &body.to_bytes(), &self.scrubber);
        match self.find(upstream, &asked) {
            Some(answered) => said(answered),
            None => self.miss(upstream, &asked).response(Envelope::Object),
        }
    }

    /// The answer that is next for a request.
    fn find(&self, upstream: &str, asked: &Asked) -> Option<&Answered> {
        let is_same = |(_, exchange): &(usize, &Exchange)| difference(upstream, asked, exchange).is_none();
        let same: Vec<(usize, &Exchange)> = self.exchanges.iter().enumerate().filter(is_same).collect();
        let (first, _) = *same.first()?;
        let mut played = self.played();
        let before = played.asked.entry(first).or_default();
        let (_, exchange) = same.get(*before).or(same.last())?;
        *before += 1;
        Some(&exchange.response)
    }

    fn miss(&self, upstream: &str, asked: &Asked) -> Status {
        let mut words = format!("{} is not in the recording", asked.line());
        match nearest(upstream, asked, &self.exchanges) {
            Some((at, found)) => {
                let line = self.exchanges[at].request.line();
                words.push_str(&format!("; the nearest is exchange {}, {line}, which differs in {found}", at + 1));
            }
            None => words.push_str(", which is empty"),
        }
        self.played().misses.push(words.clone());
        Status::new(Code::FailedPrecondition, words + ".").with(Detail::info("NOT_RECORDED", Vec::new()))
    }

    fn played(&self) -> MutexGuard<'_, Played> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("exchanges", &self.exchanges.len()).finish_non_exhaustive()
    }
}

/// An answer as it was recorded, its pieces one by one.
fn said(answered: &Answered) -> Response<Body> {
    let mut pieces = answered.body.pieces();
    let body = match (pieces.len(), answered.broke_off) {
        (0, false) => Body::empty(),
        (1, false) => Body::from(pieces.remove(0)),
        (_, broke_off) => in_pieces(pieces, broke_off),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answered.status).unwrap_or_default();
    for (name, value) in &answered.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn in_pieces(pieces: Vec<Vec<u8>>, broke_off: bool) -> Body {
    let pieces = pieces.into_iter().map(Ok::<_, BoxError>);
    let end = broke_off.then(|| Err("the recorded answer broke off here".into()));
    Body::from_stream(stream::unfold(pieces.chain(end), |mut rest| async move {
        let piece = rest.next()?;
        // What was said before leaves first: else an end that breaks off would take it along.
        tokio::task::yield_now().await;
        Some((piece, rest))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::exchange::samples::{answered, asked, exchange};
    use serde_json::json;

    const LINE: &str = "POST /v1/models/m:generateContent";

    #[test]
    fn the_same_request_is_answered_one_after_the_other_and_then_with_the_last() {
        let ask = |text: &str| asked(LINE, json!({ "text": text }));
        let player = Player::of(vec![
            exchange(ask("a"), answered(503, json!(1))),
            exchange(ask("b"), answered(200, json!(2))),
            exchange(ask("a"), answered(200, json!(3))),
        ]);

        let statuses = |text| player.find("google", &ask(text)).map(|answered| answered.status);
        assert_eq!(["a", "b", "a", "a", "b"].map(statuses), [503, 200, 200, 200, 200].map(Some));
        assert!(player.find("other", &ask("a")).is_none());
        assert_eq!(player.missed(), None);
    }

    #[test]
    fn what_is_not_in_the_recording_is_told_with_what_is_nearest() {
        let player = Player::of(vec![exchange(asked(LINE, json!({"text": "Hi"})), answered(200, json!(1)))]);

        let status = player.miss("google", &asked(LINE, json!({"text": "Ho"})));

        let words = format!(
            "{LINE} is not in the recording; the nearest is exchange 1, {LINE}, which differs in text: recorded \"Hi\", asked \"Ho\""
        );
        assert_eq!((status.code, status.message), (Code::FailedPrecondition, format!("{words}.")));
        assert_eq!(player.missed(), Some(format!("1 call not in the recording:\n  {words}")));
    }
}
