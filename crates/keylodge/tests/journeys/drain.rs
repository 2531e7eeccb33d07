//! Being asked to stop.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::http::{Connection, generate, stream};
use crate::support::manage::Owner;
use crate::support::server::{again, scripted, with_script};
use crate::support::until;

/// A song of this many notes, each after a while.
fn song(notes: usize, delay_ms: u32) -> String {
    format!("[[reply]]\ndelay_ms = {delay_ms}\ntokens = [{}]", r#""la ","#.repeat(notes))
}

#[test]
fn a_stream_in_flight_is_finished_while_nobody_new_gets_in() {
    let server = with_script(&song(10, 100)).up();
    let mut connection = server.connect();
    connection.begin(&stream("sing").key(&server.key())).good();
    let mut heard = connection.piece().unwrap();

    server.terminate();
    server.log.wait_for("that it stops", |line| line.contains("no new connections").then_some(()));
    let newcomer = Connection::open(server.address());
    heard.push_str(&connection.rest());

    assert!(newcomer.is_err(), "new connections are refused");
    assert_eq!(heard.matches("la ").count(), 10, "{heard}");
    assert!(heard.contains(r#""finishReason":"STOP""#) && heard.ends_with("\r\n\r\n"), "{heard}");
    let stopped = server.stopped();
    assert_eq!(stopped.status.code(), Some(0));
    assert!(stopped.log.contains(r#""message":"stopped""#), "{}", stopped.log);
}

#[test]
fn at_the_limit_calls_in_flight_are_cut_off() {
    let server = with_script(&song(900, 300)).set("limits.drain_seconds_max", "0").up();
    let mut connection = server.connect();
    connection.begin(&stream("sing").key(&server.key())).good();
    connection.piece().unwrap();

    let stopped = server.stop();

    assert_eq!(stopped.status.code(), Some(0));
    assert!(stopped.log.contains("cut off"), "{}", stopped.log);
    let mut rest = std::iter::repeat_with(|| connection.try_piece()).take(900);
    assert!(rest.any(|piece| piece.is_err()), "the stream broke off");
}

#[test]
fn a_second_signal_cuts_calls_in_flight_off_at_once() {
    let server = with_script(&song(900, 300)).set("limits.drain_seconds_max", "3600").up();
    let mut connection = server.connect();
    connection.begin(&stream("sing").key(&server.key())).good();
    connection.piece().unwrap();

    server.terminate();
    server.log.wait_for("that it stops", |line| line.contains("no new connections").then_some(()));
    let stopped = server.stop();

    assert_eq!(stopped.status.code(), Some(0));
    assert!(stopped.log.contains("told to stop again"), "{}", stopped.log);
}

#[test]
fn an_idle_connection_does_not_hold_the_stop_up() {
    let server = scripted().up();
    let mut idle = server.connect();
    idle.call(&generate("Hello").key(&server.key())).good();

    let stopped = server.stop();

    assert_eq!(stopped.status.code(), Some(0));
    assert!(!stopped.log.contains("cut off"), "{}", stopped.log);
}

#[test]
fn no_key_that_was_acknowledged_before_the_stop_is_lost() {
    let server = scripted().up();
    let (acknowledged, count) = (Mutex::new(Vec::new()), AtomicUsize::new(0));

    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (mut owner, acknowledged, count) = (Owner::of(&server), &acknowledged, &count);
            scope.spawn(move || {
                for number in 0..90 {
                    let id = format!("k{thread}-{number}");
                    let Ok(made) = owner.try_create_key("default-project", &id) else { return };
                    acknowledged.lock().unwrap().push(made);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        until("some keys are made", || count.load(Ordering::SeqCst) >= 20);
        server.terminate();
    });
    let folder = server.folder.clone();
    assert_eq!(server.stopped().status.code(), Some(0));

    let restarted = again(&folder).up();
    let mut connection = restarted.connect();
    for made in acknowledged.into_inner().unwrap() {
        connection.call(&generate("Hello").key(&made.string)).good();
    }
}
