//! Settings: one TOML file, the environment, flags; the later wins. This is the only module that reads the environment.
//!
//! First what was given is read into [`given::Given`], each value with its place; then [`Config`] is built from it, and
//! every mistake is reported at once. `config check` works on broken settings, that is what it is for.

mod config;
mod given;
mod known;
mod listeners;
mod models;
mod openapi;
mod prices;
mod upstreams;

pub(crate) use config::Config;
pub(crate) use given::{Flags, Given, Mistake, variable};
pub(crate) use known::{KNOWN, Setting, reference_page};
pub(crate) use listeners::{HttpLimits, Listen, Listeners, TlsFiles};
pub(crate) use models::{EngineKind, OTHERS, Source};
pub(crate) use prices::unpriced;
