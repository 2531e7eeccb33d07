//! Identify, admit, pass on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use keylodge_api::DECISION_HEADER;
use keylodge_rules::secret::sha256;
use keylodge_rules::{Lookup, Pepper, Refusal, admit};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::caller::call;
use crate::source::random_name;
use crate::status::status;
use crate::{Clock, Credentials, Entropy, IndexReader, Pass, Refused, Surface, Target};

/// Puts a gate around a service. Goes inside [`CredentialLayer`](crate::CredentialLayer); without that layer every call
/// is refused as if no key had come.
#[derive(Clone)]
pub struct GateLayer {
    shared: Arc<Shared>,
}

struct Shared {
    surface: Surface,
    index: IndexReader,
    pepper: Pepper,
    clock: Clock,
    entropy: Entropy,
}

impl GateLayer {
    /// The gate of a surface.
    #[must_use]
    pub fn new(surface: Surface, index: IndexReader, pepper: Pepper, clock: Clock, entropy: Entropy) -> Self {
        Self { shared: Arc::new(Shared { surface, index, pepper, clock, entropy }) }
    }
}

impl std::fmt::Debug for GateLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateLayer").field("surface", &self.shared.surface).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gate { shared: Arc::clone(&self.shared), inner }
    }
}

/// A service behind a gate.
#[derive(Clone)]
pub struct Gate<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Gate<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("inner", &self.inner).finish_non_exhaustive()
    }
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
        let target = match (self.shared.surface.identify)(request.method(), request.uri()) {
            Ok(target) => target,
            Err(status) => {
                return Answer::Ready { response: Some(status.response(keylodge_api::Envelope::Object)) };
            }
        };
        match self.shared.judge(request.headers(), request.extensions(), &target) {
            Ok(pass) => {
                request.extensions_mut().insert(target);
                request.extensions_mut().insert(pass.clone());
                Answer::Passed { inner: self.inner.call(request), pass: Some(pass) }
            }
            Err(refusal) => Answer::Ready { response: Some(self.shared.refuse(refusal, &target)) },
        }
    }
}

impl Shared {
    fn judge(&self, headers: &HeaderMap, extensions: &Extensions, target: &Target) -> Result<Pass, Refusal> {
        let credentials = Credentials::of(extensions).ok_or(Refusal::NoCredential)?;
        let key = credentials.key().map_err(Clone::clone)?;
        let hash = self.pepper.hash(key);
        let call = call(&self.surface.service, &target.method, headers, extensions);
        let now = (self.clock)();
        self.index.read(|index| {
            let admitted = admit(index.find(&hash, || sha256(key)), &call, now)?;
            let foreign = match admitted.credential.lookup {
                Lookup::Hash(_) => None,
                Lookup::Sha256(_) => Some(hash),
            };
            Ok(Pass::new(admitted, &call, foreign, index.revision()))
        })
    }

    fn refuse<A: From<Vec<u8>>>(&self, refusal: Refusal, target: &Target) -> Response<A> {
        let decision = random_name(&self.entropy);
        let mut response = status(&refusal, &self.surface, target).response(target.envelope);
        if let Ok(value) = HeaderValue::from_str(&decision) {
            response.headers_mut().insert(DECISION_HEADER, value);
        }
        response.extensions_mut().insert(target.clone());
        response.extensions_mut().insert(Refused { decision, refusal });
        response
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
