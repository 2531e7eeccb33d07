//! A call of a surface that learns from the body which model is meant: the gate is asked once more then, and limits are
//! taken after that.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use keylodge_api::{Envelope, Status};
use keylodge_gate::{Credentials, Pass, Peer, Surface, Target};
use keylodge_rules::Refusal;
use serde_json::Value;
use tokio::time::Instant;

use crate::Lodge;
use crate::bill::{Bill, outcome};
use crate::gemini::identify::Verb;
use crate::gemini::inside::{self, Heard, Unanswered, Wanted};

/// A call that the gate let through.
pub(crate) struct Calling<'call> {
    pub(crate) lodge: &'call Lodge,
    pub(crate) surface: &'call Surface,
    pub(crate) parts: Parts,
    pub(crate) pass: Pass,
    /// The version of the API that the caller speaks.
    pub(crate) version: String,
    pub(crate) deadline: Instant,
}

impl<'call> Calling<'call> {
    pub(crate) fn new(lodge: &'call Lodge, surface: &'call Surface, parts: Parts, pass: Pass, version: String) -> Self {
        let deadline = inside::deadline(lodge, &parts.headers);
        Self { lodge, surface, parts, pass, version, deadline }
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Nobody waits for the answer: how long the caller would have waited means nothing.
    pub(crate) fn without_timeout(&mut self) {
        self.parts.headers.remove("x-server-timeout");
        self.deadline = inside::deadline(self.lodge, &self.parts.headers);
    }

    /// Asks the gate once more, now that the model is known, and the method, where that is another than the path's.
    pub(crate) fn of_model(&mut self, model: &str, method: Option<String>) -> Result<(), Unanswered> {
        let extensions = &self.parts.extensions;
        let mut target = extensions.get::<Target>().cloned().unwrap_or_else(|| Target::new("")).of_model(model);
        if let Some(method) = method {
            target.method = method.into();
        }
        self.parts.extensions.insert(target);
        self.pass = self.again().map_err(Unanswered::Refused)?;
        Ok(())
    }

    /// Asks the gate about the same call once more, as keys may have changed.
    pub(crate) fn again(&self) -> Result<Pass, Refusal> {
        let extensions = &self.parts.extensions;
        let target = extensions.get().ok_or(Refusal::NoCredential)?;
        let (credentials, peer) = (Credentials::of(extensions), Peer::of(extensions));
        let judge = &self.lodge.judge;
        judge.admit(credentials, self.surface, target, &self.parts.headers, peer, judge.now())
    }

    /// The bill of the call, which limits have room for.
    pub(crate) async fn bill(&self) -> Result<Option<Box<Bill>>, Unanswered> {
        let mut bill = Bill::of_request(self.lodge, self.pass.clone(), &self.parts);
        if let Some(taking) = &mut bill
            && let Err(refusal) = taking.take().await
        {
            if let Some(bill) = bill {
                bill.void();
            }
            return Err(Unanswered::Refused(refusal));
        }
        Ok(bill)
    }

    /// Counts a call that is answered with an error of its own; such calls count against limits, too.
    ///
    /// # Errors
    /// When a limit has no room even for that.
    pub(crate) async fn count(&self, http: StatusCode) -> Result<(), Unanswered> {
        if let Some(mut bill) = self.bill().await? {
            bill.outcome = outcome(http);
        }
        Ok(())
    }

    /// Says to the Gemini surface what was asked.
    pub(crate) async fn ask(
        &self,
        model: &str,
        verb: Verb,
        body: &Value,
        bill: &mut Option<Box<Bill>>,
    ) -> Result<Heard, Unanswered> {
        let Self { lodge, version, deadline, .. } = self;
        let wanted = Wanted { lodge, version, model, verb, body, deadline: *deadline, headers: self.headers() };
        wanted.ask(bill).await
    }

    /// The answer to a call that has no other.
    pub(crate) fn answer(&self, unanswered: Unanswered, envelope: Envelope) -> Response<Body> {
        match unanswered {
            Unanswered::Refused(refusal) => self.refuse(refusal, envelope),
            Unanswered::Fault(_) => Status::internal().response(envelope),
        }
    }

    /// The answer to a call that a limit or the gate refused.
    pub(crate) fn refuse(&self, refusal: Refusal, envelope: Envelope) -> Response<Body> {
        match self.parts.extensions.get() {
            Some(target) => self.lodge.judge.refuse(refusal, self.surface, target),
            None => Status::internal().response(envelope),
        }
    }
}
