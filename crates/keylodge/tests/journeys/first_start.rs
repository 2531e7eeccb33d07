//! The first start and the ones after it.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::http::{generate, get};
use crate::support::server::{Folder, again, scripted};
use crate::support::{command, printed, program};

#[test]
fn a_first_start_prints_address_key_and_lines_to_paste_for_bash_powershell_python_and_curl() {
    let server = scripted().up();
    let (url, key) = (server.url.clone(), server.key());

    let printed = server.stop().stdout;

    for expected in [
        format!("Keylodge listens on {url}"),
        format!("  API key      {key}"),
        format!("  export GEMINI_API_KEY={key}"),
        format!("  export GOOGLE_GEMINI_BASE_URL={url}"),
        format!("  $env:GEMINI_API_KEY = \"{key}\""),
        format!("  $env:GOOGLE_GEMINI_BASE_URL = \"{url}\""),
        "  from google import genai".to_owned(),
        format!(
            r#"  curl "{url}/v1beta/models/gemini-2.0-flash:generateContent?key={key}" -H 'Content-Type: application/json' -X POST -d '{{"contents":[{{"parts":[{{"text":"Write a story about a magic backpack."}}]}}]}}'"#
        ),
    ] {
        assert_eq!(printed.lines().filter(|line| *line == expected).count(), 1, "{expected:?} once in:\n{printed}");
    }
}

#[test]
fn later_starts_print_the_address_alone_and_the_key_still_works() {
    let first = scripted().up();
    let (folder, key) = (first.folder.clone(), first.key());
    first.stop();

    let second = again(&folder).up();
    second.call(&generate("Hello").key(&key)).good();

    let url = second.url.clone();
    assert_eq!(second.stop().stdout, format!("Keylodge listens on {url}"));
}

#[test]
fn the_secrets_are_files_for_the_owners_eyes_only() {
    let server = scripted().up();

    for name in ["", "owner-token", "master-key", "keylodge.db", "keylodge.db-wal", "keylodge.db-shm", "lock"] {
        let mode = std::fs::metadata(server.folder.data(name)).map(|file| file.permissions().mode() & 0o777);
        let expected = if name.is_empty() { 0o700 } else { 0o600 };
        assert_eq!(mode.map(|mode| format!("{mode:o}")).ok(), Some(format!("{expected:o}")), "{name:?}");
    }
}

#[test]
fn a_first_start_makes_default_project_with_a_number_of_twelve_digits_and_one_key() {
    let server = scripted().up();

    let (projects, _) = printed(&command(&server, &["projects", "list", "--format", "json"]));
    let (keys, _) = printed(&command(&server, &["keys", "list", "--format", "json"]));

    let projects: serde_json::Value = serde_json::from_str(&projects).unwrap();
    assert_eq!(projects.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&projects[0]["projectId"], &projects[0]["name"]),
        (&"default-project".into(), &"Default project".into())
    );
    let number = projects[0]["projectNumber"].as_str().unwrap();
    assert!(number.len() == 12 && number.bytes().all(|digit| digit.is_ascii_digit()), "{number}");
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys.as_array().map(Vec::len), Some(1));
    assert_eq!(keys[0]["name"], format!("projects/{number}/locations/global/keys/default-key"));
}

#[test]
fn a_first_start_can_ask_the_model_through_the_gate_and_print_the_answer() {
    let server = scripted().say("Are you there?").up();

    server.stdout.wait_for("the answer", |line| line.contains("You wrote: \"Are you there?\"").then_some(()));

    let calls = "keylodge_requests_total{surface=\"gemini\",method=\"GenerateContent\",code=\"200\"} 1";
    let metrics = server.call(&get("/metrics")).good().text();
    assert!(metrics.lines().any(|line| line == calls), "{metrics}");
}

#[test]
fn the_owners_token_is_a_bearer_for_management() {
    let server = scripted().up();

    let token = server.token();

    assert!(token.starts_with("klo_"));
    server.call(&get("/v1/projects").token(&token)).good();
}

