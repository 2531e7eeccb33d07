//! Keys and projects, through the commands and through the API.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::http::{Request, delete, generate, get, post};
use crate::support::manage::{Owner, keys};
use crate::support::server::{Server, scripted};
use crate::support::{command, printed, program};

/// Runs a command that must succeed, and gives what it printed.
#[track_caller]
fn run(server: &Server, args: &[&str]) -> String {
    let output = command(server, args);
    let (stdout, stderr) = printed(&output);
    assert!(output.status.success(), "{args:?}: {stderr}");
    assert_eq!(stderr, "", "{args:?} has nothing to complain of");
    stdout
}

/// The same for `--format json`.
#[track_caller]
fn run_json(server: &Server, args: &[&str]) -> Value {
    let stdout = run(server, &[args, &["--format", "json"]].concat());
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{args:?} printed no JSON ({error}): {stdout}"))
}

/// The words of each line, without the table's blanks.
fn rows(table: &str) -> Vec<String> {
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn key_string(table: &str) -> String {
    let row = rows(table).into_iter().find_map(|row| row.strip_prefix("key string ").map(str::to_owned));
    row.unwrap_or_else(|| panic!("no key string in:\n{table}"))
}

#[test]
fn a_key_is_created_listed_shown_deleted_and_undeleted_by_commands() {
    let server = scripted().up();

    let string = key_string(&run(&server, &["keys", "create", "--key-id", "ci", "--display-name", "CI runner"]));
    server.call(&generate("Hello").key(&string)).good();
    let listed = rows(&run(&server, &["keys", "list"]));
    assert_eq!(listed[0], "KEY ID DISPLAY NAME STATE CREATED");
    assert!(listed[1].starts_with("default-key Default key live 2"), "{listed:?}");
    assert!(listed[2].starts_with("ci CI runner live 2"), "{listed:?}");

    let shown = run(&server, &["keys", "show", "ci"]);
    assert!(!shown.contains(&string), "a key's string is shown only when it is asked for");
    assert_eq!(key_string(&run(&server, &["keys", "show", "ci", "--key-string"])), string);

    let deleted = run(&server, &["keys", "delete", "ci", "--quiet"]);
    assert!(!deleted.contains(&string) && rows(&deleted).iter().any(|row| row.starts_with("deleted 2")), "{deleted}");
    assert_eq!(server.call(&generate("Hello").key(&string)).status, 400);
    assert_eq!(rows(&run(&server, &["keys", "list"])).len(), 2);
    let with_deleted = rows(&run(&server, &["keys", "list", "--show-deleted"]));
    assert!(with_deleted[2].starts_with("ci CI runner deleted 2"), "{with_deleted:?}");

    run(&server, &["keys", "undelete", "ci"]);
    server.call(&generate("Hello").key(&string)).good();
}

#[test]
fn the_same_commands_print_json_for_programs() {
    let server = scripted().up();
    let number = server.project_number();
    let name = format!("projects/{number}/locations/global/keys/ci");

    let made = run_json(&server, &["keys", "create", "--key-id", "ci"]);
    assert_eq!(made["name"], *name);
    let listed = run_json(&server, &["keys", "list"]);
    assert_eq!(listed[1]["name"], *name);
    assert_eq!(listed[1].get("keyString"), None);
    let shown = run_json(&server, &["keys", "show", &name, "--key-string"]);
    assert_eq!(shown["keyString"], made["keyString"]);
    let deleted = run_json(&server, &["keys", "delete", made["uid"].as_str().unwrap(), "--quiet"]);
    assert!(deleted["deleteTime"].is_string() && deleted.get("keyString").is_none(), "{deleted}");
    let undeleted = run_json(&server, &["keys", "undelete", "ci"]);
    assert_eq!(undeleted["etag"], made["etag"], "an etag is of the content");
}

#[test]
fn a_project_is_created_and_listed_and_its_keys_are_its_own() {
    let server = scripted().up();

    let made = rows(&run(&server, &["projects", "create", "team-one", "--name", "Team One"]));
    assert_eq!(made[0], "PROJECT ID NAME NUMBER STATE");
    assert!(made[1].starts_with("team-one Team One ") && made[1].ends_with(" ACTIVE"), "{made:?}");
    let chosen = run_json(&server, &["projects", "create"]);
    assert!(chosen["projectId"].as_str().is_some_and(|id| id.starts_with("gen-lang-client-")), "{chosen}");
    let ids = run_json(&server, &["projects", "list"]);
    let ids: Vec<&str> = ids.as_array().unwrap().iter().map(|project| project["projectId"].as_str().unwrap()).collect();
    assert_eq!(ids[..2], ["default-project", "team-one"]);

    let string = key_string(&run(&server, &["keys", "create", "--project", "team-one"]));
    server.call(&generate("Hello").key(&string)).good();
    assert_eq!(rows(&run(&server, &["keys", "list"])).len(), 2);
    assert_eq!(rows(&run(&server, &["keys", "list", "--project", "team-one"])).len(), 2);
}

#[test]
fn commands_that_fail_say_why_and_what_to_do() {
    let server = scripted().up();
    let failed = |output: &Output| {
        assert!(!output.status.success());
        let (stdout, stderr) = printed(output);
        assert_eq!(stdout, "", "data goes to stdout, and there is none");
        stderr.trim_end().to_owned()
    };

    assert_eq!(
        failed(&command(&server, &["keys", "show", "nothing"])),
        "keylodge: NOT_FOUND: Requested entity was not found."
    );
    let nowhere = program(&server.folder).args(["projects", "list", "--url", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(
        failed(&nowhere),
        "keylodge: no Keylodge answers at http://127.0.0.1:1; start one with 'keylodge up', or say where it is with --url"
    );
    let wrong = program(&server.folder)
        .args(["projects", "list", "--url", &server.url])
        .env("KEYLODGE_TOKEN", "klo_wrong")
        .output()
        .unwrap();
    assert!(failed(&wrong).starts_with("keylodge: UNAUTHENTICATED: Request had invalid authentication credentials."));
}

/// A management call without a good token: 401, and the reason is the right one.
#[track_caller]
fn check_refused(server: &Server, request: &Request, reason: &str) {
    let answer = server.call(request);

    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
    let error = &answer.json()["error"];
    assert_eq!(error["status"], "UNAUTHENTICATED");
    assert_eq!(
        error["details"][0],
        json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
            "metadata": {"service": "apikeys.googleapis.com", "method": "google.api.apikeys.v2.ApiKeys.ListKeys"},
        })
    );
}

#[test]
fn management_wants_an_operators_token_and_nothing_else() {
    let server = scripted().up();
    let list = || get(keys("default-project"));
    let mut mistyped = server.token();
    mistyped.replace_range(9..10, if mistyped.as_bytes()[9] == b'x' { "y" } else { "x" });

    check_refused(&server, &list(), "CREDENTIALS_MISSING");
    check_refused(&server, &list().key(&server.key()), "CREDENTIALS_MISSING");
    check_refused(&server, &list().query(&format!("key={}", server.key())), "CREDENTIALS_MISSING");
    check_refused(&server, &list().token(&server.key()), "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    check_refused(&server, &list().token(&mistyped), "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    check_refused(&server, &list().token(&scripted().up().token()), "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    check_refused(&server, &list().key(&server.token()), "CREDENTIALS_MISSING");
    let two = list().token(&server.token()).token(&mistyped);
    check_refused(&server, &two, "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    server.call(&list().token(&server.token())).good();
}

#[test]
fn a_list_comes_in_pages_that_together_are_the_whole() {
    let server = scripted().up();
    let mut owner = Owner::of(&server);
    owner.create_project("paged-project");
    for number in 0..7 {
        owner.create_key("paged-project", &format!("key-{number}"));
    }

    let (mut ids, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let path = format!("{}?pageSize=3&pageToken={token}", keys("paged-project"));
        let page = owner.call(get(path)).good().json();
        let listed = page["keys"].as_array().unwrap();
        sizes.push(listed.len());
        ids.extend(listed.iter().map(|key| key["displayName"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = next.to_owned();
    }

    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(ids, (0..7).map(|number| format!("key-{number}")).collect::<Vec<_>>());
    let wrong = owner.call(get(format!("{}?pageToken=made-up", keys("paged-project"))));
    assert_eq!((wrong.status, &wrong.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
}

#[test]
fn a_key_id_has_rules_and_is_taken_for_as_long_as_the_key_is_kept() {
    let server = scripted().up();
    let mut owner = Owner::of(&server);
    let mut create = |id: &str| owner.call(post(format!("{}?keyId={id}", keys("default-project")), &json!({})));

    for wrong in ["Upper", "1st", "ends-", "under_score", &"x".repeat(64), "0c0b1f5e-6d7a-4b1c-9f00-aabbccddeeff"] {
        let answer = create(wrong);
        assert_eq!(answer.status, 400, "{wrong}");
        let violation = &answer.json()["error"]["details"][0]["fieldViolations"][0];
        assert_eq!(violation["field"], "key_id", "{wrong}");
    }
    create("mine").good();
    assert_eq!(
        (create("mine").status, create("mine").json()["error"]["status"].as_str()),
        (409, Some("ALREADY_EXISTS"))
    );
    owner.delete_key("default-project", "mine");
    let again = owner.call(post(format!("{}?keyId=mine", keys("default-project")), &json!({})));
    assert_eq!((again.status, again.json()["error"]["status"].as_str()), (409, Some("ALREADY_EXISTS")));
}

#[test]
fn a_delete_with_an_old_etag_changes_nothing() {
    let server = scripted().up();
    let mut owner = Owner::of(&server);
    let made = owner.create_key("default-project", "guarded");
    let path = format!("{}/guarded", keys("default-project"));
    let etag = owner.call(get(&*path)).good().json()["etag"].as_str().unwrap().to_owned();

    let refused = owner.call(delete(format!("{path}?etag=W%2F%22b2xk%22")));
    assert_eq!((refused.status, refused.json()["error"]["status"].as_str()), (409, Some("ABORTED")));
    server.call(&generate("Hello").key(&made.string)).good();

    let quoted = etag.replace('/', "%2F").replace('"', "%22").replace('+', "%2B").replace('=', "%3D");
    owner.call(delete(format!("{path}?etag={quoted}"))).good();
    assert_eq!(server.call(&generate("Hello").key(&made.string)).status, 400);
}
