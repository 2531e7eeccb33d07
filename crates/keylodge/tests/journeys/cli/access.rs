//! Policies, roles, operators and their tokens.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{fail, field, rows, run, run_json};
use crate::support::server::scripted;
use crate::support::{printed, program};

#[test]
fn a_role_is_given_for_a_while_and_taken_again() {
    let server = scripted().up();
    let (get, add, remove) = ("get-iam-policy", "add-iam-policy-binding", "remove-iam-policy-binding");
    let organization = run_json(&server, &["organizations", "create", "--display-name", "Example"]);
    let organization = organization["name"].as_str().unwrap();
    for on in [&["projects", "default-project"][..], &["organizations", organization], &["deployment"]] {
        let verb = |verb: &'static str| [&on[..1], &[verb], &on[1..]].concat();
        let binding = ["--member", "user:ana@example.com", "--role", "roles/viewer"];
        let until = ["--condition-until", "2040-01-01T00:00:00Z"];

        let added = rows(&run(&server, &[&verb(add)[..], &binding, &until].concat()));
        let row = "roles/viewer user:ana@example.com request.time < timestamp('2040-01-01T00:00:00Z')";
        assert!(added.contains(&row.to_owned()), "{on:?}: {added:?}");
        let refused = fail(&server, &[&verb(remove)[..], &binding].concat());
        assert!(refused.starts_with("user:ana@example.com does not have roles/viewer there in that form"), "{refused}");
        run(&server, &[&verb(remove)[..], &binding, &until].concat());
        assert!(!run(&server, &verb(get)).contains("ana@example.com"));
    }
}

#[test]
fn a_policy_is_written_back_only_if_nobody_changed_it_since() {
    let server = scripted().up();
    let policy = run(&server, &["projects", "get-iam-policy", "default-project", "--format", "json"]);
    let file = server.folder.write("policy.json", &policy);
    let set = ["projects", "set-iam-policy", "default-project", &file.to_string_lossy()];

    let refused = fail(&server, &set);
    assert!(refused.starts_with("The policy of project default-project will be replaced by "), "{refused}");
    run(&server, &[&set[..], &["--quiet"]].concat());
    assert!(fail(&server, &[&set[..], &["--quiet"]].concat()).starts_with("ABORTED: "));
    let nonsense = server.folder.write("nonsense.json", "bindings: []");
    let nonsense = nonsense.to_string_lossy();
    assert!(fail(&server, &["deployment", "set-iam-policy", &nonsense, "-q"]).contains("holds no policy as JSON"));
}

#[test]
fn a_role_goes_through_its_life() {
    let server = scripted().up();
    let of = ["--project", "default-project"];
    let roles = |args: &[&str]| run_json(&server, &[&["iam", "roles"], args].concat());

    assert!(run(&server, &["iam", "roles", "list"]).contains(" roles/owner "));
    assert_eq!(roles(&["describe", "roles/owner"])["name"], "roles/owner");
    let permissions = ["--title", "Reader", "--permissions", "apikeys.keys.get,apikeys.keys.list"];
    let made = roles(&[&["create", "keyReader"][..], &of, &permissions].concat());
    assert_eq!(made["includedPermissions"], json!(["apikeys.keys.get", "apikeys.keys.list"]));
    let updated = roles(&[&["update", "keyReader", "--stage", "BETA"][..], &of].concat());
    assert_eq!((&updated["stage"], &updated["title"]), (&json!("BETA"), &json!("Reader")));
    let whole = "projects/default-project/roles/keyReader";
    assert_eq!(roles(&["delete", whole, "--quiet"])["deleted"], true);
    assert_eq!(roles(&["undelete", whole]).get("deleted"), None);
    assert!(fail(&server, &["iam", "roles", "create", "some"]).starts_with("say whose role some is"));

    let asked = ["iam", "test-permissions", "apikeys.keys.create", "storage.buckets.get"];
    assert_eq!(run_json(&server, &[&asked[..], &of].concat()), json!(["apikeys.keys.create"]));
    assert_eq!(rows(&run(&server, &asked)), ["PERMISSION", "apikeys.keys.create"]);
}

#[test]
fn an_operators_token_goes_into_a_file_that_only_its_owner_reads() {
    let server = scripted().up();
    let file = server.folder.path().join("ana.token");
    let out = file.to_string_lossy();
    let create = ["operators", "create", "ana", "--member", "user:ana@example.com", "--role", "roles/viewer"];

    let made = run(&server, &[&create[..], &["--ttl", "30d", "--out", &out]].concat());
    assert!(!made.contains("klo_"), "a token that is written is not printed");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let as_ana = |args: &[&str]| {
        let mut program = program(&server.folder);
        program.args(args).args(["--url", &server.url, "--token-file", &out]).output().unwrap()
    };
    assert_eq!(field(&printed(&as_ana(&["operators", "describe"])).0, "name"), "operators/ana");

    let over = fail(&server, &["operators", "tokens", "create", "ana", "--out", &out]);
    assert!(over.ends_with("is there already; it is left as it is"), "{over}");
    let tokens = run_json(&server, &["operators", "tokens", "list", "ana"]);
    assert_eq!(tokens.as_array().map(Vec::len), Some(1), "no token was made that could not be kept: {tokens}");
    let none = server.folder.path().join("none.token");
    let wrong = ["operators", "create", "ben", "--member", "nonsense", "--out", &none.to_string_lossy()];
    assert!(fail(&server, &wrong).contains("\n  member: "));
    assert!(!none.exists(), "no file is left where no token was made");
}

#[test]
fn an_operator_is_switched_off_and_on_and_a_token_is_revoked() {
    let server = scripted().up();
    run(&server, &["operators", "create", "ana", "--member", "user:ana@example.com"]);
    let made = run_json(&server, &["operators", "tokens", "create", "ana", "--display-name", "laptop"]);
    let (name, token) = (made["name"].as_str().unwrap(), made["token"].as_str().unwrap());
    let works = || {
        let mut program = program(&server.folder);
        program.args(["operators", "describe", "--url", &server.url]).env("KEYLODGE_TOKEN", token);
        program.output().unwrap().status.success()
    };
    assert!(works());

    run(&server, &["operators", "disable", "user:ana@example.com", "--quiet"]);
    assert!(!works());
    assert!(rows(&run(&server, &["operators", "list"]))[2].starts_with("ana user:ana@example.com disabled "));
    run(&server, &["operators", "enable", "ana"]);
    assert!(works());
    run(&server, &["operators", "tokens", "revoke", name, "--quiet"]);
    assert!(!works());
    let listed = rows(&run(&server, &["operators", "tokens", "list", "ana"]));
    assert!(listed[2].contains(" laptop revoked "), "{listed:?}");
}
