//! A program that is run beside the server, pointed at it by the variables that clients read; the server ends with it.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use keylodge_rules::KeyString;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::SignalKind;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::listen::Neighbour;

/// How long a program may go on when it was told to stop. The server answers meanwhile.
const END_TIME_MAX: Duration = Duration::from_secs(10);
/// How long it may go on when the server is gone.
const GONE_TIME_MAX: Duration = Duration::from_secs(1);
/// What a shell adds to the number of the signal that ended a program, to make an exit code of it.
const BY_SIGNAL: i32 = 128;

/// A running program.
pub(super) struct Beside {
    ending: JoinHandle<Result<ExitStatus, String>>,
}

impl Beside {
    /// Starts it, without the variable that is hidden from it. It is told of signals by what is given besides.
    ///
    /// # Errors
    /// A sentence for whoever started the server.
    pub(super) fn start(
        command: &[OsString],
        url: &str,
        key: &KeyString,
        hidden: Option<&str>,
    ) -> Result<(Self, Neighbour), String> {
        let [name, arguments @ ..] = command else { return Err("there is no command to run".to_owned()) };
        let shown = name.to_string_lossy().into_owned();
        let key = key.reveal();
        let mut command = Command::new(name);
        if let Some(hidden) = hidden {
            command.env_remove(hidden);
        }
        let child = command
            .args(arguments)
            .env("GEMINI_API_KEY", key)
            // Clients prefer it where it is set.
            .env_remove("GOOGLE_API_KEY")
            // It would send them to another service.
            .env_remove("GOOGLE_GENAI_USE_VERTEXAI")
            .env("GOOGLE_GEMINI_BASE_URL", url)
            .env("OPENAI_API_KEY", key)
            .env("OPENAI_BASE_URL", format!("{url}/v1beta/openai"))
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| format!("cannot run {shown}: {error}"))?;
        let (rings, ended) = oneshot::channel();
        let (tells, mut told) = mpsc::channel(1);
        let ending = tokio::spawn(async move {
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status,
                    Some(signal) = told.recv() => tell(&child, signal),
                }
            };
            let _ = rings.send(());
            status.map_err(|error| format!("cannot wait for {shown}: {error}"))
        });
        Ok((Self { ending }, Neighbour { ended, tells, end_time_max: END_TIME_MAX }))
    }

    /// How it ended. It had its time before the server was stopped; where it still goes on it is killed.
    pub(super) async fn end(mut self) -> Result<ExitCode, String> {
        match tokio::time::timeout(GONE_TIME_MAX, &mut self.ending).await {
            Ok(Ok(status)) => Ok(code(status?)),
            Ok(Err(_)) => Err("the command was lost sight of".to_owned()),
            Err(_) => {
                self.ending.abort();
                Err("the command did not end when it was told to stop, and was killed".to_owned())
            }
        }
    }
}

/// Tells a program what we were told. Where it has ended, nobody is told: it is waited for by whoever calls this, so its
/// number is nobody else's yet.
fn tell(child: &Child, signal: SignalKind) {
    let by_terminal = signal == SignalKind::interrupt() && std::io::stdin().is_terminal();
    // Ctrl-C on a terminal reaches both, and twice may mean something else.
    if by_terminal {
        return;
    }
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let signal = if signal == SignalKind::interrupt() { Signal::INT } else { Signal::TERM };
    if let Some(Err(error)) = pid.map(|pid| kill_process(pid, signal)) {
        tracing::warn!(error = error.to_string(), "the command could not be told to stop");
    }
}

/// The program's own code; of one that a signal ended, what a shell makes of that.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| BY_SIGNAL + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
