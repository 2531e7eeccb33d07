//! Finding what a path names. Text that can be no name names nothing.

use keylodge_api::Status;
use keylodge_rules::{ProjectId, ProjectNumber};
use keylodge_store::{OrganizationRecord, ProjectRecord};

use crate::{Lodge, failure};

/// A project by id or number.
pub(crate) async fn project(lodge: &Lodge, text: &str) -> Result<Option<ProjectRecord>, Status> {
    let found = if let Ok(number) = ProjectNumber::parse(text) {
        lodge.store.project_by_number(number, lodge.now()).await
    } else if let Ok(id) = ProjectId::parse(text) {
        lodge.store.project_by_id(&id, lodge.now()).await
    } else {
        Ok(None)
    };
    found.map_err(|error| failure::store(&error))
}

/// An organization by number.
pub(crate) async fn organization(lodge: &Lodge, text: &str) -> Result<Option<OrganizationRecord>, Status> {
    let Ok(number) = text.parse() else { return Ok(None) };
    lodge.store.organization(number).await.map_err(|error| failure::store(&error))
}
