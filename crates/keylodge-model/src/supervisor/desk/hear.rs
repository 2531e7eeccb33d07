//! What the worker says, given to the calls it is for. Nothing it says is taken on trust.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::super::phase::Phase;
use super::{Call, Desk, Table};
use crate::protocol::{FromWorker, Refusal};
use crate::{Embedding, Event, ModelError};

/// What the worker said makes no sense; it cannot be trusted any more.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::supervisor) struct Nonsense(pub(in crate::supervisor) &'static str);

impl Desk {
    /// Gives what the worker said to the call it is for. Calls that were taken back meanwhile are passed over.
    pub(in crate::supervisor) fn receive(&self, frame: FromWorker) -> Result<(), Nonsense> {
        let mut table = self.table();
        table.heard = Instant::now();
        table.following = None;
        match frame {
            FromWorker::Beat => Ok(()),
            FromWorker::Following { id } => {
                self.check_issued(id)?;
                table.following = table.open.get(&id).and_then(Call::grammar);
                Ok(())
            }
            FromWorker::Ready { window_tokens, dimensions } => {
                if window_tokens < 2 || *self.phase.borrow() == Phase::Ready {
                    return Err(Nonsense("it was ready in an impossible way"));
                }
                table.window_tokens = window_tokens;
                table.dimensions = dimensions;
                self.phase.send_replace(Phase::Ready);
                Ok(())
            }
            FromWorker::Fatal { .. } => Err(Nonsense("it went on after a fatal error")),
            FromWorker::Counted { id, tokens } => self.counted(&mut table, id, tokens),
            FromWorker::Vector { id, values } => self.embedded(&mut table, id, values),
            FromWorker::Started { id, prompt_tokens } => self.started(&mut table, id, prompt_tokens),
            FromWorker::Piece { id, text, output_tokens } => {
                self.said(&mut table, id, Event::Piece { text, output_tokens })
            }
            FromWorker::Finished { id, reason, output_tokens } => {
                self.said(&mut table, id, Event::Finished { reason, output_tokens })?;
                table.open.remove(&id);
                table.answered = true;
                Ok(())
            }
            FromWorker::Refused { id, why } => self.refused(&mut table, id, why),
        }
    }

    fn counted(&self, table: &mut Table, id: u64, tokens: u64) -> Result<(), Nonsense> {
        match self.take(table, id)? {
            None => Ok(()),
            Some(Call::Count { counted }) => {
                table.answered = true;
                // A caller that has gone needs no number.
                let _ = counted.send(Ok(tokens));
                Ok(())
            }
            Some(other) => Err(table.put_back(id, other, "it counted for a generation")),
        }
    }

    fn embedded(&self, table: &mut Table, id: u64, values: Vec<f32>) -> Result<(), Nonsense> {
        if u32::try_from(values.len()) != Ok(table.dimensions) {
            return Err(Nonsense("it made a vector of another size"));
        }
        match self.take(table, id)? {
            None => Ok(()),
            Some(Call::Embedding { tokens, embedded }) => {
                table.answered = true;
                // A caller that has gone needs no vector.
                let _ = embedded.send(Ok(Embedding { values, tokens }));
                Ok(())
            }
            Some(other) => Err(table.put_back(id, other, "it made a vector of a text that it had not begun")),
        }
    }

    fn started(&self, table: &mut Table, id: u64, prompt_tokens: u64) -> Result<(), Nonsense> {
        match self.take(table, id)? {
            None => Ok(()),
            Some(Call::Waiting { started, running }) => {
                // A caller that has gone takes the call back by its guard.
                let _ = started.send(Ok(prompt_tokens));
                table.open.insert(id, Call::Running(running));
                Ok(())
            }
            Some(Call::Embed { begun, embedded }) => {
                // A caller that has gone takes the call back by its guard.
                let _ = begun.send(prompt_tokens);
                table.open.insert(id, Call::Embedding { tokens: prompt_tokens, embedded });
                Ok(())
            }
            Some(other) => Err(table.put_back(id, other, "it started a call that was not waiting")),
        }
    }

    fn said(&self, table: &mut Table, id: u64, event: Event) -> Result<(), Nonsense> {
        self.check_issued(id)?;
        let (events, pieces_left) = match table.open.get_mut(&id) {
            None => return Ok(()),
            Some(Call::Running(running)) => (&mut running.events, &mut running.pieces_left),
            Some(_) => return Err(Nonsense("it spoke for a call that was not started")),
        };
        if matches!(event, Event::Piece { .. }) {
            *pieces_left = pieces_left.checked_sub(1).ok_or(Nonsense("it said more than it was asked for"))?;
        }
        // There is room for every piece. A reader that has gone takes the call back by its guard.
        let _ = events.try_send(Ok(event));
        Ok(())
    }

    fn refused(&self, table: &mut Table, id: u64, why: Refusal) -> Result<(), Nonsense> {
        let Some(call) = self.take(table, id)? else { return Ok(()) };
        table.answered = true;
        call.end(match why {
            Refusal::PromptTooLong { tokens, tokens_max } => ModelError::PromptTooLong { tokens, tokens_max },
            Refusal::BadSchema { reason } => ModelError::BadSchema { reason },
            Refusal::NoForm { reason } => ModelError::Unavailable { reason },
        });
        Ok(())
    }

    fn take(&self, table: &mut Table, id: u64) -> Result<Option<Call>, Nonsense> {
        self.check_issued(id)?;
        Ok(table.open.remove(&id))
    }

    fn check_issued(&self, id: u64) -> Result<(), Nonsense> {
        let issued = id < self.next_id.load(Ordering::Relaxed);
        if issued { Ok(()) } else { Err(Nonsense("it spoke for a call that was never made")) }
    }
}

impl Table {
    /// Puts a call back that the worker mistook for another: only the end of the worker may end it.
    fn put_back(&mut self, id: u64, call: Call, nonsense: &'static str) -> Nonsense {
        self.open.insert(id, call);
        Nonsense(nonsense)
    }
}
