//! What upstreams answer, recorded once, replayed without them, and held against them again.

use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::http::{Connection, post};
use crate::support::lines::Lines;
use crate::support::server::Folder;
use crate::support::upstream::Upstream;
use crate::support::{printed, program};

const OURS: &str = "our-own-key-at-the-upstream";
/// As `recorded.py` makes it.
const NOT_A_KEY: &str = "AIzaSyNobodysSyNobodysSyNobodysSyNobodys";
const HI: &str = "Hi";

struct Recording {
    folder: Folder,
}

impl Recording {
    fn new() -> Self {
        Self { folder: Folder::new() }
    }

    fn file(&self) -> String {
        self.folder.path().join("calls.recording").to_string_lossy().into_owned()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).expect("there is a recording")
    }

    fn emulate(&self, arguments: &[&str]) -> Command {
        let mut emulate = program(&self.folder);
        emulate.arg("emulate").args(arguments).stdin(Stdio::null());
        emulate
    }

    /// With what is asked of this upstream, with our key there.
    fn of(&self, doing: &str, upstream: &Upstream) -> Command {
        let url = format!("http://127.0.0.1:{}", upstream.port);
        let mut emulate = self.emulate(&[doing, &self.file(), "--upstream", &url, "--upstream-key-env", "REAL_KEY"]);
        emulate.env("REAL_KEY", OURS);
        emulate
    }

    fn replay(&self) -> Command {
        self.emulate(&["--replay", &self.file()])
    }
}

/// Runs the client that asks this.
fn asking(mut emulate: Command, text: &str) -> Output {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journeys/clients/recorded.py");
    emulate.args(["--", "python3", client, text]).output().expect("the program can be started")
}

fn google() -> Upstream {
    Upstream::start("google_like.py", &[OURS])
}

/// A recording of the client's calls, and what the client saw.
fn recorded(upstream: &Upstream) -> (Recording, String) {
    let recording = Recording::new();
    let output = asking(recording.of("--record", upstream), HI);
    let (said, complaint) = printed(&output);
    assert!(output.status.success(), "{said}{complaint}");
    assert!(complaint.contains("6 calls recorded in "), "{complaint}");
    assert!(complaint.contains("1 not: the upstream did not answer"), "{complaint}");
    (recording, said)
}

#[test]
fn what_was_recorded_is_replayed_without_the_upstream_piece_by_piece() {
    let mut upstream = google();
    let (recording, said) = recorded(&upstream);
    upstream.stop();
    assert!(said.contains("hidden null\n"), "the command does not see the key: {said}");
    assert!(said.contains("\"broken off\"]"), "{said}");

    let output = asking(recording.replay(), HI);

    let (replayed, complaint) = printed(&output);
    // All but the call that had no answer, and the secrets.
    let before = said.split("refused ").next().unwrap_or_default().replace("echo true", "echo false");
    for (line, again) in before.lines().zip(replayed.lines()) {
        assert_eq!(line, again);
    }
    assert_eq!(output.status.code(), Some(1), "one call is not in the recording");
    assert!(complaint.contains("1 call not in the recording:"), "{complaint}");
    assert!(complaint.contains("POST /v1beta/models/leaky:generateContent is not in the recording"), "{complaint}");
}

#[test]
fn no_secret_is_in_a_recording() {
    let (recording, _) = recorded(&google());
    let key = printed(&recording.emulate(&["--", "sh", "-c", "echo $GEMINI_API_KEY"]).output().expect("it starts")).0;

    let text = recording.text();

    assert!(text.starts_with("{\n  \"keylodge_recording\": 1\n}\n"), "{text}");
    assert!(text.contains("SCRUBBED") && text.contains("word1 "), "{text}");
    for secret in [OURS, NOT_A_KEY, key.trim()] {
        assert!(!text.contains(secret), "{secret} is in the recording: {text}");
    }
}

