//! The description of Keylodge's own API.

use std::path::Path;

use axum::body::Body;
use http::Request;
use keylodge_services::dispatch::routes;
use keylodge_services::openapi_document;
use serde_json::Value;

use crate::support::House;

/// Calls `look` on every object and array below a value, itself included.
fn walk<'value>(value: &'value Value, look: &mut impl FnMut(&'value Value)) {
    look(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| walk(value, look)),
        Value::Array(list) => list.iter().for_each(|value| walk(value, look)),
        _ => {}
    }
}

/// Every operation with its path and verb.
fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, verbs)| verbs.as_object().unwrap().iter().map(move |(verb, it)| (path, verb, it))).collect()
}

#[test]
fn every_route_of_keylodge_s_own_api_is_described_and_nothing_else() {
    let document = openapi_document();
    let mut described: Vec<(String, String)> =
        operations(&document).iter().map(|(path, verb, _)| ((*path).clone(), verb.to_uppercase())).collect();
    let own = routes().filter(|route| route.path.starts_with("/keylodge/v1/"));
    let mut there: Vec<(String, String)> = own.map(|route| (route.path.to_owned(), route.verb.to_owned())).collect();
    described.sort();
    there.sort();

    assert_eq!(described, there);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
}

#[test]
fn every_reference_resolves() {
    let document = openapi_document();
    let mut references = Vec::new();
    walk(&document, &mut |value| references.extend(value.get("$ref").and_then(Value::as_str)));

    assert!(references.len() > 40);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("not in the document: {reference}"));
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn operations_have_names_of_their_own_and_all_their_places() {
    let document = openapi_document();
    let mut names = std::collections::BTreeSet::new();

    for (path, verb, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} stands there twice");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{verb} {path}");
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let in_path: Vec<&str> = in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let places: Vec<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(in_path, places, "{verb} {path}");
        assert!(operation["responses"]["200"].is_object(), "{verb} {path}");
        assert!(operation["responses"]["default"].is_object(), "{verb} {path}");
    }
}

#[tokio::test]
async fn the_server_gives_its_description_to_everybody() {
    let house = House::new().await;
    let request = Request::get("/keylodge/v1/openapi.json").body(Body::empty()).unwrap();

    assert_eq!(house.send(request).await.ok(), openapi_document());
}

#[test]
fn the_description_in_the_repository_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let document = serde_json::to_string_pretty(&openapi_document()).unwrap() + "\n";

    assert!(
        written == document,
        "docs/openapi.json is not what the server says; run: cargo run -p keylodge -- openapi > docs/openapi.json"
    );
}
