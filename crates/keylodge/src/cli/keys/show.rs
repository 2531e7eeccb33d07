//! Keys as they are printed.

use keylodge_api::admin::{KeyDetails, KeyStringInfo, Span};
use keylodge_client::Key;
use serde_json::{Value, json};

use super::One;
use crate::cli::session::{Done, Session};
use crate::cli::values::{at, at_if, last};
use crate::output;

/// Prints a key with what Keylodge adds to it.
pub(super) async fn show(session: &Session, One { key, of }: &One, key_string: bool) -> Done {
    let client = session.client()?;
    let mut found = client.get_key(&of.project, key).await?;
    let details = client.key_details(&of.project, key).await?;
    if key_string {
        found.key_string = Some(client.get_key_string(&of.project, key).await?);
    }
    whole(session, &found, &details);
    Ok(())
}

/// Prints a key and what Keylodge adds to it: below `details` for programs, among the other rows for people.
pub(super) fn whole(session: &Session, key: &Key, details: &KeyDetails) {
    let mut value = json!(key);
    value["details"] = json!(details);
    session.print(&value, || {
        let mut rows = rows_of_key(key);
        rows.extend(rows_of_details(details).into_iter().filter(|row| row[0] != "name" && row[0] != "uid"));
        output::table(&["FIELD", "VALUE"], rows);
    });
}

/// Prints a key as the call that changed it answered. Such answers have the string, as at Google; nobody asked to see it.
pub(super) fn key(session: &Session, key: Key) {
    with_string(session, &Key { key_string: None, ..key });
}

/// The same with the string, where somebody did ask.
pub(in crate::cli) fn with_string(session: &Session, key: &Key) {
    session.print(key, || output::table(&["FIELD", "VALUE"], rows_of_key(key)));
}

/// Prints what Keylodge adds to a key.
pub(super) fn details(session: &Session, details: &KeyDetails) {
    session.print(details, || output::table(&["FIELD", "VALUE"], rows_of_details(details)));
}

pub(super) fn list(session: &Session, keys: &[Key]) {
    session.list(keys, &["KEY ID", "DISPLAY NAME", "STATE", "CREATED"], |key| {
        let state = if key.delete_time.is_some() { "deleted" } else { "live" };
        vec![last(&key.name), key.display_name.clone(), state.to_owned(), key.create_time.clone()]
    });
}

fn rows_of_key(key: &Key) -> Vec<Vec<String>> {
    let mut rows = vec![
        row("name", &key.name),
        row("display name", &key.display_name),
        row("key string", key.key_string.as_deref().unwrap_or_default()),
        row("uid", &key.uid),
        row("service account", &key.service_account_email),
    ];
    if let Some(restrictions) = &key.restrictions {
        rows.extend(narrowed(&json!(restrictions)));
    }
    rows.push(row("created", &key.create_time));
    rows.push(row("deleted", key.delete_time.as_deref().unwrap_or_default()));
    rows.retain(|row| !row[1].is_empty());
    rows.extend(key.annotations.iter().map(|(name, value)| row(&format!("annotation {name}"), value)));
    rows
}

/// A row for each thing that narrows a key.
fn narrowed(restrictions: &Value) -> Vec<Vec<String>> {
    let each = |list: &Value, word: &str, text: &dyn Fn(&Value) -> String| {
        list.as_array().into_iter().flatten().map(|item| row(word, &text(item))).collect::<Vec<_>>()
    };
    let plain = |item: &Value| item.as_str().unwrap_or_default().to_owned();
    let app = |item: &Value| format!("{} {}", plain(&item["packageName"]), plain(&item["sha1Fingerprint"]));
    let target = |item: &Value| {
        let methods: Vec<String> = item["methods"].as_array().into_iter().flatten().map(plain).collect();
        format!("{} {}", plain(&item["service"]), methods.join(", ")).trim_end().to_owned()
    };
    [
        each(&restrictions["browserKeyRestrictions"]["allowedReferrers"], "only from page", &plain),
        each(&restrictions["serverKeyRestrictions"]["allowedIps"], "only from address", &plain),
        each(&restrictions["androidKeyRestrictions"]["allowedApplications"], "only from app", &app),
        each(&restrictions["iosKeyRestrictions"]["allowedBundleIds"], "only from app", &plain),
        each(&restrictions["apiTargets"], "only for", &target),
    ]
    .concat()
}

fn rows_of_details(details: &KeyDetails) -> Vec<Vec<String>> {
    let mut rows = vec![
        row("name", &details.name),
        row("uid", &details.uid),
        row("state", &details.state),
        row("expires", &at_if(details.expire_time)),
        row("disabled", &at_if(details.disable_time)),
        row("owner", &details.owner),
        row("purpose", &details.purpose),
        row("creator", &details.creator),
        row("last used", &at_if(details.last_use_time)),
    ];
    rows.retain(|row| !row[1].is_empty());
    rows.extend(details.labels.iter().map(|(name, value)| row(&format!("label {name}"), value)));
    rows.extend(details.strings.iter().map(|string| row(&format!("string {}", string.generation), &about(string))));
    rows
}

/// What is known of a string, in a line.
fn about(string: &KeyStringInfo) -> String {
    let mut words = vec![format!("made {}", at(string.create_time)), format!("{} calls", string.calls)];
    words.extend(string.last_use_time.map(|time| format!("last {}", at(time))));
    words.extend(string.retire_time.map(|time| format!("rotated out {}", at(time))));
    words.extend(string.good_until_time.map(|time| format!("good until {}", at(time))));
    words.extend(string.quiet_period.map(|Span(time)| format!("good until unused for {} s", time.as_secs())));
    words.join(", ")
}

fn row(name: &str, value: &str) -> Vec<String> {
    vec![name.to_owned(), value.to_owned()]
}
