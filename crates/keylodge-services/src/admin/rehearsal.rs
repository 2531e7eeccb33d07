//! Restrictions and limits, tried on what was called already.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::admin::{
    CallerInfo, Count, LimitRehearsal, Rehearse, RehearseKeyResponse, RehearsedCaller, RehearsedRule, Time,
};
use keylodge_rules::admit::rehearse;
use keylodge_rules::explain::is_refusal;
use keylodge_rules::quota::trial::{self, Used};
use keylodge_rules::quota::{Amounts, Calendar, Limit};
use keylodge_rules::{AndroidCaller, KeyUid, ProjectNumber, Rule, ServiceName, Shadow, Timestamp};
use keylodge_store::meter::{
    CallerFacts, Counts, Group, Meter, ShapeQuery, ShapeRow, Shapes, Step, UsageFilter, UsageQuery, UsageRow,
};

use crate::bill::UNREACHABLE;
use crate::keys::find;
use crate::management::Call;
use crate::query::invalid;
use crate::{failure, metering};

const DAYS_DEFAULT: i32 = 7;
const DAYS_MAX: i32 = 14;
const EXAMPLES_MAX: usize = 100;
/// How many different calls, by hour and caller, are tried.
const SHAPES_MAX: u32 = 50_000;
/// How many rows of usage are read at a time.
const USAGE_PAGE: u32 = 20_000;
const MINUTE: i64 = 60_000_000;

pub(crate) async fn rehearse_key(mut call: Call) -> Result<Response, Status> {
    let Rehearse { narrowed, limits, days } = call.read().await?;
    let days = days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(invalid("days", format!("days must be from 1 to {DAYS_MAX}.")));
    }
    let (lodge, project) = (&call.lodge, call.project()?.number);
    let key = find(lodge, project, call.place("key")).await?.uid;
    metering::write(lodge).await.map_err(|error| failure::store(&error))?;
    let now = lodge.now();
    let back = Duration::from_secs(u64::from(days.unsigned_abs()) * 24 * 60 * 60);
    let ago = now.micros().saturating_sub(i64::try_from(back.as_micros()).unwrap_or(i64::MAX));
    let question = Question { meter: &lodge.meter, project, key, now, begin: Timestamp::from_micros(ago) };
    let answer = question.answer(&narrowed, &limits).await.map_err(|error| failure::store(&error))?;
    call.answer(&answer)
}

/// What is asked about.
struct Question<'lodge> {
    meter: &'lodge Meter,
    project: ProjectNumber,
    key: KeyUid,
    begin: Timestamp,
    now: Timestamp,
}

impl Question<'_> {
    async fn answer(
        &self,
        narrowed: &Shadow,
        limits: &[Limit],
    ) -> Result<RehearseKeyResponse, keylodge_store::StoreError> {
        let query = ShapeQuery {
            project: Some(self.project),
            key: Some(self.key),
            from: minute(self.begin),
            to: minute(self.now) + 1,
            size: SHAPES_MAX,
        };
        let shapes = self.meter.shapes(&query).await?;
        let mut answer = try_rules(narrowed, &shapes, (self.begin, self.now));
        for limit in limits {
            let rehearsal = self.try_limit(limit).await?;
            answer.limits.push(rehearsal);
        }
        Ok(answer)
    }

    async fn try_limit(&self, limit: &Limit) -> Result<LimitRehearsal, keylodge_store::StoreError> {
        // A window that is cut off at its beginning would seem to have had less.
        let (begin, step) = match limit.window().calendar() {
            Some(calendar) => (calendar_begin(calendar, self.begin), Step::Hour),
            None => (minute(self.begin).max(self.meter.minutes_since(self.now)), Step::Minute),
        };
        let mut query = UsageQuery {
            filter: UsageFilter {
                from: begin,
                to: minute(self.now) + 1,
                project: Some(self.project),
                key: Some(self.key),
                ..UsageFilter::default()
            },
            step,
            group_by: [Group::Model, Group::Outcome].into(),
            after: None,
            size: USAGE_PAGE,
        };
        let mut rows: Vec<UsageRow> = Vec::new();
        loop {
            let page = self.meter.usage(&query).await?;
            rows.extend(page.items.into_iter().filter(|row| row.outcome.as_deref().is_none_or(is_charged)));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let used = rows.iter().map(|row| Used {
            minute: row.start,
            model: row.model.as_deref().unwrap_or_default(),
            amounts: amounts(&row.counts),
        });
        let trial = trial::rehearse(limit, used).unwrap_or_default();
        Ok(LimitRehearsal::of(limit, &trial, time(begin).0))
    }
}

/// Whether calls with this outcome count for limits.
fn is_charged(outcome: &str) -> bool {
    !is_refusal(outcome) && outcome != UNREACHABLE
}

fn minute(moment: Timestamp) -> i64 {
    moment.micros().div_euclid(MINUTE)
}

fn time(minute: i64) -> Time {
    Time(Timestamp::from_micros(minute.saturating_mul(MINUTE)))
}

fn calendar_begin(calendar: Calendar, moment: Timestamp) -> i64 {
    minute(calendar.begins(calendar.period(moment)))
}

