//! The worker process: what the program runs when it is started as `keylodge model-worker`.
//!
//! Stdin is a socket to the supervisor, stderr its log. The main thread reads requests and ends with the socket, so a
//! worker never outlives its parent, whatever the model is doing; the model has a thread of its own.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

#[cfg(feature = "llama")]
mod serving;

#[cfg(feature = "llama")]
use serving::serve;

/// What a build without the model says of itself.
pub(crate) const NOT_BUILT_IN: &str =
    "this build has no embedded model; build with `--features embedded-model`, or start with `--engine script`";

/// What a worker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// It answers prompts.
    Generate,
    /// It makes vectors of texts.
    Embed,
}

impl Task {
    /// Its word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Embed => "embed",
        }
    }
}

impl FromStr for Task {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = [Self::Generate, Self::Embed].into_iter().find(|task| task.as_str() == word);
        found.ok_or("a task is generate or embed")
    }
}

/// What the supervisor tells a worker on its command line: `--task WORD --model FILE --slots N --window N --threads N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOptions {
    /// `--task`: what it is for.
    pub task: Task,
    /// `--model`: the GGUF file.
    pub model: PathBuf,
    /// `--slots`: how many generations run at once.
    pub slots: usize,
    /// `--window`: the tokens of prompt and answer together, for each slot; or those that are read of a text to embed.
    pub window_tokens: u32,
    /// `--threads`: how many threads calculate.
    pub threads: usize,
}

/// Serves the supervisor at the other end of stdin until that end is closed.
pub fn run(options: WorkerOptions) -> ExitCode {
    let served = stdin_socket().and_then(|socket| serve(socket, options));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            complain(&reason);
            ExitCode::FAILURE
        }
    }
}

/// Stdin as the socket it should be.
fn stdin_socket() -> Result<UnixStream, String> {
    let socket = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    let socket = socket.and_then(|socket| socket.peer_addr().map(|_| socket));
    socket.map_err(|error| format!("stdin is not a socket ({error}): a worker is started by Keylodge, not by hand"))
}

#[cfg(not(feature = "llama"))]
fn serve(mut socket: UnixStream, _options: WorkerOptions) -> Result<(), String> {
    let fatal = crate::protocol::FromWorker::Fatal { reason: NOT_BUILT_IN.to_owned() };
    crate::protocol::worker_end::write(&mut socket, &fatal).map_err(|error| error.to_string())
}

/// Says something to the supervisor's log.
fn complain(reason: &str) {
    use std::io::Write as _;
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr(), "{reason}");
}
