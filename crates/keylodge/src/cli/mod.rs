//! The command line: what can be said, and who does it.

mod audit;
mod config;
mod csv;
mod deployment;
mod emulate;
mod explain;
mod files;
mod iam;
mod keys;
mod limits;
mod operations;
mod operators;
mod organizations;
mod policies;
mod projects;
mod services;
mod session;
mod shell;
mod upstreams;
mod usage;
mod values;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use keylodge_client::Client;
use keylodge_model::worker::{Task, WorkerOptions};

use crate::settings::{Config, Flags, Given, Mistake};
use crate::up::WORKER;
use crate::{logs, output, up};

use session::{Done, Failed, Session};

/// A self-hosted home for API keys of generative APIs.
#[derive(Debug, Parser)]
#[command(name = "keylodge", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Settings file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder with the database, the master key and the owner's token
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Any setting, as model.threads=2
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Up(UpArgs),
    /// Answer from a script, for tests: nothing is kept, and the key is the same each time
    Emulate(emulate::Emulate),
    /// Make, list, change, rotate, stop and import keys
    Keys(Remote<keys::Keys>),
    /// Make, list and change projects, and who may do what in them
    Projects(Remote<projects::Projects>),
    /// How much the keys of a project may be used
    Limits(Remote<limits::Limits>),
    /// Switch the services of a project on and off
    Services(Remote<services::Services>),
    /// Organizations that own projects, and who may do what in them
    Organizations(Remote<organizations::Organizations>),
    /// Roles and permissions
    Iam(Remote<iam::Iam>),
    /// Who may do what everywhere
    Deployment(Remote<deployment::Deployment>),
    /// People and machines that manage keys, and their tokens
    Operators(Remote<operators::Operators>),
    /// Servers that answer in Keylodge's place, and our credentials there
    Upstreams(Remote<upstreams::Upstreams>),
    /// Your projects and keys, as AI Studio lists them
    Workspace(Remote<workspace::Workspace>),
    /// Show, export and verify the audit log
    Audit(Remote<audit::Audit>),
    /// Show what was used: calls, tokens, cost and latency
    Usage(RemoteArgs<usage::Usage>),
    /// Explain why a call was refused, and what would let it pass
    Explain(RemoteArgs<explain::Explain>),
    /// Calls that were refused
    Decisions(Remote<explain::Decisions>),
    /// Long-running operations
    Operations(Remote<operations::Operations>),
    /// Check and show the settings
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Print a script that completes commands in a shell
    Completion(shell::CompletionArgs),
    /// Print the OpenAPI document of Keylodge's own API
    Openapi,
    /// Print the manual page, or write those of all commands
    Man(shell::ManArgs),
    #[command(name = WORKER, hide = true)]
    Worker(WorkerArgs),
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Address and port to listen on [default: 127.0.0.1:8585]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// What answers: auto, embedded or script [default: auto]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<String>,
    /// Answer from this script; implies --engine script
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// On a first start, ask the model this with the new key and print the answer
    #[arg(long, value_name = "TEXT")]
    say: Option<String>,
    /// Speak TLS with a certificate made here, for localhost only: what Google's Python client needs for the Live API
    #[arg(long)]
    tls_self_signed: bool,
}

/// Commands that speak to a server.
#[derive(Debug, Args)]
struct Remote<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    server: Server,
}

/// A command without others below it that speaks to a server.
#[derive(Debug, Args)]
struct RemoteArgs<C: Args> {
    #[command(flatten)]
    command: C,
    #[command(flatten)]
    server: Server,
}

