//! Servers that stand behind the gate, each a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::http::{Connection, get};

/// A running upstream. It ends with this value.
pub(crate) struct Upstream {
    child: Child,
    pub(crate) port: u16,
}

impl Upstream {
    /// Starts the server in a file beside the clients.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let script = format!("{}/tests/journeys/clients/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("python3");
        let mut child =
            command.arg(script).args(arguments).stdout(Stdio::piped()).spawn().expect("python3 is installed");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut port).expect("it prints its port");
        Self { port: port.trim().parse().expect("a port"), child }
    }

    /// What it was sent, in order.
    pub(crate) fn seen(&self) -> Vec<Value> {
        let mut connection = Connection::open(&format!("127.0.0.1:{}", self.port)).expect("it listens");
        let seen = connection.call(&get("/seen")).json();
        seen.as_array().expect("a list").clone()
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What stands in a request's header of this name, as an upstream saw it.
pub(crate) fn header<'seen>(seen: &'seen Value, name: &str) -> Vec<&'seen str> {
    let headers = seen["headers"].as_array().expect("a list");
    let named =
        headers.iter().filter(|header| header[0].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)));
    named.filter_map(|header| header[1].as_str()).collect()
}
