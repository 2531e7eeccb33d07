//! Secrets go in by stdin and files and come out once.

use std::io::Write as _;
use std::process::Stdio;

use super::{field, run, run_json, run_with};
use crate::support::server::scripted;
use crate::support::{command, printed, program, until};

#[test]
fn a_key_string_is_looked_up_from_stdin_or_a_file() {
    let server = scripted().up();
    let string = run(&server, &["keys", "get-key-string", "default-key"]);
    assert_eq!(string.trim_end(), server.key(), "nothing but the string");
    let name = run_json(&server, &["keys", "show", "default-key"])["name"].as_str().unwrap().to_owned();

    assert_eq!(field(&run_with(&server, &["keys", "lookup"], &string), "name"), name);
    let file = server.folder.write("leaked.txt", &string);
    assert_eq!(field(&run(&server, &["keys", "lookup", "--file", &file.to_string_lossy()]), "name"), name);
}

#[test]
fn no_command_takes_a_secret_as_an_argument() {
    let server = scripted().up();
    for args in [&["keys", "lookup", "kl_secret"][..], &["keys", "import", "--from-stdin", "kl_secret"]] {
        let output = command(&server, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", printed(&output).1);
    }
}

#[test]
fn what_others_see_of_a_running_command_has_no_secret_in_it() {
    let server = scripted().up();
    let mut program = program(&server.folder);
    program.args(["keys", "import", "--from-stdin", "--key-id", "quiet", "--url", &server.url]);
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"sk-very-secret\n").unwrap();
    // It waits for the end of stdin, so it is there to be looked at.
    let mut seen = String::new();
    until("the command can be seen", || {
        let ps = std::process::Command::new("ps").args(["-o", "args=", "-p", &child.id().to_string()]).output();
        seen = printed(&ps.expect("there is a ps")).0;
        seen.contains("keys import")
    });
    drop(stdin);

    assert!(child.wait().unwrap().success());
    assert!(!seen.contains("sk-very-secret") && !seen.contains(&server.token()), "{seen}");
}
