//! Giving a key a new string, with or without an overlap.

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::admin::{RotateKeyRequest, RotateKeyResponse, Span, Time};
use keylodge_api::apikeys::Key;
use keylodge_api::proto_json::Empty;
use keylodge_rules::KeyString;
use keylodge_store::Overlap;

use super::key_details;
use crate::failure;
use crate::keys::{key_id, to_wire};
use crate::management::Call;
use crate::query::invalid;

/// Rotates. The new string opens the key when this has answered; whoever still has the old one after its overlap is
/// refused as with a deleted key.
pub(crate) async fn rotate(mut call: Call) -> Result<Response, Status> {
    let request: RotateKeyRequest = call.read().await?;
    let lodge = &call.lodge;
    let overlap = match (request.overlap_until_time, request.overlap, request.quiet_period) {
        (None, None, None) => None,
        (Some(Time(end)), None, None) => Some(Overlap::Until(end)),
        (None, Some(Span(time)), None) => Some(Overlap::Until(lodge.now().plus(time))),
        (None, None, Some(Span(time))) => Some(Overlap::Quiet(time)),
        _ => {
            return Err(invalid(
                "overlap",
                "overlap_until_time, overlap and quiet_period exclude each other; give one or none.",
            ));
        }
    };
    let past = match overlap {
        Some(Overlap::Until(end)) => end <= lodge.now(),
        Some(Overlap::Quiet(time)) => time.is_zero(),
        None => false,
    };
    if past {
        return Err(invalid("overlap", "The overlap must end in the future; leave it out to end the old string now."));
    }
    let project = call.project()?;
    let shown_once = project.strings_shown_once;
    let string = KeyString::issue(&lodge.random());
    let words = match overlap {
        None => "none".to_owned(),
        Some(Overlap::Until(end)) => format!("until {}", keylodge_api::timestamp::print(end)),
        Some(Overlap::Quiet(time)) => format!("{} s of quiet", time.as_secs()),
    };
    let act = call.act_with([("overlap", words)]);
    let (id, random) = (key_id(call.place("key"))?, lodge.random());
    let rotated = lodge.store.rotate_key(project.number, &id, overlap, &act, |uid, generation| {
        let sealed = (!shown_once).then(|| lodge.vault.seal(uid, generation, &string, &random));
        (lodge.master.pepper().hash(&string), sealed)
    });
    let rotated = rotated.await.map_err(|error| failure::key(&error))?;
    call.in_force(rotated.revision).await?;
    let key = Key { key_string: Some(string.reveal().to_owned()), ..to_wire(&rotated.value) };
    call.answer(&RotateKeyResponse { key, details: key_details::of(lodge, &rotated.value).await? })
}

pub(crate) async fn retire(mut call: Call) -> Result<Response, Status> {
    let Empty {} = call.read().await?;
    let id = key_id(call.place("key"))?;
    let retired = call.lodge.store.retire_strings(call.project()?.number, &id, &call.act()).await;
    let retired = retired.map_err(|error| failure::key(&error))?;
    call.in_force(retired.revision).await?;
    call.answer(&key_details::of(&call.lodge, &retired.value).await?)
}
