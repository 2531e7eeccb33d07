//! A database that cannot be used: the gate goes on, management says so, and afterwards all is well.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::http::{Answer, Request, generate, get, post};
use crate::support::lines::Lines;
use crate::support::manage::{Owner, keys};
use crate::support::server::{Server, scripted};
use crate::support::until;

/// Takes the write lock of the database, as a backup that hangs would.
const NO_WRITES: &str = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute('BEGIN EXCLUSIVE')
print('held', flush=True)
sys.stdin.read()
";

/// Takes every lock of the write-ahead log (SQLite's file format, section 2.3.1), so that nobody reads or writes.
const NO_READS: &str = "
import fcntl, sys
shared = open(sys.argv[1] + '-shm', 'r+b')
fcntl.lockf(shared, fcntl.LOCK_EX, 8, 120)
print('held', flush=True)
sys.stdin.read()
";

/// Another process that holds the database until this is released.
struct Lock(Child);

impl Lock {
    fn hold(server: &Server, how: &str) -> Self {
        let mut holder = Command::new("python3");
        holder.args(["-c", how]).arg(server.folder.data("keylodge.db"));
        let holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut holder = holder.expect("python3 is installed");
        let printed = Lines::gather(holder.stdout.take().expect("stdout is piped"));
        printed.wait_for("that the lock is held", |line| (line == "held").then_some(()));
        Self(holder)
    }

    fn release(mut self) {
        self.0.stdin.take().expect("stdin is piped").flush().expect("a pipe can be flushed");
        assert!(self.0.wait().expect("a child can be waited for").success());
    }
}

/// Makes management calls, each on a connection of its own, and calls with a key until the last of them is answered.
#[track_caller]
fn gate_goes_on_during(server: &Server, management: &[Request]) -> Vec<Answer> {
    let (mut caller, key) = (server.connect(), server.key());
    std::thread::scope(|scope| {
        let waiting: Vec<_> = management.iter().map(|request| scope.spawn(|| server.call(request))).collect();
        let mut calls = 0;
        while calls < 100 || !waiting.iter().all(|answer| answer.is_finished()) {
            caller.call(&generate("Hello").key(&key)).good();
            calls += 1;
        }
        waiting.into_iter().map(|answer| answer.join().expect("management answers")).collect()
    })
}

fn create(server: &Server) -> Request {
    post(keys("default-project"), &json!({"displayName": "too late"})).token(&server.token())
}

fn list(server: &Server) -> Request {
    get(keys("default-project")).token(&server.token())
}

/// A management call is refused because the database is away, which is no fault of the caller's.
#[track_caller]
fn check_unavailable(server: &Server, answer: &Answer) {
    let error = json!({
        "code": 503, "status": "UNAVAILABLE",
        "message": "The key store is not available right now. Look whether a change was made before you try again.",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}],
    });
    assert_eq!((answer.status, answer.json()), (503, json!({"error": error})));
    // The cause is in the log, and there alone.
    let cause = server.log_line("message", "the store failed");
    assert!(cause["error"].as_str().is_some_and(|error| error.starts_with("the database is unavailable: ")), "{cause}");
}

/// Nothing of the refused call was done, and the next one is.
#[track_caller]
fn check_well(server: &Server) {
    let mut owner = Owner::of(server);
    let made = owner.create_key("default-project", "in-time");
    server.call(&generate("Hello").key(&made.string)).good();
    owner.delete_key("default-project", "in-time");
    assert_eq!(server.call(&generate("Hello").key(&made.string)).status, 400);

    let names: Vec<_> = owner.list_keys("default-project").iter().map(|key| key["displayName"].clone()).collect();
    assert_eq!(names, [json!("Default key"), json!("in-time")]);
    until("it is ready again", || server.call(&get("/readyz")).status == 200);
}

#[test]
fn while_the_database_takes_no_writes_calls_go_on_and_changes_are_503() {
    let server = scripted().up();
    let lock = Lock::hold(&server, NO_WRITES);

    let answers = gate_goes_on_during(&server, &[create(&server), list(&server)]);

    check_unavailable(&server, &answers[0]);
    assert_eq!(answers[1].status, 200, "what needs no write is answered");
    lock.release();
    check_well(&server);
}

#[test]
fn while_the_database_cannot_even_be_read_calls_go_on_and_management_is_503() {
    let server = scripted().up();
    let lock = Lock::hold(&server, NO_READS);

    let answers = gate_goes_on_during(&server, &[create(&server), list(&server), get("/readyz")]);

    check_unavailable(&server, &answers[0]);
    check_unavailable(&server, &answers[1]);
    assert_eq!((answers[2].status, &answers[2].json()["store"]["state"]), (503, &json!("failed")));
    lock.release();
    check_well(&server);
}
