//! What shells, `man` and people at a terminal get.

use std::process::{Command, Stdio};

use super::{fail, run};
use crate::support::server::{Folder, Server, scripted};
use crate::support::{printed, program};

#[test]
fn completion_scripts_are_good_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let (script, stderr) = printed(&program(&folder).args(["completion", shell]).output().unwrap());
        assert!(script.contains("bulk-revoke"), "{shell}: {stderr}");
        assert!(!script.contains("worker"), "{shell} is not told of what is for the program itself");
        if shell == "bash" {
            let file = folder.write("completion.bash", &script);
            let checked = Command::new("bash").arg("-n").arg(file).output().expect("there is a bash");
            assert!(checked.status.success(), "{}", printed(&checked).1);
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let (page, _) = printed(&program(&folder).arg("man").output().unwrap());
    assert!(page.contains(".TH keylodge 1"), "{page}");

    let pages = folder.path().join("man1");
    assert!(program(&folder).args(["man", "--out"]).arg(&pages).status().unwrap().success());
    for page in ["keylodge", "keylodge-keys-bulk-revoke", "keylodge-projects-settings-set", "keylodge-audit-verify"] {
        let text = std::fs::read_to_string(pages.join(format!("{page}.1"))).expect(page);
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
}

#[test]
fn lists_and_things_have_three_forms() {
    let server = scripted().up();
    let form = |args: &[&str], format| run(&server, &[args, &["--format", format]].concat());

    assert!(form(&["keys", "list"], "table").starts_with(" KEY ID "));
    assert!(form(&["keys", "list"], "json").starts_with("[\n  {"));
    assert!(form(&["keys", "list"], "yaml").starts_with("- createTime: \""));
    assert!(form(&["keys", "show", "default-key"], "table").starts_with(" FIELD "));
    assert!(form(&["keys", "show", "default-key"], "json").starts_with("{\n  \"createTime\""));
    assert!(form(&["keys", "show", "default-key"], "yaml").starts_with("createTime: \""));
    assert_eq!(form(&["keys", "list", "--limit", "0"], "json"), "[]\n");
}

#[test]
fn at_a_terminal_the_question_is_asked_and_only_yes_is_yes() {
    let server = scripted().up();
    run(&server, &["keys", "create", "--key-id", "ci"]);

    for (answer, code) in [("n", 1), ("", 1), ("nonsense", 1), ("y", 0)] {
        let (shown, status) = at_a_terminal(&server, &["keys", "delete", "ci"], answer);
        assert!(shown.contains("whoever uses it is refused. Continue? [y/N] "), "{shown}");
        assert_eq!(status, code, "{answer:?}: {shown}");
        assert_eq!(shown.contains("nothing was done"), code == 1, "{shown}");
    }
    assert_eq!(
        fail(&server, &["keys", "rotate", "ci", "--overlap", "1h"]).split(':').next(),
        Some("FAILED_PRECONDITION")
    );
}

/// Runs a command at a terminal, types a line when it asks, and gives what was shown and the exit code.
fn at_a_terminal(server: &Server, args: &[&str], answer: &str) -> (String, i32) {
    const TYPE: &str = "import os, pty, sys\n\
        child, terminal = pty.fork()\n\
        if child == 0: os.execv(sys.argv[2], sys.argv[2:])\n\
        shown = b''\n\
        while b'[y/N] ' not in shown: shown += os.read(terminal, 1024)\n\
        os.write(terminal, sys.argv[1].encode() + b'\\n')\n\
        try:\n  while piece := os.read(terminal, 1024): shown += piece\n\
        except OSError: pass\n\
        print(shown.decode())\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n";
    let program = program(&server.folder);
    let mut python = Command::new("python3");
    python.args(["-c", TYPE, answer]).arg(program.get_program()).args(program.get_args()).args(args);
    python.args(["--url", &server.url]).env_clear();
    for (name, value) in program.get_envs() {
        python.env(name, value.unwrap_or_default());
    }
    let output = python.stdin(Stdio::null()).output().expect("python3 is installed");
    (printed(&output).0, output.status.code().unwrap_or(-1))
}
