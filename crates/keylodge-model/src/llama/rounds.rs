//! The loop: take requests, give out slots, and go round after round, one token for everybody in each.
//!
//! A round reads at most [`PREFILL_TOKENS_MAX`] tokens of prompts, shared evenly, so that a long prompt delays the others
//! by a bounded time. A slot's number is its sequence in llama.cpp.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;

use super::Stopped;
use super::prompt::Prompts;
use super::sampler::Chooser;
use super::slot::{Said, Slot};
use super::spelling::Spelling;
use crate::Generate;
use crate::protocol::{FrameError, FromWorker, Refusal, ToWorker};

/// The tokens of prompts that one round reads.
pub(super) const PREFILL_TOKENS_MAX: usize = 256;

/// All that one thread needs to answer many.
pub(super) struct Rounds<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    prompts: Prompts<'m>,
    spelling: Spelling<'m>,
    window_tokens: u32,
    slots: Vec<Option<Slot>>,
    /// The supervisor bounds it: it sends no more than it may have in flight.
    waiting: VecDeque<Slot>,
    batch: LlamaBatch<'static>,
}

type Send<'a> = &'a mut dyn FnMut(FromWorker) -> Result<(), FrameError>;

impl<'m> Rounds<'m> {
    pub(super) fn new(model: &'m LlamaModel, context: LlamaContext<'m>, slots: usize, window_tokens: u32) -> Self {
        Self {
            model,
            context,
            prompts: Prompts::new(model),
            spelling: Spelling::new(model),
            window_tokens,
            slots: (0..slots).map(|_| None).collect(),
            waiting: VecDeque::new(),
            batch: LlamaBatch::new(slots + PREFILL_TOKENS_MAX, 1),
        }
    }

    /// Serves the inbox until it closes, which ends in `Over`.
    pub(super) fn run(&mut self, inbox: &Receiver<ToWorker>, send: Send<'_>) -> Result<(), Stopped> {
        loop {
            self.take_requests(inbox, send)?;
            self.give_out_slots(send)?;
            if self.slots.iter().any(Option::is_some) {
                self.round(send)?;
            }
        }
    }

