//! The handle of a model that answers prompts.

use std::fmt;
use std::time::Duration;

use super::desk::Desk;
use super::phase::Phase;
use super::{ModelFile, Options, Supervised, WorkerCommand};
use crate::worker::Task;
use crate::{Gauges, Generate, Generation, ModelError, ModelInfo, Prompt, State};

/// A model in a worker process. A cheap handle; when the last one is dropped, the worker ends.
#[derive(Clone)]
pub struct Embedded {
    supervised: Supervised,
    output_tokens_max: u32,
}

/// What an embedded model needs to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// The program that becomes the worker.
    pub worker: WorkerCommand,
    /// Which model.
    pub model: ModelFile,
    /// How many generations run at once; 4 is plenty for two cores. At least 1.
    pub slots: usize,
    /// Tokens of prompt and answer together, for each slot; cut to what the model was trained for.
    pub window_tokens: u32,
    /// The longest answer, whatever a call asks for.
    pub output_tokens_max: u32,
    /// How many threads calculate; `None` leaves one core to the rest of the program.
    pub threads: Option<usize>,
    /// How many generations may wait for a slot; more are `Overloaded`.
    pub queue_max: usize,
    /// A worker that has work and says nothing for so long is killed. 60 seconds suit a slow machine.
    pub stall: Duration,
}

impl Embedded {
    /// Returns at once; a task of its own fetches and checks the model, starts the worker and watches it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: EmbeddedOptions) -> Self {
        let EmbeddedOptions { worker, model, slots, window_tokens, output_tokens_max, threads, queue_max, stall } =
            options;
        let (slots, window_tokens) = (slots.max(1), window_tokens.max(2));
        let loading = Phase::Loading { what: "loading the model".to_owned() };
        let desk = Desk::new(slots.saturating_add(queue_max), window_tokens, 0, loading);
        let options = Options { task: Task::Generate, worker, model, slots, window_tokens, threads, stall };
        Self { supervised: Supervised::start(desk, options), output_tokens_max: output_tokens_max.max(1) }
    }

    pub(crate) async fn count(&self, prompt: &Prompt) -> Result<u64, ModelError> {
        let (_guard, counted) = self.supervised.desk().open_count(prompt.clone())?;
        counted.await.unwrap_or(Err(ModelError::Lost))
    }

    pub(crate) async fn generate(&self, mut request: Generate) -> Result<Generation, ModelError> {
        request.output_tokens_max = request.output_tokens_max.clamp(1, self.output_tokens_max);
        request.sampling = request.sampling.tamed();
        let (answer, started) = self.supervised.desk().open_generation(request)?;
        let prompt_tokens = started.await.unwrap_or(Err(ModelError::Lost))?;
        Ok(Generation::embedded(prompt_tokens, answer))
    }

    pub(crate) fn info(&self) -> ModelInfo {
        let window_tokens = self.supervised.desk().window_tokens();
        ModelInfo {
            name: self.supervised.name().to_owned(),
            input_tokens_max: u64::from(window_tokens - 1),
            output_tokens_max: u64::from(self.output_tokens_max.min(window_tokens)),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.supervised.state()
    }

    pub(crate) fn gauges(&self) -> Gauges {
        self.supervised.gauges()
    }

    pub(crate) async fn ready(&self) -> State {
        self.supervised.ready().await
    }

    pub(crate) async fn shutdown(&self) {
        self.supervised.shutdown().await;
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("model", &self.supervised.name()).field("state", &self.state()).finish()
    }
}
