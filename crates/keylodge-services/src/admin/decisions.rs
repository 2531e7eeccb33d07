//! Calls that were refused: listed, and explained.

use std::net::IpAddr;

use axum::response::Response;
use keylodge_api::admin::{CallerInfo, Decision, Explanation, ListDecisionsResponse, RuleStep, SuggestedChange, Time};
use keylodge_api::{Code, Status};
use keylodge_rules::explain::{Moments, Remedy, Step, as_presented, chain, remedies};
use keylodge_rules::{AndroidCaller, Revision, Rule, ServiceName, Terms};
use keylodge_store::meter::{DecisionQuery, DecisionRow};
use keylodge_store::{KeyRecord, ProjectRecord};

use super::advice::{self, Holder, Place, Reached};
use super::usage::KeyNames;
use crate::keys::{find, key_name};
use crate::management::Call;
use crate::management::access::Access;
use crate::{Lodge, failure, find, metering, paging};

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// Whoever may see a key and who used it may also see who was refused with it. Of calls with no key that is ours, whoever
/// may see all keys.
const PERMISSION: &str = "apikeys.keys.get";

pub(crate) async fn list_of_project(call: Call) -> Result<Response, Status> {
    let (lodge, project) = (&call.lodge, call.project()?.number);
    let key = match call.query.get("keyId") {
        Some(id) => Some(find(lodge, project, id).await?.uid),
        None => None,
    };
    let before = match call.query.get("pageToken") {
        Some(_) => Some(paging::begin(&call.query)?.0),
        None => None,
    };
    let query = DecisionQuery {
        project: Some(project),
        key,
        refusal: call.query.get("refusal").map(str::to_owned),
        before,
        size: call.query.page_size(PAGE_DEFAULT, PAGE_MAX)?,
    };
    metering::write(lodge).await.map_err(|error| failure::store(&error))?;
    let page = lodge.meter.decisions(&query).await.map_err(|error| failure::store(&error))?;
    let mut names = KeyNames::default();
    let mut decisions = Vec::with_capacity(page.items.len());
    for row in &page.items {
        let key = match &row.key {
            Some(uid) => Some(names.of(lodge, uid).await?),
            None => None,
        };
        decisions.push(wire(row, key));
    }
    let next_page_token = page.next.map(|sequence| paging::token(Revision(sequence)));
    call.answer(&ListDecisionsResponse { decisions, next_page_token })
}

pub(crate) async fn explain(call: Call) -> Result<Response, Status> {
    let lodge = &call.lodge;
    metering::write(lodge).await.map_err(|error| failure::store(&error))?;
    let found = lodge.meter.decision(call.place("decision")).await.map_err(|error| failure::store(&error))?;
    let row = found.ok_or_else(no_such_decision)?;
    let project = match row.project {
        Some(number) => find::project(lodge, &number.to_string()).await?,
        None => None,
    };
    let access = match &project {
        Some(project) => Access::to_project(lodge, project).await?,
        None => Access::to_deployment(lodge).await?,
    };
    if !access.grants(lodge, &call.operator, PERMISSION) {
        return Err(no_such_decision());
    }
    let key = match &row.key {
        Some(uid) => lodge.store.key_by_uid(uid, lodge.now()).await.map_err(|error| failure::store(&error))?,
        None => None,
    };
    let judged = judge(lodge, &row)?;
    let changes = changes(&row, &judged, project.as_ref(), key.as_ref());
    let name = row.key.map(|uid| key.map_or_else(|| uid.to_string(), |key| key_name(&key)));
    let rules = judged.steps.iter().map(|step| RuleStep {
        rule: step.rule.word().to_owned(),
        then: step.then.word().to_owned(),
        now: step.now.word().to_owned(),
    });
    call.answer(&Explanation {
        decision: wire(&row, name),
        rules: rules.collect(),
        would_pass_now: judged.would_pass,
        changes,
    })
}