#[test]
fn a_request_that_was_not_recorded_is_told_with_what_is_nearest() {
    let (recording, _) = recorded(&google());

    let output = asking(recording.replay(), "Hello");

    let (said, complaint) = printed(&output);
    let differs = "which differs in contents[0].parts[0].text: recorded \"Hi SCRUBBED SCRUBBED\", asked \"Hello SCRUBBED SCRUBBED\"";
    assert!(complaint.contains(differs), "{complaint}");
    assert!(said.contains("\"status\": \"FAILED_PRECONDITION\"") && said.contains("NOT_RECORDED"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_upstream_whose_answers_have_another_shape_fails_the_check_by_the_name_of_the_field() {
    let mut upstream = google();
    let (recording, _) = recorded(&upstream);

    let same = recording.of("--check", &upstream).output().expect("it starts");
    let (said, complaint) = printed(&same);
    assert_eq!((same.status.code(), said.as_str()), (Some(0), ""), "{complaint}");
    assert!(complaint.contains("asked 6, not checked 0, drifts 0"), "{complaint}");

    let drifted = Upstream::start("google_like.py", &[OURS, "drifted"]);
    let other = recording.of("--check", &drifted).output().expect("it starts");
    let (said, complaint) = printed(&other);
    assert_eq!(other.status.code(), Some(1), "{said}{complaint}");
    let generate = "POST /v1beta/models/gemini-2.5-flash:generateContent";
    assert!(said.contains(&format!("{generate}: candidates[].finishReason was string, is missing\n")), "{said}");
    assert!(said.contains("streamGenerateContent?alt=sse: the last event: candidates[].finishReason was"), "{said}");
    assert!(complaint.contains(&format!("{generate}: candidates[].grade is new: number\n")), "{complaint}");
    assert!(!said.contains("countTokens"), "{said}");

    upstream.stop();
    let gone = recording.of("--check", &upstream).output().expect("it starts");
    let (said, complaint) = printed(&gone);
    assert_eq!((gone.status.code(), said.as_str()), (Some(1), ""), "{complaint}");
    assert!(
        complaint.contains("could not be checked: ") && complaint.contains("not checked 6, drifts 0"),
        "{complaint}"
    );
}

#[test]
fn what_was_answered_is_in_the_recording_when_the_program_is_killed() {
    let upstream = google();
    let recording = Recording::new();
    let mut emulate = recording.of("--record", &upstream);
    let mut child = emulate.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it can be started");
    let said = Lines::gather(child.stdout.take().expect("it is piped"));
    let key = said.wait_for("the key", |line| line.trim().strip_prefix("API key      ").map(str::to_owned));
    let url = said.wait_for("the address", |line| line.strip_prefix("Keylodge listens on http://").map(str::to_owned));

    let count = post("/v1beta/models/gemini-2.5-flash:countTokens", &json!({"contents": []})).key(&key);
    Connection::open(&url).expect("it listens").call(&count).good();
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");

    let text = recording.text();
    assert!(text.contains(":countTokens") && text.contains("\"totalTokens\": 5"), "{text}");
}

#[test]
fn upstreams_of_the_settings_are_recorded_whatever_they_speak() {
    let mut upstream = Upstream::start("ollama_like.py", &[OURS]);
    let recording = Recording::new();
    let settings = format!(
        "[models]\n'gemini-2.5-flash' = 'there/qwen3:8b'\n[upstreams.there]\nkind = 'openai'\nurl = 'http://127.0.0.1:{}/v1'\nkey_file = '{}'\n",
        upstream.port,
        recording.folder.write("secret", OURS).display()
    );
    let settings = recording.folder.write("there.toml", &settings).to_string_lossy().into_owned();
    let ask = "curl -sS --fail -H \"x-goog-api-key: $GEMINI_API_KEY\" -d '{\"contents\": [{\"parts\": [{\"text\": \"Hi\"}]}]}' \
        $GOOGLE_GEMINI_BASE_URL/v1beta/models/gemini-2.5-flash:generateContent";
    let run = |doing: &str| {
        let mut emulate = recording.emulate(&[doing, &recording.file(), "--config", &settings]);
        let output = emulate.args(["--", "sh", "-c", ask]).output().expect("it starts");
        let (said, complaint) = printed(&output);
        assert!(output.status.success(), "{said}{complaint}");
        serde_json::from_str::<serde_json::Value>(&said).expect("it is JSON")
    };

    let recorded = run("--record");
    upstream.stop();
    std::fs::remove_file(recording.folder.path().join("secret")).expect("it is there");
    let replayed = run("--replay");

    assert_eq!(recorded["candidates"][0]["content"]["role"], "model");
    assert_eq!(recorded["usageMetadata"], replayed["usageMetadata"]);
    assert!(!recording.text().contains(OURS));
    assert!(recording.text().contains("\"path\": \"/chat/completions\""));
}

#[test]
fn arguments_that_do_not_go_together_are_refused() {
    let recording = Recording::new();
    let file = recording.file();
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = recording.emulate(arguments).output().expect("it starts");
        let complaint = printed(&output).1;
        assert!(output.status.code() == Some(code) && complaint.contains(expected), "{arguments:?}: {complaint}");
    };
    check(&["--record", &file, "--replay", &file], 2, "cannot be used with");
    check(&["script.toml", "--replay", &file], 2, "cannot be used with");
    check(&["--check", &file, "--", "true"], 2, "cannot be used with");
    check(&["--upstream", "http://127.0.0.1:9"], 2, "required");
    check(&["--record", &file], 1, "there is no upstream to record");
    check(&["--replay", &file], 1, "cannot read the recording");
    let upstream = ["--record", &file, "--upstream", "http://127.0.0.1:9"];
    check(&[&upstream[..], &["--upstream-key-env", "NOT_THERE"]].concat(), 1, "the environment has no NOT_THERE");
    assert!(!std::path::Path::new(&file).exists());
    std::fs::write(&file, "").expect("it can be written");
    check(&upstream, 1, "is there already");
    check(&["--replay", &file], 1, "is no recording");
}
