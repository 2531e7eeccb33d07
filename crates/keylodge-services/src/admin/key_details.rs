//! What a key has beyond API Keys v2: expiry, owner, purpose, labels, its strings, and who used it.

use std::collections::BTreeMap;

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::admin::{Caller, KeyDetails, KeyStringInfo, ListCallersResponse, PatchKeyDetailsRequest, Span, Time};
use keylodge_api::resource_manager::mistake_in_labels;
use keylodge_api::status::FieldViolation;
use keylodge_rules::{Stage, Timestamp};
use keylodge_store::{KeyRecord, Overlap};

use crate::keys::{find, key_id, key_name};
use crate::management::Call;
use crate::query::invalid;
use crate::{Lodge, failure, uses};

const OWNER_CHARS_MAX: usize = 256;
const PURPOSE_CHARS_MAX: usize = 1024;

pub(crate) async fn get(call: Call) -> Result<Response, Status> {
    let key = find(&call.lodge, call.project()?.number, call.place("key")).await?;
    call.answer(&of(&call.lodge, &key).await?)
}

/// Alters what the mask names; without one, what is given. A masked field that is not given is cleared.
pub(crate) async fn update(mut call: Call) -> Result<Response, Status> {
    const PATHS: [(&str, &str); 4] =
        [("expireTime", "expire_time"), ("owner", "owner"), ("purpose", "purpose"), ("labels", "labels")];
    let request: PatchKeyDetailsRequest = call.read().await?;
    let mask: Option<Vec<&str>> = call.query.get("updateMask").map(|mask| mask.split(',').map(str::trim).collect());
    let known = |path: &str| path == "*" || PATHS.iter().any(|(camel, snake)| [*camel, *snake].contains(&path));
    if let Some(path) = mask.iter().flatten().find(|path| !known(path)) {
        let path: String = path.chars().take(64).collect();
        return Err(invalid(
            "update_mask",
            format!("Unknown path '{path}'. The paths are expire_time, owner, purpose and labels."),
        ));
    }
    let named = |place: usize, given: bool| match &mask {
        None => given,
        Some(mask) => mask.iter().any(|path| [PATHS[place].0, PATHS[place].1, "*"].contains(path)),
    };
    let now = call.lodge.now();
    let mut mistakes = descriptions(
        request.owner.as_deref().unwrap_or_default(),
        request.purpose.as_deref().unwrap_or_default(),
        &request.labels.clone().unwrap_or_default(),
    );
    if request.expire_time.is_some_and(|Time(end)| end <= now) {
        let description = "expire_time must be in the future; disable the key to stop it now.".to_owned();
        mistakes.push(FieldViolation { field: "expire_time".to_owned(), description });
    }
    if !mistakes.is_empty() {
        return Err(Status::bad_request(mistakes));
    }
    let changes = (
        named(0, request.expire_time.is_some()).then_some(request.expire_time.map(|Time(end)| end)),
        named(1, request.owner.is_some()).then(|| request.owner.unwrap_or_default()),
        named(2, request.purpose.is_some()).then(|| request.purpose.unwrap_or_default()),
        named(3, request.labels.is_some()).then(|| request.labels.unwrap_or_default()),
    );
    let act = call.act_with([
        ("owner", changes.1.clone().unwrap_or_default()),
        ("expire_time", changes.0.flatten().map(keylodge_api::timestamp::print).unwrap_or_default()),
    ]);
    let id = key_id(call.place("key"))?;
    let updated = call.lodge.store.alter_key(call.project()?.number, &id, None, &act, |key| {
        key.stage.delete(now)?;
        let (expire_time, owner, purpose, labels) = changes;
        key.expire_time = expire_time.unwrap_or(key.expire_time);
        key.owner = owner.unwrap_or_else(|| std::mem::take(&mut key.owner));
        key.purpose = purpose.unwrap_or_else(|| std::mem::take(&mut key.purpose));
        key.labels = labels.unwrap_or_else(|| std::mem::take(&mut key.labels));
        Ok(())
    });
    let updated = updated.await.map_err(|error| failure::key(&error))?;
    call.in_force(updated.revision).await?;
    call.answer(&of(&call.lodge, &updated.value).await?)
}

