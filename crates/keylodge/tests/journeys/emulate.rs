//! `keylodge emulate`: a server for tests, alone or around a command.

use std::process::{Command, Output, Stdio};

use crate::support::lines::Lines;
use crate::support::server::Folder;
use crate::support::{printed, program, signal};

const SCRIPT: &str = "[[reply]]\ntext = 'Once upon a time.'\n";

/// What asks the server that the environment names, and prints what it answers.
const ASK: &str = r#"
import json, os, urllib.request
url = os.environ["GOOGLE_GEMINI_BASE_URL"] + "/v1beta/models/gemini-2.0-flash:generateContent"
body = json.dumps({"contents": [{"parts": [{"text": "Hi"}]}]}).encode()
request = urllib.request.Request(url, body, {"x-goog-api-key": os.environ["GEMINI_API_KEY"]})
answer = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request))
print(answer["candidates"][0]["content"]["parts"][0]["text"])
"#;

/// The program with a folder for temporary files that can be looked into.
fn emulate(folder: &Folder) -> Command {
    let temporary = folder.path().join("temporary");
    std::fs::create_dir_all(&temporary).expect("a folder can be made");
    let script = folder.write("script.toml", SCRIPT);
    let mut emulate = program(folder);
    emulate.env("TMPDIR", temporary).arg("emulate").arg(script).stdin(Stdio::null());
    emulate
}

fn around(arguments: &[&str]) -> Output {
    let folder = Folder::new();
    let output = emulate(&folder).args(arguments).output().expect("the program can be started");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("temporary")).expect("the folder is there").collect();
    assert!(left.is_empty(), "nothing is left behind: {left:?}");
    output
}

#[test]
fn a_command_finds_key_and_address_in_its_environment() {
    let (said, complaint) = printed(&around(&["--", "python3", "-c", ASK]));
    assert_eq!((said.as_str(), complaint.as_str()), ("Once upon a time.\n", ""));

    let show = "echo $OPENAI_BASE_URL $OPENAI_API_KEY $GEMINI_API_KEY $GOOGLE_GEMINI_BASE_URL";
    let (said, _) = printed(&around(&["--", "sh", "-c", show]));
    let said: Vec<&str> = said.split_whitespace().collect();
    assert_eq!((said[0], said[1]), (&*format!("{}/v1beta/openai", said[3]), said[2]));
}

#[test]
fn it_ends_with_its_command_and_its_exit_code() {
    assert_eq!(around(&["--", "sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(around(&["--", "sh", "-c", "kill -9 $$"]).status.code(), Some(137), "as a shell says it");
    let missing = around(&["--", "no-such-program"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(printed(&missing).1.contains("cannot run no-such-program"), "{missing:?}");
}

#[test]
fn the_same_seed_gives_the_same_key() {
    let key = |seed: &str| printed(&around(&["--seed", seed, "--", "sh", "-c", "echo $GEMINI_API_KEY"])).0;

    assert_eq!(key("7"), key("7"));
    assert_ne!(key("7"), key("8"));
}

#[test]
fn without_a_command_it_serves_until_it_is_stopped() {
    let folder = Folder::new();
    let mut child = emulate(&folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    let said = Lines::gather(child.stdout.take().expect("it is piped"));
    said.wait_for("the address", |line| line.contains("Keylodge listens on http://127.0.0.1:").then_some(()));

    signal(child.id(), "TERM");

    assert!(child.wait().expect("it ends").success());
}

/// Runs a command of the shell until it has said `ready`, and sends a signal then. Gives what it said and the exit code.
fn told(command: &str, name: &str) -> (String, Option<i32>) {
    let folder = Folder::new();
    folder.write("ask.py", ASK);
    let mut child = emulate(&folder);
    let child = child.current_dir(folder.path()).args(["--", "sh", "-c", command]);
    let mut child = child.stdout(Stdio::piped()).spawn().expect("it can be started");
    let said = Lines::gather(child.stdout.take().expect("it is piped"));
    said.wait_for("the command", |line| line.contains("ready").then_some(()));

    signal(child.id(), name);

    let code = child.wait().expect("it ends").code();
    (said.wait_for_the_end(), code)
}

#[test]
fn a_signal_is_passed_on_and_the_command_is_answered_until_it_has_ended() {
    for name in ["TERM", "INT"] {
        let waits = format!("trap 'python3 ask.py; exit 3' {name}; echo ready; while :; do sleep 0.05; done");
        let (said, code) = told(&waits, name);
        assert_eq!((said.as_str(), code), ("ready\nOnce upon a time.", Some(3)), "{name}");
    }
    let (_, code) = told("echo ready; exec sleep 60", "TERM");
    assert_eq!(code, Some(143), "it ended by the signal");
}

#[test]
fn a_script_with_mistakes_starts_nothing() {
    let folder = Folder::new();
    let script = folder.write("wrong.toml", "[[reply]]\nstatus = 99\n");
    let output = program(&folder).arg("emulate").arg(script).args(["--", "echo", "started"]).output();

    let output = output.expect("the program can be started");
    let (said, complaint) = printed(&output);
    assert_eq!((output.status.code(), said.as_str()), (Some(1), ""));
    assert!(complaint.contains("`status` must be"), "{complaint}");
}
