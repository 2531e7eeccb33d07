//! The models that can be called, and which engine answers under each name.

use keylodge_api::gemini::Model;
use keylodge_model::{Engine, State};

/// A model's name and what answers under it.
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

/// All models, in the order of the settings.
#[derive(Clone, Debug, Default)]
pub struct Models {
    entries: Vec<ModelEntry>,
    engines: Vec<Engine>,
}

/// How to sample when the caller does not say: what suits a small model, and what `models` tells.
pub(crate) mod default {
    pub(crate) const TEMPERATURE: f64 = 0.7;
    pub(crate) const TEMPERATURE_MAX: f64 = 2.0;
    pub(crate) const TOP_P: f64 = 0.95;
    pub(crate) const TOP_K: u32 = 40;
}

impl Models {
    /// The models of a deployment: the engines that run, and the names under which they answer.
    #[must_use]
    pub fn new(engines: Vec<Engine>, entries: Vec<ModelEntry>) -> Self {
        Self { entries, engines }
    }

    /// The model with this id, with or without `models/` in front.
    pub(crate) fn find(&self, name: &str) -> Option<&ModelEntry> {
        let name = name.strip_prefix("models/").unwrap_or(name);
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// All models.
    pub(crate) fn entries(&self) -> &[ModelEntry] {
        &self.entries
    }

    /// All engines, each once.
    pub fn engines(&self) -> &[Engine] {
        &self.engines
    }
}

/// A model as `models` shows it: honest about what answers.
pub(crate) fn to_wire(entry: &ModelEntry) -> Model {
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
        input_token_limit: info.input_tokens_max,
        output_token_limit: info.output_tokens_max,
        supported_generation_methods: vec!["generateContent", "countTokens"],
        temperature: default::TEMPERATURE,
        max_temperature: default::TEMPERATURE_MAX,
        top_p: default::TOP_P,
        top_k: default::TOP_K,
    }
}
