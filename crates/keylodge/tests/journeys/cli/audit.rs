//! `keylodge audit`

use std::process::Stdio;

use super::{fail, field, rows, run, run_json};
use crate::support::lines::Lines;
use crate::support::program;
use crate::support::server::{Server, scripted};

/// A server with something in its log, and the log's export.
fn exported() -> (Server, String, String) {
    let server = scripted().up();
    run(&server, &["keys", "create", "--key-id", "ci"]);
    run(&server, &["keys", "delete", "ci", "--quiet"]);
    let file = server.folder.path().join("audit.jsonl");
    let file = file.to_string_lossy().into_owned();
    run(&server, &["audit", "export", "--out", &file]);
    let text = std::fs::read_to_string(&file).expect("the export is there");
    (server, file, text)
}

#[test]
fn the_latest_entries_are_shown_oldest_first() {
    let (server, ..) = exported();

    let table = rows(&run(&server, &["audit", "tail", "-n", "2", "--project", "default-project"]));
    assert_eq!((table[0].as_str(), table.len()), ("TIME WHO METHOD RESOURCE REFUSED", 3));
    assert!(table[1].contains(" user:owner CreateKey ") && table[2].contains(" user:owner DeleteKey "), "{table:?}");
    let entries = run_json(&server, &["audit", "tail", "-n", "1"]);
    assert_eq!(entries.as_array().map(Vec::len), Some(1));
}

#[test]
fn new_entries_are_followed_as_they_come() {
    let server = scripted().up();
    let mut tail = program(&server.folder);
    tail.args(["audit", "tail", "-n", "0", "--follow", "--format", "json", "--url", &server.url]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let lines = Lines::gather(tail.stdout.take().unwrap());
    // Whenever it began to look, something happens after that.
    let mut made = 0;
    let entry = loop {
        made += 1;
        run(&server, &["keys", "create", "--key-id", &format!("key-{made}")]);
        if let Some(line) = lines.so_far().lines().next() {
            break line.to_owned();
        }
    };
    tail.kill().unwrap();
    tail.wait().unwrap();

    let entry: serde_json::Value = serde_json::from_str(&entry).unwrap();
    assert_eq!(entry["protoPayload"]["methodName"], "google.api.apikeys.v2.ApiKeys.CreateKey");
}

#[test]
fn an_export_is_verified_without_a_server() {
    let (server, file, text) = exported();
    let checkpoint = server.folder.path().join("checkpoint.json");
    let checkpoint = checkpoint.to_string_lossy();
    run(&server, &["audit", "checkpoint", "--out", &checkpoint]);
    let key = field(&run(&server, &["audit", "checkpoint"]), "public key");
    let live = run(&server, &["audit", "verify"]);
    let entries = text.lines().count() - 1;
    let folder = server.folder.clone();
    server.stop();

    let verify = program(&folder)
        .args(["audit", "verify", &file, "--public-key", &key, "--checkpoint", &checkpoint])
        .args(["--url", "http://127.0.0.1:1", "--token-file", "/nowhere"])
        .output()
        .unwrap();
    let (stdout, stderr) = crate::support::printed(&verify);
    assert!(verify.status.success(), "{stderr}");
    assert_eq!((field(&stdout, "entries"), field(&stdout, "public key")), (entries.to_string(), key));
    assert_eq!(stdout, live, "the log that a server has is the log that it exports");
}

#[test]
fn a_tampered_export_is_refused_with_the_place() {
    let (server, file, text) = exported();
    let lines: Vec<&str> = text.lines().collect();
    let check = |text: String, words: &str| {
        let tampered = server.folder.write("tampered.jsonl", &text);
        assert_eq!(fail(&server, &["audit", "verify", &tampered.to_string_lossy()]), words);
    };
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().join("\n");

    check(text.replacen("user:owner", "user:mallory", 1).replacen("\"owner\"", "\"mallory\"", 1), &changed(&text));
    check(without(1), "entry 2 is missing");
    let stops =
        format!("the log stops before entry {} without a signed checkpoint, so its end may be missing", lines.len());
    check(without(lines.len() - 1), &stops);
    check(
        text.replacen('\n', "\r\n", 1),
        "the line of entry 1 is not as it was written: some of its bytes are not those that were written",
    );
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let words = fail(&server, &["audit", "verify", &file, "--public-key", other]);
    assert!(words.contains("is signed with another key than expected"), "{words}");
}

/// The sentence about the first entry that the owner wrote.
fn changed(text: &str) -> String {
    let at = text.lines().position(|line| line.contains("user:owner")).expect("the owner wrote something") + 1;
    format!("entry {at} was changed or put in: its hash does not follow from the log")
}

#[test]
fn a_log_that_lost_what_a_checkpoint_had_seen_is_refused() {
    let (server, file, _) = exported();
    run(&server, &["keys", "create", "--key-id", "later"]);
    let checkpoint = run(&server, &["audit", "checkpoint", "--format", "json"]);
    let kept = server.folder.write("kept.json", &checkpoint);
    let kept = kept.to_string_lossy();

    assert!(
        fail(&server, &["audit", "verify", &file, "--checkpoint", &kept]).contains("the earlier checkpoint had seen")
    );
    run(&server, &["audit", "verify", "--checkpoint", &kept]);
    let forged = server.folder.write("forged.json", &checkpoint.replacen("\"local\"", "\"other\"", 1));
    let words = fail(&server, &["audit", "verify", &file, "--checkpoint", &forged.to_string_lossy()]);
    assert!(words.ends_with("was changed: its signature does not fit it"), "{words}");
}
