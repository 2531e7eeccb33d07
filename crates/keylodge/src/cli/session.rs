//! What every command that speaks to a server is given, and what it may fail with.

use std::io::{self, BufRead as _, IsTerminal as _};

use keylodge_client::{Client, ClientError};
use keylodge_rules::audit::Broken;
use serde::Serialize;

use crate::output::{self, Format};

/// A server to speak to, and how to print what it answers.
#[derive(Debug)]
pub(crate) struct Session {
    /// Or why there is none: some commands need none.
    pub(super) client: Result<Client, String>,
    pub(super) format: Format,
    /// Whether to go on without asking.
    pub(super) quiet: bool,
}

/// What a command comes to.
pub(crate) type Done = Result<(), Failed>;

/// Why a command failed, in words for whoever gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) String);

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Self(error.to_string())
    }
}

impl From<Broken> for Failed {
    fn from(broken: Broken) -> Self {
        Self(broken.to_string())
    }
}

impl From<String> for Failed {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl Session {
    /// The server.
    pub(crate) fn client(&self) -> Result<&Client, Failed> {
        self.client.as_ref().map_err(|error| Failed(error.clone()))
    }

    /// Whether people read what is printed.
    pub(crate) fn prints_tables(&self) -> bool {
        self.format == Format::Table
    }

    pub(crate) fn print(&self, value: &impl Serialize, table: impl FnOnce()) {
        output::print(self.format, value, table);
    }

    pub(crate) fn list<T: Serialize>(&self, items: &[T], header: &[&str], row: impl Fn(&T) -> Vec<String>) {
        output::list(self.format, items, header, row);
    }

    pub(crate) fn record(&self, thing: &impl Serialize) {
        output::record(self.format, thing);
    }

    /// Asks before something that stops what works or cannot be taken back. `what` is a sentence that says it.
    ///
    /// # Errors
    /// When the answer is not yes, and where nobody can be asked.
    pub(crate) fn confirm(&self, what: &str) -> Done {
        if self.quiet {
            return Ok(());
        }
        let mut stdin = io::stdin().lock();
        if !stdin.is_terminal() {
            return Err(Failed(format!("{what} Nobody is here to be asked; to do it without asking, give --quiet")));
        }
        output::talk(&format!("{what} Continue? [y/N] "));
        let mut answer = String::new();
        let read = stdin.read_line(&mut answer);
        read.map_err(|error| Failed(format!("cannot read the answer: {error}")))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failed("nothing was done".to_owned())),
        }
    }
}
