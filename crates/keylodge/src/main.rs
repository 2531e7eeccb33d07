//! The program `keylodge`: commands, settings, and the wiring of everything below.

mod cli;
mod logs;
mod output;
mod settings;
mod up;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
