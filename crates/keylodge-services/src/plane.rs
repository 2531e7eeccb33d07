//! The data plane as a listener serves it: what is relayed goes the short way, everything else through the router.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::Service;
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

    /// What serves one connection. Whoever accepted it puts a [`Peer`] into each request.
    pub fn visit(
        &self,
    ) -> impl Service<Request<Incoming>, Response = Response<Answer>, Error = Infallible, Future: Send + 'static>
    + Send
    + 'static
    + use<> {
        let parts = Arc::clone(&self.0);
        let pair = Arc::new(Pair::default());
        ServiceFn(move |request: Request<Incoming>| {
            let (parts, pair) = (Arc::clone(&parts), Arc::clone(&pair));
            async move { Ok(parts.answer(request, &pair).await) }
        })
    }
}

impl Parts {
    async fn answer(&self, request: Request<Incoming>, pair: &Arc<Pair>) -> Response<Answer> {
        let door = self.doors.iter().find_map(|door| {
            let rest = door.below(request.headers(), request.uri())?;
            Some((door, request.uri().path().len() - rest.len()))
        });
        match door {
            Some((door, rest_at)) => self.relay(door, rest_at, request, pair).await,
            None => Box::pin(self.route(request)).await,
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Answer> {
        let Ok(response) = self.router.clone().oneshot(request.map(Body::new)).await;
        response.map(Answer::Own)
    }

    /// Sends a request on, from this place of its path, if the gate lets it through.
    async fn relay(
        &self,
        door: &Door,
        rest_at: usize,
        request: Request<Incoming>,
        pair: &Arc<Pair>,
    ) -> Response<Answer> {
        let (mut head, body) = request.into_parts();
        let credentials = Credentials::take(&mut head.headers, &mut head.uri);
        let uri = head.uri.clone();
        let rest = uri.path().get(rest_at..).unwrap_or_default();
        let upstream = &door.upstream;
        let bill = if upstream.settings.is_open {
            None
        } else {
            match self.admit(door, rest, &credentials, &head).await {
                Ok(bill) => Some((bill, Counts::Calls)),
                Err(response) => return *response,
            }
        };
        let body = if body.is_end_stream() { Outgoing::Whole(None) } else { Outgoing::Streamed(body) };
        match upstream.relay(head, rest, body, pair, bill).await {
            Ok(response) => response,
            Err(error) => failure::of_upstream(&upstream.settings.name, &error, Envelope::Object),
        }
    }

    /// Asks the gate, and takes the call from its limits.
    async fn admit(
        &self,
        door: &Door,
        rest: &str,
        credentials: &Credentials,
        head: &request::Parts,
    ) -> Result<Bill, Box<Response<Answer>>> {
        let began = self.lodge.now();
        let target = door.target(&head.method, &head.uri, rest).map_err(|status| Box::new(said(&status)))?;
        let caller = Caller::of(&head.headers, Peer::of(&head.extensions).map(Peer::ip));
        let judge = &self.lodge.judge;
        let taken = async {
            let pass = judge.admit(Some(credentials), &door.surface, &target, &head.headers, &head.extensions)?;
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

/// A hyper service from a function, that can be cloned.
#[derive(Clone)]
struct ServiceFn<F>(F);

impl<F, Fut> Service<Request<Incoming>> for ServiceFn<F>
where
    F: Fn(Request<Incoming>) -> Fut,
    Fut: Future<Output = Result<Response<Answer>, Infallible>>,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Fut;

    fn call(&self, request: Request<Incoming>) -> Fut {
        (self.0)(request)
    }
}