pub(crate) async fn list_callers(call: Call) -> Result<Response, Status> {
    let key = find(&call.lodge, call.project()?.number, call.place("key")).await?;
    // So that who called a moment ago is there.
    uses::freshen(&call.lodge).await;
    let uses = call.lodge.store.uses(&key.uid).await.map_err(|error| failure::store(&error))?;
    let callers = uses.into_iter().map(|used| Caller {
        generation: used.generation,
        caller_ip: used.caller_ip,
        client: used.client,
        calls: used.calls,
        first_time: Time(used.first_time),
        last_time: Time(used.last_time),
    });
    call.answer(&ListCallersResponse { callers: callers.collect() })
}

/// What is wrong with how a key is described.
pub(crate) fn descriptions(owner: &str, purpose: &str, labels: &BTreeMap<String, String>) -> Vec<FieldViolation> {
    let mut mistakes = Vec::new();
    let mut wrong = |field: &str, description: String| {
        mistakes.push(FieldViolation { field: field.to_owned(), description });
    };
    if owner.chars().count() > OWNER_CHARS_MAX {
        wrong("owner", format!("owner must have at most {OWNER_CHARS_MAX} characters."));
    }
    if purpose.chars().count() > PURPOSE_CHARS_MAX {
        wrong("purpose", format!("purpose must have at most {PURPOSE_CHARS_MAX} characters."));
    }
    if let Some(mistake) = mistake_in_labels(labels) {
        wrong("labels", mistake.to_owned());
    }
    mistakes
}

/// The word for where in its life a key is, as of now.
pub(crate) fn state(key: &KeyRecord, now: Timestamp) -> &'static str {
    match key.stage {
        Stage::Deleted { .. } => "DELETED",
        Stage::Live if key.disable_time.is_some() => "DISABLED",
        Stage::Live if key.expire_time.is_some_and(|end| end <= now) => "EXPIRED",
        Stage::Live => "LIVE",
    }
}

/// What is known of a key beyond API Keys v2.
pub(crate) async fn of(lodge: &Lodge, key: &KeyRecord) -> Result<KeyDetails, Status> {
    let error = |error| failure::store(&error);
    uses::freshen(lodge).await;
    let uses = lodge.store.uses(&key.uid).await.map_err(error)?;
    let strings = lodge.store.strings(&key.uid).await.map_err(error)?;
    let strings = strings.into_iter().map(|string| {
        let mut own = uses.iter().filter(|used| used.generation == string.generation).peekable();
        let last_use_time = own.peek().map(|used| Time(used.last_time));
        let (good_until_time, quiet_period) = match string.retired {
            Some((_, Overlap::Until(end))) => (Some(Time(end)), None),
            Some((_, Overlap::Quiet(time))) => (None, Some(Span(time))),
            None => (None, None),
        };
        KeyStringInfo {
            generation: string.generation,
            create_time: Time(string.create_time),
            retire_time: string.retired.map(|(at, _)| Time(at)),
            good_until_time,
            quiet_period,
            shown_again: string.sealed.is_some(),
            calls: own.map(|used| used.calls).sum(),
            last_use_time,
        }
    });
    Ok(KeyDetails {
        name: key_name(key),
        uid: key.uid.to_string(),
        state: state(key, lodge.now()).to_owned(),
        expire_time: key.expire_time.map(Time),
        disable_time: key.disable_time.map(Time),
        owner: key.owner.clone(),
        purpose: key.purpose.clone(),
        labels: key.labels.clone(),
        creator: key.creator.clone(),
        last_use_time: uses.first().map(|used| Time(used.last_time)),
        strings: strings.collect(),
    })
}
