//! The methods of an HTTP service, taken from its OpenAPI document: version 3, as JSON.
//!
//! Only what tells methods apart is read: `servers[0].url`, the paths, their verbs and `operationId`s.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use keylodge_services::relay::MethodRule;
use serde_json::Value;

/// The largest document that is read. The largest public ones have some twelve.
const BYTES_MAX: u64 = 32 << 20;

const VERBS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The methods in a file, the most specific first. `base` is what the paths of the upstream's URL begin with.
///
/// # Errors
/// Everything that is wrong with the file.
pub(super) fn read(file: &Path, base: &str) -> Result<Vec<MethodRule>, Vec<String>> {
    let text = load(file).map_err(|error| vec![format!("cannot be read: {error}")])?;
    parse(&text, base)
}

fn load(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let bytes = File::open(file)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if bytes as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn parse(text: &str, base: &str) -> Result<Vec<MethodRule>, Vec<String>> {
    let document = document(text).map_err(|mistake| vec![mistake])?;
    let server = server(&document).map_err(|mistake| vec![mistake])?;
    let mut found = Found::default();
    for (template, item) in document["paths"].as_object().into_iter().flatten() {
        if item.get("$ref").is_some() {
            found
                .mistakes
                .push(format!("paths.{template} is a $ref, which is not followed; put what it names in its place"));
        }
        let Some(path) = below(base, server.as_deref(), template) else { continue };
        for verb in VERBS {
            if let Some(operation) = item.get(verb) {
                found.operation(&Operation { template, verb, path: &path, id: operation["operationId"].as_str() });
            }
        }
    }
    let Found { mut rules, mut mistakes, .. } = found;
    if rules.is_empty() && mistakes.is_empty() {
        mistakes.push(match server {
            Some(server) if !document["paths"].is_null() => format!(
                "has paths that by servers[0].url begin with '{server}/', and none of them is below '{base}', the path of 'url'; make the two agree, or take 'servers' out"
            ),
            _ => "has no paths with operations".to_owned(),
        });
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    MethodRule::most_specific_first(&mut rules);
    Ok(rules)
}

fn document(text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with('{') {
        return Err("is not JSON; YAML is not read, so convert it, as with: yq -o=json api.yaml > api.json".to_owned());
    }
    let document: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    match document["openapi"].as_str() {
        Some(version) if version.starts_with("3.") => Ok(document),
        Some(version) => Err(format!("has 'openapi' {version}; version 3 is read")),
        None if document.get("swagger").is_some() => {
            Err("is of version 2 (Swagger); convert it to OpenAPI 3".to_owned())
        }
        None => Err("has no 'openapi' with its version, so it is no OpenAPI document".to_owned()),
    }
}

/// The path of the first server, without a slash at the end; none where the document says nothing of where it is.
fn server(document: &Value) -> Result<Option<String>, String> {
    let server = &document["servers"][0];
    let Some(url) = server["url"].as_str() else { return Ok(None) };
    let mut url = url.to_owned();
    for (name, variable) in server["variables"].as_object().into_iter().flatten() {
        url = url.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
    }
    let after_scheme = url.split_once("://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("//"));
    let path = match after_scheme {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        // The default of OpenAPI, which many tools write without being asked.
        None if url == "/" => return Ok(None),
        None => &url,
    };
    if !(path.is_empty() || path.starts_with('/')) || path.contains(['{', '}', '?', '#']) {
        return Err(format!(
            "has the servers[0].url '{url}', which is neither a whole URL nor a path that begins with a slash"
        ));
    }
    Ok(Some(path.trim_end_matches('/').to_owned()))
}

/// A path of the document as it comes to us. What requests to the upstream begin with anyway is taken off again; a path
/// that does not begin so cannot be reached there.
fn below(base: &str, server: Option<&str>, template: &str) -> Option<String> {
    let Some(server) = server else { return Some(template.to_owned()) };
    let whole = format!("{server}{template}");
    let rest = whole.strip_prefix(base)?;
    match rest {
        "" => Some("/".to_owned()),
        rest => rest.starts_with('/').then(|| rest.to_owned()),
    }
}

struct Operation<'document> {
    template: &'document str,
    verb: &'static str,
    path: &'document str,
    id: Option<&'document str>,
}

/// What was found, with the places that have taken each name and each form of path.
#[derive(Default)]
struct Found {
    rules: Vec<MethodRule>,
    mistakes: Vec<String>,
    names: HashMap<String, String>,
    forms: HashMap<(&'static str, String), String>,
}

impl Found {
    fn operation(&mut self, operation: &Operation<'_>) {
        let Operation { template, verb, path, id } = *operation;
        let place = format!("paths.{template}.{verb}");
        let name = match id {
            Some(id) => legal(id, &['.', '-', '_']),
            None => {
                format!("{}_{}", verb.to_ascii_uppercase(), legal(path, &['-', '_'])).trim_end_matches('_').to_owned()
            }
        };
        match MethodRule::parse(&format!("{verb} {path}"), &name) {
            Ok(rule) => self.rules.push(rule),
            Err(wanted) => {
                let problem = format!("{place} must have {wanted}; take it out and list the method under 'methods'");
                return self.mistakes.push(problem);
            }
        }
        // Keys are restricted to methods whatever the case of their names.
        if let Some(other) = self.names.insert(name.to_ascii_lowercase(), place.clone()) {
            let problem = format!("{place} would be the method {name}, as {other} is; give it another operationId");
            self.mistakes.push(problem);
        }
        if let Some(other) = self.forms.insert((verb, form(path)), place.clone()) {
            self.mistakes.push(format!("{place} means the same requests as {other}"));
        }
    }
}

/// A name with `_` for every run of what no method's name has.
fn legal(text: &str, besides: &[char]) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && !besides.contains(&letter));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// A template without the names in its placeholders.
fn form(path: &str) -> String {
    path.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, after)| after)).collect::<Vec<_>>().join("{")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A document of these servers and paths.
    fn document(servers: &Value, paths: &Value) -> String {
        json!({"openapi": "3.1.0", "servers": servers, "paths": paths}).to_string()
    }

    /// What an upstream at `base` has of a document, as patterns and names in their order.
    fn check(base: &str, servers: &Value, paths: &Value, wanted: &[(&str, &str)]) {
        let wanted: Vec<MethodRule> =
            wanted.iter().map(|(pattern, name)| MethodRule::parse(pattern, name).unwrap()).collect();
        assert_eq!(parse(&document(servers, paths), base), Ok(wanted));
    }

    fn mistakes(text: &str) -> Vec<String> {
        parse(text, "").unwrap_err()
    }

    #[test]
    fn each_verb_of_each_path_is_a_method_by_its_operation_id_or_by_verb_and_path() {
        let paths = json!({
            "/v1/items": {"get": {"operationId": "items.list"}, "post": {}, "parameters": [], "summary": "Items"},
            "/v1/items/{item-id}.json": {"get": {}},
            "/v1/repos": {"delete": {"operationId": "repos/delete (all)"}},
        });

        check(
            "",
            &json!([]),
            &paths,
            &[
                ("GET /v1/items", "items.list"),
                ("POST /v1/items", "POST_v1_items"),
                ("DELETE /v1/repos", "repos_delete_all"),
                ("GET /v1/items/{item-id}.json", "GET_v1_items_item-id_json"),
            ],
        );
    }

    #[test]
    fn letters_win_over_placeholders_whatever_the_order_of_the_file() {
        let paths = json!({
            "/a/{x}": {"get": {"operationId": "Any"}},
            "/a/{x}:stop": {"get": {"operationId": "Stop"}},
            "/a/z": {"get": {"operationId": "Z"}},
        });

        check("", &json!(null), &paths, &[("GET /a/z", "Z"), ("GET /a/{x}:stop", "Stop"), ("GET /a/{x}", "Any")]);
    }

    #[test]
    fn the_path_of_the_first_server_counts_and_that_of_the_url_is_taken_off() {
        let paths = json!({"/items": {"get": {"operationId": "List"}}});
        let variable = json!([{
            "url": "https://{region}.example.com/{version}/",
            "variables": {"region": {"default": "eu"}, "version": {"default": "v1"}},
        }]);

        for (base, servers, wanted) in [
            ("", json!([]), "GET /items"),
            ("/api", json!([]), "GET /items"),
            ("/api", json!([{"url": "/"}]), "GET /items"),
            ("", json!([{"url": "https://example.com"}]), "GET /items"),
            ("", json!([{"url": "https://example.com/v1/"}, {"url": "/v2"}]), "GET /v1/items"),
            ("", json!([{"url": "/v1"}]), "GET /v1/items"),
            ("/api", json!([{"url": "//example.com/api/v1"}]), "GET /v1/items"),
            ("/api/v1", json!([{"url": "/api/v1"}]), "GET /items"),
            ("/items", json!([{"url": "http://example.com"}]), "GET /"),
            ("", variable, "GET /v1/items"),
        ] {
            check(base, &servers, &paths, &[(wanted, "List")]);
        }
    }

    #[test]
    fn what_is_not_below_the_url_is_left_out_and_nothing_at_all_is_a_mistake() {
        let paths = json!({"/v1/a": {"get": {"operationId": "A"}}, "/v10/b": {"get": {"operationId": "B"}}});
        let servers = json!([{"url": "http://example.com"}]);

        check("/v1", &servers, &paths, &[("GET /a", "A")]);
        assert_eq!(
            parse(&document(&servers, &paths), "/v2"),
            Err(vec![
                "has paths that by servers[0].url begin with '/', and none of them is below '/v2', the path of 'url'; make the two agree, or take 'servers' out".to_owned()
            ])
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let paths = json!({
            "/a/{x}{y}": {"get": {}},
            "/b": {"get": {"operationId": "Same"}},
            "/c": {"put": {"operationId": "same"}},
            "/d/{x}": {"get": {}},
            "/d/{y}": {"get": {}},
            "/e": {"$ref": "other.json"},
        });

        assert_eq!(
            mistakes(&document(&json!([]), &paths)),
            [
                "paths./a/{x}{y}.get must have letters between two {name} of one piece; take it out and list the method under 'methods'",
                "paths./c.put would be the method same, as paths./b.get is; give it another operationId",
                "paths./d/{y}.get means the same requests as paths./d/{x}.get",
                "paths./e is a $ref, which is not followed; put what it names in its place",
            ]
        );
    }

    #[test]
    fn what_is_no_document_says_what_to_do() {
        for (text, wanted) in [
            ("openapi: 3.1.0\npaths: {}\n", "is not JSON; YAML is not read, so convert it"),
            ("{\"openapi\": ", "is not JSON: EOF while parsing a value at line 1 column 12"),
            ("{\"swagger\": \"2.0\"}", "is of version 2 (Swagger); convert it to OpenAPI 3"),
            ("{\"openapi\": \"4.0.0\"}", "has 'openapi' 4.0.0; version 3 is read"),
            ("{\"type\": \"object\"}", "has no 'openapi' with its version"),
            ("{\"openapi\": \"3.0.3\"}", "has no paths with operations"),
            (
                "{\"openapi\": \"3.0.3\", \"servers\": [{\"url\": \"v1\"}]}",
                "has the servers[0].url 'v1', which is neither",
            ),
        ] {
            let mistakes = mistakes(text);
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(wanted), "{mistakes:?}");
        }
    }
}
