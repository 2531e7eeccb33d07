//! The caller's end of a generation in the worker.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::desk::Desk;
use crate::{Event, ModelError};

/// What a generation says, as it comes. Dropping it takes the call back from the worker.
pub(crate) struct Answer {
    pub(super) events: mpsc::Receiver<Result<Event, ModelError>>,
    pub(super) _guard: CallGuard,
}

/// Takes a call back when it is dropped; nothing happens when the call is over by then.
pub(super) struct CallGuard {
    pub(super) desk: Arc<Desk>,
    pub(super) id: u64,
}

impl Answer {
    /// The next event. A channel that closes without an end means that the worker is gone.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, ModelError>> {
        self.events.poll_recv(cx).map(|event| event.unwrap_or(Err(ModelError::Lost)))
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.desk.cancel(self.id);
    }
}
