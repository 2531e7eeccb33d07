//! Upstreams, with the credentials that their files hold, and the services they are to callers.

use keylodge_gate::Clock;
use keylodge_services::recording::Tape;
use keylodge_services::relay::{Kind, UpstreamSettings};
use keylodge_services::{ServiceEntry, Upstreams};

use crate::settings::Config;

/// Reads the files of each upstream and sets up the way to each upstream. Nothing is connected yet. Where a recording answers
/// in their place, no credential is needed and none is read.
pub(crate) fn open(config: &Config, clock: &Clock, tape: &Tape) -> Result<Upstreams, String> {
    let mut with_credentials = Vec::with_capacity(config.upstreams.len());
    for upstream in &config.upstreams {
        if upstream.settings.kind == Kind::Jules {
            tracing::warn!(
                upstream = upstream.settings.name,
                "all keys that may call Jules see all sessions of this upstream's credentials; sessions have no owner yet"
            );
        }
        let credential = match (&upstream.key, &upstream.key_file) {
            _ if matches!(tape, Tape::Plays(_)) => None,
            (Some(key), _) => Some(key.reveal().to_owned()),
            (None, None) => None,
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file);
                let text =
                    text.map_err(|error| format!("cannot read the credential in {}: {error}", file.display()))?;
                Some(text.trim().to_owned())
            }
        };
        let methods = upstream
            .methods()
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        with_credentials.push((UpstreamSettings { methods, ..upstream.settings.clone() }, credential));
    }
    Upstreams::with_tape(with_credentials, clock, tape)
}

/// The services of the settings, those of upstreams among them.
pub(crate) fn services(config: &Config) -> Vec<ServiceEntry> {
    let mut services = config.services.clone();
    for upstream in &config.upstreams {
        let settings = &upstream.settings;
        if !services.iter().any(|known| known.name == settings.service) {
            services.push(ServiceEntry { name: settings.service.clone(), title: settings.title.clone() });
        }
    }
    services
}
