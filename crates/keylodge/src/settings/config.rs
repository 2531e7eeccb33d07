//! The settings the server runs on: every value a real type, nothing optional by accident.

use std::path::PathBuf;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use keylodge_rules::ServiceName;
use keylodge_rules::quota::PriceTable;
use keylodge_services::{Limits, LiveLimits, ServiceEntry, WorkspaceRules};
use keylodge_store::record::KEYS_PER_PROJECT_MAX;
use keylodge_store::{InteractionsOptions, MasterKey, StoreOptions};
use tracing_subscriber::filter::LevelFilter;

use super::given::{Given, Mistake, Place};
use super::listeners::Listeners;
use super::models::{self, EngineKind, Source};
use super::prices;
use super::upstreams::{self, Upstream};
use crate::logs::Format;

/// What the server runs on.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listeners: Listeners,
    pub(crate) public_url: Option<String>,
    pub(crate) data_dir: PathBuf,
    pub(crate) cache_dir: PathBuf,
    pub(crate) master_key: Option<MasterKey>,
    pub(crate) script_file: Option<PathBuf>,
    pub(crate) model: Model,
    pub(crate) embedding_path: Option<PathBuf>,
    pub(crate) models: Vec<(String, Source)>,
    pub(crate) limits: Limits,
    pub(crate) interactions: InteractionsOptions,
    pub(crate) store: StoreOptions,
    pub(crate) services: Vec<ServiceEntry>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) prices: PriceTable,
    pub(crate) threads: Option<usize>,
    pub(crate) workspace: WorkspaceRules,
    pub(crate) log_format: Format,
    pub(crate) log_level: LevelFilter,
}

/// The section `model`.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) path: Option<PathBuf>,
    pub(crate) fetch: bool,
    pub(crate) threads: Option<usize>,
    pub(crate) slots: usize,
    pub(crate) window_tokens: u32,
    pub(crate) output_tokens_max: u32,
    pub(crate) queue_max: usize,
    pub(crate) stall: Duration,
}

impl Config {
    /// Checks what was given.
    ///
    /// # Errors
    /// Every mistake there is.
    pub(crate) fn build(given: &Given) -> Result<Self, Vec<Mistake>> {
        let mut check = Check { given, mistakes: given.mistakes.clone() };
        let base = etcetera::choose_base_strategy().ok();
        let data = base.as_ref().map(|base| base.data_dir().join("keylodge"));
        let cache = base.as_ref().map(|base| base.cache_dir().join("keylodge"));
        let workspace = WorkspaceRules::default();
        let engine = check.or("engine", EngineKind::Auto, models::engine);
        let config = Self {
            listeners: Listeners::read(&mut check),
            public_url: check.maybe("public_url", url),
            data_dir: check.folder("data_dir", data),
            cache_dir: check.folder("cache_dir", cache),
            master_key: check.maybe("master_key", |text| MasterKey::parse(text).map_err(|_| "64 hexadecimal digits")),
            script_file: check.maybe("script.file", path),
            model: Model {
                path: check.maybe("model.path", path),
                fetch: check.or("model.fetch", true, |text| text.parse().map_err(|_| "true or false")),
                threads: check.maybe("model.threads", whole(1, 1024)).map(size),
                slots: size(check.or("model.slots", 4, whole(1, 64))),
                window_tokens: narrow(check.or("model.window_tokens", 2048, whole(256, 131_072))),
                output_tokens_max: narrow(check.or("model.output_tokens_max", 1024, whole(1, 131_072))),
                queue_max: size(check.or("model.queue_max", 32, whole(0, 10_000))),
                stall: Duration::from_secs(check.or("model.stall_seconds", 60, whole(1, 3600))),
            },
            embedding_path: check.maybe("embedding.path", path),
            models: models::read(given, engine, &mut check.mistakes),
            limits: Limits {
                body_bytes_max: size(check.or("limits.body_bytes_max", 20 * 1024 * 1024, whole(1024, 1 << 30))),
                body_time_max: Duration::from_secs(check.or("limits.body_seconds_max", 60, whole(1, 3600))),
                generation_time_max: Duration::from_secs(check.or(
                    "limits.generation_seconds_max",
                    300,
                    whole(1, 86_400),
                )),
                interactions_kept: Duration::from_secs(
                    24 * 60 * 60 * check.or("interactions.days", 55, whole(1, 3650)),
                ),
                live: LiveLimits {
                    session_time_max: Duration::from_secs(60 * check.or("live.session_minutes", 10, whole(1, 1440))),
                    sessions_max: size(check.or("live.sessions_max", 1000, whole(1, 1_000_000))),
                },
            },
            interactions: InteractionsOptions {
                per_project_max: narrow(check.or("interactions.per_project_max", 10_000, whole(1, 10_000_000))),
                per_project_bytes_max: check.or("interactions.per_project_bytes_max", 1 << 30, whole(1 << 20, 1 << 40)),
            },
            store: StoreOptions {
                node: check.or("node", "local".to_owned(), node),
                keys_per_project_max: check.or(
                    "limits.keys_per_project_max",
                    KEYS_PER_PROJECT_MAX,
                    whole(1, 100_000_000),
                ),
            },
            services: services(&mut check),
            upstreams: upstreams::read(given, &mut check.mistakes),
            prices: prices::read(given, &mut check.mistakes),
            threads: check.maybe("threads", whole(1, 1024)).map(size),
            workspace: WorkspaceRules {
                terms_version: check.or("workspace.terms_version", workspace.terms_version, node),
                projects_max: narrow(check.or(
                    "workspace.projects_max",
                    u64::from(workspace.projects_max),
                    whole(1, 10_000),
                )),
                keys_max: narrow(check.or("workspace.keys_max", u64::from(workspace.keys_max), whole(1, 10_000))),
                projects_at_once_max: narrow(check.or(
                    "workspace.projects_at_once_max",
                    u64::from(workspace.projects_at_once_max),
                    whole(1, 1000),
                )),
                jules_keys_max: check.or("workspace.jules_keys_max", workspace.jules_keys_max, whole(0, 1_000_000)),
            },
            log_format: check.or("log.format", Format::Auto, log_format),
            log_level: check.or("log.level", LevelFilter::INFO, |text| {
                text.parse().map_err(|_| "error, warn, info, debug or trace")
            }),
        };
        if check.mistakes.is_empty() { Ok(config) } else { Err(check.mistakes) }
    }

