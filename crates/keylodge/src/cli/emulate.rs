//! `keylodge emulate`: a server for tests, which leaves nothing behind but, if asked to, a recording.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use keylodge_services::recording::{Player, Recorder, Tape};
use keylodge_services::relay::Checked;
use keylodge_store::UpstreamSecret;

use super::{Common, listed, runtime};
use crate::settings::{Config, Given, variable};
use crate::up::{self, Start};
use crate::{logs, output};

/// The upstream of `--upstream`, as recordings name it.
const UPSTREAM: &str = "upstream";
/// Where it is when a recording answers in its place: nowhere.
const NOWHERE: &str = "http://recording.invalid";

#[derive(Debug, Args)]
pub(super) struct Emulate {
    /// What is answered; without it the built-in script answers
    #[arg(value_name = "SCRIPT", conflicts_with = "tape")]
    script: Option<PathBuf>,
    #[command(flatten)]
    tape: TapeArgs,
    /// The server of the Gemini API that is recorded or checked [default: the upstreams of the settings]
    #[arg(long, value_name = "URL", requires = "asked")]
    upstream: Option<String>,
    /// The variable of the environment that has our key at the upstream; the command does not see it
    #[arg(long, value_name = "NAME", requires = "upstream")]
    upstream_key_env: Option<String>,
    /// Address and port to listen on [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Keys and ids follow from this number: the same ones each time
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// A program to run against it; it finds the key and the address in its environment, and all ends with it
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "check")]
    command: Vec<OsString>,
}

/// What is done with a recording.
#[derive(Debug, Args)]
#[group(id = "tape", multiple = false)]
struct TapeArgs {
    /// Ask upstreams, and write down in a new file what they answer, without secrets
    #[arg(long, value_name = "FILE", group = "asked")]
    record: Option<PathBuf>,
    /// Answer from a recording in place of the upstreams; a call that is not in it fails, and so does all in the end
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Ask upstreams again what is in a recording, and list what has another shape now
    #[arg(long, value_name = "FILE", group = "asked")]
    check: Option<PathBuf>,
}

/// Serves until told to stop, or until the command has ended, whose exit code it gives then. A check starts no server.
pub(super) fn run(mut args: Emulate, common: &Common) -> Result<ExitCode, String> {
    if let Some(file) = args.tape.check.take() {
        return check(&args, common, &file);
    }
    let player = args.tape.replay.as_deref().map(Player::open).transpose()?;
    let folder = tempfile::Builder::new().prefix("keylodge-emulate-").tempdir();
    let folder = folder.map_err(|error| format!("cannot make a folder for what is kept meanwhile: {error}"))?;
    let mut config = configured(&args, common, folder.path(), player.as_deref())?;
    // As late as it can be: a start that fails leaves no recording behind.
    let recorder = args.tape.record.as_deref().map(Recorder::create).transpose()?;
    let tape = match (&recorder, &player) {
        (Some(recorder), _) => Tape::Records(Arc::clone(recorder)),
        (None, Some(player)) => Tape::Plays(Arc::clone(player)),
        (None, None) => Tape::None,
    };
    logs::start(config.log_format, config.log_level);
    let start =
        Start { seed: Some(args.seed), command: args.command, hidden: args.upstream_key_env, tape, ..Start::default() };
    let done = runtime(config.threads)?.block_on(up::run(&mut config, start));
    folder.close().map_err(|error| format!("cannot remove what was kept meanwhile: {error}"))?;
    // However it ended, what was recorded is put in order.
    if let Some(recorder) = recorder {
        output::talk(&format!("keylodge: {}\n", recorder.finish()?));
    }
    let code = done?;
    match player.and_then(|player| player.missed()) {
        None => Ok(code),
        Some(missed) => {
            output::complain(&missed);
            // The command's own word that it failed says more.
            Ok(if code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code })
        }
    }
}

/// Asks again, prints the drifts, and fails where there are any, or where it could not be found out.
fn check(args: &Emulate, common: &Common, file: &Path) -> Result<ExitCode, String> {
    let config = configured(args, common, Path::new(""), None)?;
    logs::start(config.log_format, config.log_level);
    let Checked { asked, drifts, unknown, news } = runtime(Some(1))?.block_on(up::check(&config, file))?;
    for drift in &drifts {
        output::say(drift);
    }
    for new in &news {
        output::talk(&format!("keylodge: {new}\n"));
    }
    for problem in &unknown {
        output::complain(&format!("could not be checked: {problem}"));
    }
    let (count, unknown) = (drifts.len(), unknown.len());
    output::talk(&format!("keylodge: asked {asked}, not checked {unknown}, drifts {count}\n"));
    Ok(if count + unknown == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The settings that are in force, with an upstream for all models where the arguments or the recording mean one.
fn configured(args: &Emulate, common: &Common, folder: &Path, player: Option<&Player>) -> Result<Config, String> {
    let flag = |flag: &str, name: &str, value: String| (flag.to_owned(), name.to_owned(), value);
    let mut flags = vec![
        flag("--listen", "listen", args.listen.clone().unwrap_or_else(|| "127.0.0.1:0".to_owned())),
        flag("emulate", "engine", "script".to_owned()),
        flag("emulate", "data_dir", folder.to_string_lossy().into_owned()),
    ];
    if let Some(script) = &args.script {
        flags.push(flag("SCRIPT", "script.file", script.to_string_lossy().into_owned()));
    }
    if !args.command.is_empty() {
        // What the command prints is what people want to see.
        flags.insert(0, flag("emulate", "log.level", "warn".to_owned()));
    }
    let mut given = Given::read(&common.flags(flags));
    // Made with `--upstream`; or nothing is in it, and nothing else may answer.
    let is_of_argument = |player: &Player| player.upstreams().contains(UPSTREAM) || player.upstreams().is_empty();
    match &args.upstream {
        Some(url) => given.all_models_from(UPSTREAM, url, "--upstream"),
        None if given.upstreams.is_empty() && player.is_some_and(is_of_argument) => {
            given.all_models_from(UPSTREAM, NOWHERE, "--replay");
        }
        None => {}
    }
    let mut config = Config::build(&given).map_err(|mistakes| listed(&mistakes))?;
    let upstreams = || config.upstreams.iter().map(|upstream| &*upstream.settings.name);
    if let Some(missing) =
        player.and_then(|player| player.upstreams().into_iter().find(|name| !upstreams().any(|known| known == *name)))
    {
        return Err(format!(
            "the recording has calls to an upstream '{missing}', which the settings do not have; give the --config it was made with"
        ));
    }
    if args.tape.record.is_some() && config.upstreams.is_empty() {
        return Err("there is no upstream to record; name one with --upstream, or in the settings".to_owned());
    }
    if let Some(name) = &args.upstream_key_env {
        let secret = variable(name).ok_or_else(|| format!("the environment has no {name}"))?;
        let secret = UpstreamSecret::parse(&secret).map_err(|error| format!("{name} is no key: {error}"))?;
        let upstream = config.upstreams.iter_mut().find(|upstream| upstream.settings.name == UPSTREAM);
        if let Some(upstream) = upstream {
            upstream.key = Some(secret);
        }
    }
    Ok(config)
}