/// The same for what is not there and what is not the caller's.
fn no_such_decision() -> Status {
    Status::new(
        Code::NotFound,
        "There is no such decision. Its id is in the header x-keylodge-decision of the refusal; older ones are forgotten.",
    )
}

/// What the rules say of a call.
struct Judged {
    steps: Vec<Step>,
    /// What the key is like now, if it is known.
    terms: Option<Terms>,
    remedies: Vec<(Rule, Remedy)>,
    would_pass: bool,
}

fn judge(lodge: &Lodge, row: &DecisionRow) -> Result<Judged, Status> {
    let service = ServiceName::parse(&row.service).map_err(|_| Status::internal())?;
    let text = |name| Some(fact(row, name)).filter(|text| !text.is_empty());
    let (package_name, sha1_fingerprint) = (fact(row, "androidPackage"), fact(row, "androidCert"));
    let seen = keylodge_rules::Call {
        model: Some(&*row.model).filter(|model| !model.is_empty()),
        address: fact(row, "address").parse::<IpAddr>().ok(),
        referrer: text("referrer"),
        android: (!package_name.is_empty()).then_some(AndroidCaller { package_name, sha1_fingerprint }),
        ios_bundle: text("iosBundle"),
        ..keylodge_rules::Call::new(&service, &row.method)
    };
    let moments = Moments { then: row.at, now: lodge.now() };
    Ok(lodge.index.read(|index| {
        let known = row.key.and_then(|uid| index.key(uid).next());
        let known = known.map(|known| as_presented(known, &row.refusal, row.at));
        let steps = chain(&row.refusal, known.as_ref(), &seen, moments.now);
        Judged {
            terms: known.map(|known| known.terms.clone()),
            remedies: known.map(|known| remedies(&known, &seen, moments)).unwrap_or_default(),
            would_pass: known.is_some_and(|known| keylodge_rules::admit(Some(known), &seen, moments.now).is_ok()),
            steps,
        }
    }))
}

fn changes(
    row: &DecisionRow,
    judged: &Judged,
    project: Option<&ProjectRecord>,
    key: Option<&KeyRecord>,
) -> Vec<SuggestedChange> {
    match (&judged.terms, project, key) {
        (Some(terms), Some(project), Some(key)) => {
            let place = Place { project: project.id.as_str(), key: key.id.as_str() };
            let of_rules = judged.remedies.iter().map(|(rule, remedy)| place.advise(*rule, remedy, terms));
            let limits = [(Holder::Project, &project.limits), (Holder::Key, &key.rules.limits)];
            let reached = Reached::all(&row.facts);
            let of_limits =
                limits.into_iter().filter_map(|(holder, limits)| place.advise_limits(holder, &reached, limits, row.at));
            let of_ledger = (&*row.refusal == "ledger_away").then(advice::of_ledger);
            of_rules.chain(of_limits).chain(of_ledger).collect()
        }
        _ if row.key.is_none() => vec![advice::of_credential(&row.refusal)],
        _ => vec![advice::of_lost_key()],
    }
}

fn fact<'row>(row: &'row DecisionRow, name: &str) -> &'row str {
    row.facts[name].as_str().unwrap_or_default()
}

fn wire(row: &DecisionRow, key: Option<String>) -> Decision {
    let text = |name| fact(row, name).to_owned();
    Decision {
        id: row.id.to_string(),
        time: Time(row.at),
        refusal: row.refusal.to_string(),
        key,
        project: row.project.map(|number| format!("projects/{number}")),
        service: row.service.to_string(),
        method: row.method.to_string(),
        model: row.model.to_string(),
        caller: CallerInfo {
            address: text("address"),
            referrer: text("referrer"),
            android_package: text("androidPackage"),
            android_cert: text("androidCert"),
            ios_bundle: text("iosBundle"),
            client: text("client"),
        },
        limits: Reached::all(&row.facts).iter().filter_map(Reached::shown).collect(),
    }
}
