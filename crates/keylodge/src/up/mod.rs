//! `keylodge up`: opens what is kept, starts the engines, serves until told to stop, and leaves in order.

mod beside;
mod data_dir;
mod dice;
mod engines;
mod listen;
mod self_signed;
mod upstreams;
mod welcome;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keylodge_gate::{Clock, Entropy, Judge, Ledger, Names};
use keylodge_rules::Timestamp;
use keylodge_services::observe::{Metrics, chain};
use keylodge_services::recording::Tape;
use keylodge_services::{
    AuthTokens, Background, Catalogue, Follower, ListensAt, Lodge, LodgeParts, Plane, Sessions, Tally, Unwritten, Uses,
    first_start, metering, purge, relay, router, settle_interactions, uses,
};
use keylodge_store::meter::{Meter, MeterOptions};
use keylodge_store::{Ephemeral, Interactions, OpenError, Store, Vault};
use tokio::sync::watch;

use crate::settings::{Config, Listeners, TlsFiles};
use beside::Beside;
use data_dir::DataDir;
use listen::{Listener, StopSignal, Tls};
use self_signed::SelfSigned;

pub(crate) use engines::WORKER;

/// What a start does besides.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// What the model is asked with a new key, on a first start.
    pub(crate) say: Option<String>,
    /// From what all randomness follows, for tests; without it, it is the system's.
    pub(crate) seed: Option<u64>,
    /// A program that is run with the new key, with which all ends.
    pub(crate) command: Vec<OsString>,
    /// Whether the listeners have a certificate that is made here, for development.
    pub(crate) signs_itself: bool,
    /// A variable of the environment that the program must not see.
    pub(crate) hidden: Option<String>,
    /// What stands between the relay and the upstreams.
    pub(crate) tape: Tape,
}

/// Runs the server, and gives the exit code of the command, if there was one. An error is a sentence for whoever started
/// it.
pub(crate) async fn run(config: &mut Config, start: Start) -> Result<ExitCode, String> {
    let Start { say, seed, command, signs_itself, hidden, tape } = start;
    let entropy = seed.map_or_else(dice::of_the_system, dice::of_seed);
    let data = DataDir::open(&config.data_dir)?;
    let self_signed = if signs_itself { Some(self_signed(config, &data)?) } else { None };
    let config = &*config;
    let master = match &config.master_key {
        Some(master) => master.clone(),
        None => data.master_key(&entropy)?,
    };
    data.make_file("keylodge.db")?;
    let store = match Store::open(&data.database_file(), &master, config.store.clone()).await {
        Ok(store) => store,
        Err(OpenError::OtherMasterKey) => {
            return Err(format!(
                "the database in {} was made under another master key; with this one every key would read as unknown. Put the right master-key file back, or give it as KEYLODGE_MASTER_KEY",
                config.data_dir.display()
            ));
        }
        Err(error) => return Err(words("cannot open the database", &error)),
    };
    let meter = Meter::open(&data.make_file("meter.db")?, MeterOptions::default()).await;
    let meter = meter.map_err(|error| words("cannot open the meter's file", &error))?;
    let file = data.make_file("interactions.db")?;
    let interactions = Interactions::open(&file, config.interactions).await;
    let interactions = interactions.map_err(|error| words("cannot open the file of the interactions", &error))?;
    let ephemeral = Ephemeral::open(&data.make_file("ephemeral.db")?).await;
    let ephemeral = ephemeral.map_err(|error| words("cannot open the file of the ephemeral tokens", &error))?;
    let certificates = Certificates::load(&config.listeners)?;
    let data_listener = Listener::bind(&config.listeners.data, certificates.data.clone()).await?;
    let control_listener = match &config.listeners.control {
        Some(listen) => Some(Listener::bind(listen, certificates.control.clone()).await?),
        None => None,
    };
    let url = data_listener.url().to_owned();
    let control_url = control_listener.as_ref().map_or(url.as_str(), Listener::url).to_owned();

    let (follower, feed, index) =
        Follower::start(store.clone()).await.map_err(|error| words("cannot read the database", &error))?;
    let clock: Clock = Arc::new(system_time);
    let upstreams = upstreams::open(config, &clock, &tape)?;
    let models = engines::start(config, &upstreams)?;
    let ledger = Arc::new(Ledger::new(Arc::clone(&clock), true));
    let judge = Judge::new(index.clone(), master.pepper(), ledger, Arc::clone(&clock), &entropy);
    let vault = Vault::new(&master);
    let auth_tokens = AuthTokens::load(ephemeral, &vault, clock()).await;
    let auth_tokens = auth_tokens.map_err(|error| words("cannot read the ephemeral tokens", &error))?;
    let lodge = Lodge::new(LodgeParts {
        judge,
        requests: Names::new(&entropy),
        vault,
        store: store.clone(),
        master,
        index,
        feed,
        models: models.clone(),
        upstreams,
        prices: config.prices.clone(),
        catalogue: Catalogue::with(upstreams::services(config)),
        limits: config.limits,
        workspace: config.workspace.clone(),
        newcomers: tokio::sync::Mutex::new(()),
        uses: Uses::default(),
        tally: Tally::default(),
        unwritten: Unwritten::default(),
        meter: meter.clone(),
        interactions: interactions.clone(),
        auth_tokens,
        live: Sessions::default(),
        background: Background::default(),
        public_url: config.public_url.clone().unwrap_or_else(|| url.clone()),
        listens_at: ListensAt { data: url.clone(), control: control_url.clone() },
        clock,
        entropy: Arc::clone(&entropy),
        metrics: Metrics::new(),
    });
    relay::read_credentials(&lodge).await.map_err(|error| words("cannot read the database", &error))?;

    settle_interactions(&lodge).await.map_err(|error| words("cannot read the interactions", &error))?;

    let (stop, stopped) = watch::channel(false);
    let following = tokio::spawn(follower.run(stopped.clone()));
    let made = first_start(&lodge, &data, &entropy).await?;
    let purging = tokio::spawn(purge::run(lodge.clone(), stopped.clone()));
    metering::restore(&lodge).await.map_err(|error| words("cannot read what is used of limits", &error))?;
    let leasing = tokio::spawn(metering::lease(lodge.clone(), stopped.clone()));
    let metering = tokio::spawn(metering::run(lodge.clone(), stopped.clone()));
    let noting = tokio::spawn(uses::run(lodge.clone(), stopped));
    let mut stop_signal = StopSignal::listen()?;
    let beside = match &made {
        Some(made) if !command.is_empty() => {
            let (beside, neighbour) = Beside::start(&command, &url, &made.key, hidden.as_deref())?;
            stop_signal.or_when(neighbour);
            Some(beside)
        }
        _ => {
            welcome::print(&url, &control_url, &data, made.as_ref());
            if let Some(self_signed) = &self_signed {
                welcome::print_trust(&self_signed.trusted);
            }
            None
        }
    };
    let saying = match (say, &made) {
        (Some(text), Some(made)) => Some(tokio::spawn(welcome::say(url, made.key.clone(), lodge.clone(), text))),
        _ => None,
    };

    let listeners = match control_listener {
        Some(control) => {
            let data = Plane::new(&lodge, router::data(&lodge));
            vec![(data_listener, data), (control, Plane::without_doors(&lodge, router::control(&lodge)))]
        }
        None => vec![(data_listener, Plane::new(&lodge, router(&lodge)))],
    };
    tokio::select! {
        () = listen::serve(listeners, &config.listeners, stop_signal) => {}
        () = listen::keep_fresh(certificates.all()) => {}
    }

    if let Some(saying) = saying {
        saying.abort();
    }
    lodge.live.hang_up().await;
    lodge.background.stop().await;
    lodge.upstreams.hang_up().await;
    engines::shutdown(&models).await;
    stop.send_replace(true);
    // All end by themselves once told; a panic in one has been logged by then.
    let _ = tokio::join!(following, purging, leasing, metering, noting);
    meter.close().await;
    interactions.close().await;
    lodge.auth_tokens.close().await;
    store.close().await;
    tracing::info!("stopped");
    match beside {
        Some(beside) => beside.end().await,
        None => Ok(ExitCode::SUCCESS),
    }
}

