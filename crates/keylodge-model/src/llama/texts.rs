//! Vectors of texts: one text after the other, as it comes.
//!
//! Several in one batch would be no faster on a few cores, and with packed weights a text's vector would depend a little on
//! what stands beside it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, TryRecvError};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::{Stopped, threads};
use crate::embed::to_unit_length;
use crate::protocol::{FrameError, FromWorker, Refusal, ToWorker};
use crate::worker::WorkerOptions;

/// All that one thread needs to make vectors.
pub(super) struct Texts<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    window_tokens: u32,
    /// The supervisor bounds it: it sends no more than it may have in flight.
    waiting: VecDeque<ToWorker>,
    batch: LlamaBatch<'static>,
}

type Send<'a> = &'a mut dyn FnMut(FromWorker) -> Result<(), FrameError>;

/// Whether the model is one that reads a text whole and makes one vector of it.
///
/// # Errors
/// It is of another family, whose calls this worker does not know; some of them would abort the process.
pub(super) fn check(model: &LlamaModel) -> Result<(), String> {
    let family = model.meta_val_str("general.architecture").unwrap_or_default();
    if family.ends_with("bert") { Ok(()) } else { Err(format!("its family is '{family}', and not BERT's")) }
}

/// A text must fit into one step, or the library aborts.
pub(super) fn context_params(options: &WorkerOptions, window_tokens: u32) -> LlamaContextParams {
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(window_tokens))
        .with_n_batch(window_tokens)
        .with_n_ubatch(window_tokens)
        .with_n_threads(threads(options))
        .with_n_threads_batch(threads(options))
        .with_embeddings(true)
}

impl<'m> Texts<'m> {
    pub(super) fn new(model: &'m LlamaModel, context: LlamaContext<'m>, window_tokens: u32) -> Self {
        let batch = LlamaBatch::new(usize::try_from(window_tokens).unwrap_or(usize::MAX), 1);
        Self { model, context, window_tokens, waiting: VecDeque::new(), batch }
    }

    /// How many numbers a vector has.
    pub(super) fn dimensions(&self) -> u32 {
        u32::try_from(self.model.n_embd_out()).unwrap_or_default()
    }

    /// Serves the inbox until it closes, which ends in `Over`.
    pub(super) fn run(&mut self, inbox: &Receiver<ToWorker>, send: Send<'_>) -> Result<(), Stopped> {
        loop {
            self.take_requests(inbox)?;
            let Some(request) = self.waiting.pop_front() else { continue };
            if let Some(answer) = self.answer(request, send)? {
                send(answer).map_err(|_| Stopped::Over)?;
            }
        }
    }

    /// Takes what has come, and waits for something when there is nothing to do.
    fn take_requests(&mut self, inbox: &Receiver<ToWorker>) -> Result<(), Stopped> {
        if self.waiting.is_empty() {
            self.take(inbox.recv().map_err(|_| Stopped::Over)?);
        }
        loop {
            match inbox.try_recv() {
                Ok(request) => self.take(request),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Stopped::Over),
            }
        }
    }

    fn take(&mut self, request: ToWorker) {
        if let ToWorker::Cancel { id: cancelled } = request {
            self.waiting.retain(|waiting| !matches!(waiting, ToWorker::Embed { id, .. } if *id == cancelled));
        } else {
            self.waiting.push_back(request);
        }
    }

    fn answer(&mut self, request: ToWorker, send: Send<'_>) -> Result<Option<FromWorker>, Stopped> {
        Ok(Some(match request {
            ToWorker::Embed { id, text } => {
                let tokens = self.read(&text);
                send(FromWorker::Started { id, prompt_tokens: tokens.len() as u64 }).map_err(|_| Stopped::Over)?;
                FromWorker::Vector { id, values: self.vector(&tokens)? }
            }
            ToWorker::Count { id, prompt } => {
                let count = |text: &str| self.tokens(text).len() as u64;
                FromWorker::Counted { id, tokens: prompt.turns.iter().map(|turn| count(&turn.text)).sum() }
            }
            ToWorker::Generate { id, .. } => {
                let why = Refusal::NoForm { reason: "it makes vectors and answers no prompts".to_owned() };
                FromWorker::Refused { id, why }
            }
            ToWorker::Cancel { .. } => return Ok(None),
        }))
    }

    /// The tokens of a text, with those at its ends.
    fn tokens(&self, text: &str) -> Vec<LlamaToken> {
        self.model.vocab().tokenize(text.as_bytes(), true, false)
    }

    /// The tokens that are read of a text. One that is too long ends as all do, with the token that stands there.
    fn read(&self, text: &str) -> Vec<LlamaToken> {
        let mut tokens = self.tokens(text);
        let tokens_max = usize::try_from(self.window_tokens).unwrap_or(usize::MAX);
        if let Some(end) = tokens.last().copied().filter(|_| tokens.len() > tokens_max) {
            tokens.truncate(tokens_max - 1);
            tokens.push(end);
        }
        tokens
    }

    fn vector(&mut self, tokens: &[LlamaToken]) -> Result<Vec<f32>, Stopped> {
        if tokens.is_empty() {
            // Nothing at all, and a vocabulary that marks no ends.
            return Ok(vec![0.0; usize::try_from(self.dimensions()).unwrap_or_default()]);
        }
        self.batch.clear();
        self.batch.add_sequence(tokens, 0, true).map_err(|error| broken("filling a batch", &error))?;
        self.context.encode(&mut self.batch).map_err(|error| broken("encoding", &error))?;
        let vector = self.context.embeddings_seq_ith(0).map_err(|error| broken("reading a vector", &error))?;
        let mut values = vector.to_vec();
        to_unit_length(&mut values);
        Ok(values)
    }
}

fn broken(doing: &str, error: &dyn std::fmt::Display) -> Stopped {
    Stopped::Broken(format!("{doing} failed: {error}"))
}