    /// Takes what has come, and waits for something when there is nothing to do.
    fn take_requests(&mut self, inbox: &Receiver<ToWorker>, send: Send<'_>) -> Result<(), Stopped> {
        let idle = self.waiting.is_empty() && self.slots.iter().all(Option::is_none);
        if idle {
            let request = inbox.recv().map_err(|_| Stopped::Over)?;
            self.take(request, send)?;
        }
        loop {
            match inbox.try_recv() {
                Ok(request) => self.take(request, send)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Stopped::Over),
            }
        }
    }

    fn take(&mut self, request: ToWorker, send: Send<'_>) -> Result<(), Stopped> {
        let answer = match request {
            ToWorker::Generate { id, request } => {
                if request.grammar.is_some() {
                    send(FromWorker::Following { id }).map_err(|_| Stopped::Over)?;
                }
                match self.prepare(id, &request) {
                    Ok(slot) => {
                        self.waiting.push_back(slot);
                        FromWorker::Beat
                    }
                    Err(why) => FromWorker::Refused { id, why },
                }
            }
            ToWorker::Count { id, prompt } => match self.prompts.tokens(&prompt) {
                Ok(tokens) => FromWorker::Counted { id, tokens: tokens.len() as u64 },
                Err(reason) => FromWorker::Refused { id, why: Refusal::NoForm { reason } },
            },
            ToWorker::Embed { id, .. } => {
                let why = Refusal::NoForm { reason: "it answers prompts and makes no vectors".to_owned() };
                FromWorker::Refused { id, why }
            }
            ToWorker::Cancel { id } => return self.cancel(id),
        };
        send(answer).map_err(|_| Stopped::Over)
    }

    fn prepare(&self, id: u64, request: &Generate) -> Result<Slot, Refusal> {
        let prompt = self.prompts.tokens(&request.prompt).map_err(|reason| Refusal::NoForm { reason })?;
        let (tokens, tokens_max) = (prompt.len() as u64, u64::from(self.window_tokens - 1));
        if tokens > tokens_max {
            return Err(Refusal::PromptTooLong { tokens, tokens_max });
        }
        let chooser = Chooser::new(self.model, request, self.window_tokens);
        let chooser = chooser.map_err(|reason| Refusal::BadSchema { reason })?;
        Ok(Slot::new(id, prompt, chooser, request, self.window_tokens))
    }

    fn cancel(&mut self, id: u64) -> Result<(), Stopped> {
        self.waiting.retain(|slot| slot.id != id);
        let number = self.slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.id == id));
        number.map_or(Ok(()), |number| self.free(number))
    }

    fn give_out_slots(&mut self, send: Send<'_>) -> Result<(), Stopped> {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_none()) {
            let Some(first) = self.waiting.pop_front() else { break };
            let started = FromWorker::Started { id: first.id, prompt_tokens: first.prompt.len() as u64 };
            *slot = Some(first);
            send(started).map_err(|_| Stopped::Over)?;
        }
        Ok(())
    }

    fn round(&mut self, send: Send<'_>) -> Result<(), Stopped> {
        self.fill_batch()?;
        self.context.decode(&mut self.batch).map_err(|error| broken("decoding", &error))?;
        for number in 0..self.slots.len() {
            self.speak(number, send)?;
        }
        send(FromWorker::Beat).map_err(|_| Stopped::Over)
    }

    /// One token for each that speaks, then the prompts' share.
    fn fill_batch(&mut self) -> Result<(), Stopped> {
        let batch = &mut self.batch;
        batch.clear();
        for (sequence, slot) in (0..).zip(&mut self.slots) {
            let Some(slot) = slot else { continue };
            if let Some(token) = slot.next.take() {
                slot.scores_at = Some(batch.n_tokens());
                add(batch, token, slot.fed, sequence, true)?;
                slot.fed += 1;
            }
        }

        let mut room = PREFILL_TOKENS_MAX;
        let mut readers = self.slots.iter().flatten().filter(|slot| !slot.unread().is_empty()).count();
        for (sequence, slot) in (0..).zip(&mut self.slots) {
            let Some(slot) = slot.as_mut().filter(|slot| !slot.unread().is_empty()) else { continue };
            let share = slot.unread().len().min(room / readers);
            (room, readers) = (room - share, readers - 1);
            for _ in 0..share {
                let last = slot.fed + 1 == slot.prompt.len();
                if last {
                    slot.scores_at = Some(batch.n_tokens());
                }
                add(batch, slot.prompt[slot.fed], slot.fed, sequence, last)?;
                slot.fed += 1;
            }
        }
        Ok(())
    }

    /// Chooses the next token of a slot whose scores are there, and sends what it leads to.
    fn speak(&mut self, number: usize, send: Send<'_>) -> Result<(), Stopped> {
        let Some(slot) = &mut self.slots[number] else { return Ok(()) };
        let Some(scores_at) = slot.scores_at.take() else { return Ok(()) };
        if slot.chooser.follows_grammar() {
            send(FromWorker::Following { id: slot.id }).map_err(|_| Stopped::Over)?;
        }

        let vocab = self.model.vocab();
        let Said { text, finish } = match slot.chooser.choose(&self.spelling, &self.context, scores_at) {
            Some(token) if vocab.is_eog(token) => slot.end(),
            Some(token) => slot.say(token, &vocab.token_to_piece(token, false, None)),
            None => slot.cut(),
        };

        let (id, output_tokens) = (slot.id, slot.output_tokens);
        if !text.is_empty() {
            send(FromWorker::Piece { id, text, output_tokens }).map_err(|_| Stopped::Over)?;
        }
        if let Some(reason) = finish {
            send(FromWorker::Finished { id, reason, output_tokens }).map_err(|_| Stopped::Over)?;
            self.free(number)?;
        }
        Ok(())
    }

    fn free(&mut self, number: usize) -> Result<(), Stopped> {
        self.slots[number] = None;
        let sequence = u32::try_from(number).ok();
        let cleared = self.context.clear_kv_cache_seq(sequence, None, None);
        cleared.map(|_| ()).map_err(|error| broken("clearing a slot", &error))
    }
}

fn add(
    batch: &mut LlamaBatch<'static>,
    token: llama_cpp_2::token::LlamaToken,
    position: usize,
    sequence: i32,
    scores: bool,
) -> Result<(), Stopped> {
    let position = i32::try_from(position).map_err(|error| broken("counting positions", &error))?;
    batch.add(token, position, &[sequence], scores).map_err(|error| broken("filling a batch", &error))
}

fn broken(doing: &str, error: &dyn std::fmt::Display) -> Stopped {
    Stopped::Broken(format!("{doing} failed: {error}"))
}
