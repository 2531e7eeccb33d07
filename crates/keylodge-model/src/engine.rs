//! The one door: an engine that answers prompts, whichever kind it is.

use std::sync::Arc;

use crate::{Embedded, Generate, Generation, ModelError, Prompt, Script};

/// Something that answers prompts. A cheap handle: clone it freely.
#[derive(Clone, Debug)]
pub enum Engine {
    /// Answers from a script; always ready.
    Script(Arc<Script>),
    /// A GGUF model in a worker process.
    Embedded(Embedded),
}

/// Can it answer?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Yes.
    Ready,
    /// It is started by the first call, and nobody has called yet.
    Asleep,
    /// Not yet, or not again yet.
    Starting {
        /// What it waits for: "fetching the model", "restarting in 4 s".
        what: String,
    },
    /// No, and it will not try again until the program is started anew.
    Failed {
        /// Why, and what to do about it.
        reason: String,
    },
}

/// What is known of the model. While it loads, the figures are those that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// "SmolLM2-135M-Instruct", "script", or the stem of the GGUF file's name.
    pub name: String,
    /// The longest prompt, in tokens.
    pub input_tokens_max: u64,
    /// The longest answer, in tokens. Prompt and answer share a window, so both at once may not fit.
    pub output_tokens_max: u64,
}

/// Figures of this moment, for metrics and readiness pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Generations that have a slot.
    pub running: u64,
    /// Generations that wait for one.
    pub waiting: u64,
    /// How often a worker was started. More than 1 means that one was lost.
    pub worker_starts: u64,
}

impl Engine {
    /// Counts a prompt exactly as [`generate`](Self::generate) does: the number is the same as its `prompt_tokens`.
    ///
    /// # Errors
    /// As `generate`, but a prompt longer than the window is still counted.
    pub async fn count(&self, model: &str, prompt: &Prompt) -> Result<u64, ModelError> {
        match self {
            Self::Script(script) => Ok(script.count(model, prompt)),
            Self::Embedded(embedded) => embedded.count(prompt).await,
        }
    }

    /// Starts an answer. Resolves when the call has its slot and the prompt's length is known; dropping the future
    /// before that takes the call back.
    ///
    /// # Errors
    /// Everything in [`ModelError`] can come here, before any text. Later only `Lost` and `Scripted` can, as an event, and
    /// `BadSchema` where the worker hung in following it; from then on that schema is refused.
    pub async fn generate(&self, request: Generate) -> Result<Generation, ModelError> {
        match self {
            Self::Script(script) => script.play(&request),
            Self::Embedded(embedded) => embedded.generate(request).await,
        }
    }

    /// What is known of the model.
    pub fn info(&self) -> ModelInfo {
        match self {
            Self::Script(_) => Script::info(),
            Self::Embedded(embedded) => embedded.info(),
        }
    }

    /// Can it answer now?
    pub fn state(&self) -> State {
        match self {
            Self::Script(_) => State::Ready,
            Self::Embedded(embedded) => embedded.state(),
        }
    }

    /// How much is going on.
    pub fn gauges(&self) -> Gauges {
        match self {
            Self::Script(script) => Gauges { running: script.running(), ..Gauges::default() },
            Self::Embedded(embedded) => embedded.gauges(),
        }
    }

    /// Waits until the state is `Ready` or `Failed`, as long as that takes, and returns it.
    pub async fn ready(&self) -> State {
        match self {
            Self::Script(_) => State::Ready,
            Self::Embedded(embedded) => embedded.ready().await,
        }
    }

    /// Ends the worker and waits until it is gone. Calls in flight end in [`ModelError::Lost`]; later ones are `Unavailable`.
    pub async fn shutdown(&self) {
        match self {
            Self::Script(_) => {}
            Self::Embedded(embedded) => embedded.shutdown().await,
        }
    }
}
