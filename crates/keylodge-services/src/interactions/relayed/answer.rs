//! Answers on their way to a caller: untouched, and held back only until it is written down whose they are.

use std::collections::VecDeque;

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, response};
use http_body_util::BodyExt;
use keylodge_api::Status;
use keylodge_store::RelayedRecord;

use super::super::fault::Fault;
use super::super::keep::away;
use super::{Owner, can_be_id};
use crate::Lodge;
use crate::bill::{BROKEN, Bill, CALLER_GONE, outcome};
use crate::observe::chain;
use crate::relay::usage::UsageReader;
use crate::relay::{Answer, framing, is_plain, openai};

/// How much of an answer is held back at most until it says its id. Google's say it first.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Gives an answer once it is on disk whose the interaction is that it names. One that names none passes: nobody can ask
/// for it again.
///
/// # Errors
/// Nothing of it was passed on: it breaks off, is too long, or its owner cannot be written down.
pub(super) async fn with_owner(headers: &HeaderMap, mut body: Answer, owner: &Owner<'_>) -> Result<Body, Fault> {
    if !is_plain(headers) {
        // Nobody asked for it, and what cannot be read is nobody's.
        return Ok(Body::new(body));
    }
    let mut reader = UsageReader::of_interaction(framing(headers));
    let (mut ready, mut held_bytes) = (VecDeque::new(), 0);
    while reader.id().is_none() {
        let Some(frame) = body.frame().await else {
            let held = ready.into_iter().map(Ok::<Bytes, BoxError>);
            return Ok(Body::from_stream(stream::iter(held)));
        };
        let frame = frame.map_err(|_| Fault::of_status(&openai::broke_off()))?;
        let Ok(data) = frame.into_data() else { continue };
        held_bytes += data.len();
        if held_bytes > HELD_BYTES_MAX {
            tracing::warn!(upstream = owner.upstream, "an interaction does not say its id");
            return Err(Fault::of_status(&openai::not_understood()));
        }
        reader.push(&data);
        ready.push_back(data);
    }
    let id = reader.id().filter(|id| can_be_id(id)).unwrap_or_default();
    let record = owner.record(id);
    if !id.is_empty() && !owner.lodge.interactions.add_relayed(&record).await.map_err(|error| away(&error))? {
        tracing::error!(upstream = owner.upstream, "an upstream gave an id of an interaction that another project has");
        return Err(Fault::of_status(&Status::internal()));
    }
    let lodge = owner.lodge.clone();
    let mut passing = Passing { lodge, record, reader, is_over: false, ready, body: Some(body), bill: None };
    passing.count().await;
    Ok(passing.into_body())
}

/// An answer that passes. What the interaction took is written down before the piece that says so goes on, so that the next
/// one finds it.
pub(super) struct Passing {
    lodge: Lodge,
    record: RelayedRecord,
    reader: UsageReader,
    /// Whether there is nothing more to be written down.
    is_over: bool,
    ready: VecDeque<Bytes>,
    body: Option<Answer>,
    /// The bill of a call that pays for the interaction if nobody has.
    bill: Option<Box<Bill>>,
}

impl Passing {
    /// An answer that may say for the first time what an interaction took; with a bill, where nobody was charged yet.
    pub(super) fn news(
        lodge: &Lodge,
        record: RelayedRecord,
        head: &response::Parts,
        body: Answer,
        mut bill: Option<Box<Bill>>,
    ) -> Self {
        let is_read = head.status.is_success() && is_plain(&head.headers);
        if let Some(bill) = bill.as_mut().filter(|_| !head.status.is_success()) {
            bill.outcome = outcome(head.status);
        }
        Self {
            lodge: lodge.clone(),
            record,
            reader: UsageReader::of_interaction(framing(&head.headers)),
            is_over: !is_read,
            ready: VecDeque::new(),
            body: Some(body),
            bill,
        }
    }

    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, Self::next))
    }

    async fn next(mut self) -> Option<(Result<Bytes, BoxError>, Self)> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Some((Ok(data), self));
            }
            match self.body.as_mut()?.frame().await {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.reader.push(&data);
                    self.count().await;
                    self.ready.push_back(data);
                }
                Some(Err(error)) => {
                    self.end(BROKEN);
                    return Some((Err(error), self));
                }
                None => {
                    self.end("ok");
                    return None;
                }
            }
        }
    }

    fn end(&mut self, how: &'static str) {
        self.body = None;
        if let Some(bill) = self.bill.as_mut().filter(|bill| bill.outcome == CALLER_GONE) {
            bill.outcome = how;
        }
    }

    /// Writes down what the interaction took, once it is said.
    async fn count(&mut self) {
        if self.is_over || self.record.id.is_empty() {
            return;
        }
        // Nothing at all is nothing said: what was said before is read again by whoever goes on from here.
        let Some(tokens) = self.reader.tokens().filter(|tokens| tokens.total > 0) else { return };
        self.is_over = true;
        match self.lodge.interactions.count_relayed(&self.record, tokens.total).await {
            Ok(true) => {
                if let Some(bill) = &mut self.bill {
                    bill.tokens = tokens.paid();
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error = chain(&error), "what an interaction took could not be written down");
            }
        }
    }
}
