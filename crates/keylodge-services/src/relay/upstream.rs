//! An upstream at work: a request goes there, an answer comes back.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use keylodge_gate::Clock;
use keylodge_rules::upstream::{Health, Member, Why};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::body::{Answer, Outgoing, Relayed};
use super::count::{Counting, Counts};
use super::credentials::{Carried, Chosen, Credentials, NoneFree};
use super::headers;
use super::link::{Endpoint, Link, LinkError, Pair, Pool, Sent};
use super::reach::Reach;
use super::settings::{Kind, UpstreamSettings};
use super::tape;
use super::tunnel::{Tunnel, Wish};
use super::underway::Underway;
use crate::bill::{BROKEN, Bill, UNREACHABLE};
use crate::observe::chain;
use crate::recording::{Noted, Recorder, Tape};

/// An upstream.
pub(crate) struct Upstream {
    pub(crate) settings: UpstreamSettings,
    pub(crate) name: Arc<str>,
    endpoint: Endpoint,
    host: HeaderValue,
    pub(super) pool: Arc<Pool>,
    pub(crate) credentials: Arc<Credentials>,
    reach: Reach,
    tunnels: Mutex<JoinSet<()>>,
    recorder: Option<Arc<Recorder>>,
}

/// Why an upstream gave no answer.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    /// It could not be reached; nothing was sent.
    Unreachable(LinkError),
    /// It broke off before an answer came; it may have done what was asked.
    Broken(hyper::Error),
    /// No answer came in time.
    TooSlow,
    /// The path cannot be said to it.
    Path,
    /// It could not be reached some times in a row, and nobody tries for so long.
    Resting(Duration),
    /// None of our credentials can be used now.
    NoneFree(NoneFree),
    /// It takes none of our credentials.
    Credential,
    /// It refused the call in words that cannot be looked through, and may name our credential.
    Unread,
    /// It changed to another protocol, which nobody had asked for.
    Switched,
    /// The request could not be read whole, as recording it needs; nothing was sent.
    Unreadable,
}

impl From<NoneFree> for UpstreamError {
    fn from(none: NoneFree) -> Self {
        Self::NoneFree(none)
    }
}

impl UpstreamError {
    /// The outcome of a call that ended so.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Resting(_) => UNREACHABLE,
            Self::Broken(_) | Self::Switched | Self::Unread => BROKEN,
            Self::TooSlow => "http_504",
            Self::Path | Self::Unreadable => "http_400",
            Self::NoneFree(none) if matches!(none.why, Why::TooMany) => "http_429",
            Self::NoneFree(_) | Self::Credential => "http_503",
        }
    }

    /// Whether the upstream may have done what was asked, if it was sent.
    pub(super) const fn may_be_done(&self) -> bool {
        match self {
            Self::Broken(_) | Self::TooSlow | Self::Switched => true,
            Self::Unreachable(_)
            | Self::Path
            | Self::Resting(_)
            | Self::NoneFree(_)
            | Self::Credential
            | Self::Unread
            | Self::Unreadable => false,
        }
    }

    /// What happened, for the log.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Unreachable(LinkError::Connect(error)) => format!("cannot connect: {error}"),
            Self::Unreachable(LinkError::ConnectTime) => "connecting took too long".to_owned(),
            Self::Unreachable(LinkError::Broken(error)) | Self::Broken(error) => chain(error),
            Self::TooSlow => "no answer came in time".to_owned(),
            Self::Path => "the path cannot be passed on".to_owned(),
            Self::Resting(wait) => format!("it could not be reached; the next try is in {} ms", wait.as_millis()),
            Self::NoneFree(none) => format!("none of its credentials can be used for {} s", none.wait.as_secs()),
            Self::Switched => "it changed to a protocol that nobody had asked for".to_owned(),
            Self::Credential => "it does not take our credential".to_owned(),
            Self::Unreadable => "the request could not be read whole, as recording it needs".to_owned(),
            Self::Unread => "it refused a call in words that cannot be looked through for our credential".to_owned(),
        }
    }
}

/// How often a request goes to another connection because the one it was given to had been closed. Nothing of it was
/// sent then, so this is always safe.
const CLOSED_MAX: usize = 8;

