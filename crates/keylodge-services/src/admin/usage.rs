//! What was used, summed over time, key, model and so on.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keylodge_api::admin::{Count, LatencyBucket, LatencyOfCalls, ListUsageResponse, Money, Span, Time, UsageRow};
use keylodge_api::{Status, timestamp};
use keylodge_rules::{KeyUid, ProjectNumber, Timestamp};
use keylodge_store::meter::{self, Group, LATENCY_BOUNDS_MICROS, Latency, Step, UsageFilter, UsagePlace, UsageQuery};

use crate::keys::{find, key_name};
use crate::management::Call;
use crate::query::{Query, invalid};
use crate::{Lodge, failure, metering};

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;
const MINUTE: i64 = 60_000_000;
/// How far back a question goes that does not say from when on.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn list_of_project(call: Call) -> Result<Response, Status> {
    let project = call.project()?.number;
    let key = match call.query.get("keyId") {
        None => None,
        // What a purged key used is still there, below its uid.
        Some(text) => match KeyUid::parse(text) {
            Ok(uid) => Some(uid),
            Err(_) => Some(find(&call.lodge, project, text).await?.uid),
        },
    };
    page(&call, Some(project), key).await
}

pub(crate) async fn list(call: Call) -> Result<Response, Status> {
    let key = call.query.get("keyId").map(KeyUid::parse).transpose();
    let key = key.map_err(|_| invalid("key_id", "key_id must be a uid here; ids are those of one project."))?;
    page(&call, None, key).await
}

async fn page(call: &Call, project: Option<ProjectNumber>, key: Option<KeyUid>) -> Result<Response, Status> {
    let Call { lodge, query, .. } = call;
    let asked = UsageQuery {
        filter: filter(query, lodge.now(), project, key)?,
        step: step(query)?,
        group_by: groups(query)?,
        after: query.get("pageToken").map(place).transpose()?,
        size: query.page_size(PAGE_DEFAULT, PAGE_MAX)?,
    };
    metering::write(lodge).await.map_err(|error| failure::store(&error))?;
    let found = lodge.meter.usage(&asked).await.map_err(|error| failure::store(&error))?;
    let mut names = KeyNames::default();
    let mut rows = Vec::with_capacity(found.items.len());
    for row in found.items {
        let key = match row.key {
            _ if !asked.group_by.contains(&Group::Key) => None,
            Some(uid) => Some(names.of(lodge, &uid).await?),
            None => Some(String::new()),
        };
        rows.push(wire(row, key, asked.group_by.contains(&Group::Project)));
    }
    let next_page_token = found.next.map(|next| URL_SAFE_NO_PAD.encode(next.to_string()));
    call.answer(&ListUsageResponse { rows, next_page_token })
}

/// The names of keys, each looked up once.
#[derive(Default)]
pub(super) struct KeyNames(HashMap<KeyUid, String>);

impl KeyNames {
    /// The name of a key; its uid where it is purged.
    pub(super) async fn of(&mut self, lodge: &Lodge, uid: &KeyUid) -> Result<String, Status> {
        if let Some(name) = self.0.get(uid) {
            return Ok(name.clone());
        }
        let found = lodge.store.key_by_uid(uid, lodge.now()).await.map_err(|error| failure::store(&error))?;
        let name = found.map_or_else(|| uid.to_string(), |key| key_name(&key));
        self.0.insert(*uid, name.clone());
        Ok(name)
    }
}

