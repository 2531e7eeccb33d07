//! The command line: what can be said, and who does it.

mod config;
mod keys;
mod projects;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use keylodge_client::Client;
use keylodge_model::worker::WorkerOptions;

use crate::settings::{Config, Flags, Given, Mistake};
use crate::up::WORKER;
use crate::{logs, output, up};

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
    /// Make, list, show, delete and undelete keys
    Keys {
        #[command(subcommand)]
        command: keys::Keys,
        #[command(flatten)]
        server: Server,
    },
    /// Make and list projects
    Projects {
        #[command(subcommand)]
        command: projects::Projects,
        #[command(flatten)]
        server: Server,
    },
    /// Check and show the settings
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
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
}

/// Where the server is and who asks.
#[derive(Debug, Args)]
struct Server {
    /// The server's address [default: http:// and the address it listens on]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// File with the operator's token [default: owner-token in the data folder]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How to print: table or json
    #[arg(long, global = true, value_enum, default_value = "table")]
    format: output::Format,
}

#[derive(Debug, Args)]
struct WorkerArgs {
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
        Command::Worker(WorkerArgs { model, slots, window, threads }) => {
            return keylodge_model::worker::run(WorkerOptions { model, slots, window_tokens: window, threads });
        }
        Command::Config { command } => return config::run(&command, &common.flags(Vec::new())),
        Command::Up(args) => start(&args, &common),
        Command::Keys { command, server } => {
            with_client(&common, &server, async |client| keys::run(&client, &command, server.format).await)
        }
        Command::Projects { command, server } => {
            with_client(&common, &server, async |client| projects::run(&client, &command, server.format).await)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(args: &UpArgs, common: &Common) -> Result<(), String> {
    let mut flags = Vec::new();
    let mut flag = |flag: &str, name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            flags.push((flag.to_owned(), name.to_owned(), value.to_string_lossy().into_owned()));
        }
    };
    flag("--listen", "listen", args.listen.clone().map(Into::into));
    flag("--script", "engine", args.script.is_some().then(|| "script".into()));
    flag("--script", "script.file", args.script.clone().map(Into::into));
    flag("--engine", "engine", args.engine.clone().map(Into::into));
    let config = Config::build(&Given::read(&common.flags(flags))).map_err(|mistakes| listed(&mistakes))?;
    logs::start(config.log_format, config.log_level);
    runtime()?.block_on(up::run(&config, args.say.as_deref()))
}

/// Runs a command that speaks to a server.
fn with_client(
    common: &Common,
    server: &Server,
    command: impl AsyncFnOnce(Client) -> Result<(), String>,
) -> Result<(), String> {
    let given = Given::read(&common.flags(Vec::new()));
    let config = Config::build(&given).map_err(|mistakes| listed(&mistakes))?;
    let url = server.url.clone().or(given.url).unwrap_or_else(|| format!("http://{}", config.listen));
    let token = match (&server.token_file, given.token) {
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
    let client = Client::new(&url, token.trim()).map_err(|error| error.to_string())?;
    runtime()?.block_on(command(client))
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

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| format!("cannot start: {error}"))
}

fn listed(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
    format!("the settings have mistakes:\n{}", lines.join("\n"))
}
