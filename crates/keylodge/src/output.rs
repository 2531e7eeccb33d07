//! What commands print: data to stdout, talk to stderr.

use std::io::Write as _;

use comfy_table::{Table, presets};
use serde_json::Value;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: what the API answers.
    Json,
}

/// Prints text to stdout. A reader that has gone away is no concern of ours.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Prints an error to stderr.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "keylodge: {text}");
}

/// Prints JSON on many lines.
pub(crate) fn json(value: &Value) {
    say(&format!("{value:#}"));
}

/// Prints rows under a header.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    say(&lines.join("\n"));
}
