//! What the journeys stand on: servers that are started and stopped, a client that shows every byte, waiting.

pub(crate) mod browser;
pub(crate) mod http;
pub(crate) mod lines;
pub(crate) mod manage;
pub(crate) mod raw;
pub(crate) mod sdk;
pub(crate) mod server;
pub(crate) mod tls;
pub(crate) mod upstream;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use server::{Folder, Server};

/// How long a test waits for anything before it fails. Far more than it takes, also on a machine with other work.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(120);

/// Waits until a condition holds that nobody reports by itself, by asking again and again.
#[track_caller]
pub(crate) fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(WAIT_MAX, what, condition);
}

/// The same for what may take longer.
#[track_caller]
pub(crate) fn until_within(wait_max: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < wait_max, "in {} seconds it did not come true that {what}", wait_max.as_secs());
        // Only so that asking does not take the processor from the one who is to answer; no test counts on its length.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The program, with no settings but those of the test: its home and its data are in the folder.
pub(crate) fn program(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keylodge"));
    command.env_clear().envs(environment().filter(|(name, _)| name == "PATH"));
    command.env("HOME", folder.path()).env("KEYLODGE_CONFIG", folder.write("keylodge.toml", ""));
    command.arg("--data-dir").arg(folder.data(""));
    command
}

/// A command of the program against a running server, by its data folder's token.
pub(crate) fn command(server: &Server, args: &[&str]) -> Output {
    program(&server.folder).args(args).args(["--url", &server.url]).output().expect("the program can be started")
}

/// The environment of the tests, without settings of a Keylodge.
pub(crate) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("KEYLODGE_"))
}

/// A variable of the tests' own environment.
#[expect(clippy::disallowed_methods, reason = "tests have no settings module; this is their one place")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where what can be fetched again is kept between runs: the model, the SDKs.
pub(crate) fn cache() -> PathBuf {
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    variable("KEYLODGE_CACHE_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?.join("keylodge")))
        .expect("HOME says where the cache is")
}

/// Sends a signal, by the name that `kill` knows.
pub(crate) fn signal(pid: u32, name: &str) {
    // Of the shell, whose `kill` is built in: not every machine has a program of that name.
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("there is a shell");
    assert!(sent.success(), "process {pid} is there to be sent {name}");
}

/// What a program printed, with what it complained of.
pub(crate) fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
