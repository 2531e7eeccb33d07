//! The model itself. Nothing outside of this folder touches llama.cpp.
//!
//! One thread owns model and context, since a context may not be shared. Errors inside ggml abort the process, so lengths
//! are checked before anything is handed over; what slips through costs this process and no other.

mod prompt;
mod rounds;
mod sampler;
#[cfg(test)]
mod schemas;
mod slot;
mod spelling;
mod template;
mod texts;

use std::num::NonZeroU32;
use std::sync::mpsc::Receiver;

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;

use crate::protocol::{FrameError, FromWorker, ToWorker};
use crate::worker::{Task, WorkerOptions};
use rounds::{PREFILL_TOKENS_MAX, Rounds};
use texts::Texts;

/// Why the model stopped serving.
pub(crate) enum Stopped {
    /// It never could: the file, the processor.
    Fatal(String),
    /// llama.cpp failed in a way that was not foreseen; a new process may do better.
    Broken(String),
    /// There is nobody left to serve.
    Over,
}

/// Loads the model and serves the inbox until it closes. `send` passes frames on; `beat` says that loading goes on.
pub(crate) fn serve(
    options: &WorkerOptions,
    inbox: &Receiver<ToWorker>,
    send: &mut dyn FnMut(FromWorker) -> Result<(), FrameError>,
    mut beat: impl FnMut() + 'static,
) -> Result<(), Stopped> {
    check_processor()?;
    let fatal = |what: &str, error: &dyn std::fmt::Display| {
        Stopped::Fatal(format!("the model {} cannot be used: {what} ({error})", options.model.display()))
    };
    let mut backend = LlamaBackend::init().map_err(|error| fatal("llama.cpp did not start", &error))?;
    backend.void_logs();

    let params = LlamaModelParams::default().with_progress_callback(move |_| {
        beat();
        true
    });
    if !options.model.is_file() {
        return Err(fatal("there is no such file", &"it was there a moment ago"));
    }
    let model = LlamaModel::load_from_file(&backend, &options.model, &params)
        .map_err(|error| fatal("it is no whole GGUF file that llama.cpp can read", &error))?;

    let window_tokens = options.window_tokens.min(model.n_ctx_train()).max(2);
    let no_context = |error| fatal("there may not be enough memory for its context", &error);
    match options.task {
        Task::Generate => {
            let params = context_params(options, window_tokens);
            let context = model.new_context(&backend, params).map_err(no_context)?;
            let mut rounds = Rounds::new(&model, context, options.slots.max(1), window_tokens);
            send(FromWorker::Ready { window_tokens, dimensions: 0 }).map_err(|_| Stopped::Over)?;
            rounds.run(inbox, send)
        }
        Task::Embed => {
            texts::check(&model).map_err(|reason| fatal("it makes no vectors", &reason))?;
            let params = texts::context_params(options, window_tokens);
            let context = model.new_context(&backend, params).map_err(no_context)?;
            let mut texts = Texts::new(&model, context, window_tokens);
            send(FromWorker::Ready { window_tokens, dimensions: texts.dimensions() }).map_err(|_| Stopped::Over)?;
            texts.run(inbox, send)
        }
    }
}

fn threads(options: &WorkerOptions) -> i32 {
    i32::try_from(options.threads).unwrap_or(i32::MAX)
}

fn context_params(options: &WorkerOptions, window_tokens: u32) -> LlamaContextParams {
    let slots = u32::try_from(options.slots.max(1)).unwrap_or(u32::MAX);
    let threads = threads(options);
    LlamaContextParams::default()
        // Shared out evenly: each sequence gets its window.
        .with_n_ctx(NonZeroU32::new(slots.saturating_mul(window_tokens)))
        .with_n_seq_max(slots)
        .with_n_batch(slots.saturating_add(PREFILL_TOKENS_MAX as u32))
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
}

/// llama.cpp is built for processors since about 2013; on an older one it would die of an illegal instruction.
#[cfg(target_arch = "x86_64")]
fn check_processor() -> Result<(), Stopped> {
    let found = [
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("F16C", is_x86_feature_detected!("f16c")),
        ("BMI2", is_x86_feature_detected!("bmi2")),
    ];
    let missing: Vec<&str> = found.iter().filter(|(_, found)| !found).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(Stopped::Fatal(format!(
        "the embedded model needs a processor with {missing}, which this one has not; start with `--engine script`"
    )))
}

#[cfg(not(target_arch = "x86_64"))]
fn check_processor() -> Result<(), Stopped> {
    Ok(())
}
