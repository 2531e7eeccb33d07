//! `keylodge usage`, `explain`, `decisions` and `keys rehearse`

use super::{fail, rows, run, run_json};
use crate::support::http::{MODEL, generate, get};
use crate::support::server::{Server, scripted};

/// A server whose key was used twice and then refused once, and the id of that decision.
fn used() -> (Server, String) {
    let server = scripted().up();
    let key = server.key();
    for _ in 0..2 {
        server.call(&generate("Hello").key(&key)).good();
    }
    run(&server, &["keys", "update", "default-key", "--allowed-ips", "192.0.2.0/24"]);
    let refused = server.call(&get("/v1beta/models").key(&key));
    assert_eq!(refused.status, 403);
    let id = refused.header("x-keylodge-decision").expect("a refusal has an id").to_owned();
    (server, id)
}

#[test]
fn usage_is_shown_as_a_table_as_json_and_as_csv() {
    let (server, _) = used();
    let by = ["usage", "--project", "default-project", "--since", "1h", "--by", "key,model,outcome"];

    let table = rows(&run(&server, &by));
    assert!(table[0].starts_with("BEGIN TIME KEY MODEL OUTCOME CALLS INPUT TOKENS"), "{table:?}");
    assert_eq!(table.len(), 3, "{table:?}");
    let json = run_json(&server, &by);
    let calls = json.as_array().unwrap().iter().map(|row| row["calls"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(calls.len(), 2);
    assert!(calls.contains(&"2") && calls.contains(&"1"), "{json}");
    let csv = run(&server, &[&by[..], &["--csv"]].concat());
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("begin_time,key,model,outcome,calls,"), "{csv}");
    assert!(lines.iter().any(|line| line.contains(&format!("/keys/default-key,{MODEL},ok,2,"))), "{csv}");

    assert!(fail(&server, &["usage", "--by", "colour"]).contains("group_by"));
}

#[test]
fn a_refusal_is_explained_and_mended_by_the_command_it_names() {
    let (server, id) = used();

    let told = run(&server, &["explain", &id]);
    let command = "keylodge keys update default-key --project default-project --allowed-ips 192.0.2.0/24,127.0.0.1";
    assert!(told.contains("address_blocked refused a call of ListModels with key default-key"), "{told}");
    assert_eq!(told.lines().last().map(str::trim), Some(command), "{told}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    run(&server, &words);

    server.call(&get("/v1beta/models").key(&server.key())).good();
    assert_eq!(run_json(&server, &["explain", &id])["wouldPassNow"], true);
    let listed = run_json(&server, &["decisions", "list", "--refusal", "address_blocked"]);
    assert_eq!(listed[0]["id"], id.as_str());
}

#[test]
fn a_restriction_is_rehearsed_before_it_is_set() {
    let (server, _) = used();

    let told = run(
        &server,
        &["keys", "rehearse", "default-key", "--allowed-ips", "192.0.2.0/24", "--limit", "requests/minute=1"],
    );

    assert!(told.starts_with("2 of 2 calls since "), "{told}");
    assert!(told.contains("would have been refused: 2 by client. 1 were refused anyway."), "{told}");
    assert!(rows(&told).iter().any(|row| row.starts_with("client 127.0.0.1 ")), "{told}");
    assert!(rows(&told).iter().any(|row| row.starts_with("requests/minute=1 ")), "{told}");
}

#[test]
fn a_limit_without_room_is_raised_by_the_command_that_explains_it() {
    let server = scripted().up();
    let key = server.key();
    run(
        &server,
        &["keys", "rules", "set", "default-key", "--limit", "requests/day=1", "--limit", "cost/month=5,shadow"],
    );
    server.call(&generate("Hello").key(&key)).good();
    let refused = server.call(&generate("Hello").key(&key));
    assert_eq!(refused.status, 429);
    let id = refused.header("x-keylodge-decision").expect("a refusal has an id").to_owned();

    let told = run(&server, &["explain", &id]);
    let command = "keylodge keys rules set default-key --project default-project --limit requests/day=2 --limit cost/month=5,shadow";
    assert!(told.contains("limit_exceeded refused a call of GenerateContent"), "{told}");
    assert_eq!(told.lines().last().map(str::trim), Some(command), "{told}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    run(&server, &words);

    server.call(&generate("Hello").key(&key)).good();
}

#[test]
fn what_is_on_trial_refuses_nobody_and_is_told_by_usage() {
    let server = scripted().up();
    let key = server.key();
    run(&server, &["limits", "set", "--limit", "requests/minute=1,shadow"]);
    for _ in 0..3 {
        server.call(&generate("Hello").key(&key)).good();
    }

    let told =
        run(&server, &["usage", "--project", "default-project", "--by", "key,shadow", "--shadow", "limit_exceeded"]);

    assert!(rows(&told)[1].contains(" default-key limit_exceeded 2 "), "{told}");
}