/// A certificate of our own for the listeners, which must have no other.
fn self_signed(config: &mut Config, data: &DataDir) -> Result<SelfSigned, String> {
    let Listeners { data: first, control, .. } = &mut config.listeners;
    if first.tls.is_some() || control.as_ref().is_some_and(|control| control.tls.is_some()) {
        return Err("--tls-self-signed makes a certificate, and the settings name another (tls.certificate); keep one"
            .to_owned());
    }
    let made = SelfSigned::of(data, system_time())?;
    for listen in std::iter::once(first).chain(control) {
        listen.tls = Some(made.files.clone());
    }
    Ok(made)
}

/// Asks the upstreams again what is in a recording. No server is started for it.
///
/// # Errors
/// A sentence for whoever asked.
pub(crate) async fn check(config: &Config, recording: &Path) -> Result<relay::Checked, String> {
    let clock: Clock = Arc::new(system_time);
    let upstreams = upstreams::open(config, &clock, &Tape::None)?;
    relay::check(&upstreams, recording).await
}

/// The certificates of both listeners, one for both where they have the same files.
struct Certificates {
    data: Option<Arc<Tls>>,
    control: Option<Arc<Tls>>,
}

impl Certificates {
    fn load(listeners: &Listeners) -> Result<Self, String> {
        let load = |files: &TlsFiles| Tls::load(files).map_err(|problem| format!("cannot set up TLS: {problem}"));
        let files = &listeners.data.tls;
        let data = files.as_ref().map(load).transpose()?;
        let control = match listeners.control.as_ref().map(|control| &control.tls) {
            None => None,
            Some(same) if same == files => data.clone(),
            Some(own) => own.as_ref().map(load).transpose()?,
        };
        Ok(Self { data, control })
    }

    fn all(self) -> Vec<Arc<Tls>> {
        let control = self.control.filter(|control| self.data.as_ref().is_none_or(|data| !Arc::ptr_eq(data, control)));
        self.data.into_iter().chain(control).collect()
    }
}

/// Makes owner, project and key when there is nobody yet. The token is in its file before anything counts on it.
async fn first_start(lodge: &Lodge, data: &DataDir, entropy: &Entropy) -> Result<Option<first_start::Made>, String> {
    let due = first_start::is_due(lodge).await.map_err(|error| words("cannot read the database", &error))?;
    if !due {
        return Ok(None);
    }
    let token = keylodge_rules::OperatorToken::issue(&keylodge_gate::source::random(entropy));
    data.write_owner_token(&token)?;
    let made = first_start::make(lodge, &token).await;
    made.map(Some).map_err(|status| format!("cannot set up the data folder: {}", status.message))
}

/// The one place where the program asks the time.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn words(what: &str, error: &dyn std::error::Error) -> String {
    format!("{what}: {}", chain(error))
}