#[test]
fn a_second_server_on_the_same_data_is_refused_with_words() {
    let server = scripted().up();

    let second = again(&server.folder).output();

    assert!(!second.status.success());
    let (stdout, stderr) = printed(&second);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with("keylodge: another Keylodge is using the data folder "), "{stderr}");
    assert!(stderr.contains("; stop it, or choose another with --data-dir"), "{stderr}");
}

#[test]
fn a_database_without_its_master_key_is_not_opened_with_a_new_one() {
    let server = scripted().up();
    let (folder, key) = (server.folder.clone(), server.key());
    server.stop();
    let kept = folder.path().join("kept");
    std::fs::rename(folder.data("master-key"), &kept).unwrap();

    let without = again(&folder).output();

    assert!(!without.status.success());
    let (_, stderr) = printed(&without);
    assert!(stderr.starts_with("keylodge: there is a database but no master key in "), "{stderr}");
    assert!(!folder.data("master-key").exists());
    std::fs::rename(&kept, folder.data("master-key")).unwrap();
    again(&folder).up().call(&generate("Hello").key(&key)).good();
}

#[test]
fn a_database_is_not_opened_under_another_master_key() {
    let server = scripted().up();
    let (folder, key) = (server.folder.clone(), server.key());
    server.stop();

    let other = again(&folder).variable("KEYLODGE_MASTER_KEY", &"5e".repeat(32)).output();

    assert!(!other.status.success());
    let (_, stderr) = printed(&other);
    assert!(stderr.starts_with("keylodge: the database in "), "{stderr}");
    assert!(stderr.contains(" was made under another master key; "), "{stderr}");
    again(&folder).up().call(&generate("Hello").key(&key)).good();
}

#[test]
fn config_check_reports_every_mistake_with_its_place() {
    let folder = Folder::new();
    let file = folder.write("mistakes.toml", "listne = '127.0.0.1:1'\n\n[model]\nslots = 0\n");

    let checked = program(&folder)
        .args(["config", "check", "--set", "limits.drain_seconds_max=soon", "--config"])
        .arg(&file)
        .env("KEYLODGE_LOG_LEVEL", "loud")
        .output()
        .unwrap();

    assert!(!checked.status.success());
    let (stdout, stderr) = printed(&checked);
    assert_eq!(stdout, "");
    let file = file.display();
    let mut mistakes: Vec<&str> = stderr.lines().collect();
    mistakes.sort_unstable();
    let mut expected = [
        format!("keylodge: {file}:1:1: there is no setting 'listne'; did you mean 'listen'?"),
        format!("keylodge: {file}:4:1: 'model.slots' must be a whole number from 1 to 64"),
        "keylodge: environment KEYLODGE_LOG_LEVEL: 'log.level' must be error, warn, info, debug or trace".to_owned(),
        "keylodge: flag --set limits.drain_seconds_max: 'limits.drain_seconds_max' must be a whole number from 0 to 3600"
            .to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(mistakes, expected);
}

#[test]
fn config_show_says_what_is_in_force_and_from_where_and_masks_secrets() {
    let folder = Folder::new();
    let secret = "5e".repeat(32);

    let shown = program(&folder)
        .args(["config", "show", "--set", "model.slots=2"])
        .env("KEYLODGE_MASTER_KEY", &secret)
        .env("KEYLODGE_LISTEN", "127.0.0.1:9")
        .output()
        .unwrap();

    assert!(shown.status.success());
    let (stdout, stderr) = printed(&shown);
    assert!(!stdout.contains(&secret[..16]) && !stderr.contains(&secret[..16]));
    let row = |name: &str| {
        let row = stdout.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")));
        row.unwrap_or_else(|| panic!("no {name} in:\n{stdout}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("master_key"), "master_key (hidden) environment KEYLODGE_MASTER_KEY");
    assert_eq!(row("listen"), "listen 127.0.0.1:9 environment KEYLODGE_LISTEN");
    assert_eq!(row("model.slots"), "model.slots 2 flag --set model.slots");
    assert_eq!(row("log.level"), "log.level info default");
}
