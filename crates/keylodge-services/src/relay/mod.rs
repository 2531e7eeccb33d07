//! Upstreams: servers that answer in our place, with our credential and not the caller's.
//!
//! What is not ours is untouched: bodies go through byte for byte as they come, in both directions, as fast as the slower
//! side reads them.
//!
//! | module | what is there |
//! |---|---|
//! | [`headers`] | which headers end here, and which must never go on |
//! | [`usage`] | what a call may cost before it is sent, and what it did cost, read in passing |
//! | [`openai`] | a Gemini call spoken to an OpenAI-compatible server |

mod again;
mod body;
mod count;
mod credentials;
mod door;
pub mod headers;
mod link;
mod method;
pub mod openai;
mod quiet;
mod reach;
mod settings;
mod socket;
mod tape;
mod tunnel;
mod underway;
mod upstream;
pub mod usage;
mod wire;

pub use again::{Checked, check};
pub(crate) use body::Outgoing;
pub use body::{Answer, Relayed};
pub(crate) use count::{Counts, framing, is_plain};
pub use credentials::read_credentials;
pub(crate) use credentials::{Chosen, Ended, KEY_FILE, NoneFree, Opened};
pub(crate) use door::Door;
pub(crate) use link::Pair;
pub use method::MethodRule;
pub use quiet::Quiet;
pub use settings::{Base, CredentialHeader, Kind, Place, UpstreamSettings};
pub(crate) use underway::Underway;
pub(crate) use upstream::{Upstream, UpstreamError};

use std::sync::Arc;

use keylodge_gate::Clock;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::recording::Tape;

/// All upstreams of a deployment.
#[derive(Default)]
pub struct Upstreams {
    all: Vec<Arc<Upstream>>,
    /// One reading of the credentials after the other.
    reloading: tokio::sync::Mutex<()>,
    tape: Tape,
}

impl Upstreams {
    /// The upstreams of the settings, with the credential that the settings have for each.
    ///
    /// # Errors
    /// What is wrong, in words for whoever started the program.
    pub fn new(settings: Vec<(UpstreamSettings, Option<String>)>, clock: &Clock) -> Result<Self, String> {
        Self::with_tape(settings, clock, &Tape::None)
    }

    /// The same with a recording that is made or played.
    ///
    /// # Errors
    /// As [`Upstreams::new`].
    pub fn with_tape(
        settings: Vec<(UpstreamSettings, Option<String>)>,
        clock: &Clock,
        tape: &Tape,
    ) -> Result<Self, String> {
        let tls = connector()?;
        let upstream = |(settings, credential): (UpstreamSettings, Option<String>)| {
            let name = settings.name.clone();
            let credential = credential.map(|text| secret_header(&settings, &text)).transpose()?;
            let upstream = Upstream::new(settings, credential, Arc::clone(clock), &tls, tape);
            upstream.map(Arc::new).map_err(|wanted| format!("the url of the upstream '{name}' must have {wanted}"))
        };
        let all = settings.into_iter().map(upstream).collect::<Result<_, _>>()?;
        Ok(Self { all, reloading: tokio::sync::Mutex::default(), tape: tape.clone() })
    }

    /// All of them, in the order of the settings.
    pub(crate) fn all(&self) -> &[Arc<Upstream>] {
        &self.all
    }

    /// The upstream of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.all.iter().find(|upstream| *upstream.name == *name)
    }

    /// Ends all websockets. To be called when no more are opened and before what calls took is written for the last time.
    pub async fn hang_up(&self) {
        for upstream in &self.all {
            upstream.hang_up().await;
        }
        if let Tape::Plays(player) = &self.tape {
            player.hang_up().await;
        }
    }

    /// Gives each upstream its credentials, in place of those that it was given before. Calls in flight go on with what
    /// they have.
    fn reload(&self, opened: Vec<Opened>) {
        let mut of_each: Vec<Vec<_>> = self.all.iter().map(|_| Vec::new()).collect();
        for Opened { upstream: name, member, secret } in opened {
            let Some(at) = self.all.iter().position(|upstream| *upstream.name == *name) else { continue };
            match secret_header(&self.all[at].settings, secret.reveal()) {
                Ok(header) => of_each[at].push((member, header)),
                Err(problem) => tracing::error!(credential = member.id, problem, "a credential is not used"),
            }
        }
        for (upstream, kept) in self.all.iter().zip(of_each) {
            upstream.credentials.replace(kept);
        }
    }

    /// The doors to HTTP services, the longest path first.
    pub(crate) fn doors(&self, console_url: &str) -> Vec<Door> {
        let for_callers = self.all.iter().filter(|upstream| Door::is_for(&upstream.settings));
        let mut doors: Vec<_> = for_callers.map(|upstream| Door::new(Arc::clone(upstream), console_url)).collect();
        let length = |door: &Door| {
            let place = &door.upstream.settings.place;
            (place.host.is_some(), place.path.len())
        };
        doors.sort_by_key(|door| std::cmp::Reverse(length(door)));
        doors
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|upstream| &upstream.settings.name)).finish()
    }
}

fn secret_header(settings: &UpstreamSettings, text: &str) -> Result<http::HeaderValue, String> {
    let prefix = settings.credential.as_ref().map_or("", |place| place.prefix);
    let value = http::HeaderValue::from_str(&format!("{prefix}{text}"));
    let mut value =
        value.map_err(|_| format!("the credential of the upstream '{}' cannot be a header", settings.name))?;
    value.set_sensitive(true);
    Ok(value)
}

/// TLS towards upstreams, trusting whom the machine trusts.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}
