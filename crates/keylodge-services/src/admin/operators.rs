//! People and machines that manage keys.

use axum::response::Response;
use keylodge_api::admin::{CreateOperatorRequest, CreateOperatorResponse, ListOperatorsResponse, Operator, Span, Time};
use keylodge_api::proto_json::Empty;
use keylodge_api::status::FieldViolation;
use keylodge_api::{Code, Status};
use keylodge_rules::iam::{Binding, Member, Policy, RoleName};
use keylodge_rules::{KeyId, OperatorToken, Timestamp};
use keylodge_store::{DEPLOYMENT, NewOperator, OperatorError, OperatorRecord};

use super::tokens;
use crate::management::Call;
use crate::management::access::Access;
use crate::operator::folded;
use crate::query::invalid;
use crate::{failure, iam, paging};

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

pub(crate) async fn list(call: Call) -> Result<Response, Status> {
    let size = call.query.page_size(PAGE_DEFAULT, PAGE_MAX)?;
    let page = call.lodge.store.operators(paging::begin(&call.query)?, size).await;
    let page = page.map_err(|error| failure::store(&error))?;
    call.answer(&ListOperatorsResponse {
        operators: page.items.iter().map(to_wire).collect(),
        next_page_token: page.next.map(paging::token),
    })
}

/// Makes an operator. Roles on the deployment can only be given by who may set its policy.
pub(crate) async fn create(mut call: Call) -> Result<Response, Status> {
    let request: CreateOperatorRequest = call.read().await?;
    let lodge = &call.lodge;
    let mut mistakes = Vec::new();
    let mut wrong = |field: &str, description: String| {
        mistakes.push(FieldViolation { field: field.to_owned(), description });
    };
    let id = match request.operator_id.as_str() {
        "" => format!("op-{:016x}", u64::from_le_bytes(lodge.random())),
        given => given.to_owned(),
    };
    if id == "me" || KeyId::choose(&id).is_err() {
        wrong("operator_id", "An operator's id has 1 to 63 lower-case letters, digits and hyphens, starts with a letter, does not end with a hyphen, and is not 'me'.".to_owned());
    }
    let member = Member::parse(&request.member).ok();
    if !matches!(member, Some(Member::User(_) | Member::ServiceAccount(_))) {
        wrong("member", "The member of an operator is user:ADDRESS or serviceAccount:ADDRESS.".to_owned());
    }
    if request.display_name.chars().count() > 63 {
        wrong("display_name", "display_name must have at most 63 characters.".to_owned());
    }
    let mut roles = Vec::new();
    for (at, name) in request.roles.iter().enumerate() {
        match RoleName::parse(name).ok().filter(|role| role.predefined().is_some()) {
            Some(role) => roles.push(role),
            None => wrong(
                &format!("roles[{at}]"),
                "Only predefined roles can be given on the deployment, as roles/viewer.".to_owned(),
            ),
        }
    }
    let expire_time = expiry(lodge.now(), request.expire_time, request.ttl);
    if let Err(description) = &expire_time {
        wrong("expire_time", description.clone());
    }
    let (Some(member), Ok(expire_time), true) = (member, expire_time, mistakes.is_empty()) else {
        return Err(Status::bad_request(mistakes));
    };
    if !roles.is_empty() {
        let access = Access::to_deployment(lodge).await?;
        if !access.grants(lodge, &call.operator, "keylodge.deployment.setIamPolicy") {
            return Err(Status::new(
                Code::PermissionDenied,
                "Permission 'keylodge.deployment.setIamPolicy' denied: without it, roles on the deployment cannot be given.",
            ));
        }
    }
    let member = folded(&member.to_string());
    let new = NewOperator { id: id.clone(), member: member.clone(), display_name: request.display_name };
    let token = OperatorToken::issue(&lodge.random());
    let new_token = tokens::new(lodge, &id, &token, "first".to_owned(), expire_time);
    let act = call.act_with([("member", member.clone()), ("roles", request.roles.join(" "))]);
    let made = lodge.store.create_operator(&new, Some(&new_token), &act).await;
    let made = made.map_err(|error| failure::operator(&error))?;
    for role in roles {
        grant(&call, &member, role).await?;
    }
    let record =
        lodge.store.tokens(&id, keylodge_rules::Revision(0), 1).await.map_err(|error| failure::store(&error))?;
    let shown = record.items.first().map(|record| tokens::to_wire(record, Some(&token)));
    let answer = CreateOperatorResponse { operator: to_wire(&made.value), token: shown.ok_or_else(Status::internal)? };
    call.answer(&answer)
}

/// Adds one binding to the deployment's policy, whatever else happens to it meanwhile.
async fn grant(call: &Call, member: &str, role: RoleName) -> Result<(), Status> {
    let Ok(member) = Member::parse(member) else { return Err(Status::internal()) };
    loop {
        let policies = call.lodge.store.policies(&[DEPLOYMENT]).await.map_err(|error| failure::store(&error))?;
        let known = policies.into_iter().next().unwrap_or_default();
        let expected = known.etag.clone();
        let mut bindings = known.bindings.clone();
        bindings.push(Binding { role: role.clone(), members: vec![member.clone()], condition: None });
        let new = Policy { bindings, ..known }.normalised();
        match call.lodge.store.set_policy(DEPLOYMENT, &new, Some(&expected), None, &call.act()).await {
            Ok(_) => return Ok(()),
            // Somebody else changed it in between.
            Err(keylodge_store::PolicyError::Stale) => {}
            Err(error) => return Err(failure::policy(&error)),
        }
    }
}

