//! The table of models, checked.

use super::given::{Given, Mistake};
use super::known::{EMBEDDING_MODELS, MODELS};

/// The name that stands for every name that is not in the table.
pub(crate) const OTHERS: &str = "*";

/// What answers under a model's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An engine of ours.
    Engine(EngineKind),
    /// What makes vectors here, with such an engine.
    Embedding(EngineKind),
    /// A server elsewhere, and the model's name there if it is another.
    Upstream { name: String, model: Option<String> },
}

/// An engine of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineKind {
    /// The model inside, or the script if that cannot be had.
    Auto,
    /// The model inside.
    Embedded,
    /// The script.
    Script,
}

/// What stands in the table for the model of embeddings that goes with the engine.
const EMBEDDING: &str = "embedding";

/// Reads the name of an engine.
pub(super) fn engine(text: &str) -> Result<EngineKind, &'static str> {
    match text {
        "auto" => Ok(EngineKind::Auto),
        "embedded" => Ok(EngineKind::Embedded),
        "script" => Ok(EngineKind::Script),
        _ => Err("'auto', 'embedded' or 'script'"),
    }
}

/// Checks the table.
pub(super) fn read(given: &Given, default: EngineKind, mistakes: &mut Vec<Mistake>) -> Vec<(String, Source)> {
    let Some(table) = &given.models else {
        let text = MODELS.iter().map(|name| ((*name).to_owned(), Source::Engine(default)));
        let vectors = EMBEDDING_MODELS.iter().map(|name| ((*name).to_owned(), Source::Embedding(default)));
        return text.chain(vectors).collect();
    };
    let mut models = Vec::new();
    for (name, text, place) in table {
        match check_name(name).and_then(|()| source(given, name, text, default)) {
            Ok(source) => models.push((name.clone(), source)),
            Err(problem) => mistakes.push(Mistake { place: place.clone(), problem }),
        }
    }
    models
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name == OTHERS || ((1..=100).contains(&name.len()) && name.bytes().all(fits)) {
        return Ok(());
    }
    Err(format!("a model's name has letters, digits, '-', '.' and '_'; '{name}' does not"))
}

fn source(given: &Given, name: &str, text: &str, default: EngineKind) -> Result<Source, String> {
    let own = match engine(text) {
        Ok(engine) => Some(Source::Engine(engine)),
        Err(_) => (text == EMBEDDING).then_some(Source::Embedding(default)),
    };
    if let Some(own) = own {
        if name == OTHERS {
            return Err("'*' stands for the models of an upstream; an engine needs names".to_owned());
        }
        return Ok(own);
    }
    let (upstream, model) = match text.split_once('/') {
        Some((upstream, model)) => (upstream, Some(model)),
        None => (text, None),
    };
    let kind = given.upstreams.iter().find(|(name, _)| *name == upstream);
    let kind = kind.map(|(_, table)| table.values.get("kind").map_or("", |(kind, _)| kind));
    match kind {
        Some("gemini" | "openai") => {}
        Some(_) => return Err(format!("the upstream '{upstream}' has no models; 'gemini' and 'openai' have")),
        None => {
            return Err(format!(
                "what answers for '{name}' must be 'auto', 'embedded', 'script', 'embedding' or an upstream; there is no [upstreams.{upstream}]"
            ));
        }
    }
    match model {
        Some("") => Err(format!("'{name}' needs the model's name after the slash")),
        Some(_) if name == OTHERS => Err("'*' keeps the names that callers use; give the upstream alone".to_owned()),
        model => Ok(Source::Upstream { name: upstream.to_owned(), model: model.map(str::to_owned) }),
    }
}
