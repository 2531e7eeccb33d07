//! The models that can be called, and what answers under each name.

use std::sync::Arc;

use keylodge_api::gemini::Model;
use keylodge_model::{Embedder, Engine, State};

use super::identify::MODEL_CHARS_MAX;
use crate::Upstreams;
use crate::relay::{Kind, Upstream};

/// A model that an engine of ours answers for.
#[derive(Clone)]
pub struct ModelEntry {
    /// Its id, without `models/`.
    pub name: String,
    /// What answers.
    pub engine: Engine,
    /// What answers in its place once it has failed for good.
    pub instead: Option<Engine>,
}

impl ModelEntry {
    /// The engine that answers now.
    pub(crate) fn answering(&self) -> &Engine {
        match (&self.instead, self.engine.state()) {
            (Some(instead), State::Failed { .. }) => instead,
            _ => &self.engine,
        }
    }
}

impl std::fmt::Debug for ModelEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelEntry")
            .field("name", &self.name)
            .field("engine", &self.engine.info().name)
            .finish_non_exhaustive()
    }
}

/// A model of embeddings of ours.
#[derive(Clone, Debug)]
pub struct EmbeddingEntry {
    /// Its id, without `models/`.
    pub name: String,
    /// What makes the vectors.
    pub embedder: Embedder,
}

/// Where a model is that an upstream answers for.
#[derive(Clone)]
pub struct Elsewhere {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) speech: Speech,
    /// Its name there, if it is another one than callers use.
    model: Option<String>,
}

/// What a server of models speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// The Gemini API: calls go on as they are.
    Gemini,
    /// OpenAI's chat completions: calls are translated.
    OpenAi,
}

impl Elsewhere {
    /// A model at the upstream of this name; none where there is no such upstream, or it has no models.
    #[must_use]
    pub fn new(upstreams: &Upstreams, upstream: &str, model: Option<String>) -> Option<Self> {
        let upstream = upstreams.find(upstream)?;
        let speech = match upstream.settings.kind {
            Kind::Gemini => Speech::Gemini,
            Kind::OpenAi => Speech::OpenAi,
            Kind::Jules | Kind::Http => return None,
        };
        Some(Self { upstream: Arc::clone(upstream), speech, model })
    }

    /// What the upstream calls the model that callers call so.
    pub(crate) fn model<'name>(&'name self, asked: &'name str) -> &'name str {
        self.model.as_deref().unwrap_or(asked)
    }

    /// Whether the upstream calls it as callers do.
    pub(crate) fn is_same_name(&self, asked: &str) -> bool {
        self.model(asked) == asked
    }
}

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elsewhere").field("upstream", &self.upstream.name).field("model", &self.model).finish()
    }
}

/// A name, and what answers under it.
#[derive(Clone, Debug)]
pub enum Served {
    /// An engine of ours.
    Here(ModelEntry),
    /// A model of embeddings of ours.
    Embeds(EmbeddingEntry),
    /// A server elsewhere, under this name, without `models/`.
    There(String, Elsewhere),
}

impl Served {
    /// The model's id, without `models/`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Here(entry) => &entry.name,
            Self::Embeds(entry) => &entry.name,
            Self::There(name, _) => name,
        }
    }

    /// The engine of ours that answers now, if one does.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        match self {
            Self::Here(entry) => Some(entry.answering()),
            Self::Embeds(_) | Self::There(..) => None,
        }
    }
}

/// All models, in the order of the settings.
#[derive(Clone, Debug, Default)]
pub struct Models {
    entries: Vec<Served>,
    others: Option<Elsewhere>,
    engines: Vec<Engine>,
    embedders: Vec<Embedder>,
}