/// Shows an operator to itself, and to whoever may see operators.
pub(crate) async fn get(call: Call) -> Result<Response, Status> {
    let record = visible(&call, "keylodge.operators.get").await?;
    call.answer(&to_wire(&record))
}

pub(crate) async fn disable(mut call: Call) -> Result<Response, Status> {
    let Empty {} = call.read().await?;
    let id = find(&call).await?.id;
    if id == call.operator.record().id {
        return Err(Status::new(Code::FailedPrecondition, "Nobody can disable themselves; another owner can."));
    }
    another_owner_than(&call, &id).await?;
    let act = call.act();
    let disabled = call.lodge.store.alter_operator(&id, &act, |record| {
        if record.disable_time.is_some() {
            return Err(OperatorError::WrongState);
        }
        record.disable_time = Some(act.at);
        Ok(())
    });
    let disabled = disabled.await.map_err(|error| failure::operator(&error))?;
    call.answer(&to_wire(&disabled.value))
}

/// Refuses when nobody else who can come in owns everything.
async fn another_owner_than(call: &Call, id: &str) -> Result<(), Status> {
    let policies = call.lodge.store.policies(&[DEPLOYMENT]).await.map_err(|error| failure::store(&error))?;
    for member in policies.iter().flat_map(iam::owners) {
        let found = call.lodge.store.operator_by_member(&member).await.map_err(|error| failure::store(&error))?;
        if found.is_some_and(|operator| operator.id != id && operator.disable_time.is_none()) {
            return Ok(());
        }
    }
    Err(Status::new(
        Code::FailedPrecondition,
        "This is the last owner of the deployment who can come in; make another first.",
    ))
}

pub(crate) async fn enable(mut call: Call) -> Result<Response, Status> {
    let Empty {} = call.read().await?;
    let id = find(&call).await?.id;
    let act = call.act();
    let enabled = call.lodge.store.alter_operator(&id, &act, |record| match record.disable_time.take() {
        Some(_) => Ok(()),
        None => Err(OperatorError::WrongState),
    });
    let enabled = enabled.await.map_err(|error| failure::operator(&error))?;
    call.answer(&to_wire(&enabled.value))
}

/// The operator of the path: by id, by member, or `me`.
pub(crate) async fn find(call: &Call) -> Result<OperatorRecord, Status> {
    let store = &call.lodge.store;
    let found = match call.place("operator") {
        "me" => return Ok(call.operator.record().clone()),
        member if member.contains(':') => store.operator_by_member(&folded(member)).await,
        id => store.operator(id).await,
    };
    let found = found.map_err(|error| failure::store(&error))?;
    found.ok_or_else(|| failure::operator(&OperatorError::NoSuchOperator))
}

/// The same for its own eyes, and for those who have a permission on the deployment.
pub(crate) async fn visible(call: &Call, permission: &str) -> Result<OperatorRecord, Status> {
    let own = call.operator.record();
    let is_own = ["me", own.id.as_str(), own.member.as_str()].contains(&call.place("operator"));
    if !is_own && !Access::to_deployment(&call.lodge).await?.grants(&call.lodge, &call.operator, permission) {
        return Err(call.denied(""));
    }
    find(call).await
}

/// The last moment that can be printed: 9999-12-31T23:59:59Z.
const LAST: Timestamp = Timestamp::from_micros(253_402_300_799_000_000);

/// When something ends, from a moment or a time from now.
pub(crate) fn expiry(now: Timestamp, at: Option<Time>, ttl: Option<Span>) -> Result<Option<Timestamp>, String> {
    let end = match (at, ttl) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err("expire_time and ttl say the same; give one of them.".to_owned()),
        (Some(Time(at)), None) => at,
        (None, Some(Span(ttl))) => now.plus(ttl),
    };
    if end <= now {
        return Err("expire_time must be in the future.".to_owned());
    }
    if end > LAST { Err("expire_time must be before the year 10000.".to_owned()) } else { Ok(Some(end)) }
}

/// The same for a request whose only such field it is.
pub(crate) fn expiry_or_status(
    now: Timestamp,
    at: Option<Time>,
    ttl: Option<Span>,
) -> Result<Option<Timestamp>, Status> {
    expiry(now, at, ttl).map_err(|description| invalid("expire_time", description))
}

fn to_wire(record: &OperatorRecord) -> Operator {
    Operator {
        name: format!("operators/{}", record.id),
        member: record.member.clone(),
        display_name: record.display_name.clone(),
        create_time: Time(record.create_time),
        disable_time: record.disable_time.map(Time),
        terms_version: record.terms.as_ref().map(|(version, _)| version.clone()),
        terms_accept_time: record.terms.as_ref().map(|(_, time)| Time(*time)),
    }
}
