//! `keylodge emulate`: a server for tests, which leaves nothing behind.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Common, configured, runtime};
use crate::logs;
use crate::up::{self, Start};

#[derive(Debug, Args)]
pub(super) struct Emulate {
    /// What is answered; without it the built-in script answers
    #[arg(value_name = "SCRIPT")]
    script: Option<PathBuf>,
    /// Address and port to listen on [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Keys and ids follow from this number: the same ones each time
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// A program to run against it; it finds the key and the address in its environment, and all ends with it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Serves until told to stop, or until the command has ended, whose exit code it gives then.
pub(super) fn run(args: Emulate, common: &Common) -> Result<ExitCode, String> {
    let Emulate { script, listen, seed, command } = args;
    let folder = tempfile::Builder::new().prefix("keylodge-emulate-").tempdir();
    let folder = folder.map_err(|error| format!("cannot make a folder for what is kept meanwhile: {error}"))?;
    let flag = |flag: &str, name: &str, value: String| (flag.to_owned(), name.to_owned(), value);
    let mut flags = vec![
        flag("--listen", "listen", listen.unwrap_or_else(|| "127.0.0.1:0".to_owned())),
        flag("emulate", "engine", "script".to_owned()),
        flag("emulate", "data_dir", folder.path().to_string_lossy().into_owned()),
    ];
    if let Some(script) = script {
        flags.push(flag("SCRIPT", "script.file", script.to_string_lossy().into_owned()));
    }
    if !command.is_empty() {
        // What the command prints is what people want to see.
        flags.insert(0, flag("emulate", "log.level", "warn".to_owned()));
    }
    let mut config = configured(common, flags)?;
    logs::start(config.log_format, config.log_level);
    let done = runtime(config.threads)?
        .block_on(up::run(&mut config, Start { seed: Some(seed), command, ..Start::default() }));
    folder.close().map_err(|error| format!("cannot remove what was kept meanwhile: {error}"))?;
    done
}
