//! Every route and every kind of caller: closed unless listed.

use crate::routes;
use crate::support::http::{Request, get};
use crate::support::manage::{Made, Owner};
use crate::support::server::{Server, scripted};

/// Makes every call as a kind of caller, and compares the code of each answer.
#[track_caller]
fn check(server: &Server, calls: &[Request], caller: &str, with: impl Fn(Request) -> Request, expected: u16) {
    let mut connection = server.connect();
    for call in calls {
        let answer = connection.call(&with(call.clone()));
        assert_eq!(answer.status, expected, "{caller}: {call:?}: {}", answer.text());
    }
}

/// A key that was deleted.
fn deleted_key(owner: &mut Owner) -> String {
    let Made { id, string, .. } = owner.create_key("default-project", "was-deleted");
    owner.delete_key("default-project", &id);
    string
}

/// A good key of a project that has the Gemini API switched off.
fn key_without_the_service(owner: &mut Owner) -> String {
    owner.create_project("switched-off");
    owner.switch("switched-off", "disable");
    owner.create_key("switched-off", "good").string
}

#[test]
fn every_gemini_route_answers_each_kind_of_caller_as_it_must() {
    let server = scripted().up();
    let mut owner = Owner::of(&server);
    let (key, token, foreign) = (server.key(), server.token(), scripted().up().key());
    let (deleted, switched_off) = (deleted_key(&mut owner), key_without_the_service(&mut owner));
    let calls = routes::gemini();

    check(&server, &calls, "nobody", |call| call, 403);
    check(&server, &calls, "no key", |call| call.key("nonsense"), 400);
    check(&server, &calls, "a key of another Keylodge", |call| call.key(&foreign), 400);
    check(&server, &calls, "a deleted key", |call| call.key(&deleted), 400);
    check(&server, &calls, "a key without the service", |call| call.key(&switched_off), 403);
    check(&server, &calls, "a key as bearer", |call| call.token(&key), 401);
    check(&server, &calls, "an operator", |call| call.token(&token), 401);
    check(&server, &calls, "an operator's token as key", |call| call.key(&token), 400);
    check(&server, &calls, "the right key", |call| call.key(&key), 200);
    check(&server, &calls, "the right key in the query", |call| call.query(&format!("key={key}")), 200);
}

#[test]
fn every_management_route_answers_each_kind_of_caller_as_it_must() {
    let server = scripted().up();
    let mut owner = Owner::of(&server);
    let (key, token, foreign) = (server.key(), server.token(), scripted().up().token());
    let made = owner.create_key("default-project", "made");
    let mut calls = routes::management("by-route", &made.operation);
    let rest = routes::rest_of_management();
    calls.extend(rest.iter().cloned());

    check(&server, &calls, "nobody", |call| call, 401);
    check(&server, &calls, "a key", |call| call.key(&key), 401);
    check(&server, &calls, "a key in the query", |call| call.query(&format!("key={key}")), 401);
    check(&server, &calls, "a key as bearer", |call| call.token(&key), 401);
    check(&server, &calls, "a token of another Keylodge", |call| call.token(&foreign), 401);
    check(&server, &calls, "a token as key", |call| call.key(&token), 401);
    calls.truncate(calls.len() - rest.len());
    let lookup = calls.iter_mut().find(|call| call.path() == "/v2/keys:lookupKey").expect("a call looks a key up");
    *lookup = lookup.clone().query(&format!("keyString={}", made.string));
    check(&server, &calls, "the owner", |call| call.token(&token), 200);
    let mut connection = server.connect();
    for call in rest {
        let answer = connection.call(&call.clone().token(&token));
        assert!(answer.status != 401 && answer.status < 500, "the owner: {call:?}: {}", answer.text());
    }
    routes::check_all_called(&{
        check(&server, &routes::gemini(), "the right key", |call| call.key(&key), 200);
        check(&server, &routes::of_no_interaction(), "the right key", |call| call.key(&key), 404);
        server.call(&get("/metrics")).good().text()
    });
}

#[test]
fn nothing_is_open_but_health_readiness_and_metrics() {
    let server = scripted().up();

    check(&server, &routes::OPEN.map(get), "nobody", |call| call, 200);
    let closed = ["/", "/studio", "/v1", "/v1beta", "/v2", "/v3/nothing", "/keylodge/v1", "/debug", "/healthz/x"];
    check(&server, &closed.map(get), "nobody", |call| call, 404);
}
