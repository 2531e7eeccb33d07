//! `keylodge usage`

use clap::Args;
use keylodge_api::admin::{Span, Time, UsageRow};
use keylodge_client::UsageQuestion;

use super::csv;
use super::session::{Done, Session};
use super::values::{ago, at, last, moment, span};
use crate::output;

/// How many rows are asked for at a time.
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// Only in this project, by id or number; without it everywhere, for whoever may see that
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only with this key: its id, uid or name; without --project its uid
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// From when on: a moment, or how long ago, as 24h
    #[arg(long, value_name = "TIME", value_parser = moment_or_span, default_value = "24h")]
    since: When,
    /// Until when: a moment, or how long ago [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment_or_span)]
    until: Option<When>,
    /// What to tell apart: key, project, service, method, model, outcome, shadow, upstream
    #[arg(long, value_name = "GROUP,…", value_delimiter = ',')]
    by: Vec<String>,
    /// How long each row is: minute, hour, day or all
    #[arg(long, value_name = "STEP", default_value = "all")]
    step: String,
    /// Only of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only of this method, by its full name
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// Only of this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only with this outcome, as ok or key_disabled
    #[arg(long, value_name = "WORD")]
    outcome: Option<String>,
    /// Only what a rule or limit on trial would have refused, as client or limit_exceeded
    #[arg(long, value_name = "WORD")]
    shadow: Option<String>,
    /// Only what this upstream answered
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Print CSV with a header, row by row as it comes
    #[arg(long, conflicts_with = "format")]
    csv: bool,
}

/// A moment, or one so long ago.
#[derive(Clone, Copy, Debug)]
enum When {
    At(Time),
    Ago(Span),
}

impl When {
    fn moment(self) -> Time {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => ago(span),
        }
    }
}

fn moment_or_span(text: &str) -> Result<When, String> {
    if let Ok(Time(day)) = moment(&format!("{text}T00:00:00Z")) {
        return Ok(When::At(Time(day)));
    }
    match span(text) {
        Ok(span) => Ok(When::Ago(span)),
        Err(_) => moment(text).map(When::At).map_err(|_| {
            "a time is written as 2027-01-31T12:00:00Z or 2027-01-31 (UTC), or as how long ago: 90s, 15m, 24h, 30d"
                .to_owned()
        }),
    }
}

pub(crate) async fn run(session: &Session, usage: Usage) -> Done {
    let Usage { project, key, since, until, by, step, service, method, model, outcome, shadow, upstream, csv } = usage;
    let question = UsageQuestion {
        project,
        start: Some(since.moment()),
        end: until.map(When::moment),
        step: Some(step),
        group_by: by,
        key,
        service,
        method,
        model,
        outcome,
        shadow,
        upstream,
    };
    if csv { print_csv(session, &question).await } else { print(session, &question).await }
}

/// Prints all pages together.
async fn print(session: &Session, question: &UsageQuestion) -> Done {
    let client = session.client()?;
    let (mut rows, mut token) = (Vec::new(), None);
    loop {
        let page = client.usage(question, PAGE, token.as_deref()).await?;
        rows.extend(page.rows);
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    let header = header(question).map(|name| name.replace('_', " ").to_uppercase());
    let header: Vec<String> = header.collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    session.list(&rows, &header, |row| {
        let mut cells = cells(question, row);
        // People know a key by its id.
        for (cell, group) in cells[1..].iter_mut().zip(&question.group_by) {
            if group == "key" || group == "project" {
                *cell = last(cell);
            }
        }
        cells
    });
    Ok(())
}

/// Prints each page as it comes, so that an export of any length takes no more memory than one.
async fn print_csv(session: &Session, question: &UsageQuestion) -> Done {
    let client = session.client()?;
    let head: Vec<String> = header(question).collect();
    if output::line(csv::row_of(&head).as_bytes()).is_err() {
        return Ok(());
    }
    let mut token = None;
    loop {
        let page = client.usage(question, PAGE, token.as_deref()).await?;
        for row in &page.rows {
            // Whoever read has gone away, so the rest is for nobody.
            if output::line(csv::row_of(&cells(question, row)).as_bytes()).is_err() {
                return Ok(());
            }
        }
        token = page.next_page_token;
        if token.is_none() {
            return Ok(());
        }
    }
}

const COUNTS: [&str; 8] = [
    "calls",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_usd",
    "p50_seconds",
    "p95_seconds",
    "p99_seconds",
];

fn header(question: &UsageQuestion) -> impl Iterator<Item = String> {
    let groups = question.group_by.iter().map(String::as_str);
    std::iter::once("begin_time").chain(groups).chain(COUNTS).map(str::to_owned)
}

fn cells(question: &UsageQuestion, row: &UsageRow) -> Vec<String> {
    let group = |name: &String| {
        let text = match name.as_str() {
            "project" => &row.project,
            "key" => &row.key,
            "service" => &row.service,
            "method" => &row.method,
            "model" => &row.model,
            "outcome" => &row.outcome,
            "shadow" => &row.shadow,
            "upstream" => &row.upstream,
            _ => &None,
        };
        text.clone().unwrap_or_default()
    };
    let seconds = |span: Option<Span>| span.map(|Span(time)| time.as_secs_f64().to_string()).unwrap_or_default();
    let (counts, latency) = ([row.calls, row.input_tokens, row.output_tokens, row.cached_tokens], &row.latency);
    let mut cells = vec![at(row.begin_time)];
    cells.extend(question.group_by.iter().map(group));
    cells.extend(counts.map(|count| count.0.to_string()));
    cells.push(row.cost.decimal());
    cells.extend([latency.p50, latency.p95, latency.p99].map(seconds));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use keylodge_rules::Timestamp;
    use std::time::Duration;

    #[test]
    fn a_time_is_a_moment_a_day_or_how_long_ago() {
        let at = |text: &str| match moment_or_span(text) {
            Ok(When::At(Time(moment))) => moment,
            other => panic!("{other:?}"),
        };

        assert_eq!(at("2026-01-31"), at("2026-01-31T01:00:00+01:00"));
        assert_eq!(at("1970-01-01"), Timestamp::from_micros(0));
        assert!(matches!(moment_or_span("2h"), Ok(When::Ago(Span(two))) if two == Duration::from_secs(7200)));
        assert!(moment_or_span("yesterday").is_err());
    }
}