    /// The file with the owner's token.
    pub(crate) fn owner_token_file(&self) -> PathBuf {
        self.data_dir.join("owner-token")
    }
}

/// Takes values by name and collects what is wrong with them.
pub(super) struct Check<'given> {
    pub(super) given: &'given Given,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    pub(super) fn maybe<T, E: AsRef<str>>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (text, place) = self.given.values.get(name)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(wanted) => {
                let problem = format!("'{name}' must be {}", wanted.as_ref());
                self.mistakes.push(Mistake { place: place.clone(), problem });
                None
            }
        }
    }

    pub(super) fn or<T, E: AsRef<str>>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        self.maybe(name, parse).unwrap_or(default)
    }

    /// Something wrong with a value that was given, which shows only beside others.
    pub(super) fn mistake(&mut self, name: &str, problem: &str) {
        if let Some((_, place)) = self.given.values.get(name) {
            self.mistakes.push(Mistake { place: place.clone(), problem: format!("'{name}' {problem}") });
        }
    }

    fn folder(&mut self, name: &str, default: Option<PathBuf>) -> PathBuf {
        if let Some(folder) = self.maybe(name, path).or(default) {
            return folder;
        }
        let problem = format!("'{name}' has no default here because the home folder is unknown; give one");
        self.mistakes.push(Mistake { place: Place::Environment { variable: "HOME".to_owned() }, problem });
        PathBuf::new()
    }
}

/// The services that settings add to those that are built in.
fn services(check: &mut Check<'_>) -> Vec<ServiceEntry> {
    let mut services = Vec::new();
    for (name, title, place) in &check.given.services {
        match ServiceName::parse(name) {
            Ok(name) => services.push(ServiceEntry { name, title: title.clone() }),
            Err(error) => check.mistakes.push(Mistake { place: place.clone(), problem: format!("'{name}': {error}") }),
        }
    }
    services
}

fn log_format(text: &str) -> Result<Format, &'static str> {
    match text {
        "auto" => Ok(Format::Auto),
        "human" => Ok(Format::Human),
        "json" => Ok(Format::Json),
        _ => Err("'auto', 'human' or 'json'"),
    }
}

/// A name in signed statements, or of a version.
fn node(text: &str) -> Result<String, &'static str> {
    let fits = (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err("1 to 63 letters, digits, '-', '.' and '_'") }
}