/// What answers for a model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'models> {
    Here(&'models ModelEntry),
    Embeds(&'models EmbeddingEntry),
    There(&'models Elsewhere),
}

/// How to sample when the caller does not say: what suits a small model, and what `models` tells.
pub(crate) mod default {
    pub(crate) const TEMPERATURE: f64 = 0.7;
    pub(crate) const TEMPERATURE_MAX: f64 = 2.0;
    pub(crate) const TOP_P: f64 = 0.95;
    pub(crate) const TOP_K: u32 = 40;
}

impl Models {
    /// The models of a deployment: the engines that run, what makes vectors, the names under which they and others answer,
    /// and who answers for every other name.
    #[must_use]
    pub fn new(
        engines: Vec<Engine>,
        embedders: Vec<Embedder>,
        entries: Vec<Served>,
        others: Option<Elsewhere>,
    ) -> Self {
        Self { entries, others, engines, embedders }
    }

    /// What answers for the model with this id, with or without `models/` in front.
    pub(crate) fn find(&self, name: &str) -> Option<Found<'_>> {
        let name = name.strip_prefix("models/").unwrap_or(name);
        let entry = self.entries.iter().find(|entry| entry.name() == name);
        match entry {
            Some(Served::Here(entry)) => Some(Found::Here(entry)),
            Some(Served::Embeds(entry)) => Some(Found::Embeds(entry)),
            Some(Served::There(_, elsewhere)) => Some(Found::There(elsewhere)),
            None => self.others.as_ref().filter(|_| can_be_elsewhere(name)).map(Found::There),
        }
    }

    /// The models that have a name here.
    pub(crate) fn entries(&self) -> &[Served] {
        &self.entries
    }

    /// Who answers for all names that none of the entries has.
    pub(crate) fn others(&self) -> Option<&Elsewhere> {
        self.others.as_ref()
    }

    /// All engines, each once.
    pub fn engines(&self) -> &[Engine] {
        &self.engines
    }

    /// All that makes vectors, each once.
    pub fn embedders(&self) -> &[Embedder] {
        &self.embedders
    }
}

/// Whether an upstream may be asked for a model by this name. One that is tuned would be somebody's own there, dots would
/// be steps in its path, and what is too long was cut.
fn can_be_elsewhere(name: &str) -> bool {
    !name.starts_with("tunedModels/") && !matches!(name, "" | "." | "..") && name.chars().count() <= MODEL_CHARS_MAX
}

/// A model as `models` shows it: honest about what answers.
pub(crate) fn to_wire(served: &Served) -> Model {
    match served {
        Served::Here(entry) => of_engine(entry),
        Served::Embeds(entry) => of_embedder(entry),
        Served::There(name, elsewhere) => of_upstream(name, elsewhere),
    }
}

pub(crate) fn of_engine(entry: &ModelEntry) -> Model {
    let engine = entry.answering();
    let info = engine.info();
    let description = match engine {
        Engine::Embedded(_) => format!("Answered by {}, the model that runs inside this Keylodge.", info.name),
        Engine::Script(_) => "Answered from a script: the same words every time, no model behind it.".to_owned(),
    };
    Model {
        name: format!("models/{}", entry.name),
        base_model_id: info.name,
        version: "001".to_owned(),
        display_name: entry.name.clone(),
        description,
        input_token_limit: Some(info.input_tokens_max),
        output_token_limit: Some(info.output_tokens_max),
        supported_generation_methods: vec!["generateContent", "countTokens", "bidiGenerateContent"],
        temperature: Some(default::TEMPERATURE),
        max_temperature: Some(default::TEMPERATURE_MAX),
        top_p: Some(default::TOP_P),
        top_k: Some(default::TOP_K),
    }
}

pub(crate) fn of_embedder(entry: &EmbeddingEntry) -> Model {
    let info = entry.embedder.info();
    let description = match entry.embedder {
        Embedder::Worker(_) => {
            format!("Vectors by {}, the model of embeddings that runs inside this Keylodge.", info.name)
        }
        Embedder::Script(_) => {
            "Vectors made of hashes: the same for the same text, and no model behind them.".to_owned()
        }
    };
    Model {
        name: format!("models/{}", entry.name),
        base_model_id: info.name,
        version: "001".to_owned(),
        display_name: entry.name.clone(),
        description,
        input_token_limit: Some(info.input_tokens_max),
        output_token_limit: None,
        supported_generation_methods: vec!["embedContent", "batchEmbedContents", "countTokens"],
        temperature: None,
        max_temperature: None,
        top_p: None,
        top_k: None,
    }
}

/// A model of which nothing is known but where it is: limits and defaults are the upstream's own.
pub(crate) fn of_upstream(name: &str, elsewhere: &Elsewhere) -> Model {
    let methods = match elsewhere.speech {
        Speech::Gemini => vec!["generateContent", "countTokens", "bidiGenerateContent"],
        Speech::OpenAi => vec!["generateContent", "bidiGenerateContent"],
    };
    Model {
        name: format!("models/{name}"),
        base_model_id: elsewhere.model(name).to_owned(),
        version: "001".to_owned(),
        display_name: name.to_owned(),
        description: format!("Answered by the upstream {}.", elsewhere.upstream.name),
        input_token_limit: None,
        output_token_limit: None,
        supported_generation_methods: methods,
        temperature: None,
        max_temperature: None,
        top_p: None,
        top_k: None,
    }
}
