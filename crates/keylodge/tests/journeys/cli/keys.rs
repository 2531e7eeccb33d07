//! `keylodge keys`

use serde_json::json;

use super::{fail, field, rows, run, run_json, run_with};
use crate::support::http::generate;
use crate::support::server::scripted;
use crate::support::{command, printed};

#[test]
fn a_key_is_made_with_all_that_narrows_and_describes_it() {
    let server = scripted().up();
    let narrowed = ["--allowed-ips", "10.0.0.0/8,192.0.2.1", "--api-target"];
    let target = ["service=generativelanguage.googleapis.com,methods=GenerateContent;CountTokens"];
    let described =
        ["--annotations", "a=b", "--labels", "team=blue", "--owner", "ana", "--purpose", "CI", "--ttl", "30d"];

    let made = [&["keys", "create", "--key-id", "ci"][..], &narrowed, &target, &described].concat();
    let made = run_json(&server, &made);
    assert!(made["keyString"].is_string());

    let shown = run_json(&server, &["keys", "describe", "ci"]);
    assert_eq!(shown["restrictions"]["serverKeyRestrictions"]["allowedIps"], json!(["10.0.0.0/8", "192.0.2.1"]));
    assert_eq!(
        shown["restrictions"]["apiTargets"],
        json!([{"service": "generativelanguage.googleapis.com", "methods": ["GenerateContent", "CountTokens"]}])
    );
    assert_eq!(shown["annotations"], json!({"a": "b"}));
    let details = &shown["details"];
    assert_eq!((&details["owner"], &details["purpose"]), (&json!("ana"), &json!("CI")));
    assert_eq!((&details["labels"], &details["state"]), (&json!({"team": "blue"}), &json!("LIVE")));
    assert!(details["expireTime"].as_str() > details["strings"][0]["createTime"].as_str());
    let table = run(&server, &["keys", "show", "ci"]);
    assert_eq!(field(&table, "owner"), "ana");
    assert!(rows(&table).contains(&"only from address 192.0.2.1".to_owned()), "{table}");
}

#[test]
fn an_update_changes_what_is_given_and_nothing_else() {
    let server = scripted().up();
    run(&server, &["keys", "create", "--key-id", "ci", "--annotations", "a=b", "--allowed-ips", "10.0.0.1"]);

    run(&server, &["keys", "update", "ci", "--display-name", "CI"]);
    run(&server, &["keys", "update", "ci", "--api-target", "service=generativelanguage.googleapis.com"]);
    let updated = run_json(&server, &["keys", "update", "ci", "--allowed-referrers", "www.example.com/*"]);
    assert_eq!((&updated["displayName"], &updated["annotations"]), (&json!("CI"), &json!({"a": "b"})));
    assert_eq!(
        updated["restrictions"],
        json!({
            "browserKeyRestrictions": {"allowedReferrers": ["www.example.com/*"]},
            "apiTargets": [{"service": "generativelanguage.googleapis.com"}],
        })
    );
    let cleared = run_json(&server, &["keys", "update", "ci", "--clear-annotations", "--clear-restrictions"]);
    assert_eq!((cleared.get("annotations"), cleared.get("restrictions")), (None, None));

    run(&server, &["keys", "set", "ci", "--owner", "ana", "--ttl", "1h", "--labels", "a=b"]);
    let set = run_json(&server, &["keys", "set", "ci", "--clear-expire-time", "--clear-labels", "--purpose", "x"]);
    assert_eq!((set.get("expireTime"), set.get("labels")), (None, None));
    assert_eq!((&set["owner"], &set["purpose"]), (&json!("ana"), &json!("x")));
    for nothing in [["keys", "update", "ci"], ["keys", "set", "ci"]] {
        assert!(fail(&server, &nothing).starts_with("nothing to change was given"));
    }
}

#[test]
fn a_key_is_stopped_with_a_receipt_and_comes_back() {
    let server = scripted().up();
    let string = field(&run(&server, &["keys", "create", "--key-id", "ci"]), "key string");
    assert_eq!(fail(&server, &["keys", "receipt", "ci"]).split(':').next(), Some("FAILED_PRECONDITION"));

    let disabled = run_json(&server, &["keys", "disable", "ci", "--quiet"]);
    assert_eq!(disabled["details"]["state"], "DISABLED");
    assert_eq!(disabled["receipt"], run_json(&server, &["keys", "receipt", "ci"]));
    assert_ne!(server.call(&generate("Hello").key(&string)).status, 200);
    assert_eq!(field(&run(&server, &["keys", "enable", "ci"]), "state"), "LIVE");
    server.call(&generate("Hello").key(&string)).good();

    let callers = rows(&run(&server, &["keys", "callers", "ci"]));
    assert_eq!(callers[0], "ADDRESS CLIENT CALLS STRING FIRST LAST");
    assert!(callers[1].starts_with("127.0.0.1 "), "{callers:?}");

    let revoked = run(&server, &["keys", "revoke", "ci", "--quiet"]);
    assert_eq!((field(&revoked, "state"), field(&revoked, "receipt.reason")), ("DELETED".into(), "deleted".into()));
    assert_ne!(server.call(&generate("Hello").key(&string)).status, 200);
}

