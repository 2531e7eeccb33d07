//! What commands print: data to stdout, talk to stderr.

use std::io::{self, Write as _};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: what the API answers.
    Json,
    /// The same for programs and people.
    Yaml,
}

/// Prints text to stdout. A reader that has gone away is no concern of ours.
pub(crate) fn say(text: &str) {
    let _ = line(text.as_bytes());
}

/// Prints a line to stdout and tells whether somebody still reads.
pub(crate) fn line(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush())
}

/// Prints an error to stderr.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "keylodge: {text}");
}

/// Prints talk to stderr: what goes on, and questions.
pub(crate) fn talk(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Prints a value: for people as this table, for programs as it is.
pub(crate) fn print(format: Format, value: &impl Serialize, table: impl FnOnce()) {
    match format {
        Format::Table => table(),
        Format::Json => say(&format!("{:#}", as_json(value))),
        Format::Yaml => say(yaml(&as_json(value)).trim_end()),
    }
}

/// Prints a list: for people with a row for each item.
pub(crate) fn list<T: Serialize>(format: Format, items: &[T], header: &[&str], row: impl Fn(&T) -> Vec<String>) {
    print(format, &items, || table(header, items.iter().map(row).collect()));
}

/// Prints a thing: for people with a row for each of its fields.
pub(crate) fn record(format: Format, thing: &impl Serialize) {
    print(format, thing, || fields(as_json(thing)));
}

/// Prints rows under a header.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    say(&lines.join("\n"));
}

/// Prints a row for each field that says something, nested ones by their path.
pub(crate) fn fields(thing: Value) {
    let mut rows = Vec::new();
    flatten(String::new(), thing, &mut rows);
    // What a thing is called comes first; a sort that is stable leaves the rest as it was.
    rows.sort_by_key(|(path, _)| FIRST.iter().position(|first| first == path).unwrap_or(FIRST.len()));
    let rows = rows.into_iter().map(|(path, text)| vec![words(&path), text]);
    table(&["FIELD", "VALUE"], rows.collect());
}

/// The fields that come first, in this order.
const FIRST: &[&str] = &["name", "projectId", "displayName", "title", "member", "keyString", "token", "uid", "state"];

fn flatten(path: String, value: Value, rows: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::Object(object) => object.into_iter().for_each(|(name, value)| flatten(below(&name), value, rows)),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let items: Vec<String> = items.into_iter().map(text).collect();
            // A long list is read more easily with a line for each.
            let length: usize = items.iter().map(String::len).sum();
            rows.push((path, items.join(if length > 80 { "\n" } else { ", " })));
        }
        Value::Array(items) => {
            for (at, item) in items.into_iter().enumerate() {
                flatten(format!("{path}[{at}]"), item, rows);
            }
        }
        value => rows.push((path, text(value))),
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// `displayName` as `display name`, and `createTime` as `created`. A nested field keeps its path, as programs have it.
fn words(path: &str) -> String {
    if path.contains(['.', '[']) {
        return path.to_owned();
    }
    let known = match path {
        "createTime" => "created",
        "updateTime" => "updated",
        "deleteTime" => "deleted",
        "expireTime" => "expires",
        "disableTime" => "disabled",
        "revokeTime" => "revoked",
        "lastUseTime" => "last used",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let mut words = String::new();
    for letter in path.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn as_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A value as YAML.
pub(crate) fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_called_as_people_call_it() {
        for (path, expected) in [
            ("name", "name"),
            ("serviceAccountEmail", "service account email"),
            ("lastUseTime", "last used"),
            ("restrictions.apiTargets[0].service", "restrictions.apiTargets[0].service"),
        ] {
            assert_eq!(words(path), expected);
        }
    }

    #[test]
    fn nested_fields_have_rows_of_their_own_and_lists_of_words_one() {
        let mut rows = Vec::new();
        flatten(String::new(), json!({"a": {"b": ["x", "y"], "c": [{"d": 1}], "e": null}, "f": true}), &mut rows);

        let row = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        assert_eq!(rows, [row("a.b", "x, y"), row("a.c[0].d", "1"), row("f", "true")]);
    }

    #[test]
    fn yaml_keeps_text_text() {
        let value =
            json!({"number": "123", "yes": "yes", "time": "2026-01-31T12:00:00Z", "list": [1, "a: b"], "no": []});

        let expected = concat!(
            "list:\n- 1\n- \"a: b\"\n\"no\": []\nnumber: \"123\"\n",
            "time: \"2026-01-31T12:00:00Z\"\n\"yes\": \"yes\"\n"
        );
        assert_eq!(yaml(&value), expected);
    }
}
