//! `POST /v2/projects/*/locations/global/keys`

use axum::body::Body;
use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::{KEY_TYPE, Key, NewKey};
use keylodge_api::operation::Operation;
use keylodge_rules::{KeyId, KeyString, KeyUid, ProjectNumber};
use keylodge_store::{Act, OperationKind};

use super::{Parent, operation_name, to_wire};
use crate::query::{Query, invalid};
use crate::{Lodge, failure, wire};

pub(crate) async fn create(
    lodge: &Lodge,
    act: &Act,
    parent: &Parent,
    query: &Query,
    body: Body,
) -> Result<Response, Status> {
    let id = query.get("keyId").map(KeyId::choose).transpose();
    let id = id.map_err(|error| invalid("key_id", format!("Invalid key_id: {error}.")));
    let new: NewKey = both(wire::read_at("key", lodge, body).await, id.as_ref().err())?;
    let (operation, key) = make(lodge, act, parent.project.number, id?, new).await?;
    wire::answer(&Operation::done(operation, KEY_TYPE, key), query)
}

/// Makes a key: string made, hashed, sealed, stored, and known to the gate when this returns.
pub(crate) async fn make(
    lodge: &Lodge,
    act: &Act,
    project: ProjectNumber,
    id: Option<KeyId>,
    new: NewKey,
) -> Result<(String, Key), Status> {
    // What the store does not keep yet must not seem accepted.
    if !new.restrictions.is_unrestricted() || new.service_account_email.is_some() {
        return Err(invalid("key.restrictions", "Restrictions and service accounts are not stored by this version."));
    }
    let uid = KeyUid::from_random(lodge.random());
    let string = KeyString::issue(&lodge.random());
    let new = keylodge_store::NewKey {
        id: id.unwrap_or_else(|| uid.clone().into()),
        project,
        display_name: new.display_name,
        annotations: new.annotations,
        hash: lodge.master.pepper().hash(&string),
        sealed: lodge.vault.seal(&uid, &string, &lodge.random()),
        operation: operation_name(lodge, OperationKind::CreateKey, project),
        uid,
    };
    let made = lodge.store.create_key(&new, act).await.map_err(|error| failure::key(&error))?;
    lodge.feed.caught_up_with(made.revision).await.map_err(failure::not_caught_up)?;
    let key = Key { key_string: Some(string.reveal().to_owned()), ..to_wire(&made.value) };
    Ok((new.operation, key))
}

/// The message, or all mistakes of query and body together.
fn both<T>(body: Result<T, Status>, query: Option<&Status>) -> Result<T, Status> {
    match (body, query) {
        (Ok(message), None) => Ok(message),
        (Ok(_), Some(mistake)) => Err(mistake.clone()),
        (Err(mistake), None) => Err(mistake),
        (Err(mistake), Some(first)) => Err(first.clone().and(mistake)),
    }
}
