//! The command line, noun by noun, against a real server: what is printed, what is asked, what is refused.

mod access;
mod audit;
mod keys;
mod secrets;
mod shell;
mod upkeep;
mod usage;

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::server::Server;
use crate::support::{command, printed, program};

/// Runs a command that must succeed without a word on stderr, and gives what it printed.
#[track_caller]
pub(crate) fn run(server: &Server, args: &[&str]) -> String {
    let output = command(server, args);
    let (stdout, stderr) = printed(&output);
    assert!(output.status.success(), "{args:?}: {stderr}");
    assert_eq!(stderr, "", "{args:?} has nothing to complain of");
    stdout
}

/// The same with `--format json`.
#[track_caller]
pub(crate) fn run_json(server: &Server, args: &[&str]) -> Value {
    let stdout = run(server, &[args, &["--format", "json"]].concat());
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{args:?} printed no JSON ({error}): {stdout}"))
}

/// Runs a command that must fail with 1 and print no data, and gives what it complained of.
#[track_caller]
pub(crate) fn fail(server: &Server, args: &[&str]) -> String {
    let output = command(server, args);
    let (stdout, stderr) = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?} has no data to print");
    let words = stderr.strip_prefix("keylodge: ").unwrap_or_else(|| panic!("{args:?}: {stderr}"));
    words.trim_end().to_owned()
}

/// Runs a command that must succeed with this on stdin.
#[track_caller]
pub(crate) fn run_with(server: &Server, args: &[&str], stdin: &str) -> String {
    let mut program = program(&server.folder);
    program.args(args).args(["--url", &server.url]);
    let piped = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program can be started");
    child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes()).expect("the program reads");
    let output = child.wait_with_output().expect("a child can be waited for");
    let (stdout, stderr) = printed(&output);
    assert!(output.status.success(), "{args:?}: {stderr}");
    stdout
}

/// The words of each line, without the table's blanks.
pub(crate) fn rows(table: &str) -> Vec<String> {
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The value of a field in a table of fields.
#[track_caller]
pub(crate) fn field(table: &str, name: &str) -> String {
    let row = rows(table).into_iter().find_map(|row| row.strip_prefix(&format!("{name} ")).map(str::to_owned));
    row.unwrap_or_else(|| panic!("there is no {name} in:\n{table}"))
}
