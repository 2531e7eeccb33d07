//! The model's worker process dies or hangs: its calls end honestly, the gate goes on, and it comes back.

use std::process::Command;

use serde_json::{Value, json};

use crate::story::begin_a_long_answer;
use crate::support::http::{Connection, generate, get, post};
use crate::support::server::{Folder, Server, with_model};
use crate::support::{cache, printed, signal, until};

/// The worker of the moment that is for this.
#[track_caller]
pub(crate) fn worker_for(server: &Server, task: &str) -> u32 {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid=,args="]).output().expect("there is ps");
    let (processes, _) = printed(&output);
    let parent = server.pid().to_string();
    let workers = processes.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (pid, ppid) = (words.next()?, words.next()?);
        (ppid == parent && line.contains(&format!(" model-worker --task {task} "))).then(|| pid.parse().ok())?
    });
    let workers: Vec<u32> = workers.collect();
    assert_eq!(workers.len(), 1, "one worker of {parent}:\n{processes}");
    workers[0]
}

/// The one that tells stories.
#[track_caller]
fn worker(server: &Server) -> u32 {
    worker_for(server, "generate")
}

/// The rest of a stream ends with an error in it, not in silence and not as if the story were over.
#[track_caller]
fn check_lost(connection: &mut Connection) {
    let rest = connection.rest();
    let last = rest.trim_end().lines().last().and_then(|line| line.strip_prefix("data: "));
    let last: Value = serde_json::from_str(last.expect("a last event")).expect("an event is JSON");
    assert_eq!(
        last,
        json!({"error": {
            "code": 503, "status": "UNAVAILABLE",
            "message": "The model stopped before it finished its answer. Please try again.",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}],
        }})
    );
}

/// A new worker has come and answers.
#[track_caller]
fn check_back(server: &Server, starts: f64) {
    until("a new worker is ready", || {
        server.metric("model_worker_starts") >= starts && server.call(&get("/readyz")).status == 200
    });
    server.call(&generate("Say hello.").key(&server.key())).good();
}

#[test]
fn a_killed_worker_ends_its_streams_with_503_and_the_gate_goes_on_until_it_is_back() {
    let server = with_model().up().ready();
    let mut stories = [begin_a_long_answer(&server), begin_a_long_answer(&server)];
    let worker = worker(&server);

    signal(worker, "KILL");

    for story in &mut stories {
        check_lost(story);
    }
    let refused = server.call(&generate("Hello").key("nonsense"));
    assert_eq!(refused.json()["error"]["details"][0]["reason"], "API_KEY_INVALID", "the gate goes on");
    server.call(&get("/v1/models").key(&server.key())).good();
    let lost = server.log_line("message", "the model's worker was lost; its calls were ended");
    assert!(lost["reason"].as_str().is_some_and(|reason| reason.contains("signal: 9")), "{lost}");
    check_back(&server, 2.0);
    assert_ne!(self::worker(&server), worker);
}

#[test]
fn while_no_worker_can_be_started_calls_are_503_readyz_says_so_and_the_gate_goes_on() {
    with_model().up().ready();
    let folder = std::fs::read_dir(cache().join("models")).unwrap().map(|entry| entry.unwrap().path());
    let file = folder.into_iter().find(|path| path.extension().is_some_and(|name| name == "gguf"));
    let (folder, start) = (Folder::new(), with_model());
    let link = folder.path().join("linked.gguf");
    std::os::unix::fs::symlink(file.expect("the model is in the cache by now"), &link).unwrap();
    let server = start.set("model.path", &link.to_string_lossy()).up().ready();

    std::fs::remove_file(&link).unwrap();
    signal(worker(&server), "KILL");
    until("it is given up", || server.call(&get("/readyz")).json()["engines"][0]["state"] == "failed");

    let ready = server.call(&get("/readyz"));
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)));
    assert_eq!(ready.json()["store"]["state"], "ready");
    let answer = server.call(&generate("Hello").key(&server.key()));
    assert_eq!((answer.status, &answer.json()["error"]["status"]), (503, &json!("UNAVAILABLE")));
    assert_eq!(answer.json()["error"]["details"][0]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(server.call(&generate("Hello").key("nonsense")).status, 400);
    server.call(&get("/v1/models").key(&server.key())).good();
}

#[test]
fn a_worker_that_hangs_is_killed_its_calls_are_503_and_a_new_one_comes() {
    let server = with_model().set("model.stall_seconds", "5").up().ready();
    let mut story = begin_a_long_answer(&server);

    signal(worker(&server), "STOP");

    check_lost(&mut story);
    let lost = server.log_line("message", "the model's worker was lost; its calls were ended");
    assert!(lost["reason"].as_str().is_some_and(|reason| reason.contains("hung")), "{lost}");
    check_back(&server, 2.0);
}

#[test]
fn a_worker_leaves_with_its_server_even_when_that_is_killed() {
    let server = with_model().up().ready();
    let worker = worker(&server);

    server.kill();

    until("the worker has left", || {
        let output = Command::new("ps").args(["-o", "stat=", "-p", &worker.to_string()]).output().expect("there is ps");
        let (state, _) = printed(&output);
        state.trim().is_empty() || state.starts_with('Z')
    });
}

#[test]
fn before_the_model_is_loaded_calls_are_503_and_keys_are_checked_already() {
    let server = with_model().up();

    let refused = server.call(&generate("Hello").key("nonsense"));
    let early = server.call(&post("/v1/models/gemini-2.0-flash:countTokens", &json!({})).key(&server.key()));

    assert_eq!(refused.status, 400);
    assert_eq!(early.status, 400, "what is wrong with a request is said without the model");
    server.ready();
}
