//! A connection to an upstream, worked by whoever waits for it.
//!
//! The connection is polled inside the task of the call, not in one of its own: no other task need be woken between a
//! caller's socket and an upstream's, which is most of what a proxy costs.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::body::Outgoing;
use super::settings::Base;
use super::wire::Wire;
use crate::recording::Player;

/// Where an upstream is, and how it is reached.
pub(super) enum Endpoint {
    Network {
        host: String,
        port: u16,
        tls: Option<(TlsConnector, ServerName<'static>)>,
        connect_time_max: Duration,
    },
    /// A recording answers in its place.
    Played {
        player: Arc<Player>,
        upstream: Arc<str>,
        base: String,
    },
}

/// Why an upstream could not be spoken to.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// There is no connection, and nothing was sent.
    Connect(io::Error),
    /// Connecting took too long, and nothing was sent.
    ConnectTime,
    /// The connection broke before an answer came.
    Broken(hyper::Error),
}

impl Endpoint {
    /// # Errors
    /// When the host of a TLS address is no name that a certificate could have.
    pub(super) fn new(base: &Base, tls: &TlsConnector, connect_time_max: Duration) -> Result<Self, &'static str> {
        let host = base.authority.host().trim_matches(['[', ']']).to_owned();
        let name = || ServerName::try_from(host.clone()).map_err(|_| "a host that a certificate can name");
        let tls = base.is_tls.then(name).transpose()?.map(|name| (tls.clone(), name));
        Ok(Self::Network { host, port: base.port(), tls, connect_time_max })
    }

    pub(super) fn played(player: &Arc<Player>, upstream: &Arc<str>, base: &Base) -> Self {
        Self::Played { player: Arc::clone(player), upstream: Arc::clone(upstream), base: base.path.clone() }
    }

    pub(super) async fn connect(&self) -> Result<Link, LinkError> {
        let wire = match self {
            Self::Played { player, upstream, base } => Wire::Inside(player.connect(upstream, base)),
            Self::Network { host, port, tls, connect_time_max } => {
                let opened = tokio::time::timeout(*connect_time_max, open(host, *port, tls.as_ref())).await;
                opened.map_err(|_| LinkError::ConnectTime)?.map_err(LinkError::Connect)?
            }
        };
        let opened = Builder::new().handshake(TokioIo::new(wire)).await.map_err(LinkError::Broken)?;
        let (sender, connection) = opened;
        Ok(Link { sender, connection: Box::pin(connection.with_upgrades()), is_over: false })
    }
}

async fn open(host: &str, port: u16, tls: Option<&(TlsConnector, ServerName<'static>)>) -> io::Result<Wire> {
    let stream = TcpStream::connect((host, port)).await?;
    // Small chunks of a stream must leave at once.
    stream.set_nodelay(true)?;
    Ok(match tls {
        None => Wire::Plain(stream),
        Some((tls, name)) => Wire::Tls(Box::new(tls.connect(name.clone(), stream).await?)),
    })
}

/// An open connection. At most one call uses it at a time.
pub(super) struct Link {
    sender: SendRequest<Outgoing>,
    connection: Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>,
    /// Whether it has nothing more to do, and must not be asked to.
    is_over: bool,
}

/// What came of sending a request.
pub(super) enum Sent {
    /// The head of the answer is here.
    Answered(Response<Incoming>),
    /// The connection is gone, and the request, of which nothing was sent, is back.
    Unsent(Box<Request<Outgoing>>),
    /// The connection is gone, and some of the request may have been sent.
    Failed(hyper::Error),
}

impl Link {
    /// Sends a request and waits for the head of its answer.
    pub(super) fn send(&mut self, request: Request<Outgoing>) -> impl Future<Output = Sent> {
        let answer = self.sender.try_send_request(request);
        let (connection, is_over) = (&mut self.connection, &mut self.is_over);
        // Not an async function: that would hold the request once more.
        async move {
            let mut answer = pin!(answer);
            let answered = poll_fn(|cx| {
                // An error of the connection reaches the answer, too, and says there what it means for this request.
                *is_over = *is_over || connection.as_mut().poll(cx).is_ready();
                answer.as_mut().poll(cx)
            });
            answered.await.map_or_else(Self::why, Sent::Answered)
        }
    }

    fn why(mut error: TrySendError<Request<Outgoing>>) -> Sent {
        match error.take_message() {
            Some(request) => Sent::Unsent(Box::new(request)),
            None => Sent::Failed(error.into_error()),
        }
    }

    /// Lets the connection read and write what it can. Ready when it is gone.
    pub(super) fn work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.is_over = self.is_over || self.connection.as_mut().poll(cx).is_ready();
        if self.is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether it can take a request now. Looks at the socket, so that a connection that the upstream has closed in the
    /// meantime is not used.
    pub(super) fn is_good(&mut self) -> bool {
        // Nobody waits for it yet: it is polled again with the request, which would otherwise wake its task for that.
        let cx = &mut Context::from_waker(Waker::noop());
        let gone = self.work(cx).is_ready();
        !gone && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }
}

/// Connections that wait for their next call, the last used first.
#[derive(Default)]
pub(super) struct Pool(std::sync::Mutex<Vec<Link>>);

/// How many connections to one upstream wait for their next call at most, besides those that wait with their caller.
const WAITING_MAX: usize = 256;

impl Pool {
    pub(super) fn take(&self) -> Option<Link> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()
    }

    pub(super) fn put(&self, link: Link) {
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(link);
        }
    }
}

/// What a caller's connection keeps for its next call: the upstream connection that it used last, since a pair of sockets
/// that stay together stay in the cache of one processor, and a timer, since making one costs more than setting it. When
/// the caller goes, the upstream connection goes back to the pool.
#[derive(Default)]
pub(crate) struct Pair(std::sync::Mutex<Kept>);

#[derive(Default)]
struct Kept {
    link: Option<(Arc<Pool>, Link)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pair {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn take(&self, pool: &Arc<Pool>) -> Option<Link> {
        let (of, link) = self.kept().link.take()?;
        if Arc::ptr_eq(&of, pool) {
            return Some(link);
        }
        of.put(link);
        None
    }

    pub(super) fn put(&self, pool: &Arc<Pool>, link: Link) {
        let mut kept = self.kept();
        match &kept.link {
            None => kept.link = Some((Arc::clone(pool), link)),
            Some(_) => pool.put(link),
        }
    }

    /// A timer that rings after so long.
    pub(super) fn timer(&self, after: Duration) -> Pin<Box<Sleep>> {
        let kept = self.kept().timer.take();
        match kept {
            Some(mut timer) => {
                timer.as_mut().reset(Instant::now() + after);
                timer
            }
            None => Box::pin(sleep(after)),
        }
    }

    pub(super) fn keep_timer(&self, timer: Pin<Box<Sleep>>) {
        self.kept().timer = Some(timer);
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Some((pool, link)) = self.kept().link.take() {
            pool.put(link);
        }
    }
}