fn filter(
    query: &Query,
    now: Timestamp,
    project: Option<ProjectNumber>,
    key: Option<KeyUid>,
) -> Result<UsageFilter, Status> {
    let asked_end = moment(query, "endTime")?;
    let end = asked_end.unwrap_or(now);
    let day = i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX);
    let start = moment(query, "startTime")?.unwrap_or(Timestamp::from_micros(end.micros().saturating_sub(day)));
    if start >= end {
        return Err(invalid("start_time", "start_time must be before end_time."));
    }
    let text = |name: &str| query.get(name).map(str::to_owned);
    Ok(UsageFilter {
        from: start.micros().div_euclid(MINUTE),
        // A minute that has begun counts as a whole, and the one of now has always begun.
        to: match asked_end {
            Some(end) => end.micros().saturating_add(MINUTE - 1).div_euclid(MINUTE),
            None => now.micros().div_euclid(MINUTE) + 1,
        },
        project,
        key,
        service: text("service"),
        method: text("method"),
        model: text("model"),
        outcome: text("outcome"),
        shadow: text("shadow"),
        upstream: text("upstream"),
    })
}

fn moment(query: &Query, name: &str) -> Result<Option<Timestamp>, Status> {
    let field = if name == "endTime" { "end_time" } else { "start_time" };
    let wrong = || invalid(field, format!("{field} must be a moment in RFC 3339, as 2027-01-31T12:00:00Z."));
    query.get(name).map(|text| timestamp::parse(text).map_err(|_| wrong())).transpose()
}

fn step(query: &Query) -> Result<Step, Status> {
    Ok(match query.get("step") {
        None | Some("all") => Step::All,
        Some("minute") => Step::Minute,
        Some("hour") => Step::Hour,
        Some("day") => Step::Day,
        Some(_) => return Err(invalid("step", "step is minute, hour, day or all.")),
    })
}

fn groups(query: &Query) -> Result<BTreeSet<Group>, Status> {
    let words = query.all("groupBy").into_iter().flat_map(|list| list.split(','));
    let group = |word: &str| match word.trim() {
        "key" => Ok(Group::Key),
        "project" => Ok(Group::Project),
        "service" => Ok(Group::Service),
        "method" => Ok(Group::Method),
        "model" => Ok(Group::Model),
        "outcome" => Ok(Group::Outcome),
        "shadow" => Ok(Group::Shadow),
        "upstream" => Ok(Group::Upstream),
        _ => Err(invalid(
            "group_by",
            "group_by is a list of key, project, service, method, model, outcome, shadow and upstream, with commas.",
        )),
    };
    words.filter(|word| !word.is_empty()).map(group).collect()
}

fn place(token: &str) -> Result<UsagePlace, Status> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| UsagePlace::parse(&text)).ok_or_else(|| {
        invalid("page_token", "The page token is not valid. Use next_page_token of the page before, or leave it out.")
    })
}

fn wire(row: meter::UsageRow, key: Option<String>, told_by_project: bool) -> UsageRow {
    let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string());
    let project = row.project.map(|number| format!("projects/{number}"));
    let counts = row.counts;
    UsageRow {
        begin_time: Time(Timestamp::from_micros(row.start.saturating_mul(MINUTE))),
        project: told_by_project.then(|| project.unwrap_or_default()),
        key,
        service: text(row.service),
        method: text(row.method),
        model: text(row.model),
        outcome: text(row.outcome),
        shadow: text(row.shadow),
        upstream: text(row.upstream),
        calls: Count(counts.calls),
        input_tokens: Count(counts.input_tokens),
        output_tokens: Count(counts.output_tokens),
        cached_tokens: Count(counts.cached_tokens),
        cost: Money::dollars(counts.cost_nanos),
        latency: latency(&counts.latency),
    }
}

fn latency(latency: &Latency) -> LatencyOfCalls {
    let span = |micros| Span(Duration::from_micros(micros));
    let bounds = LATENCY_BOUNDS_MICROS.into_iter().map(Some).chain([None]);
    let buckets = bounds.zip(latency.buckets).filter(|(_, calls)| *calls > 0);
    LatencyOfCalls {
        p50: latency.quantile(0.5).map(span),
        p95: latency.quantile(0.95).map(span),
        p99: latency.quantile(0.99).map(span),
        buckets: buckets.map(|(bound, calls)| LatencyBucket { within: bound.map(span), calls: Count(calls) }).collect(),
    }
}