fn url(text: &str) -> Result<String, &'static str> {
    let is_http = text.starts_with("http://") || text.starts_with("https://");
    if is_http && !text.ends_with('/') {
        Ok(text.to_owned())
    } else {
        Err("a URL with http:// or https:// and without a slash at the end")
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, &'static str> {
    Ok(PathBuf::from(text))
}

pub(super) fn whole(from: u64, to: u64) -> impl Fn(&str) -> Result<u64, String> {
    move |text| {
        let number = text.replace('_', "").parse().ok().filter(|number| (from..=to).contains(number));
        number.ok_or_else(|| format!("a whole number from {from} to {to}"))
    }
}

// The ranges above keep these within their types.
pub(super) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[(&str, &str)]) -> Given {
        let mut given = Given::default();
        for (name, value) in values {
            let place = Place::Flag { flag: format!("--{name}") };
            given.values.insert((*name).to_owned(), ((*value).to_owned(), place));
        }
        given
    }

    #[test]
    fn every_wrong_value_is_reported_at_once_with_what_it_must_be() {
        let mistakes = Config::build(&given(&[
            ("listen", "everywhere"),
            ("model.slots", "0"),
            ("engine", "gpu"),
            ("master_key", "hunter2"),
        ]))
        .unwrap_err();

        let mut mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        mistakes.sort();
        assert_eq!(
            mistakes,
            [
                "flag --engine: 'engine' must be 'auto', 'embedded' or 'script'",
                "flag --listen: 'listen' must be an address and a port, as 127.0.0.1:8585",
                "flag --master_key: 'master_key' must be 64 hexadecimal digits",
                "flag --model.slots: 'model.slots' must be a whole number from 1 to 64",
            ]
        );
    }

    #[test]
    fn without_settings_the_defaults_hold() {
        let config = Config::build(&given(&[])).unwrap();

        assert_eq!(config.listeners.data.address.to_string(), "127.0.0.1:8585");
        assert!(config.listeners.control.is_none() && config.listeners.proxies.is_empty());
        let answers = |name: &str| config.models.iter().find(|(served, _)| served == name).map(|(_, source)| source);
        assert_eq!(answers("gemini-2.0-flash"), Some(&Source::Engine(EngineKind::Auto)));
        assert_eq!(answers("gemini-embedding-001"), Some(&Source::Embedding(EngineKind::Auto)));
    }

    #[test]
    fn listener_settings_that_need_each_other_are_missed() {
        let mistakes = Config::build(&given(&[
            ("control_proxy_protocol", "required"),
            ("control_tls.certificate", "c.pem"),
            ("proxy_protocol", "required"),
            ("tls.key", "key.pem"),
            ("trusted_proxies", "10.0.0.1, proxy.example.com"),
        ]))
        .unwrap_err();

        let mut mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        mistakes.sort();
        assert_eq!(
            mistakes,
            [
                "flag --control_proxy_protocol: 'control_proxy_protocol' needs 'control_listen'; without it there is one listener",
                "flag --control_tls.certificate: 'control_tls.certificate' needs 'control_listen'; without it there is one listener",
                "flag --control_tls.certificate: 'control_tls.certificate' needs 'control_tls.key' beside it",
                "flag --proxy_protocol: 'proxy_protocol' needs 'trusted_proxies': a PROXY header is taken from those only",
                "flag --tls.key: 'tls.key' needs 'tls.certificate' beside it",
                "flag --trusted_proxies: 'trusted_proxies' must be addresses and networks, as 10.0.0.1 or 10.0.0.0/8, with commas between; 'proxy.example.com' is neither",
            ]
        );
    }

    #[test]
    fn the_control_listener_has_the_same_certificate_its_own_or_none() {
        let certificate = |more: &[(&str, &str)]| {
            let mut values =
                vec![("tls.certificate", "a.pem"), ("tls.key", "a.key"), ("control_listen", "127.0.0.1:0")];
            values.extend(more);
            let config = Config::build(&given(&values)).unwrap();
            config.listeners.control().tls.as_ref().map(|files| files.certificate.to_string_lossy().into_owned())
        };

        assert_eq!(certificate(&[]).as_deref(), Some("a.pem"));
        let own = [("control_tls.certificate", "b.pem"), ("control_tls.key", "b.key")];
        assert_eq!(certificate(&own).as_deref(), Some("b.pem"));
        assert_eq!(certificate(&[("control_tls.certificate", "off")]), None);
    }
}
