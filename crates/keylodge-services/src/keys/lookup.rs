//! `GET /v2/keys:lookupKey?keyString=…`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::LookupKeyResponse;
use keylodge_rules::KeyString;

use crate::query::{Query, invalid};
use crate::{Lodge, failure, wire};

/// Finds the key that a string belongs to, deleted or not. The string is in the query, which no log ever has.
pub(crate) async fn lookup(lodge: &Lodge, query: &Query) -> Result<Response, Status> {
    let string = query.get("keyString").ok_or_else(|| invalid("key_string", "key_string is missing."))?;
    let Ok(string) = KeyString::parse(string) else { return Err(failure::no_such_key()) };
    let found = lodge.store.key_by_hash(&lodge.master.pepper().hash(&string), lodge.now()).await;
    let key = found.map_err(|error| failure::store(&error))?.ok_or_else(failure::no_such_key)?;
    let parent = format!("projects/{}/locations/global", key.project);
    let name = format!("{parent}/keys/{}", key.id);
    wire::answer(&LookupKeyResponse { parent, name }, query)
}
