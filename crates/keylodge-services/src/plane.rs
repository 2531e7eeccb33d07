//! The data plane as a listener serves it: what is relayed goes the short way, everything else through the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use http::{Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use keylodge_api::{Envelope, Status};
use keylodge_gate::{Credentials, Peer};
use keylodge_rules::Refusal;
use tower::ServiceExt;

use crate::auth_tokens::{self, AuthToken, Presenting};
use crate::bill::{self, Asked, Bill};
use crate::relay::{Answer, Counts, Door, Outgoing, Pair};
use crate::tally::Caller;
use crate::unread::{self, Unread};
use crate::{Lodge, failure};

/// Everything a listener serves. Cheap to clone.
#[derive(Clone)]
pub struct Plane(Arc<Parts>);

struct Parts {
    lodge: Lodge,
    doors: Vec<Door>,
    router: Router,
}

impl Plane {
    /// The doors of the lodge's upstreams, and behind them a router for all other requests.
    #[must_use]
    pub fn new(lodge: &Lodge, router: Router) -> Self {
        let doors = lodge.upstreams.doors(&format!("{}/studio", lodge.public_url));
        Self(Arc::new(Parts { lodge: lodge.clone(), doors, router }))
    }

    /// A router alone, for a listener of the control plane.
    #[must_use]
    pub fn without_doors(lodge: &Lodge, router: Router) -> Self {
        Self(Arc::new(Parts { lodge: lodge.clone(), doors: Vec::new(), router }))
    }

    /// What serves one connection.
    #[must_use]
    pub fn visit(&self) -> Visit {
        Visit { parts: Arc::clone(&self.0), pair: Arc::default() }
    }
}

/// Serves the requests of one connection.
pub struct Visit {
    parts: Arc<Parts>,
    pair: Arc<Pair>,
}

impl Visit {
    /// Answers a request that comes from this peer.
    ///
    /// In a box, and small: hyper and what is around it would else move what a call needs from place to place.
    pub fn answer(&self, mut request: Request<Incoming>, peer: Peer) -> Answering {
        let (parts, pair) = (Arc::clone(&self.parts), Arc::clone(&self.pair));
        let unread = Unread::of(&request, parts.lodge.limits.body_time_max);
        let Some((door, rest_at)) = parts.door(&request) else {
            request.extensions_mut().insert(peer);
            return Box::pin(async move { Ok(parts.route(request, unread).await) });
        };
        let outgoing =
            |body: Incoming| if body.is_end_stream() { Outgoing::Whole(None) } else { Outgoing::Streamed(body) };
        let mut request = Some(request.map(outgoing));
        Box::pin(async move {
            let mut response = parts.relay(door, rest_at, &mut request, peer, &pair).await;
            if let Some(unread) = unread {
                Box::pin(unread.settle_slot(request, &mut response)).await;
            }
            Ok(response)
        })
    }
}

/// An answer that is being made.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

/// The address of a request without its credentials, the bill of its call, none where a door stands open, and the
/// ephemeral token that it came with.
type Admitted = (Uri, Option<Box<Bill>>, Option<Arc<AuthToken>>);

impl Parts {
    /// The door that a request is for, and where in its path begins what is left of it.
    fn door(&self, request: &Request<Incoming>) -> Option<(usize, usize)> {
        let (headers, uri) = (request.headers(), request.uri());
        let found = self.doors.iter().enumerate().find_map(|(at, door)| Some((at, door.below(headers, uri)?)));
        found.map(|(at, rest)| (at, uri.path().len() - rest.len()))
    }

    async fn route(&self, request: Request<Incoming>, unread: Option<Unread>) -> Response<Answer> {
        let (request, lender) = unread::lend(request, unread);
        let Ok(response) = self.router.clone().oneshot(request).await;
        let mut response = response.map(Answer::Own);
        if let Some(lender) = lender {
            lender.settle(&mut response).await;
        }
        response
    }

    /// Sends a request on, if the gate lets it through and its limits have room.
    async fn relay(
        &self,
        door: usize,
        rest_at: usize,
        slot: &mut Option<Request<Outgoing>>,
        peer: Peer,
        pair: &Arc<Pair>,
    ) -> Response<Answer> {
        let door = &self.doors[door];
        let (uri, bill, token) = match slot.as_mut().map(|request| self.admit(door, rest_at, request, peer)) {
            None => return said(&Status::internal()),
            Some(Err(response)) => return *response,
            Some(Ok(admitted)) => admitted,
        };
        let bill = match bill {
            None => None,
            Some(mut bill) => {
                // In a box, as it is rare, and calls would carry it about.
                if let Some(token) = &token
                    && let Err(refusal) = Box::pin(auth_tokens::spend(&self.lodge, token)).await
                {
                    return self.refuse(door, refusal, &bill.void());
                }
                if let Err(refusal) = bill.take().await {
                    return self.refuse(door, refusal, &bill.void());
                }
                Some((bill, Counts::Calls))
            }
        };
        let rest = uri.path().get(rest_at..).unwrap_or_default();
        match door.upstream.relay(slot, rest, pair, bill).await {
            Ok(response) => response,
            Err(error) => failure::of_upstream(&door.upstream.name, &error, Envelope::Object),
        }
    }

    /// Takes the credentials out of a request and asks the gate.
    fn admit(
        &self,
        door: &Door,
        rest_at: usize,
        request: &mut Request<Outgoing>,
        peer: Peer,
    ) -> Result<Admitted, Box<Response<Answer>>> {
        let began = self.lodge.now();
        let mut uri = std::mem::take(request.uri_mut());
        let mut credentials = Credentials::take(request.headers_mut(), &mut uri);
        request.uri_mut().clone_from(&uri);
        if door.upstream.settings.is_open {
            return Ok((uri, None, None));
        }
        let rest = uri.path().get(rest_at..).unwrap_or_default();
        let target = door.target(request.method(), &uri, rest).map_err(|status| Box::new(said(&status)))?;
        let caller = Caller::of(request.headers(), Some(peer.ip()));
        let token = auth_tokens::present(&self.lodge, &mut credentials, Presenting::Calls);
        let judge = &self.lodge.judge;
        match judge.admit(Some(&credentials), &door.surface, &target, request.headers(), Some(&peer), began) {
            Ok(pass) => {
                self.lodge.uses.note_foreign(&pass);
                let bill = Bill::new(&self.lodge, pass, &target, caller, &door.upstream.name, began);
                Ok((uri, Some(bill), token))
            }
            Err(refusal) => Err(Box::new(self.refuse(door, refusal, &Asked { target, caller, began }))),
        }
    }

    fn refuse(&self, door: &Door, refusal: Refusal, asked: &Asked) -> Response<Answer> {
        let response = self.lodge.judge.refuse(refusal, &door.surface, &asked.target);
        if let Some(refused) = response.extensions().get() {
            bill::refused(&self.lodge, refused, &asked.target, &asked.caller, asked.began);
        }
        response
    }
}

fn said(status: &Status) -> Response<Answer> {
    status.response(Envelope::Object)
}
