//! Websockets: once both sides have agreed, bytes go through as they come, until one side hangs up.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::{Instant, sleep};

use super::credentials::Chosen;
use super::headers::upgrade_wanted;
use super::link::Link;
use crate::bill::{BROKEN, Bill};
use crate::observe::chain;

/// How much is read at once. Messages of websockets are mostly smaller.
const PIECE_BYTES: usize = 16 * 1024;

/// A caller who asks to change to websocket.
pub(super) struct Wish {
    caller: OnUpgrade,
    protocol: HeaderValue,
}

/// Both sides have agreed.
pub(super) struct Tunnel {
    caller: OnUpgrade,
    upstream: OnUpgrade,
    link: Link,
    chosen: Option<Chosen>,
}

impl Wish {
    /// Ask before the headers of the caller's connection are removed.
    pub(super) fn of<B>(request: &mut Request<B>) -> Option<Self> {
        let protocol = upgrade_wanted(request.headers())?;
        request.extensions_mut().remove().map(|caller| Self { caller, protocol })
    }

    /// Says to an upstream that the caller wants it, or to the caller that the upstream does.
    pub(super) fn say(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The upstream has agreed.
    pub(super) fn granted(self, response: &mut Response<Incoming>, link: Link, chosen: Option<Chosen>) -> Tunnel {
        let upstream = hyper::upgrade::on(response);
        Tunnel { caller: self.caller, upstream, link, chosen }
    }
}

impl Tunnel {
    /// Carries bytes both ways until a side hangs up, or nothing has come from either for so long. The call is in flight
    /// until then.
    pub(super) async fn carry(self, name: &str, bill: Option<Box<Bill>>, silence_max: Duration) {
        let mut bill = bill;
        let ended = self.run(silence_max).await;
        if let Some(bill) = &mut bill {
            bill.outcome = if ended.is_ok() { "ok" } else { BROKEN };
        }
        if let Err(error) = ended {
            tracing::debug!(upstream = name, error = chain(&*error), "a websocket broke off");
        }
    }

    async fn run(self, silence_max: Duration) -> Result<(), Failure> {
        let Self { caller, upstream, mut link, chosen } = self;
        // The connection gives its socket away when it has nothing more to do.
        poll_fn(|cx| link.work(cx)).await;
        let (caller, upstream) = tokio::try_join!(caller, upstream)?;
        let (from_caller, to_caller) = split(TokioIo::new(caller));
        let (from_upstream, to_upstream) = split(TokioIo::new(upstream));
        let heard = Heard::new();
        tokio::select! {
            ended = pump(from_caller, to_upstream, &heard) => ended?,
            ended = pump(from_upstream, to_caller, &heard) => ended?,
            () = heard.nothing_for(silence_max) => return Err("nothing came from either side for too long".into()),
        }
        drop(chosen);
        Ok(())
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// When something came last from either side.
struct Heard {
    began: Instant,
    last_millis: AtomicU64,
}

impl Heard {
    fn new() -> Self {
        Self { began: Instant::now(), last_millis: AtomicU64::new(0) }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn note(&self) {
        let millis = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_millis.store(millis, Ordering::Relaxed);
    }

    /// Waits until nothing has come for so long.
    async fn nothing_for(&self, silence_max: Duration) {
        loop {
            let quiet = self.elapsed().saturating_sub(Duration::from_millis(self.last_millis.load(Ordering::Relaxed)));
            match silence_max.checked_sub(quiet) {
                Some(left) if !left.is_zero() => sleep(left).await,
                _ => return,
            }
        }
    }
}

/// Carries bytes one way until there are no more.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, heard: &Heard) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = from.read(&mut piece).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        heard.note();
        to.write_all(&piece[..count]).await?;
        to.flush().await?;
    }
}
