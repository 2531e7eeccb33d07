//! Identify, admit, pass on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::surface::KeyPlace;
use crate::{Credentials, Judge, Pass, Peer, Surface};

/// Puts a gate around a service. Goes inside [`CredentialLayer`](crate::CredentialLayer); without that layer every call
/// is refused as if no key had come.
///
/// A request that passes has its [`Pass`] and its [`Target`](crate::Target) in the extensions: what stands behind the gate
/// takes from limits with [`Judge::take`], and refuses with [`Judge::refuse`] as the gate itself does.
#[derive(Clone, Debug)]
pub struct GateLayer {
    surface: Surface,
    judge: Judge,
}

impl GateLayer {
    /// The gate of a surface.
    #[must_use]
    pub fn new(surface: Surface, judge: Judge) -> Self {
        Self { surface, judge }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gate { gate: self.clone(), inner }
    }
}

/// A service behind a gate.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    gate: GateLayer,
    inner: S,
}

impl<S, B, A> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    A: From<Vec<u8>>,
{
    type Response = Response<A>;
    type Error = S::Error;
    type Future = Answer<S::Future, A>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let GateLayer { surface, judge } = &self.gate;
        let target = match surface.identify(request.method(), request.uri()) {
            Ok(target) => target,
            Err(status) => return Answer::Ready { response: Some(status.response(surface.envelope)) },
        };
        if surface.keys == KeyPlace::Bearer {
            // What stands behind the gate may ask it again, once it knows more, and then sees the same.
            let credentials = Credentials::of(request.extensions()).map(Credentials::with_bearer_key);
            credentials.map(|credentials| request.extensions_mut().insert(credentials));
        }
        let credentials = Credentials::of(request.extensions());
        let peer = Peer::of(request.extensions());
        match judge.admit(credentials, surface, &target, request.headers(), peer, judge.now()) {
            Ok(pass) => {
                request.extensions_mut().insert(target);
                request.extensions_mut().insert(pass.clone());
                Answer::Passed { inner: self.inner.call(request), pass: Some(pass) }
            }
            Err(refusal) => Answer::Ready { response: Some(judge.refuse(refusal, surface, &target)) },
        }
    }
}

pin_project! {
    /// The answer of a guarded service, or the gate's own.
    #[project = AnswerProjection]
    #[expect(missing_docs, reason = "the fields are the future's own affair")]
    #[derive(Debug)]
    pub enum Answer<F, A> {
        /// The call went through. The answer carries a copy of its pass, for the log line.
        Passed { #[pin] inner: F, pass: Option<Pass> },
        /// The gate answered.
        Ready { response: Option<Response<A>> },
    }
}

impl<F, A, E> Future for Answer<F, A>
where
    F: Future<Output = Result<Response<A>, E>>,
{
    type Output = Result<Response<A>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnswerProjection::Passed { inner, pass } => {
                let mut response = ready!(inner.poll(cx))?;
                if let Some(pass) = pass.take() {
                    response.extensions_mut().insert(pass);
                }
                Poll::Ready(Ok(response))
            }
            AnswerProjection::Ready { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled again after it is ready")))
            }
        }
    }
}
