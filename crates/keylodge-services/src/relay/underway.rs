//! A call on its way to an upstream, until the head of its answer is there.

use std::sync::Arc;

use http::Request;

use super::body::Outgoing;
use super::count::Counts;
use super::upstream::{Upstream, UpstreamError};
use crate::bill::Bill;

/// A request and its bill. Whoever leaves once the request was sent is charged what was reserved: nobody knows what was
/// done of it.
pub(crate) struct Underway<'slot> {
    /// The request, until a connection has taken it.
    pub(super) slot: &'slot mut Option<Request<Outgoing>>,
    bill: Option<(Box<Bill>, Counts)>,
}

impl<'slot> Underway<'slot> {
    /// A call that is to be sent to this upstream.
    pub(crate) fn new(
        slot: &'slot mut Option<Request<Outgoing>>,
        mut bill: Option<(Box<Bill>, Counts)>,
        to: &Upstream,
    ) -> Self {
        if let Some((bill, _)) = &mut bill {
            bill.upstream = Arc::clone(&to.name);
        }
        Self { slot, bill }
    }

    pub(super) fn model(&self) -> Option<Arc<str>> {
        self.bill.as_ref().and_then(|(bill, _)| bill.model().cloned())
    }

    /// The head of the answer is there: what the call took is for whoever reads the rest.
    pub(crate) fn answered(mut self) -> Option<(Box<Bill>, Counts)> {
        self.bill.take()
    }

    /// There is no answer.
    pub(crate) fn unanswered(mut self, error: &UpstreamError) {
        let Some((bill, counts)) = &mut self.bill else { return };
        bill.outcome = error.outcome();
        if !error.may_be_done() {
            *counts = Counts::Calls;
        }
        if self.slot.is_some() {
            bill.unsent();
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let (None, Some((bill, counts))) = (&*self.slot, &mut self.bill)
            && let Some(reserved) = counts.reserved()
        {
            bill.tokens = reserved.broken_off(0);
        }
    }
}
