//! API Keys v2, a file for each method.

mod create;
mod delete;
mod get;
mod get_key_string;
mod list;
mod lookup;
mod undelete;
mod wire;

pub(crate) use create::{create, make};
pub(crate) use delete::delete;
pub(crate) use get::get;
pub(crate) use get_key_string::get_key_string;
pub(crate) use list::list;
pub(crate) use lookup::lookup;
pub(crate) use undelete::undelete;
pub(crate) use wire::{operation_name, reveal, show, to_wire};

use keylodge_api::Status;
use keylodge_rules::KeyId;
use keylodge_store::{KeyRecord, ProjectRecord};

use crate::query::invalid;
use crate::{Lodge, failure, projects};

/// Where keys live: `projects/P/locations/global`.
pub(crate) struct Parent {
    pub(crate) project: ProjectRecord,
}

impl Parent {
    /// Finds the project by id or number. One that is missing reads as one that is not the caller's.
    pub(crate) async fn find(lodge: &Lodge, project: &str, location: &str, permission: &str) -> Result<Self, Status> {
        if location != "global" {
            return Err(invalid("parent", format!("Location '{location}' does not exist; keys live in 'global'.")));
        }
        let found = projects::find(lodge, project).await?;
        found.map(|project| Self { project }).ok_or_else(|| {
            let resource = format!("//apikeys.googleapis.com/projects/{project}/locations/global");
            projects::denied(permission, &resource)
        })
    }

    /// Finds a key by id or uid; 404 where there is none.
    async fn key(&self, lodge: &Lodge, id: &str) -> Result<KeyRecord, Status> {
        let id = key_id(id)?;
        let found = lodge.store.key(self.project.number, &id, lodge.now()).await;
        found.map_err(|error| failure::store(&error))?.ok_or_else(failure::no_such_key)
    }
}

/// An id that can be no key's names no key.
fn key_id(text: &str) -> Result<KeyId, Status> {
    KeyId::refer(text).map_err(|_| failure::no_such_key())
}
