//! `keylodge keys import`

use std::path::PathBuf;

use clap::Args;
use keylodge_api::admin::ImportedKey;
use keylodge_api::{Detail, proto_json};
use serde_json::{Map, Value};

use super::show;
use crate::cli::session::{Done, Failed, Session};
use crate::cli::values::{Expiry, OfProject, Pairs, pairs};
use crate::cli::{csv, files};

/// The most that the server takes in one call.
const BATCH: usize = 1000;

/// One key by its string or the SHA-256 of it, or many from a file.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    of: OfProject,
    #[command(flatten)]
    from: From,
    /// The key's id within the project; a UUID if none is chosen
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    key_id: Option<String>,
    /// A name for people
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    display_name: Option<String>,
    /// Whom to ask about it
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    owner: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    purpose: Option<String>,
    /// Labels, as a=b,c=d
    #[arg(long, value_name = "PAIRS", value_parser = pairs, conflicts_with = "file")]
    labels: Option<Pairs>,
    /// Services that it is for
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', conflicts_with = "file")]
    services: Vec<String>,
    #[command(flatten)]
    expiry: Expiry,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct From {
    /// Read the key's string from stdin
    #[arg(long)]
    from_stdin: bool,
    /// The SHA-256 of the key's string, in hexadecimal or base64
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<String>,
    /// Keys as lines of JSON, or as CSV with a header; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["expire_time", "ttl"])]
    file: Option<PathBuf>,
}

pub(super) async fn import(session: &Session, import: Import) -> Done {
    let project = import.of.project.clone();
    let keys = match &import.from.file {
        Some(file) => read_all(&files::read(file)?)?,
        None => vec![one(import)?],
    };
    let client = session.client()?;
    let mut taken = Vec::new();
    for batch in keys.chunks(BATCH) {
        let batch = client.import_keys(&project, batch.to_vec()).await;
        let keys = batch.map_err(|error| match taken.len() {
            0 => Failed(error.to_string()),
            before => Failed(format!(
                "the first {before} keys are here now, those after them are not; places are counted from key {before}. {error}"
            )),
        })?;
        taken.extend(keys);
    }
    show::list(session, &taken);
    Ok(())
}

fn one(import: Import) -> Result<ImportedKey, Failed> {
    let Import { of: _, from, key_id, display_name, owner, purpose, labels, services, expiry } = import;
    let key_string = match from.from_stdin {
        true => files::read_secret("-".as_ref(), "key string")?,
        false => String::new(),
    };
    Ok(ImportedKey {
        key_string,
        sha256: from.sha256.unwrap_or_default(),
        key_id: key_id.unwrap_or_default(),
        display_name: display_name.unwrap_or_default(),
        owner: owner.unwrap_or_default(),
        purpose: purpose.unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        expire_time: expiry.end(),
        services,
    })
}

/// Reads lines of JSON where the text begins with a brace, else CSV. Both have the fields of the API, in either spelling.
fn read_all(text: &str) -> Result<Vec<ImportedKey>, Failed> {
    let keys = if text.trim_start().starts_with('{') {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(at, line)| read(line, at + 1)).collect::<Result<Vec<_>, _>>()?
    } else {
        let rows = csv::read(text).map_err(|line| Failed(format!("line {line}: a quote is open or out of place")))?;
        let mut rows = rows.into_iter();
        let (_, header) = rows.next().ok_or_else(|| Failed("there are no keys in it".to_owned()))?;
        rows.map(|(line, fields)| read(&from_row(&header, fields, line)?, line)).collect::<Result<Vec<_>, _>>()?
    };
    if keys.is_empty() { Err(Failed("there are no keys in it".to_owned())) } else { Ok(keys) }
}

fn read(json: &str, line: usize) -> Result<ImportedKey, Failed> {
    proto_json::parse(json.as_bytes()).map_err(|status| {
        let violations = status.details.iter().filter_map(|detail| match detail {
            Detail::BadRequest(violations) => Some(violations),
            _ => None,
        });
        let words = violations.flatten().map(|violation| match violation.field.as_str() {
            // What it says otherwise quotes the value, and that is a secret.
            "key_string" | "keyString" => "key_string must be text.",
            _ => &violation.description,
        });
        let words: Vec<&str> = words.collect();
        Failed(format!("line {line}: {}", words.join(" ")))
    })
}

/// A row of CSV as JSON: labels are written as `a=b;c=d`, services as `one;two`.
fn from_row(header: &[String], fields: Vec<String>, line: usize) -> Result<String, Failed> {
    if fields.len() != header.len() {
        return Err(Failed(format!(
            "line {line}: it has {} fields, and the header has {}",
            fields.len(),
            header.len()
        )));
    }
    let mut object = Map::new();
    for (name, field) in header.iter().zip(fields).filter(|(_, field)| !field.is_empty()) {
        let value = match name.trim() {
            "labels" => {
                let labels =
                    pairs(&field.replace(';', ",")).map_err(|words| Failed(format!("line {line}: {words}")))?;
                Value::from_iter(labels)
            }
            "services" => field.split(';').map(|service| Value::from(service.trim())).collect(),
            _ => Value::from(field),
        };
        object.insert(name.trim().to_owned(), value);
    }
    Ok(Value::Object(object).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        read_all(text).unwrap().into_iter().map(|key| key.key_id).collect()
    }

    fn wrong(text: &str) -> String {
        read_all(text).unwrap_err().0
    }

    #[test]
    fn keys_are_read_from_lines_of_json_and_from_csv() {
        assert_eq!(
            ids("{\"keyString\": \"a\", \"keyId\": \"one\"}\n\n{\"key_string\": \"b\", \"key_id\": \"two\"}\n"),
            ["one", "two"]
        );
        assert_eq!(ids("key_string,key_id\na,one\nb,two\n"), ["one", "two"]);

        let keys = read_all("sha256,labels,services\nab,team=blue;env=ci,a.googleapis.com;b.googleapis.com\n").unwrap();
        assert_eq!(keys[0].labels["env"], "ci");
        assert_eq!(keys[0].services, ["a.googleapis.com", "b.googleapis.com"]);
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_never_with_a_key_string() {
        assert_eq!(wrong(""), "there are no keys in it");
        assert_eq!(wrong("key_string\n"), "there are no keys in it");
        assert_eq!(
            wrong("{\"keyString\": \"a\"}\n{\"keyString\": secret}"),
            "line 2: Invalid JSON payload received. Expected a value: expected value at line 1 column 15."
        );
        assert_eq!(wrong("{\"keyString\": 12345}"), "line 1: key_string must be text.");
        assert_eq!(wrong("key_string,key_id\nsecret"), "line 2: it has 1 fields, and the header has 2");
        assert!(
            wrong("key_string,colour\na,red")
                .starts_with("line 2: Invalid JSON payload received. Unknown name \"colour\"")
        );
        assert_eq!(wrong("key_string\n\"a"), "line 2: a quote is open or out of place");
    }
}
