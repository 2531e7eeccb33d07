//! Tokens at the gate: before it somebody says whose they are, behind it a use is taken.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use futures_util::future::Either;
use http::Request;
use keylodge_gate::{Credentials, Surface, Target};
use keylodge_rules::Refusal;
use tower::{Layer, Service};

use super::table::{AuthToken, Use};
use crate::Lodge;

/// What tokens are used for at a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presenting {
    /// Its calls, each one use.
    Calls,
    /// Nothing: it makes tokens.
    ToMakeTokens,
}

/// Says whose the ephemeral token of a request is, if it has one that is known. A look-up in memory.
pub(crate) fn present(lodge: &Lodge, credentials: &mut Credentials, at: Presenting) -> Option<Arc<AuthToken>> {
    let hash = lodge.master.pepper().hash_ephemeral(credentials.token()?);
    let token = lodge.auth_tokens.find(&hash)?;
    let of = match at {
        Presenting::Calls => Use::Call,
        Presenting::ToMakeTokens => Use::Making,
    };
    credentials.answer_for_token(token.on_behalf(of, lodge.now()));
    Some(token)
}

/// Takes a use of a token whose call the gate let through.
pub(crate) async fn spend(lodge: &Lodge, token: &AuthToken) -> Result<(), Refusal> {
    lodge.auth_tokens.spend(token).await.map_err(|problem| token.refusal(problem))
}

/// A token that the gate is asked about, in a request's extensions.
#[derive(Clone, Debug)]
struct Presented(Arc<AuthToken>);

impl Presenting {
    /// What goes in front of a gate.
    pub(crate) fn before(self, lodge: &Lodge) -> impl Fn(Request<Body>) -> Request<Body> + Clone + use<> {
        let lodge = lodge.clone();
        move |mut request| {
            let token = match request.extensions_mut().get_mut::<Credentials>() {
                Some(credentials) => present(&lodge, credentials, self),
                None => None,
            };
            token.map(|token| request.extensions_mut().insert(Presented(token)));
            request
        }
    }
}

/// What goes behind a gate: takes a use of the token that the gate let in, before anything else happens.
#[derive(Clone, Debug)]
pub(crate) struct Spend {
    pub(crate) lodge: Lodge,
    pub(crate) surface: Surface,
}

impl<S> Layer<S> for Spend {
    type Service = Spending<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Spending { spend: self.clone(), inner }
    }
}

/// The service that [`Spend`] makes.
#[derive(Clone, Debug)]
pub(crate) struct Spending<S> {
    spend: Spend,
    inner: S,
}

type Taken<E> = std::pin::Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>;

impl<S> Service<Request<Body>> for Spending<S>
where
    S: Service<Request<Body>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Taken<S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(Presented(token)) = request.extensions().get().cloned() else {
            return Either::Left(self.inner.call(request));
        };
        let Spend { lodge, surface } = self.spend.clone();
        // The one that is ready goes along; its copy is asked the next time.
        let copy = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, copy);
        Either::Right(Box::pin(async move {
            match spend(&lodge, &token).await {
                Ok(()) => inner.call(request).await,
                Err(refusal) => {
                    let target = request.extensions().get().cloned().unwrap_or_else(|| Target::new(""));
                    Ok(lodge.judge.refuse(refusal, &surface, &target))
                }
            }
        }))
    }
}
