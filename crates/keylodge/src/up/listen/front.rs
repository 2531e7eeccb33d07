//! What every request of a connection meets first: its framing is looked at, and it is told who called.

use std::convert::Infallible;
use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use keylodge_gate::{Peer, TrustedProxies};
use keylodge_services::relay::Answer as Body;
use keylodge_services::{Answering, Visit};

use super::framing;

/// The service of one connection, with this before it.
pub(super) struct Front {
    visit: Visit,
    peer: Peer,
    /// The proxy at the other end, where its headers are to be believed.
    behind: Option<(IpAddr, Arc<TrustedProxies>)>,
    headers_max: usize,
    /// How many requests came, where somebody wants to know.
    asked: Option<Arc<AtomicU64>>,
}

impl Front {
    /// For a connection whose other end is `peer`. What proxies say in headers counts only if its address is trusted.
    pub(super) fn new(visit: Visit, peer: Peer, proxies: &Arc<TrustedProxies>, headers_max: usize) -> Self {
        let proxy = peer.caller.filter(|address| !proxies.is_empty() && proxies.trust(*address));
        let behind = proxy.map(|address| (address, Arc::clone(proxies)));
        Self { visit, peer, behind, headers_max, asked: None }
    }

    /// The same, and the number of requests that came so far.
    pub(super) fn counting(mut self) -> (Self, Arc<AtomicU64>) {
        let asked = Arc::default();
        self.asked = Some(Arc::clone(&asked));
        (self, asked)
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if let Some(asked) = &self.asked {
            asked.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(unclear) = framing::check(&request, self.headers_max) {
            tracing::debug!(peer = %self.peer.socket, ?unclear, "a request was refused that could be read in two ways");
            return Box::pin(ready(Ok(unclear.response(request.version()))));
        }
        let peer = match &self.behind {
            None => self.peer,
            Some((proxy, proxies)) => Peer { caller: proxies.caller(*proxy, request.headers()), ..self.peer },
        };
        self.visit.answer(request, peer)
    }
}
