//! `keylodge audit tail`

use std::collections::VecDeque;
use std::time::Duration;

use clap::Args;
use keylodge_client::Client;
use serde_json::Value;

use crate::cli::session::{Done, Failed, Session};
use crate::output::{self, Format};

/// How many entries are asked for at a time.
const PAGE: u32 = 1000;
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// How many entries
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    lines: usize,
    /// Go on with new entries as they come
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only what is about this project, by id or number
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

pub(super) async fn tail(session: &Session, Tail { lines, follow, project }: &Tail) -> Done {
    let client = session.client()?;
    let project = project.as_deref();
    let begin = match project {
        // The log's end tells where its last entries begin; those of one project can be anywhere.
        None => end(client).await?.saturating_sub(u64::try_from(*lines).unwrap_or(u64::MAX)),
        Some(_) => 0,
    };
    let (entries, mut last) = read(client, project, begin, *lines).await?;
    if !follow {
        session.print(&entries, || {
            let rows = entries.iter().map(|entry| columns(entry).to_vec()).collect();
            output::table(&HEADER, rows);
        });
        return Ok(());
    }
    if session.prints_tables() {
        output::say(&aligned(&HEADER.map(str::to_owned)));
    }
    let mut entries = entries;
    loop {
        for entry in entries {
            if output::line(one(session.format, &entry).as_bytes()).is_err() {
                return Ok(());
            }
        }
        tokio::time::sleep(PAUSE).await;
        (entries, last) = read(client, project, last, usize::MAX).await?;
    }
}

/// The sequence of the last entry.
async fn end(client: &Client) -> Result<u64, Failed> {
    match client.audit_checkpoint().await {
        Ok(checkpoint) => Ok(checkpoint.sequence),
        Err(error) if error.is("NOT_FOUND") => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The last so many of the entries after one, and the sequence of the last of them.
async fn read(
    client: &Client,
    project: Option<&str>,
    mut after: u64,
    lines: usize,
) -> Result<(VecDeque<Value>, u64), Failed> {
    let mut kept = VecDeque::new();
    loop {
        let page = client.list_audit_log(project, after, PAGE).await?;
        for entry in page.entries {
            after = sequence(&entry).unwrap_or(after);
            kept.push_back(entry);
            if kept.len() > lines {
                kept.pop_front();
            }
        }
        if page.next_page_token.is_none() {
            return Ok((kept, after));
        }
    }
}

fn sequence(entry: &Value) -> Option<u64> {
    entry["labels"]["keylodge.sequence"].as_str()?.parse().ok()
}

const HEADER: [&str; 5] = ["TIME", "WHO", "METHOD", "RESOURCE", "REFUSED"];

fn columns(entry: &Value) -> [String; 5] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let payload = &entry["protoPayload"];
    let method = text(&payload["methodName"]);
    [
        text(&entry["timestamp"]),
        text(&payload["authenticationInfo"]["principalSubject"]),
        method.rsplit('.').next().unwrap_or(&method).to_owned(),
        text(&payload["resourceName"]),
        text(&payload["status"]["message"]),
    ]
}

/// An entry that is printed before it is known what the others look like.
fn one(format: Format, entry: &Value) -> String {
    match format {
        Format::Table => aligned(&columns(entry)),
        Format::Json => entry.to_string(),
        Format::Yaml => format!("---\n{}", output::yaml(entry).trim_end()),
    }
}

fn aligned([time, who, method, resource, refused]: &[String; 5]) -> String {
    format!(" {time:<27}  {who:<28}  {method:<20}  {resource:<48}  {refused}").trim_end().to_owned()
}
