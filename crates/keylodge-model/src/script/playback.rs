//! Plays one reply: a piece at a time, with its delays, its faults and its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use super::{Fault, Reply, Script};
use crate::stop::StopMatcher;
use crate::{Event, Finish, Generate, ModelError};

/// A reply that is being read out. It does its work when polled: there is no task, so dropping it is all that ends it.
pub(crate) struct Playback {
    /// Counts as running until it is dropped.
    script: Arc<Script>,
    pieces: std::vec::IntoIter<String>,
    delay: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    fault: Option<Fault>,
    finish: Finish,
    stops: StopMatcher,
    output_tokens: u64,
    output_tokens_max: u64,
    /// The end, when it is known but text goes before it.
    ending: Option<Finish>,
}

impl Playback {
    pub(super) fn new(script: Arc<Script>, reply: Reply, request: &Generate) -> Self {
        script.running.fetch_add(1, Ordering::Relaxed);
        Self {
            script,
            pieces: reply.pieces.into_iter(),
            delay: reply.delay,
            waiting: None,
            fault: reply.fault,
            finish: reply.finish,
            stops: StopMatcher::new(&request.stop),
            output_tokens: 0,
            output_tokens_max: u64::from(request.output_tokens_max.max(1)),
            ending: None,
        }
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, ModelError>> {
        loop {
            if let Some(reason) = self.ending {
                return Poll::Ready(Ok(Event::Finished { reason, output_tokens: self.output_tokens }));
            }
            if let Some(error) = self.due_fault() {
                return Poll::Ready(Err(error));
            }
            if !self.pieces.as_slice().is_empty() {
                ready!(self.poll_delay(cx));
            }
            let text = self.step();
            if !text.is_empty() {
                return Poll::Ready(Ok(Event::Piece { text, output_tokens: self.output_tokens }));
            }
        }
    }

    /// One more token: the text that may go out now, and `ending` once the last is reached.
    fn step(&mut self) -> String {
        let Some(piece) = self.pieces.next() else {
            self.ending = Some(self.finish);
            return self.stops.finish();
        };
        self.output_tokens += 1;
        let mut passed = self.stops.push(&piece);
        if passed.stopped {
            self.ending = Some(Finish::Stop);
        } else if self.output_tokens == self.output_tokens_max && !self.pieces.as_slice().is_empty() {
            self.ending = Some(Finish::MaxTokens);
            passed.text += &self.stops.finish();
        }
        passed.text
    }

    fn due_fault(&mut self) -> Option<ModelError> {
        let pieces_over = self.pieces.as_slice().is_empty();
        let due = self.fault.take_if(|fault| {
            let after = fault.after.unwrap_or(0) as u64;
            self.output_tokens >= after || pieces_over
        })?;
        Some(ModelError::Scripted { status: due.status, message: due.message })
    }

    fn poll_delay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.delay.is_zero() {
            return Poll::Ready(());
        }
        let sleep = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.delay)));
        ready!(sleep.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(())
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        self.script.running.fetch_sub(1, Ordering::Relaxed);
    }
}
