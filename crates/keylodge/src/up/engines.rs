//! Starts the engines that the models need.

use std::ffi::OsString;
use std::sync::Arc;

use keylodge_model::{Embedded, EmbeddedOptions, Engine, ModelFile, Script, WorkerCommand};
use keylodge_services::{Elsewhere, ModelEntry, Models, Served, Upstreams};

use crate::settings::{Config, EngineKind, OTHERS, Source};

/// The hidden subcommand under which the program starts itself again as the model's worker.
pub(crate) const WORKER: &str = "model-worker";

/// Starts the engines that are needed, each once, and puts them and the upstreams under the models' names. The embedded one
/// goes on loading after this returns.
pub(crate) fn start(config: &Config, upstreams: &Upstreams) -> Result<Models, String> {
    if !keylodge_model::EMBEDDED {
        tracing::info!("this build has no embedded model; build with --features embedded-model for one");
    }
    let needs = |wanted: &[EngineKind]| {
        config.models.iter().any(|(_, source)| matches!(source, Source::Engine(kind) if wanted.contains(&had(*kind))))
    };
    let embedded = needs(&[EngineKind::Auto, EngineKind::Embedded]).then(|| embedded(config)).transpose()?;
    let script = needs(&[EngineKind::Auto, EngineKind::Script]).then(|| script(config)).transpose()?;
    let (mut entries, mut others) = (Vec::new(), None);
    for (name, source) in &config.models {
        let served = match source {
            Source::Engine(kind) => {
                let (engine, instead) = match had(*kind) {
                    EngineKind::Auto => (&embedded, script.clone()),
                    EngineKind::Embedded => (&embedded, None),
                    EngineKind::Script => (&script, None),
                };
                let entry = |engine| Served::Here(ModelEntry { name: name.clone(), engine, instead });
                engine.clone().map(entry)
            }
            Source::Upstream { name: upstream, model } => {
                let elsewhere = Elsewhere::new(upstreams, upstream, model.clone());
                let elsewhere = elsewhere.ok_or_else(|| format!("there is no upstream '{upstream}' with models"))?;
                if name == OTHERS {
                    others = Some(elsewhere);
                    continue;
                }
                Some(Served::There(name.clone(), elsewhere))
            }
        };
        entries.extend(served);
    }
    Ok(Models::new(embedded.into_iter().chain(script).collect(), entries, others))
}

/// What `auto` means in this build, where that is known from the start.
fn had(kind: EngineKind) -> EngineKind {
    match kind {
        EngineKind::Auto if !keylodge_model::EMBEDDED => EngineKind::Script,
        kind => kind,
    }
}

/// Ends all engines and waits for them.
pub(crate) async fn shutdown(models: &Models) {
    for engine in models.engines() {
        engine.shutdown().await;
    }
}

fn embedded(config: &Config) -> Result<Engine, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program's file: {error}"))?;
    let model = match &config.model.path {
        Some(path) => ModelFile::Path(path.clone()),
        None => ModelFile::Default { cache_dir: config.cache_dir.join("models"), may_fetch: config.model.fetch },
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

fn script(config: &Config) -> Result<Engine, String> {
    let Some(file) = &config.script_file else { return Ok(Engine::Script(Arc::new(Script::default()))) };
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read the script {shown}: {error}"))?;
    let script = Script::parse(&text).map_err(|error| format!("the script {shown} has mistakes:\n{error}"))?;
    Ok(Engine::Script(Arc::new(script)))
}
