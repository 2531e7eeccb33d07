//! A request that is refused before its body is read: the caller hears why, and its connection is good for the next one.

use crate::support::http::MODEL;
use crate::support::raw::{Heard, exchange};
use crate::support::server::{Server, scripted};
use crate::support::upstream::Upstream;

/// More than any one read of a socket gives.
const LONG: usize = 1 << 20;
const NEXT: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn request(line: &str, headers: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}")
}

fn sized(line: &str, headers: &str, length: usize) -> String {
    request(line, &format!("{headers}Content-Length: {length}\r\n"), &"x".repeat(length))
}

/// What is heard of these bytes and of another request behind them.
fn heard(server: &Server, bytes: &str) -> Heard {
    exchange(server, &[bytes, NEXT].concat().into_bytes())
}

#[test]
fn a_refused_request_with_a_long_body_leaves_its_connection_good_for_the_next() {
    let server = scripted().up();
    let generate = format!("POST /v1beta/models/{MODEL}:generateContent");

    for (line, headers, status) in [
        (&*generate, "x-goog-api-key: wrong\r\n", 400),
        (&*generate, "", 403),
        ("POST /v1beta/nothing", "", 404),
        ("POST /healthz", "", 405),
        ("POST /v2/projects/default-project/locations/global/keys", "Authorization: Bearer wrong\r\n", 401),
    ] {
        let heard = heard(&server, &sized(line, headers, LONG));
        assert_eq!(heard.statuses(), [status, 200], "{line}: {}", heard.text());
    }
    let chunk = format!("{LONG:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(LONG));
    let chunked = request(&generate, "x-goog-api-key: wrong\r\nTransfer-Encoding: chunked\r\n", &chunk);
    assert_eq!(heard(&server, &chunked).statuses(), [400, 200]);
}

#[test]
fn at_the_door_of_an_upstream_too() {
    let upstream = Upstream::start("upstream.py", &[]);
    let start = scripted();
    let settings = format!(
        "[upstreams.weather]\nkind = 'http'\nurl = 'http://127.0.0.1:{}'\nservice = 'weather.example.com'\n",
        upstream.port
    );
    let server = start.settings(&settings).up();

    let heard = heard(&server, &sized("POST /weather/v1/forecast", "x-goog-api-key: wrong\r\n", LONG));

    assert_eq!(heard.statuses(), [400, 200], "{}", heard.text());
}

#[test]
fn who_sends_more_than_the_limit_hears_so() {
    let server = scripted().up();
    let headers = format!("x-goog-api-key: {}\r\n", server.key());

    let too_long = sized(&format!("POST /v1beta/models/{MODEL}:generateContent"), &headers, (20 << 20) + 1);
    let heard = heard(&server, &too_long);

    assert_eq!(heard.statuses(), [400, 200], "{}", heard.text());
}

#[test]
fn a_body_that_is_endless_or_held_back_is_not_waited_for_and_the_answer_says_that_it_is_the_last() {
    let server = scripted().up();
    let line = format!("POST /v1beta/models/{MODEL}:generateContent");
    let wrong = "x-goog-api-key: wrong\r\n";

    for headers in ["Content-Length: 1000000000000\r\n", "Content-Length: 5\r\nExpect: 100-continue\r\n"] {
        let heard = exchange(&server, request(&line, &format!("{wrong}{headers}"), "").as_bytes());
        assert_eq!(heard.statuses(), [400], "{}", heard.text());
        assert!(heard.text().contains("\r\nconnection: close\r\n"), "{}", heard.text());
    }
}

#[test]
fn a_body_that_stops_coming_is_waited_for_as_long_as_any_other() {
    let start = scripted();
    let server = start.settings("[limits]\nbody_seconds_max = 1\n").up();
    let line = format!("POST /v1beta/models/{MODEL}:generateContent");

    let headers = "x-goog-api-key: wrong\r\nContent-Length: 5\r\n";
    let heard = exchange(&server, request(&line, headers, "abc").as_bytes());

    assert_eq!(heard.statuses(), [400], "{}", heard.text());
    assert!(heard.text().contains("\r\nconnection: close\r\n"), "{}", heard.text());
}
