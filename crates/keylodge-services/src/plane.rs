//! The data plane as a listener serves it: what is relayed goes the short way, everything else through the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, request};
use http_body::Body as _;
use hyper::body::Incoming;
use keylodge_api::{Envelope, Status};
use keylodge_gate::{Credentials, Peer};
use tower::ServiceExt;

use crate::bill::{self, Bill};
use crate::relay::{Answer, Counts, Door, Outgoing, Pair};
use crate::tally::Caller;
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
    /// In a box: hyper and what is around it would else move what a call needs from place to place.
    pub fn answer(&self, request: Request<Incoming>, peer: Peer) -> Answering {
        let (parts, pair) = (Arc::clone(&self.parts), Arc::clone(&self.pair));
        Box::pin(async move { Ok(parts.answer(request, peer, &pair).await) })
    }
}

/// An answer that is being made.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

impl Parts {
    async fn answer(&self, mut request: Request<Incoming>, peer: Peer, pair: &Arc<Pair>) -> Response<Answer> {
        let door = self.doors.iter().find_map(|door| {
            let rest = door.below(request.headers(), request.uri())?;
            Some((door, request.uri().path().len() - rest.len()))
        });
        let Some((door, rest_at)) = door else {
            request.extensions_mut().insert(peer);
            return Box::pin(self.route(request)).await;
        };
        let (mut head, body) = request.into_parts();
        let credentials = Credentials::take(&mut head.headers, &mut head.uri);
        let uri = head.uri.clone();
        let rest = uri.path().get(rest_at..).unwrap_or_default();
        let upstream = &door.upstream;
        let bill = if upstream.settings.is_open {
            None
        } else {
            match self.admit(door, rest, &credentials, &head, peer).await {
                Ok(bill) => Some((bill, Counts::Calls)),
                Err(response) => return *response,
            }
        };
        let body = if body.is_end_stream() { Outgoing::Whole(None) } else { Outgoing::Streamed(body) };
        match upstream.relay(Request::from_parts(head, body), rest, pair, bill).await {
            Ok(response) => response,
            Err(error) => failure::of_upstream(&upstream.settings.name, &error, Envelope::Object),
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Answer> {
        let Ok(response) = self.router.clone().oneshot(request.map(Body::new)).await;
        response.map(Answer::Own)
    }

    /// Asks the gate, and takes the call from its limits.
    async fn admit(
        &self,
        door: &Door,
        rest: &str,
        credentials: &Credentials,
        head: &request::Parts,
        peer: Peer,
    ) -> Result<Box<Bill>, Box<Response<Answer>>> {
        let began = self.lodge.now();
        let target = door.target(&head.method, &head.uri, rest).map_err(|status| Box::new(said(&status)))?;
        let caller = Caller::of(&head.headers, Some(peer.ip()));
        let judge = &self.lodge.judge;
        let taken = async {
            let pass = judge.admit(Some(credentials), &door.surface, &target, &head.headers, Some(&peer), began)?;
            self.lodge.uses.note_foreign(&pass);
            let upstream = &door.upstream.name;
            let mut bill = Bill::new(&self.lodge, pass, &target, caller.clone(), upstream, began);
            match bill.take().await {
                Ok(()) => Ok(bill),
                Err(refusal) => {
                    bill.void();
                    Err(refusal)
                }
            }
        };
        taken.await.map_err(|refusal| {
            let response = judge.refuse(refusal, &door.surface, &target);
            if let Some(refused) = response.extensions().get() {
                bill::refused(&self.lodge, refused, &target, &caller, began);
            }
            Box::new(response)
        })
    }
}

fn said(status: &Status) -> Response<Answer> {
    status.response(Envelope::Object)
}