#[test]
fn many_keys_are_revoked_by_what_they_have_in_common() {
    let server = scripted().up();
    for (id, owner, label) in [("one", "ana", "a=b"), ("two", "ana", "a=c"), ("three", "ben", "a=b")] {
        run(&server, &["keys", "create", "--key-id", id, "--owner", owner, "--labels", label]);
    }
    let ids = |table: &str| -> Vec<String> {
        rows(table)[1..].iter().map(|row| row.split(' ').next().unwrap_or_default().to_owned()).collect()
    };

    run(&server, &["keys", "bulk-revoke", "--owner", "ana", "--labels", "a=b", "--quiet"]);
    assert_eq!(ids(&run(&server, &["keys", "list"])), ["default-key", "two", "three"]);
    let both = run_json(&server, &["keys", "bulk-revoke", "two", "three", "--quiet"]);
    assert_eq!(both.as_array().map(Vec::len), Some(2));

    run(&server, &["keys", "create", "--key-id", "four", "--owner", "ana"]);
    let missed = command(&server, &["keys", "bulk-revoke", "four", "default-key", "--owner", "ana", "--quiet"]);
    assert_eq!(missed.status.code(), Some(1), "a key that was named and not stopped must not go unnoticed");
    assert!(printed(&missed).1.contains("1 of the 2 keys that were named are not as described"));
    let typo = fail(&server, &["keys", "bulk-revoke", "default-key", "typo", "--quiet"]);
    assert!(typo.starts_with("NOT_FOUND: ") && typo.contains("'typo'"), "{typo}");

    run(&server, &["keys", "bulk-revoke", "--all", "--quiet"]);
    assert_eq!(ids(&run(&server, &["keys", "list"])), [""; 0]);
}

#[test]
fn a_rotated_key_has_two_strings_until_the_old_one_is_retired() {
    let server = scripted().up();
    let old = field(&run(&server, &["keys", "create", "--key-id", "ci"]), "key string");

    let new = field(&run(&server, &["keys", "rotate", "ci", "--overlap", "24h"]), "key string");
    for string in [&old, &new] {
        server.call(&generate("Hello").key(string)).good();
    }
    assert!(field(&run(&server, &["keys", "show", "ci"]), "string 1").contains("good until 2"));

    run(&server, &["keys", "retire", "ci", "--quiet"]);
    assert_ne!(server.call(&generate("Hello").key(&old)).status, 200);
    server.call(&generate("Hello").key(&new)).good();
    let newest = run_json(&server, &["keys", "rotate", "ci", "--quiet"]);
    assert_eq!(newest["details"]["strings"][0]["generation"], 3);
    assert_ne!(server.call(&generate("Hello").key(&new)).status, 200);
}

#[test]
fn keys_of_another_gateway_are_taken_over() {
    let server = scripted().up();
    let digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    run(&server, &["keys", "import", "--sha256", digest, "--key-id", "by-digest", "--owner", "ana"]);
    let taken = fail(&server, &["keys", "import", "--sha256", digest]);
    assert!(taken.starts_with("ALREADY_EXISTS: "), "{taken}");
    run_with(&server, &["keys", "import", "--from-stdin", "--key-id", "by-string"], "sk-other-gateway-1\n");
    let csv = server.folder.write("keys.csv", "key_string,key_id,labels\nsk-csv-1,csv-1,a=b;c=d\nsk-csv-2,csv-2,\n");
    run(&server, &["keys", "import", "--file", &csv.to_string_lossy()]);
    run_with(&server, &["keys", "import", "--file", "-"], "{\"keyString\": \"sk-json-1\", \"keyId\": \"json-1\"}\n");

    for string in ["foo", "sk-other-gateway-1", "sk-csv-2", "sk-json-1"] {
        server.call(&generate("Hello").key(string)).good();
    }
    assert_eq!(run_json(&server, &["keys", "show", "csv-1"])["details"]["labels"], json!({"a": "b", "c": "d"}));
    let wrong = server.folder.write("wrong.csv", "key_string,colour\nsk-secret,red\n");
    let words = fail(&server, &["keys", "import", "--file", &wrong.to_string_lossy()]);
    assert!(words.starts_with("line 2: ") && words.contains("colour") && !words.contains("sk-secret"), "{words}");
}
