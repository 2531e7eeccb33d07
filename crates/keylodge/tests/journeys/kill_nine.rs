//! Acknowledged is durable: kill -9 in the middle of creates, again and again.
//!
//! Five rounds by default; `KEYLODGE_KILL_ROUNDS` asks for more, `scripts/kill-nine` for a thousand.

use std::collections::BTreeMap;
use std::sync::mpsc;

use serde_json::json;

use crate::support::http::{generate, get, request};
use crate::support::manage::{Made, Owner};
use crate::support::server::{Folder, Server, again, scripted};
use crate::support::{until, variable};

/// Clients that create keys at the same time. The store has one writer, so that more would only wait.
const THREADS: usize = 3;
/// The most keys that are acknowledged before the kill.
const ACKNOWLEDGED_MAX: u64 = 24;
/// After so many rounds a fresh data folder is taken, so that rounds stay short.
const ROUNDS_PER_FOLDER: u64 = 100;

#[test]
fn no_acknowledged_key_is_lost_to_kill_nine_and_none_is_half_there() {
    let rounds = variable("KEYLODGE_KILL_ROUNDS").map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let mut dice = Dice(0x5eed);
    let (mut acknowledged, mut unacknowledged) = (0, 0);
    let mut server = scripted().up();

    for round in 1..=rounds {
        let project = format!("round-{round}");
        Owner::of(&server).create_project(&project);
        let folder = server.folder.clone();

        let made = create_and_kill(server, &project, 1 + dice.throw(ACKNOWLEDGED_MAX));

        server = again(&folder).up();
        acknowledged += made.len();
        unacknowledged += check(&server, &project, &made) - made.len();
        if round % ROUNDS_PER_FOLDER == 0 || round == rounds {
            server.stop();
            check_whole(&folder);
            server = scripted().up();
        }
    }

    println!("{rounds} kills: {acknowledged} keys acknowledged, none lost; {unacknowledged} more, all whole");
}

#[test]
fn nothing_of_a_limit_and_nothing_of_usage_that_is_a_second_old_is_lost_to_kill_nine() {
    let server = scripted().up();
    let limits = json!({"limits": [{"metric": "REQUESTS", "window": "DAY", "value": "20"}]});
    let path = "/keylodge/v1/projects/default-project";
    Owner::of(&server).call(request("PUT", format!("{path}/limits")).body(limits.to_string())).good();
    let (key, folder) = (server.key(), server.folder.clone());
    let call = |server: &Server| server.call(&generate("Hello").key(&key)).status;
    (0..7).for_each(|_| assert_eq!(call(&server), 200));
    // What was counted is written once a second: the first write after the calls has them all.
    let writes =
        || folder.sql_in("meter.db", "SELECT sum(seq) FROM sqlite_sequence WHERE name = 'pending'")[0][0].as_u64();
    let before = writes();
    assert_eq!(call(&server), 200);
    until("usage is written", || writes() > before);

    server.kill();
    let server = again(&folder).up();

    let usage = Owner::of(&server).call(get(format!("{path}/usage"))).good().json();
    let calls = usage["rows"][0]["calls"].as_str().and_then(|calls| calls.parse::<u32>().ok());
    assert!(calls.is_some_and(|calls| (7..=8).contains(&calls)), "{usage}");
    let more = (0..20).filter(|_| call(&server) == 200).count();
    assert!(more <= 12, "8 of 20 were used before the kill, {more} more went through after it");
}

/// Creates keys from several threads, and takes the power away when so many are acknowledged. Gives all that were.
fn create_and_kill(server: Server, project: &str, after: u64) -> Vec<Made> {
    let (sender, receiver) = mpsc::channel();
    let clients: Vec<Owner> = (0..THREADS).map(|_| Owner::of(&server)).collect();
    std::thread::scope(|scope| {
        for (thread, mut owner) in clients.into_iter().enumerate() {
            let sender = sender.clone();
            scope.spawn(move || {
                for number in 0.. {
                    let made = owner.try_create_key(project, &format!("k{thread}-{number}"));
                    let Ok(made) = made else { return };
                    sender.send(made).expect("the receiver lives longer");
                }
            });
        }
        drop(sender);
        let mut made: Vec<Made> = receiver.iter().take(usize::try_from(after).expect("a small number")).collect();
        server.kill();
        made.extend(receiver);
        made
    })
}

/// Every acknowledged key is there with its string and its operation, and every key that is there is whole. Gives how
/// many are there.
#[track_caller]
fn check(server: &Server, project: &str, acknowledged: &[Made]) -> usize {
    let (mut owner, mut caller) = (Owner::of(server), server.connect());
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for key in owner.list_keys(project) {
        let id = key["name"].as_str().and_then(|name| name.rsplit('/').next()).expect("a key has a name").to_owned();
        let string = owner.key_string(project, &id);
        caller.call(&generate("Hello").key(&string)).good();
        assert_eq!(key["displayName"], *id, "a key is whole");
        assert_eq!(found.insert(id.clone(), string), None, "{id} is there once");
    }
    for made in acknowledged {
        assert_eq!(found.get(&made.id), Some(&made.string), "{project}: {} was acknowledged", made.id);
        let operation = owner.call(get(format!("/v1/{}", made.operation))).good().json();
        assert_eq!((&operation["done"], &operation["response"]["keyString"]), (&json!(true), &json!(made.string)));
    }
    assert!(found.len() <= acknowledged.len() + THREADS, "only what was under way can be there unacknowledged");
    found.len()
}

/// Each key has its string, its audit line, its operation (but for the one of the first start) and its place in the
/// feed; feed and audit log have no gap; the file is sound.
fn check_whole(folder: &Folder) {
    assert_eq!(folder.sql("PRAGMA integrity_check"), json!([["ok"]]));
    assert_eq!(folder.sql("PRAGMA foreign_key_check"), json!([]));
    let counts = folder.sql(
        "SELECT (SELECT count(*) FROM keys),
                (SELECT count(*) FROM key_strings),
                (SELECT count(*) + 1 FROM operations WHERE kind = 'create_key'),
                (SELECT count(*) FROM audit WHERE revision IN (SELECT revision FROM changes WHERE subject = 'key')),
                (SELECT count(*) FROM changes WHERE subject = 'key')",
    );
    let keys = &counts[0][0];
    assert_eq!(counts, json!([[keys, keys, keys, keys, keys]]), "keys, strings, operations, audit lines, changes");
    let feed = folder.sql("SELECT min(revision), max(revision) = count(*) FROM changes");
    assert_eq!(feed, json!([[1, 1]]), "the feed begins at 1 and has no gap");
    let audit =
        "SELECT min(sequence), max(sequence) = count(*), max(sequence) = (SELECT sequence FROM audit_head) FROM audit";
    assert_eq!(folder.sql(audit), json!([[1, 1, 1]]), "the audit log begins at 1, has no gap and ends at its head");
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}
