//! Somebody's own HTTP service behind the gate: a real server of its own, called with Google-style keys.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::http::{Answer, Request, post, request};
use crate::support::manage::Owner;
use crate::support::server::{Folder, Server, again, scripted};
use crate::support::until;
use crate::support::upstream::{Upstream, header};

const SERVICE: &str = "weather.example.com";
const OURS: &str = "our own secret at the upstream";

struct Lodge {
    server: Server,
    key: String,
    upstream: Upstream,
}

/// What the settings say of the upstream.
fn settings(upstream: &Upstream, folder: &Folder, more: &str) -> String {
    let secret = folder.write("secret", OURS);
    format!(
        "[upstreams.weather]\nkind = 'http'\nurl = 'http://127.0.0.1:{}/base'\nservice = '{SERVICE}'\n\
         key_file = '{}'\nkey_header = 'authorization'\n{more}",
        upstream.port,
        secret.display()
    )
}

/// A server in front of an upstream, its service switched on.
fn lodge(more: &str) -> Lodge {
    let upstream = Upstream::start("upstream.py", &[]);
    let start = scripted();
    let settings = settings(&upstream, start.folder(), more);
    let server = start.settings(&settings).up();
    let mut owner = Owner::of(&server);
    let path = format!("/v1/projects/default-project/services/{SERVICE}:enable");
    owner.call(post(path, &json!({}))).good();
    let key = server.key();
    Lodge { server, key, upstream }
}

impl Lodge {
    fn call(&self, request: Request) -> Answer {
        self.server.call(&request.key(&self.key))
    }

    fn limit(&self, limits: &Value) {
        let path = "/keylodge/v1/projects/default-project/limits";
        let request = request("PUT", path).body(json!({ "limits": limits }).to_string());
        Owner::of(&self.server).call(request).good();
    }
}

#[test]
fn a_call_goes_through_as_it_is_with_our_credential_in_the_place_of_the_key() {
    let lodge = lodge("");
    let odd = "{\"a\" :1,\r\n \"b\": \"\u{fc}\"}";

    let call = request("POST", "/weather/v1/forecast?city=Z%C3%BCrich&key=").header("connection", "x-hop");
    let call = call.header("x-hop", "gone").header("x-mine", "stays").body(odd);
    let answer = lodge.call(call);

    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("x-upstream"), Some("here"));
    assert_eq!(answer.header("keep-alive"), None, "what belongs to one connection stays there");
    let seen = answer.json();
    assert_eq!((&seen["method"], &seen["path"]), (&json!("POST"), &json!("/base/v1/forecast?city=Z%C3%BCrich")));
    let latin: String = odd.bytes().map(char::from).collect();
    assert_eq!(seen["body"], latin, "byte for byte");
    assert_eq!(header(&seen, "authorization"), [format!("Bearer {OURS}")]);
    assert_eq!(header(&seen, "x-mine"), ["stays"]);
    for gone in ["x-hop", "x-goog-api-key"] {
        assert_eq!(header(&seen, gone), Vec::<&str>::new(), "{gone}");
    }
    assert!(!seen.to_string().contains(&lodge.key), "the caller's key ends here");
}

#[test]
fn without_a_good_key_nothing_goes_through() {
    let lodge = lodge("");

    let none = lodge.server.call(&request("GET", "/weather/echo"));
    let bad = lodge.server.call(&request("GET", "/weather/echo").key("kl_nobody"));

    assert_eq!((none.status, bad.status), (403, 400));
    assert_eq!(bad.json()["error"]["details"][0]["metadata"]["service"], SERVICE);
    let climbing = lodge.call(request("GET", "/weather/v1/%2e%2e/admin"));
    assert_eq!(climbing.status, 404, "a path that two servers read differently is no path");
}

