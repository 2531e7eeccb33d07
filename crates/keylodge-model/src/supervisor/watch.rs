//! The one task behind a model: waits until it is wanted, gets the file, starts workers one after the other, and ends when told to.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::Options;
use super::desk::Desk;
use super::phase::Phase;
use super::process::{self, End, stopped};
use crate::fetch;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A model that calls wake is fetched again by a later call, but not by each of those that come at once.
const FETCH_AGAIN: Duration = Duration::from_secs(30);

/// Runs until it is told to stop or nothing more can be done. No worker outlives it.
pub(super) async fn run(desk: &Desk, options: &Options, mut stop: watch::Receiver<bool>) {
    if let Err(Over::Failed(reason)) = supervise(desk, options, &mut stop).await {
        tracing::error!(reason, "the model cannot be used");
        desk.enter(Phase::Failed { reason });
        stopped(&mut stop).await;
    }
    desk.enter(Phase::Closed);
}

/// Why there will be no more workers.
enum Over {
    Stopped,
    Failed(String),
}

async fn supervise(
    desk: &Desk,
    options: &Options,
    stop: &mut watch::Receiver<bool>,
) -> Result<std::convert::Infallible, Over> {
    let say = |what: &str| desk.enter(Phase::Loading { what: what.to_owned() });
    let model = loop {
        let is_asleep = *desk.phase().borrow() == Phase::Asleep;
        if is_asleep {
            unless_stopped(stop, desk.woken()).await?;
        }
        let fetched = unless_stopped(stop, fetch::prepare(options.task, &options.model, &say)).await?;
        match fetched {
            Ok(model) => break model,
            Err(error) if is_asleep && error.may_pass() => {
                let reason = error.to_string();
                tracing::warn!(reason, "the model could not be fetched; a later call tries again");
                desk.enter(Phase::Down { reason, retry: FETCH_AGAIN });
                unless_stopped(stop, sleep(FETCH_AGAIN)).await?;
                desk.enter(Phase::Asleep);
            }
            Err(error) => return Err(Over::Failed(error.to_string())),
        }
    };

    let mut backoff = BACKOFF_MIN;
    loop {
        say("loading the model");
        let reason = match process::live(desk, options, &model, stop).await {
            End::Stopped => return Err(Over::Stopped),
            End::Fatal(reason) => return Err(Over::Failed(reason)),
            End::Lost(reason) => reason,
        };
        if desk.has_answered() {
            backoff = BACKOFF_MIN;
        }
        tracing::warn!(reason, retry = ?backoff, "the model's worker was lost; its calls were ended");
        desk.enter(Phase::Down { reason, retry: backoff });
        unless_stopped(stop, sleep(backoff)).await?;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn unless_stopped<T>(stop: &mut watch::Receiver<bool>, step: impl Future<Output = T>) -> Result<T, Over> {
    tokio::select! {
        done = step => Ok(done),
        () = stopped(stop) => Err(Over::Stopped),
    }
}
