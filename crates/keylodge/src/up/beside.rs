//! A program that is run beside the server, pointed at it by the variables that clients read; the server ends with it.

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use keylodge_rules::KeyString;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a program may go on when the server was stopped.
const END_TIME_MAX: Duration = Duration::from_secs(10);

/// A running program.
pub(super) struct Beside {
    ending: JoinHandle<Result<ExitStatus, String>>,
}

impl Beside {
    /// Starts it, without the variable that is hidden from it. The receiver rings when it has ended.
    ///
    /// # Errors
    /// A sentence for whoever started the server.
    pub(super) fn start(
        command: &[OsString],
        url: &str,
        key: &KeyString,
        hidden: Option<&str>,
    ) -> Result<(Self, oneshot::Receiver<()>), String> {
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
        let (rings, rung) = oneshot::channel();
        let ending = tokio::spawn(async move {
            let status = child.wait().await.map_err(|error| format!("cannot wait for {shown}: {error}"));
            let _ = rings.send(());
            status
        });
        Ok((Self { ending }, rung))
    }

    /// How it ended. Where the server was stopped first, it has some time: Ctrl-C on a terminal reaches both of them.
    /// After that it is killed.
    pub(super) async fn end(mut self) -> Result<ExitCode, String> {
        match tokio::time::timeout(END_TIME_MAX, &mut self.ending).await {
            Ok(Ok(status)) => Ok(code(status?)),
            Ok(Err(_)) => Err("the command was lost sight of".to_owned()),
            Err(_) => {
                self.ending.abort();
                Err("the command did not end when the server was stopped, and was killed".to_owned())
            }
        }
    }
}

/// The program's own code; one that a signal ended has none, and counts as failed.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
