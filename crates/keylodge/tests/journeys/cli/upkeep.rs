//! Projects, services, organizations, workspace, operations.

use serde_json::json;

use super::{fail, field, rows, run, run_json};
use crate::support::manage::Owner;
use crate::support::server::scripted;
use crate::support::{command, printed};

#[test]
fn a_project_goes_through_its_life() {
    let server = scripted().up();
    run(&server, &["projects", "create", "team-one", "--name", "Team One", "--labels", "env=prod"]);

    assert_eq!(run_json(&server, &["projects", "describe", "team-one"])["labels"], json!({"env": "prod"}));
    let updated = rows(&run(&server, &["projects", "update", "team-one", "--name", "Team Two", "--clear-labels"]));
    assert!(updated[1].starts_with("team-one Team Two "), "{updated:?}");
    for found in
        [["projects", "list", "--filter", "id:team-*"].as_slice(), &["projects", "search", "displayName:Team*"]]
    {
        let found = run_json(&server, found);
        assert_eq!(found.as_array().map(Vec::len), Some(1));
        assert_eq!((&found[0]["projectId"], found[0].get("labels")), (&json!("team-one"), None));
    }
    assert_eq!(rows(&run(&server, &["projects", "list", "--limit", "1"])).len(), 2);

    let organization = run_json(&server, &["organizations", "create", "--display-name", "Example"]);
    let number = organization["name"].as_str().and_then(|name| name.strip_prefix("organizations/")).unwrap();
    assert_eq!(rows(&run(&server, &["organizations", "list"]))[0], "ID DISPLAY NAME STATE CREATED");
    assert_eq!(run_json(&server, &["organizations", "describe", number]), organization);
    let moved = run_json(&server, &["projects", "move", "team-one", "--organization", number]);
    assert_eq!(moved["parent"], json!({"type": "organization", "id": number}));

    let deleted = run_json(&server, &["projects", "delete", "team-one", "--quiet"]);
    assert_eq!(deleted["lifecycleState"], "DELETE_REQUESTED");
    assert_eq!(run_json(&server, &["projects", "undelete", "team-one"])["lifecycleState"], "ACTIVE");
}

#[test]
fn a_project_is_told_how_to_treat_its_keys() {
    let server = scripted().up();

    let set = run(&server, &["projects", "settings", "set", "default-project", "--key-strings-shown-once", "true"]);
    assert_eq!(field(&set, "key strings shown once"), "true");

    run(&server, &["keys", "create", "--key-id", "once"]);
    assert!(fail(&server, &["keys", "get-key-string", "once"]).starts_with("FAILED_PRECONDITION: "));
    let shown = run_json(&server, &["projects", "settings", "show", "default-project"]);
    assert_eq!(shown, json!({"keyStringsShownOnce": true, "standardKeysMustBeRestricted": false}));
}

#[test]
fn services_are_switched_on_and_off() {
    let server = scripted().up();
    let jules = "jules.googleapis.com";
    let listed = |args: &[&str]| run(&server, args).contains(jules);
    assert!(!listed(&["services", "list"]) && listed(&["services", "list", "--available"]));

    let on = rows(&run(&server, &["services", "enable", jules, "generativelanguage.googleapis.com"]));
    assert_eq!(on[..2], ["NAME TITLE STATE", "jules.googleapis.com Jules API ENABLED"]);
    assert!(listed(&["services", "list"]));
    run(&server, &["services", "disable", jules, "--force", "--quiet"]);
    assert_eq!(run_json(&server, &["services", "describe", jules])["state"], "DISABLED");
    let unknown = fail(&server, &["services", "enable", "none.googleapis.com"]);
    assert!(unknown.starts_with("PERMISSION_DENIED: ") && unknown.contains("none.googleapis.com"), "{unknown}");
}

#[test]
fn the_workspace_has_what_was_made_in_it_or_taken_in() {
    let server = scripted().up();
    run(&server, &["projects", "create", "team-one"]);

    let version = field(&run(&server, &["workspace", "show"]), "terms version");
    run(&server, &["workspace", "accept-terms", "--version", &version]);
    let wrong = fail(&server, &["workspace", "accept-terms", "--version", "none"]);
    assert!(wrong.contains("\n  version: "), "{wrong}");
    run(&server, &["workspace", "projects", "create", "made-here", "--display-name", "Made Here"]);
    assert!(run(&server, &["workspace", "projects", "search", "team"]).contains("team-one"));
    run(&server, &["workspace", "projects", "import", "team-one"]);
    let ids = |args: &[&str]| -> Vec<String> {
        let listed = run_json(&server, args);
        listed.as_array().unwrap().iter().map(|project| project["projectId"].as_str().unwrap().to_owned()).collect()
    };
    assert!(ids(&["workspace", "projects", "list"]).ends_with(&["team-one".into(), "made-here".into()]));

    run(&server, &["workspace", "keys", "create", "--project", "made-here", "--display-name", "Mine"]);
    assert!(run(&server, &["workspace", "keys", "list"]).contains(" Mine "));
    run(&server, &["workspace", "projects", "remove", "team-one"]);
    assert!(!ids(&["workspace", "projects", "list"]).contains(&"team-one".to_owned()));
}

#[test]
fn an_operation_is_found_by_its_name() {
    let server = scripted().up();
    let made = Owner::of(&server).create_key("default-project", "ci");

    let operation = run_json(&server, &["operations", "describe", &made.operation]);

    assert_eq!((&operation["name"], &operation["done"]), (&json!(made.operation), &json!(true)));
    assert_eq!(fail(&server, &["operations", "describe", "none"]), "NOT_FOUND: Operation not found.");
}

#[test]
fn what_stops_something_is_not_done_where_nobody_can_be_asked() {
    let server = scripted().up();
    for args in [
        &["keys", "delete", "default-key"][..],
        &["keys", "disable", "default-key"],
        &["keys", "revoke", "default-key"],
        &["keys", "rotate", "default-key"],
        &["keys", "retire", "default-key"],
        &["keys", "bulk-revoke", "--all"],
        &["projects", "delete", "default-project"],
        &["services", "disable", "generativelanguage.googleapis.com"],
        &["operators", "disable", "ana"],
        &["operators", "tokens", "revoke", "some-token"],
        &["iam", "roles", "delete", "projects/default-project/roles/some"],
    ] {
        let words = fail(&server, args);
        assert!(
            words.ends_with("Nobody is here to be asked; to do it without asking, give --quiet"),
            "{args:?}: {words}"
        );
    }
    assert_eq!(run_json(&server, &["keys", "show", "default-key"])["details"]["state"], "LIVE");
}

#[test]
fn a_mistake_on_the_command_line_ends_with_2_and_one_that_the_server_finds_with_1() {
    let server = scripted().up();
    for args in [
        &["keys", "no-such-verb"][..],
        &["keys", "create", "--ttl", "soon"],
        &["keys", "create", "--expire-time", "tomorrow"],
        &["keys", "create", "--allowed-ips", "192.0.2.1", "--allowed-referrers", "www.example.com"],
        &["keys", "rotate", "default-key", "--overlap", "1h", "--quiet-period", "1h"],
        &["keys", "bulk-revoke"],
        &["keys", "import"],
        &["audit", "verify", "--public-key", "none"],
    ] {
        let output = command(&server, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", printed(&output).1);
    }
    let words = fail(&server, &["keys", "create", "--key-id", "Upper", "--display-name", &"x".repeat(64)]);
    assert!(words.starts_with("INVALID_ARGUMENT: "), "{words}");
    assert!(words.contains("\n  "), "each mistake has a line of its own: {words}");
}