impl Upstream {
    pub(crate) fn new(
        settings: UpstreamSettings,
        key_file: Option<HeaderValue>,
        clock: Clock,
        tls: &TlsConnector,
        tape: &Tape,
    ) -> Result<Self, &'static str> {
        let host = HeaderValue::from_str(settings.url.authority.as_str()).map_err(|_| "a host that can be named")?;
        let name: Arc<str> = settings.name.as_str().into();
        let (endpoint, recorder) = match tape {
            Tape::Plays(player) => (Endpoint::played(player, &name, &settings.url), None),
            Tape::Records(recorder) => {
                (Endpoint::new(&settings.url, tls, settings.connect_time_max)?, Some(Arc::clone(recorder)))
            }
            Tape::None => (Endpoint::new(&settings.url, tls, settings.connect_time_max)?, None),
        };
        let credentials = Arc::new(Credentials::new(Arc::clone(&name), key_file, Arc::clone(&clock)));
        let (pool, reach) = (Arc::default(), Reach::new(clock));
        Ok(Self { name, settings, endpoint, host, pool, credentials, reach, tunnels: Mutex::default(), recorder })
    }

    /// Whether it can be reached, as far as is known.
    pub(crate) fn health(&self) -> Health {
        self.reach.health()
    }

    /// Sends a request on and gives the answer back, its body still on the way, the bill with it.
    pub(crate) async fn relay(
        &self,
        slot: &mut Option<Request<Outgoing>>,
        rest: &str,
        pair: &Arc<Pair>,
        bill: Option<(Box<Bill>, Counts)>,
    ) -> Result<Response<Answer>, UpstreamError> {
        self.relay_of(None, slot, rest, pair, bill).await
    }

    /// The same for what was made with one of our accounts there, which no other knows.
    pub(crate) async fn relay_of(
        &self,
        account: Option<&Member>,
        slot: &mut Option<Request<Outgoing>>,
        rest: &str,
        pair: &Arc<Pair>,
        bill: Option<(Box<Bill>, Counts)>,
    ) -> Result<Response<Answer>, UpstreamError> {
        let underway = Underway::new(slot, bill, self);
        let model = underway.model();
        let sent = self.send_on(underway.slot, rest, pair, model.as_ref(), account).await;
        let Carriage { mut response, tunnel, noted } = match sent {
            Ok(answered) => answered,
            Err(error) => {
                underway.unanswered(&error);
                return Err(error);
            }
        };
        match (tunnel, underway.answered()) {
            (None, None) => {}
            (None, Some((bill, counts))) => {
                let counting = Counting::new(bill, counts, response.status(), response.headers());
                match response.body_mut() {
                    Answer::Relayed(body) => body.count(counting),
                    Answer::Whole(_) | Answer::Own(_) => counting.done(),
                }
            }
            (Some(tunnel), bill) => self.open(tunnel, bill.map(|(bill, _)| bill)),
        }
        recorded(response, noted).await
    }

    /// Sends a request of our own on and gives the answer back, its body still on the way.
    pub(crate) async fn ask(
        &self,
        underway: &mut Underway<'_>,
        rest: &str,
        pair: &Arc<Pair>,
    ) -> Result<Response<Answer>, UpstreamError> {
        let model = underway.model();
        let Carriage { response, noted, .. } = self.send_on(underway.slot, rest, pair, model.as_ref(), None).await?;
        recorded(response, noted).await
    }

    /// The request stays where it is until a connection takes it: moving it from step to step is most of what a step costs.
    async fn send_on(
        &self,
        slot: &mut Option<Request<Outgoing>>,
        rest: &str,
        pair: &Arc<Pair>,
        model: Option<&Arc<str>>,
        account: Option<&Member>,
    ) -> Result<Carriage, UpstreamError> {
        let noted = match &self.recorder {
            None => None,
            Some(recorder) => Box::pin(tape::note(self, recorder, slot, rest)).await?,
        };
        let Some(request) = slot.as_mut() else { return Err(UpstreamError::Path) };
        // What models say is counted; a websocket could not be.
        let wish = if self.settings.kind == Kind::Http { Wish::of(request) } else { None };
        let longest = time_max(request.headers(), self.settings.head_time_max);
        self.prepare(request, rest)?;
        if let Some(wish) = &wish {
            wish.say(request.headers_mut());
        }
        let mut timer = pair.timer(longest);
        let carried = {
            let mut carrying = pin!(self.carry(slot, model, account, pair));
            poll_fn(|cx| match carrying.as_mut().poll(cx) {
                Poll::Pending => timer.as_mut().poll(cx).map(|()| Err(UpstreamError::TooSlow)),
                carried => carried,
            })
            .await
        };
        pair.keep_timer(timer);
        let (mut response, link, chosen) = match carried? {
            Carried::Streams(response, link, chosen) => (response, link, chosen),
            Carried::Told(mut told) => {
                make_ours(&mut told);
                return Ok(Carriage { response: *told, tunnel: None, noted });
            }
        };
        make_ours(&mut response);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody else asked for it.
            let wish = wish.ok_or(UpstreamError::Switched)?;
            wish.say(response.headers_mut());
            let tunnel = wish.granted(&mut response, link, chosen);
            let response = response.map(|_| Answer::Whole(None));
            return Ok(Carriage { response, tunnel: Some(Box::new(tunnel)), noted });
        }
        let response = response.map(|incoming| Answer::Relayed(self.relayed(incoming, link, pair, chosen)));
        Ok(Carriage { response, tunnel: None, noted })
    }

    /// Carries a websocket in a task of its own, since the call's own ends with the answer's head.
    fn open(&self, tunnel: Box<Tunnel>, bill: Option<Box<Bill>>) {
        let mut tunnels = self.tunnels();
        // Those that ended are let go of, so that the set holds only those that live.
        while tunnels.try_join_next().is_some() {}
        let (name, silence_max) = (Arc::clone(&self.name), self.settings.silence_max);
        tunnels.spawn(async move { tunnel.carry(&name, bill, silence_max).await });
    }

    /// Ends all websockets, and waits until they are counted.
    pub(super) async fn hang_up(&self) {
        let mut tunnels = std::mem::take(&mut *self.tunnels());
        tunnels.shutdown().await;
    }

    fn tunnels(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a request of a caller's one of ours.
    pub(super) fn prepare(&self, request: &mut Request<Outgoing>, rest: &str) -> Result<(), UpstreamError> {
        *request.uri_mut() = self.uri(rest, request.uri().query()).ok_or(UpstreamError::Path)?;
        *request.version_mut() = Version::HTTP_11;
        request.extensions_mut().clear();
        let is_whole = matches!(request.body(), Outgoing::Whole(Some(_)));
        let headers = request.headers_mut();
        headers::keep_for_upstream(headers);
        if self.settings.kind.has_models() || self.recorder.is_some() {
            // What is compressed cannot be read in passing.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if is_whole {
            // It may have been rewritten; hyper says its length.
            headers.remove(header::CONTENT_LENGTH);
        }
        headers.insert(header::HOST, self.host.clone());
        Ok(())
    }

    pub(super) fn relayed(&self, incoming: Incoming, link: Link, pair: &Arc<Pair>, chosen: Option<Chosen>) -> Relayed {
        let (pair, pool) = (Arc::clone(pair), Arc::clone(&self.pool));
        Relayed::new(incoming, link, pair, pool, chosen, self.settings.silence_max)
    }

    /// Gives the request to a connection, and waits for the head of its answer.
    pub(super) async fn send(
        &self,
        slot: &mut Option<Request<Outgoing>>,
        pair: &Arc<Pair>,
    ) -> Result<(Response<Incoming>, Link), UpstreamError> {
        for _ in 0..CLOSED_MAX {
            let mut link = self.link(pair).await?;
            let Some(request) = slot.take() else { break };
            match link.send(request).await {
                Sent::Answered(response) => return Ok((response, link)),
                Sent::Unsent(back) => *slot = Some(*back),
                Sent::Failed(error) => return Err(UpstreamError::Broken(error)),
            }
        }
        Err(UpstreamError::TooSlow)
    }

    async fn link(&self, pair: &Arc<Pair>) -> Result<Link, UpstreamError> {
        while let Some(mut link) = pair.take(&self.pool).or_else(|| self.pool.take()) {
            if link.is_good() {
                return Ok(link);
            }
        }
        // In a box, as most calls find a connection that is open, and would carry this about.
        Box::pin(async {
            let trying = self.reach.knock().map_err(UpstreamError::Resting)?;
            let connected = self.endpoint.connect().await;
            trying.came_to(&connected);
            connected.map_err(UpstreamError::Unreachable)
        })
        .await
    }

    /// The path as the upstream knows it, and the query as it came.
    fn uri(&self, rest: &str, query: Option<&str>) -> Option<Uri> {
        let base = &*self.settings.url.path;
        let path = match (base, rest, query) {
            ("", "", None) => return Some(Uri::from_static("/")),
            ("", rest, None) => PathAndQuery::try_from(rest),
            (base, rest, query) => {
                let slash = if base.is_empty() && rest.is_empty() { "/" } else { "" };
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                PathAndQuery::try_from(format!("{base}{slash}{rest}{query}"))
            }
        };
        path.ok().map(Uri::from)
    }
}

/// What came of sending a request on.
struct Carriage {
    response: Response<Answer>,
    tunnel: Option<Box<Tunnel>>,
    /// Where calls are recorded.
    noted: Option<Box<Noted>>,
}

async fn recorded(response: Response<Answer>, noted: Option<Box<Noted>>) -> Result<Response<Answer>, UpstreamError> {
    match noted {
        None => Ok(response),
        Some(noted) => Ok(Box::pin(tape::record(noted, response)).await),
    }
}

/// Makes an answer of an upstream's one of ours, whatever of HTTP the upstream speaks.
fn make_ours<B>(response: &mut Response<B>) {
    *response.version_mut() = Version::HTTP_11;
    headers::keep_for_caller(response.headers_mut());
}

/// Reads how long something may take, as an earlier deadline that a caller asked for.
fn time_max(headers: &HeaderMap, longest: Duration) -> Duration {
    let asked = headers.get("x-server-timeout").and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    let asked = asked.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    asked.map_or(longest, |seconds| Duration::from_secs_f64(seconds.min(longest.as_secs_f64())))
}
