//! Google's Rust client for API keys, unchanged: `scripts/rust-client` is a program that uses it. It is built here, beside
//! the program under test, from a lock file of its own; the first build takes about a minute.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sdk::{as_owner, run, script};
use crate::support::server::scripted;

#[test]
fn the_rust_client_manages_keys() {
    let program = built();
    let server = scripted().up();

    println!("{}", run(&server, as_owner(&server, Command::new(program))));
}

fn built() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_keylodge")).ancestors().nth(2).expect("a program is in target/debug");
    let target = target.join("rust-client");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(script("rust-client/Cargo.toml"));
    let built = cargo.arg("--target-dir").arg(&target).status().expect("cargo can be started");
    assert!(built.success(), "the Rust client is built; its first build fetches its crates");
    target.join("debug/rust-client")
}
