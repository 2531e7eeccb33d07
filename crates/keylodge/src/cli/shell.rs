//! `keylodge completion` and `keylodge man`: what shells and `man` are told about the commands.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::session::{Done, Failed};
use crate::output;

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CompletionArgs {
    /// bash, zsh, fish, powershell or elvish
    shell: Shell,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for every command into this folder, and print nothing
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Prints a script that makes a shell complete the commands.
pub(crate) fn completion(program: &Command, CompletionArgs { shell }: CompletionArgs) {
    // Hidden commands are for the program itself, and the scripts would have them all.
    let shown = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut program = Command::new("keylodge").args(program.get_arguments().cloned()).subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "keylodge", &mut script);
    output::say(String::from_utf8_lossy(&script).trim_end());
}

/// Prints the manual page of the program, or writes those of all commands.
pub(crate) fn man(program: Command, ManArgs { out }: &ManArgs) -> Done {
    match out {
        Some(folder) => {
            pages(program, folder).map_err(|error| Failed(format!("cannot write to {}: {error}", folder.display())))
        }
        None => {
            let mut page = Vec::new();
            Man::new(program).render(&mut page).map_err(|error| Failed(format!("cannot print the page: {error}")))?;
            output::say(String::from_utf8_lossy(&page).trim_end());
            Ok(())
        }
    }
}

fn pages(program: Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(program, folder)
}
