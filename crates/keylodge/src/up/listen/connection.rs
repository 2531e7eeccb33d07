//! One connection, from its first byte to its last.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use keylodge_gate::{Peer, TrustedProxies};
use keylodge_services::Visit;
use keylodge_services::relay::Quiet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::front::Front;
use super::held::Held;
use super::proxy_header::{self, Source};
use super::stop::Told;
use super::timer::OneTimer;
use super::tls::{H2, Tls};
use crate::settings::HttpLimits;

/// How long a proxy may take to say whose connection it brings.
const PROXY_HEADER_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Requests that an HTTP/2 connection may have in flight.
const STREAMS_MAX: u32 = 256;
/// How long an HTTP/2 connection may be silent before it is asked whether somebody is there, and how long the answer may
/// take. Nothing else can be sent inside an unfinished head, so that a head which trickles in ends here as well.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_TIME_MAX: Duration = Duration::from_secs(20);
/// What HTTP/2 with prior knowledge begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type Failure = Box<dyn Error + Send + Sync>;

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) proxy_protocol: bool,
    pub(super) proxies: Arc<TrustedProxies>,
    pub(super) http: Arc<Http>,
    /// A list of proxies that lacks one closes everybody's connections, which must be seen; once is enough.
    pub(super) stranger_warned: Once,
}

/// Both versions of HTTP, with their limits.
#[derive(Debug)]
pub(super) struct Http {
    first: http1::Builder,
    second: http2::Builder<TokioExecutor>,
    limits: HttpLimits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    First,
    Second,
}

impl Connections {
    /// Serves a connection to its end. Told to stop, it lets the calls in flight finish.
    ///
    /// # Errors
    /// Whatever ended it early.
    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        socket: SocketAddr,
        visit: Visit,
        mut told: Told,
    ) -> Result<(), Failure> {
        let mut held = Held::new(stream);
        let mut peer = Peer::direct(socket);
        let Http { limits, .. } = &*self.http;
        let begin = async {
            if self.proxy_protocol {
                peer.caller = self.named_by_proxy(&mut held, peer).await?;
            }
            let Some(tls) = &self.tls else {
                let version = timeout(limits.head_time_max, version(&mut held)).await??;
                return Ok::<_, Failure>((Begun::Plain(held), version));
            };
            let stream = timeout(HANDSHAKE_TIME_MAX, tls.acceptor().accept(held)).await??;
            let is_second = stream.get_ref().1.alpn_protocol() == Some(H2);
            Ok((Begun::Tls(Box::new(stream)), if is_second { Version::Second } else { Version::First }))
        };
        let (begun, version) = tokio::select! {
            begun = begin => begun?,
            // Nothing was asked yet.
            () = &mut told => return Ok(()),
        };
        let front = Front::new(visit, peer, &self.proxies, limits.headers_max);
        match begun {
            Begun::Plain(stream) => self.http.serve(stream, version, front, told).await,
            Begun::Tls(stream) => self.http.serve(*stream, version, front, told).await,
        }
    }

    /// Whose connection a proxy brings. From anybody else the header is not even read.
    async fn named_by_proxy(&self, held: &mut Held, peer: Peer) -> Result<Option<IpAddr>, Failure> {
        if !self.proxies.trust(peer.socket.ip()) {
            self.stranger_warned.call_once(|| {
                tracing::warn!(peer = %peer.socket, "a connection was closed because its address is not in trusted_proxies; further ones are logged at level debug");
            });
            return Err("only trusted proxies may connect here".into());
        }
        Ok(match timeout(PROXY_HEADER_TIME_MAX, proxy_header::read(held)).await?? {
            Source::Address(address) => Some(address),
            Source::Proxy => peer.caller,
            Source::Unknown => None,
        })
    }
}

/// A connection of which it is known what it speaks.
enum Begun {
    Plain(Held),
    Tls(Box<tokio_rustls::server::TlsStream<Held>>),
}

/// Which HTTP a connection without TLS speaks: the second if it begins with what only that begins with.
async fn version(held: &mut Held) -> io::Result<Version> {
    loop {
        let known = held.bytes().len().min(PREFACE.len());
        if held.bytes()[..known] != PREFACE[..known] {
            return Ok(Version::First);
        }
        if known == PREFACE.len() {
            return Ok(Version::Second);
        }
        held.more().await?;
    }
}

impl Http {
    pub(super) fn new(limits: HttpLimits) -> Self {
        let mut first = http1::Builder::new();
        first
            .header_read_timeout(limits.head_time_max)
            .max_buf_size(limits.header_bytes_max)
            .max_header_size(limits.header_bytes_max);
        // Only where it must be: set, it costs an allocation a request. Fewer are counted in `framing`.
        if limits.headers_max > 100 {
            first.max_headers(limits.headers_max);
        }
        let mut second = http2::Builder::new(TokioExecutor::new());
        second
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIME_MAX);
        Self { first, second, limits }
    }

    async fn serve<I>(&self, stream: I, version: Version, front: Front, told: Told) -> Result<(), Failure>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        match version {
            Version::First => {
                let mut first = self.first.clone();
                first.timer(OneTimer::default());
                let mut connection = pin!(first.serve_connection(stream, front).with_upgrades());
                let quiet = Quiet::default();
                tokio::select! {
                    ended = poll_fn(|cx| quiet.poll(cx, |cx| connection.as_mut().poll(cx))) => return Ok(ended?),
                    () = told => {}
                }
                connection.as_mut().graceful_shutdown();
                Ok(connection.await?)
            }
            Version::Second => {
                let (front, asked) = front.counting();
                let mut connection = pin!(self.second.serve_connection(stream, front));
                tokio::select! {
                    ended = &mut connection => return Ok(ended?),
                    () = told => {}
                    () = nothing_more(&asked, self.limits.head_time_max) => {}
                }
                connection.as_mut().graceful_shutdown();
                Ok(connection.await?)
            }
        }
    }
}

/// Waits until for so long nothing was asked. hyper has no such limit for HTTP/2; what is still being answered then goes
/// on, and the connection ends after it.
async fn nothing_more(asked: &AtomicU64, idle_time_max: Duration) {
    let mut before = None;
    loop {
        let now = asked.load(Ordering::Relaxed);
        if before.replace(now) == Some(now) {
            return;
        }
        tokio::time::sleep(idle_time_max).await;
    }
}
