//! `GET /v2/keys:lookupKey?keyString=…`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::LookupKeyResponse;
use keylodge_rules::secret::sha256;
use keylodge_rules::{KeyString, Lookup};

use super::key_name;
use crate::management::Call;
use crate::management::access::Access;
use crate::query::invalid;
use crate::{failure, find};

/// Finds the key that a string belongs to, deleted or not. The string is in the query, which no log ever has. A key in a
/// project where the caller may not look reads as unknown.
pub(crate) async fn lookup(call: Call) -> Result<Response, Status> {
    let lodge = &call.lodge;
    let string = call.query.get("keyString").ok_or_else(|| invalid("key_string", "key_string is missing."))?;
    let Ok(string) = KeyString::parse(string) else { return Err(failure::no_such_key()) };
    let lookups = [Lookup::Hash(lodge.master.pepper().hash(&string)), Lookup::Sha256(sha256(&string))];
    let found = lodge.store.key_by_string(&lookups, lodge.now()).await.map_err(|error| failure::store(&error))?;
    let key = found.ok_or_else(failure::no_such_key)?;
    let project = find::project(lodge, &key.project.to_string()).await?.ok_or_else(failure::no_such_key)?;
    if !Access::to_project(lodge, &project).await?.grants(lodge, &call.operator, "apikeys.keys.lookup") {
        return Err(failure::no_such_key());
    }
    let parent = format!("projects/{}/locations/global", key.project);
    call.answer(&LookupKeyResponse { parent, name: key_name(&key) })
}