#[test]
fn past_a_limit_the_answer_is_that_of_google_s_other_services() {
    let lodge = lodge("");
    lodge.limit(&json!([{"metric": "REQUESTS", "window": "DAY", "value": "2"}]));
    lodge.call(request("GET", "/weather/echo"));
    lodge.call(request("GET", "/weather/echo"));

    let refused = lodge.call(request("GET", "/weather/echo"));

    assert_eq!(refused.status, 429);
    let detail = refused.json()["error"]["details"][0].clone();
    assert_eq!(
        (&detail["reason"], &detail["metadata"]["quota_limit_value"]),
        (&json!("RATE_LIMIT_EXCEEDED"), &json!("2"))
    );
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn what_was_used_of_a_day_is_still_used_after_a_restart_in_the_middle_of_it() {
    let lodge = lodge("");
    lodge.limit(&json!([{"metric": "REQUESTS", "window": "DAY", "value": "2"}]));
    assert_eq!(lodge.call(request("GET", "/weather/echo")).status, 201);
    let Lodge { server, key, upstream } = lodge;

    let folder = server.folder.clone();
    drop(server.stop());
    let server = again(&folder).settings(&settings(&upstream, &folder, "")).up();

    let lodge = Lodge { server, key, upstream };
    assert_eq!(lodge.call(request("GET", "/weather/echo")).status, 201);
    assert_eq!(lodge.call(request("GET", "/weather/echo")).status, 429);
}

#[test]
fn methods_that_are_listed_have_names_and_others_do_not_exist() {
    let lodge = lodge("[upstreams.weather.methods]\n'GET /v1/forecast/{city}' = 'GetForecast'\n");

    assert_eq!(lodge.call(request("GET", "/weather/v1/forecast/bern")).status, 201);
    assert_eq!(lodge.call(request("GET", "/weather/v1/admin")).status, 404);
    assert_eq!(lodge.call(request("POST", "/weather/v1/forecast/bern")).status, 404);
}

#[test]
fn a_stream_passes_and_one_that_breaks_off_ends_broken() {
    let lodge = lodge("");

    assert_eq!(lodge.call(request("GET", "/weather/stream")).text(), "onetwothree");

    // The head may be gone with the body, or not; what there is of the answer is never taken for a whole one.
    let mut connection = lodge.server.connect();
    let broken = connection.try_call(&request("GET", "/weather/break").key(&lodge.key));
    assert!(broken.is_err(), "{broken:?}");
}

#[test]
fn an_upstream_that_is_gone_or_silent_is_told_from_a_bad_key() {
    let mut lodge = lodge("head_seconds_max = 1\n");

    assert_eq!(lodge.call(request("GET", "/weather/slow")).status, 504);
    lodge.upstream.stop();
    let gone = lodge.call(request("GET", "/weather/echo"));

    assert_eq!((gone.status, &gone.json()["error"]["status"]), (503, &json!("UNAVAILABLE")));
}

/// Opens a websocket at the upstream.
fn websocket(lodge: &Lodge) -> (TcpStream, BufReader<TcpStream>) {
    let mut socket = TcpStream::connect(lodge.server.address()).expect("it listens");
    let upgrade = "connection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13";
    let key = format!("x-goog-api-key: {}\r\nsec-websocket-key: abc", lodge.key);
    write!(socket, "GET /weather/socket HTTP/1.1\r\nhost: localhost\r\n{key}\r\n{upgrade}\r\n\r\n")
        .expect("it is sent");
    let mut reader = BufReader::new(socket.try_clone().expect("a second handle"));
    let lines = reader.by_ref().lines().map(|line| line.expect("a line"));
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    assert_eq!(head[0], "HTTP/1.1 101 Switching Protocols");
    for wanted in ["connection: upgrade", "upgrade: websocket", "sec-websocket-accept: accepted"] {
        assert!(head.iter().any(|line| line.eq_ignore_ascii_case(wanted)), "{wanted} is not in {head:?}");
    }
    (socket, reader)
}

#[test]
fn an_ephemeral_token_for_calls_opens_the_door_as_often_as_it_may_and_goes_no_further() {
    let lodge = lodge("");
    let token = |body: &Value| {
        let made = lodge.call(post("/v1/auth_tokens", body)).good().json();
        made["name"].as_str().expect("a token has a name").to_owned()
    };
    let (twice, for_sessions) = (token(&json!({"scope": "API", "uses": 2})), token(&json!({})));
    let echo = |token: &str| lodge.server.call(&request("GET", "/weather/echo").key(token));

    let seen = echo(&twice);
    assert_eq!(seen.status, 201, "{}", seen.text());
    assert!(!seen.text().contains("auth_tokens"), "the upstream never sees it: {}", seen.text());
    assert_eq!([echo(&twice).status, echo(&twice).status], [201, 403]);
    assert_eq!(echo(&for_sessions).status, 403);
}

#[test]
fn a_websocket_passes_both_ways_and_is_in_flight_until_it_ends() {
    let lodge = lodge("");
    lodge.limit(&json!([{"metric": "REQUESTS", "window": "IN_FLIGHT", "value": "1"}]));
    let (mut socket, mut reader) = websocket(&lodge);

    for said in ["one", "two"] {
        socket.write_all(said.as_bytes()).expect("it is sent");
        let mut back = [0; 3];
        reader.read_exact(&mut back).expect("it comes back");
        assert_eq!(back, said.as_bytes());
    }
    assert_eq!(lodge.call(request("GET", "/weather/echo")).status, 429, "it is in flight");
    drop((socket, reader));
    until("it is over", || lodge.call(request("GET", "/weather/echo")).status == 201);
}

#[test]
fn a_websocket_ends_when_both_sides_are_silent_and_when_the_server_stops() {
    let silent = lodge("silence_seconds_max = 1\n");
    let (_socket, mut reader) = websocket(&silent);
    assert_eq!(reader.read(&mut [0; 1]).expect("it ends in order"), 0, "nobody says anything");

    let stopping = lodge("");
    let (_socket, mut reader) = websocket(&stopping);
    assert!(stopping.server.stop().status.success(), "it does not wait for websockets");
    assert!(!matches!(reader.read(&mut [0; 1]), Ok(1..)), "it is gone");
}

#[test]
fn jules_is_behind_the_gate_with_our_key_and_its_methods_have_names() {
    let upstream = Upstream::start("upstream.py", &[]);
    let start = scripted();
    let secret = start.folder().write("secret", OURS);
    let settings = format!(
        "[upstreams.jules]\nkind = 'jules'\nurl = 'http://127.0.0.1:{}'\nkey_file = '{}'\n",
        upstream.port,
        secret.display()
    );
    let server = start.settings(&settings).up();
    let key = server.key();
    let sessions = || request("GET", "/v1alpha/sessions?pageSize=2").key(&key);
    assert_eq!(server.call(&sessions()).status, 403, "projects have Jules off");
    let enable = "/v1/projects/default-project/services/jules.googleapis.com:enable";
    Owner::of(&server).call(post(enable, &json!({}))).good();

    let seen = server.call(&sessions()).json();

    assert_eq!(
        (seen["path"].as_str(), header(&seen, "x-goog-api-key")),
        (Some("/v1alpha/sessions?pageSize=2"), vec![OURS])
    );
    let approved = server.call(&request("POST", "/v1alpha/sessions/123:approvePlan").key(&key).body("{}"));
    assert_eq!(approved.status, 201, "{}", approved.text());
    assert_eq!(server.call(&request("GET", "/v1alpha/sources/github/acme/widgets").key(&key)).status, 201);
    assert_eq!(server.call(&request("PUT", "/v1alpha/sessions/123").key(&key)).status, 404);
}