/// Where the server is, who asks, and how.
#[derive(Debug, Args)]
struct Server {
    /// The server's address [default: http:// and the address it listens on]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// File with the operator's token [default: owner-token in the data folder]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How to print
    #[arg(long, global = true, value_enum, default_value = "table")]
    format: output::Format,
    /// Do not ask before what cannot be taken back
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct WorkerArgs {
    #[arg(long)]
    task: Task,
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    slots: usize,
    #[arg(long)]
    window: u32,
    #[arg(long)]
    threads: usize,
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let Cli { command, common } = Cli::parse();
    let done = match command {
        Command::Worker(WorkerArgs { task, model, slots, window, threads }) => {
            return keylodge_model::worker::run(WorkerOptions { task, model, slots, window_tokens: window, threads });
        }
        Command::Config { command } => return config::run(&command, &common.flags(Vec::new())),
        Command::Openapi => {
            output::print(output::Format::Json, &keylodge_services::openapi_document(), || ());
            Ok(())
        }
        Command::Completion(args) => {
            shell::completion(&Cli::command(), args);
            Ok(())
        }
        Command::Man(args) => shell::man(Cli::command(), &args),
        Command::Up(args) => return told(start(args, &common)),
        Command::Emulate(args) => return told(emulate::run(args, &common)),
        Command::Keys(remote) => remote.run(&common, keys::run),
        Command::Projects(remote) => remote.run(&common, projects::run),
        Command::Limits(remote) => remote.run(&common, limits::run),
        Command::Services(remote) => remote.run(&common, services::run),
        Command::Organizations(remote) => remote.run(&common, organizations::run),
        Command::Iam(remote) => remote.run(&common, iam::run),
        Command::Deployment(remote) => remote.run(&common, deployment::run),
        Command::Operators(remote) => remote.run(&common, operators::run),
        Command::Upstreams(remote) => remote.run(&common, upstreams::run),
        Command::Workspace(remote) => remote.run(&common, workspace::run),
        Command::Audit(remote) => remote.run(&common, audit::run),
        Command::Usage(remote) => remote.server.run(&common, remote.command, usage::run),
        Command::Explain(remote) => remote.server.run(&common, remote.command, explain::explain),
        Command::Decisions(remote) => remote.run(&common, explain::decisions),
        Command::Operations(remote) => remote.run(&common, operations::run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(words)) => {
            output::complain(&words);
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a server, or why there was none.
fn told(ended: Result<ExitCode, String>) -> ExitCode {
    ended.unwrap_or_else(|words| {
        output::complain(&words);
        ExitCode::FAILURE
    })
}

/// The settings that are in force with these flags.
fn configured(common: &Common, flags: Vec<(String, String, String)>) -> Result<Config, String> {
    Config::build(&Given::read(&common.flags(flags))).map_err(|mistakes| listed(&mistakes))
}

fn start(args: UpArgs, common: &Common) -> Result<ExitCode, String> {
    let mut flags = Vec::new();
    let mut flag = |flag: &str, name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            flags.push((flag.to_owned(), name.to_owned(), value.to_string_lossy().into_owned()));
        }
    };
    flag("--listen", "listen", args.listen.map(Into::into));
    flag("--script", "engine", args.script.is_some().then(|| "script".into()));
    flag("--script", "script.file", args.script.map(Into::into));
    flag("--engine", "engine", args.engine.map(Into::into));
    let mut config = configured(common, flags)?;
    logs::start(config.log_format, config.log_level);
    let start = up::Start { say: args.say, signs_itself: args.tls_self_signed, ..up::Start::default() };
    runtime(config.threads)?.block_on(up::run(&mut config, start))
}

impl<C: Subcommand> Remote<C> {
    /// Runs a command that speaks to a server.
    fn run(self, common: &Common, act: impl AsyncFnOnce(&Session, C) -> Done) -> Done {
        self.server.run(common, self.command, act)
    }
}

impl Server {
    fn run<C>(self, common: &Common, command: C, act: impl AsyncFnOnce(&Session, C) -> Done) -> Done {
        let session = Session { client: self.client(common), format: self.format, quiet: self.quiet };
        runtime(None)?.block_on(act(&session, command))
    }

    fn client(&self, common: &Common) -> Result<Client, String> {
        let given = Given::read(&common.flags(Vec::new()));
        let config = Config::build(&given).map_err(|mistakes| listed(&mistakes))?;
        let url = self.url.clone().or(given.url).unwrap_or_else(|| {
            let listen = config.listeners.control();
            format!("{}://{}", listen.scheme(), listen.address)
        });
        let token = match (&self.token_file, given.token) {
            (None, Some(token)) => token,
            (file, _) => {
                let file = file.clone().unwrap_or_else(|| config.owner_token_file());
                std::fs::read_to_string(&file).map_err(|error| {
                    format!(
                        "cannot read the operator's token from {}: {error}; start the server once, or give --token-file or KEYLODGE_TOKEN",
                        file.display()
                    )
                })?
            }
        };
        Client::new(&url, token.trim()).map_err(|error| error.to_string())
    }
}

impl Common {
    /// All settings given as flags; what belongs to one command comes last and wins.
    fn flags(&self, mut of_command: Vec<(String, String, String)>) -> Flags {
        let mut values = Vec::new();
        for pair in &self.set {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.push((format!("--set {name}"), name.to_owned(), value.to_owned()));
        }
        if let Some(folder) = &self.data_dir {
            values.push(("--data-dir".to_owned(), "data_dir".to_owned(), folder.to_string_lossy().into_owned()));
        }
        values.append(&mut of_command);
        Flags { config: self.config.clone(), values }
    }
}

/// By default a thread for each core. One thread alone needs none of what several need to share their work.
fn runtime(threads: Option<usize>) -> Result<tokio::runtime::Runtime, String> {
    use tokio::runtime::Builder;
    let mut runtime = match threads {
        Some(1) => Builder::new_current_thread(),
        Some(threads) => {
            let mut runtime = Builder::new_multi_thread();
            runtime.worker_threads(threads);
            runtime
        }
        None => Builder::new_multi_thread(),
    };
    runtime.enable_all().build().map_err(|error| format!("cannot start: {error}"))
}

fn listed(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
    format!("the settings have mistakes:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command that does something, as `keys create`.
    fn commands(of: &clap::Command, above: &str, all: &mut Vec<String>) {
        for command in of.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("{above}{}", command.get_name());
            if command.has_subcommands() {
                commands(command, &format!("{name} "), all);
            } else {
                all.push(name);
            }
        }
    }

    #[test]
    fn every_command_is_put_together_well() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_docs() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let page = std::fs::read_to_string(page).unwrap();

        let mut all = Vec::new();
        commands(&Cli::command(), "", &mut all);

        assert!(all.len() > 80, "{all:?}");
        let missing: Vec<&String> = all.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "docs/cli.md does not name {missing:?}");
    }
}
