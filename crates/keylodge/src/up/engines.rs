//! Starts the engines that the models need.

use std::ffi::OsString;
use std::sync::Arc;

use keylodge_model::{Embedded, EmbeddedOptions, Engine, ModelFile, Script, WorkerCommand};
use keylodge_services::{ModelEntry, Models};

use crate::settings::{Config, EngineKind};

/// The hidden subcommand under which the program starts itself again as the model's worker.
pub(crate) const WORKER: &str = "model-worker";

/// Starts each engine once and puts it under its names. The embedded one goes on loading after this returns.
pub(crate) fn start(config: &Config) -> Result<Models, String> {
    let mut embedded: Option<Engine> = None;
    let mut script: Option<Engine> = None;
    let mut entries = Vec::new();
    for (name, kind) in &config.models {
        let engine = match kind {
            EngineKind::Embedded => &mut embedded,
            EngineKind::Script => &mut script,
        };
        let engine = match engine {
            Some(engine) => engine.clone(),
            None => engine.insert(make(*kind, config)?).clone(),
        };
        entries.push(ModelEntry { name: name.clone(), engine });
    }
    if embedded.is_none() && !keylodge_model::EMBEDDED {
        tracing::info!(
            "this build has no embedded model, so models answer from a script; build with --features embedded-model for a real one"
        );
    }
    Ok(Models::new(embedded.into_iter().chain(script).collect(), entries))
}

/// Ends all engines and waits for them.
pub(crate) async fn shutdown(models: &Models) {
    for engine in models.engines() {
        engine.shutdown().await;
    }
}

fn make(kind: EngineKind, config: &Config) -> Result<Engine, String> {
    match kind {
        EngineKind::Embedded => {
            let program =
                std::env::current_exe().map_err(|error| format!("cannot find this program's file: {error}"))?;
            let model = match &config.model.path {
                Some(path) => ModelFile::Path(path.clone()),
                None => {
                    ModelFile::Default { cache_dir: config.cache_dir.join("models"), may_fetch: config.model.fetch }
                }
            };
            Ok(Engine::Embedded(Embedded::start(EmbeddedOptions {
                worker: WorkerCommand { program, args: vec![OsString::from(WORKER)] },
                model,
                slots: config.model.slots,
                window_tokens: config.model.window_tokens,
                output_tokens_max: config.model.output_tokens_max,
                threads: config.model.threads,
                queue_max: config.model.queue_max,
                stall: config.model.stall,
            })))
        }
        EngineKind::Script => {
            let Some(file) = &config.script_file else { return Ok(Engine::Script(Arc::new(Script::default()))) };
            let shown = file.display();
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("cannot read the script {shown}: {error}"))?;
            let script = Script::parse(&text).map_err(|error| format!("the script {shown} has mistakes:\n{error}"))?;
            Ok(Engine::Script(Arc::new(script)))
        }
    }
}
