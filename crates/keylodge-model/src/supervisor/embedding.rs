//! The handle of a model that makes vectors of texts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::desk::Desk;
use super::phase::Phase;
use super::{ModelFile, Options, Supervised, WorkerCommand};
use crate::worker::Task;
use crate::{EmbedderInfo, Embedding, Gauges, ModelError, Prompt, Role, State, Turn};

/// A call that wakes the model waits so long for it: enough to load it, not to fetch it.
const WAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// The default model was made for 512 tokens; its authors read 256.
const DEFAULT_WINDOW_TOKENS: u32 = 256;
const DEFAULT_DIMENSIONS: u32 = 384;

/// As much of a text as the longest window has use for, and no more than a frame takes, whatever escapes it needs.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// A model of embeddings in a worker process. A cheap handle; when the last one is dropped, the worker ends.
#[derive(Clone)]
pub struct EmbeddingModel {
    supervised: Supervised,
    /// Calls, each with any number of texts.
    calls: Arc<Semaphore>,
}

/// What a model of embeddings needs to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingOptions {
    /// The program that becomes the worker.
    pub worker: WorkerCommand,
    /// Which model: the default one, or a GGUF of the BERT family.
    pub model: ModelFile,
    /// For a model that is given by its path: the tokens that are read of a text, cut to what the model was trained for.
    pub window_tokens: u32,
    /// How many threads calculate; `None` leaves one core to the rest of the program.
    pub threads: Option<usize>,
    /// How many calls may wait while one is answered; more are `Overloaded`.
    pub queue_max: usize,
    /// A worker that has work and says nothing for so long is killed. 60 seconds suit a slow machine.
    pub stall: Duration,
}

impl EmbeddingModel {
    /// Returns at once, and nothing is fetched or started until somebody asks for a vector.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: EmbeddingOptions) -> Self {
        let EmbeddingOptions { worker, model, window_tokens, threads, queue_max, stall } = options;
        let (window_tokens, dimensions) = match model {
            ModelFile::Default { .. } => (DEFAULT_WINDOW_TOKENS, DEFAULT_DIMENSIONS),
            ModelFile::Path(_) => (window_tokens.max(2), 0),
        };
        let calls_max = queue_max.saturating_add(1).min(Semaphore::MAX_PERMITS);
        let desk = Desk::new(calls_max, window_tokens, dimensions, Phase::Asleep);
        let options = Options { task: Task::Embed, worker, model, slots: 1, window_tokens, threads, stall };
        Self { supervised: Supervised::start(desk, options), calls: Arc::new(Semaphore::new(calls_max)) }
    }

    /// Starts the model if nobody has yet, and waits a little for it.
    pub(crate) async fn wake(&self) -> Result<(), ModelError> {
        let desk = self.supervised.desk();
        desk.wake();
        let mut phase = desk.phase();
        // Either way the phase says how far it is.
        let _ = timeout(WAKE_TIME_MAX, phase.wait_for(|phase| !phase.is_coming())).await;
        let refusal = phase.borrow().refusal();
        refusal.map_or(Ok(()), Err)
    }

    pub(crate) async fn count(&self, text: &str) -> Result<u64, ModelError> {
        self.wake().await?;
        let turns = vec![Turn { role: Role::User, text: beginning(text).to_owned() }];
        let (_guard, counted) = self.supervised.desk().open_count(Prompt { system: None, turns })?;
        counted.await.unwrap_or(Err(ModelError::Lost))
    }

    pub(crate) async fn embed(
        &self,
        texts: &[String],
        mut begin: impl FnMut(u64),
    ) -> Result<Vec<Embedding>, ModelError> {
        let _turn = self.calls.try_acquire().map_err(|_| ModelError::Overloaded)?;
        self.wake().await?;
        let mut embeddings = Vec::with_capacity(texts.len());
        for text in texts {
            let (_guard, begun, embedded) = self.supervised.desk().open_embedding(beginning(text).to_owned())?;
            // If it never began, the other one says why.
            if let Ok(tokens) = begun.await {
                begin(tokens);
            }
            embeddings.push(embedded.await.unwrap_or(Err(ModelError::Lost))?);
        }
        Ok(embeddings)
    }

    pub(crate) fn info(&self) -> EmbedderInfo {
        let desk = self.supervised.desk();
        EmbedderInfo {
            name: self.supervised.name().to_owned(),
            input_tokens_max: u64::from(desk.window_tokens()),
            dimensions: usize::try_from(desk.dimensions()).unwrap_or(usize::MAX),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.supervised.state()
    }

    pub(crate) fn gauges(&self) -> Gauges {
        self.supervised.gauges()
    }

    pub(crate) async fn shutdown(&self) {
        self.supervised.shutdown().await;
    }
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

impl fmt::Debug for EmbeddingModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddingModel").field("model", &self.supervised.name()).field("state", &self.state()).finish()
    }
}