const fn amounts(counts: &Counts) -> Amounts {
    Amounts {
        requests: counts.calls,
        input_tokens: counts.input_tokens,
        output_tokens: counts.output_tokens,
        cost_nanos: counts.cost_nanos,
    }
}

/// Calls that are alike but for the hour, as an example shows them.
type Alike<'shapes> = (Rule, &'shapes CallerFacts, &'shapes Arc<str>, &'shapes Arc<str>, &'shapes Arc<str>);

/// How many, first and last minute.
type Seen = (u64, i64, i64);

fn try_rules(narrowed: &Shadow, shapes: &Shapes, (begin, end): (Timestamp, Timestamp)) -> RehearseKeyResponse {
    let (mut calls, mut refused, mut refused_anyway) = (0_u64, 0_u64, 0_u64);
    let mut by_rule: HashMap<Rule, u64> = HashMap::new();
    let mut alike: HashMap<Alike<'_>, Seen> = HashMap::new();
    for shape in &shapes.rows {
        if is_refusal(&shape.outcome) {
            refused_anyway = refused_anyway.saturating_add(shape.calls);
            continue;
        }
        calls = calls.saturating_add(shape.calls);
        let Some(rule) = refuses(narrowed, shape) else { continue };
        refused = refused.saturating_add(shape.calls);
        let of_rule = by_rule.entry(rule).or_default();
        *of_rule = of_rule.saturating_add(shape.calls);
        let like = (rule, &shape.caller, &shape.service, &shape.method, &shape.model);
        let (count, first, last) = alike.entry(like).or_insert((0, shape.first_minute, shape.last_minute));
        *count = count.saturating_add(shape.calls);
        (*first, *last) = (shape.first_minute.min(*first), shape.last_minute.max(*last));
    }
    let rules = Rule::ALL.into_iter().filter_map(|rule| {
        let calls = by_rule.get(&rule).copied()?;
        Some(RehearsedRule { rule: rule.word().to_owned(), calls: Count(calls) })
    });
    RehearseKeyResponse {
        begin_time: Time(begin),
        end_time: Time(end),
        calls: Count(calls),
        refused_calls: Count(refused),
        refused_anyway_calls: Count(refused_anyway),
        left_out_calls: Count(shapes.left_out),
        is_partial: shapes.more,
        rules: rules.collect(),
        examples: examples(alike),
        limits: Vec::new(),
    }
}

/// The first rule that would have refused calls of this shape. Of their times only the first and the last minute in the
/// hour are known; both are asked about.
fn refuses(narrowed: &Shadow, shape: &ShapeRow) -> Option<Rule> {
    let service = ServiceName::parse(&shape.service).ok()?;
    let text = |text: &'_ Arc<str>| (!text.is_empty()).then(|| text.to_string());
    let (referrer, ios_bundle) = (text(&shape.caller.referrer), text(&shape.caller.ios_bundle));
    let (package_name, sha1_fingerprint) = (&*shape.caller.android_package, &*shape.caller.android_cert);
    let call = keylodge_rules::Call {
        model: Some(&*shape.model).filter(|model| !model.is_empty()),
        address: shape.caller.address,
        referrer: referrer.as_deref(),
        android: (!package_name.is_empty()).then_some(AndroidCaller { package_name, sha1_fingerprint }),
        ios_bundle: ios_bundle.as_deref(),
        ..keylodge_rules::Call::new(&service, &shape.method)
    };
    let moments = [shape.first_minute, shape.last_minute].map(|minute| time(minute).0);
    let word = moments.into_iter().find_map(|moment| rehearse(narrowed, &call, moment))?;
    Rule::ALL.into_iter().find(|rule| rule.word() == word)
}

fn examples(alike: HashMap<Alike<'_>, Seen>) -> Vec<RehearsedCaller> {
    let mut examples: Vec<_> = alike.into_iter().collect();
    // Those with most calls first; among equals the latest, and then in an order that does not change.
    examples.sort_by_key(|((rule, caller, _, method, model), (calls, _, last))| {
        let caller = (caller.address, Arc::clone(&caller.referrer), Arc::clone(&caller.client));
        (std::cmp::Reverse((*calls, *last)), rule.word(), caller, Arc::clone(method), Arc::clone(model))
    });
    let example = |((rule, caller, service, method, model), (calls, first, last)): (Alike<'_>, Seen)| RehearsedCaller {
        rule: rule.word().to_owned(),
        caller: caller_info(caller),
        service: service.to_string(),
        method: method.to_string(),
        model: model.to_string(),
        calls: Count(calls),
        first_time: time(first),
        last_time: time(last),
    };
    examples.into_iter().take(EXAMPLES_MAX).map(example).collect()
}

fn caller_info(caller: &CallerFacts) -> CallerInfo {
    CallerInfo {
        address: caller.address.map(|address: IpAddr| address.to_string()).unwrap_or_default(),
        referrer: caller.referrer.to_string(),
        android_package: caller.android_package.to_string(),
        android_cert: caller.android_cert.to_string(),
        ios_bundle: caller.ios_bundle.to_string(),
        client: caller.client.to_string(),
    }
}
