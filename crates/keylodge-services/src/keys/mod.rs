//! API Keys v2, a file for each method.

mod create;
mod delete;
mod get;
mod get_key_string;
mod list;
mod lookup;
mod undelete;
mod update;
mod wire;

pub(crate) use create::{Making, make};
pub(crate) use wire::{key_name, operation_name, reveal, reveal_to, show, to_wire};

use keylodge_api::Status;
use keylodge_rules::{KeyId, ProjectNumber};
use keylodge_store::KeyRecord;

use crate::management::Route;
use crate::management::route::route;
use crate::{Lodge, failure};

/// What `checkExistingUsage` can be. Keylodge tells last use in an API of its own, and checks nothing here.
const CHECK_EXISTING_USAGE: [&str; 3] = ["CHECK_EXISTING_USAGE_UNSPECIFIED", "SKIP", "CHECK"];

/// The workspace profile of keys for Jules: few for each operator, and shown once.
pub(crate) const JULES_PROFILE: &str = "jules";

/// The routes of API Keys v2.
pub(crate) const ROUTES: &[Route] = &[
    route!("POST" "/v2/projects/{project}/locations/{location}/keys", API_KEYS "google.api.apikeys.v2.ApiKeys.CreateKey",
        "apikeys.keys.create" on Project, ["keyId"], create::create),
    route!("GET" "/v2/projects/{project}/locations/{location}/keys", API_KEYS "google.api.apikeys.v2.ApiKeys.ListKeys",
        "apikeys.keys.list" on Project, ["pageSize", "pageToken", "showDeleted"], list::list),
    route!("GET" "/v2/projects/{project}/locations/{location}/keys/{key}", API_KEYS "google.api.apikeys.v2.ApiKeys.GetKey",
        "apikeys.keys.get" on Project, [], get::get),
    route!("GET" "/v2/projects/{project}/locations/{location}/keys/{key}/keyString",
        API_KEYS "google.api.apikeys.v2.ApiKeys.GetKeyString",
        "apikeys.keys.getKeyString" on Project, [], get_key_string::get_key_string),
    route!("PATCH" "/v2/projects/{project}/locations/{location}/keys/{key}",
        API_KEYS "google.api.apikeys.v2.ApiKeys.UpdateKey",
        "apikeys.keys.update" on Project, ["updateMask", "checkExistingUsage"], update::update),
    route!("DELETE" "/v2/projects/{project}/locations/{location}/keys/{key}",
        API_KEYS "google.api.apikeys.v2.ApiKeys.DeleteKey",
        "apikeys.keys.delete" on Project, ["etag", "checkExistingUsage"], delete::delete),
    route!("POST" "/v2/projects/{project}/locations/{location}/keys/{key}:undelete",
        API_KEYS "google.api.apikeys.v2.ApiKeys.UndeleteKey",
        "apikeys.keys.undelete" on Project, [], undelete::undelete),
    route!("GET" "/v2/keys:lookupKey", API_KEYS "google.api.apikeys.v2.ApiKeys.LookupKey",
        "apikeys.keys.lookup" on Each, ["keyString"], lookup::lookup),
];

/// Finds a key by id or uid; 404 where there is none.
pub(crate) async fn find(lodge: &Lodge, project: ProjectNumber, id: &str) -> Result<KeyRecord, Status> {
    let found = lodge.store.key(project, &key_id(id)?, lodge.now()).await;
    found.map_err(|error| failure::store(&error))?.ok_or_else(failure::no_such_key)
}

/// An id that can be no key's names no key.
pub(crate) fn key_id(text: &str) -> Result<KeyId, Status> {
    KeyId::refer(text).map_err(|_| failure::no_such_key())
}
