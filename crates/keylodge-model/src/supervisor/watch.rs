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
    if desk.phase().borrow().clone() == Phase::Asleep {
        tokio::select! {
            () = desk.woken() => {}
            () = stopped(stop) => return Err(Over::Stopped),
        }
    }
    let say = |what: &str| desk.enter(Phase::Loading { what: what.to_owned() });
    let model = tokio::select! {
        model = fetch::prepare(options.task, &options.model, &say) => model.map_err(|error| Over::Failed(error.to_string()))?,
        () = stopped(stop) => return Err(Over::Stopped),
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
        tokio::select! {
            () = sleep(backoff) => {}
            () = stopped(stop) => return Err(Over::Stopped),
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}
