//! Starts the engines that the models need.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use keylodge_model::{
    Embedded, EmbeddedOptions, Embedder, EmbeddingModel, EmbeddingOptions, Engine, ModelFile, Script, WorkerCommand,
};
use keylodge_services::{Elsewhere, EmbeddingEntry, ModelEntry, Models, Served, Upstreams};

use crate::settings::{Config, EngineKind, OTHERS, Source};

/// The hidden subcommand under which the program starts itself again as the model's worker.
pub(crate) const WORKER: &str = "model-worker";

/// As much of a text as a model of embeddings reads that is given by its path; most were made for no more.
const EMBEDDING_WINDOW_TOKENS: u32 = 512;

/// Starts the engines that are needed, each once, and puts them and the upstreams under the models' names. The embedded one
/// goes on loading after this returns; the one that makes vectors waits for its first call.
pub(crate) fn start(config: &Config, upstreams: &Upstreams) -> Result<Models, String> {
    if !keylodge_model::EMBEDDED {
        tracing::info!("this build has no embedded model; build with --features embedded-model for one");
    }
    let needs = |wanted: &[EngineKind]| {
        config.models.iter().any(|(_, source)| matches!(source, Source::Engine(kind) if wanted.contains(&had(*kind))))
    };
    let embedded = needs(&[EngineKind::Auto, EngineKind::Embedded]).then(|| embedded(config)).transpose()?;
    let embedding = config.models.iter().find_map(|(_, source)| match source {
        Source::Embedding(kind) => Some(had(*kind)),
        Source::Engine(_) | Source::Upstream { .. } => None,
    });
    let needs_script = needs(&[EngineKind::Auto, EngineKind::Script]) || embedding == Some(EngineKind::Script);
    let script = needs_script.then(|| script(config)).transpose()?;
    let embedder = embedding.map(|kind| embedder(config, kind, script.as_ref())).transpose()?;
    let script = script.map(Engine::Script);
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
            Source::Embedding(_) => {
                let entry = |embedder| Served::Embeds(EmbeddingEntry { name: name.clone(), embedder });
                embedder.clone().map(entry)
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
    let engines = embedded.into_iter().chain(script.filter(|_| needs(&[EngineKind::Auto, EngineKind::Script])));
    Ok(Models::new(engines.collect(), embedder.into_iter().collect(), entries, others))
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
    for embedder in models.embedders() {
        embedder.shutdown().await;
    }
}

/// What makes vectors. Where a model is wanted and cannot be had, no script stands in: its vectors would be kept among
/// true ones, and nobody could tell them apart.
fn embedder(config: &Config, kind: EngineKind, script: Option<&Arc<Script>>) -> Result<Embedder, String> {
    if let (EngineKind::Script, Some(script)) = (kind, script) {
        return Ok(Embedder::Script(Arc::clone(script)));
    }
    Ok(Embedder::Worker(EmbeddingModel::start(EmbeddingOptions {
        worker: worker()?,
        model: model_file(config, config.embedding_path.as_ref()),
        window_tokens: EMBEDDING_WINDOW_TOKENS,
        threads: config.model.threads,
        queue_max: config.model.queue_max,
        stall: config.model.stall,
    })))
}

fn embedded(config: &Config) -> Result<Engine, String> {
    Ok(Engine::Embedded(Embedded::start(EmbeddedOptions {
        worker: worker()?,
        model: model_file(config, config.model.path.as_ref()),
        slots: config.model.slots,
        window_tokens: config.model.window_tokens,
        output_tokens_max: config.model.output_tokens_max,
        threads: config.model.threads,
        queue_max: config.model.queue_max,
        stall: config.model.stall,
    })))
}

fn worker() -> Result<WorkerCommand, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program's file: {error}"))?;
    Ok(WorkerCommand { program, args: vec![OsString::from(WORKER)] })
}

fn model_file(config: &Config, path: Option<&PathBuf>) -> ModelFile {
    match path {
        Some(path) => ModelFile::Path(path.clone()),
        None => ModelFile::Default { cache_dir: config.cache_dir.join("models"), may_fetch: config.model.fetch },
    }
}

fn script(config: &Config) -> Result<Arc<Script>, String> {
    let Some(file) = &config.script_file else { return Ok(Arc::default()) };
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read the script {shown}: {error}"))?;
    let script = Script::parse(&text).map_err(|error| format!("the script {shown} has mistakes:\n{error}"))?;
    Ok(Arc::new(script))
}
