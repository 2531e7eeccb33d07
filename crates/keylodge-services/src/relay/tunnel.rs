//! Websockets: once both sides have agreed, bytes go through as they come, until one side hangs up.

use std::sync::Arc;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::credentials::Chosen;
use super::headers::upgrade_wanted;
use super::link::Link;
use crate::bill::{BROKEN, Bill};
use crate::observe::chain;

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
    /// Carries bytes both ways, in a task of its own, since the call's own ends with the answer's head. The call is in
    /// flight until a side hangs up.
    pub(super) fn open(self, name: &Arc<str>, bill: Option<Box<Bill>>) {
        let name = Arc::clone(name);
        tokio::spawn(async move {
            let ended = self.carry().await;
            let mut bill = bill;
            if let Some(bill) = &mut bill {
                bill.outcome = if ended.is_ok() { "ok" } else { BROKEN };
            }
            if let Err(error) = ended {
                tracing::debug!(upstream = &*name, error = chain(&*error), "a websocket broke off");
            }
        });
    }

    async fn carry(self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Self { caller, upstream, mut link, chosen } = self;
        // The connection gives its socket away when it has nothing more to do.
        std::future::poll_fn(|cx| link.work(cx)).await;
        let (caller, upstream) = tokio::try_join!(caller, upstream)?;
        tokio::io::copy_bidirectional(&mut TokioIo::new(caller), &mut TokioIo::new(upstream)).await?;
        drop(chosen);
        Ok(())
    }
}
