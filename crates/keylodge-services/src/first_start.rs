//! The first start of a fresh data directory: an owner, a default project and a key in it.
//!
//! Each step looks whether it is done already, so a first start that was cut off anywhere is simply taken up again. The
//! owner comes last: as long as there is none, it is still the first start.

use std::collections::BTreeMap;

use keylodge_api::Status;
use keylodge_api::apikeys::NewKey;
use keylodge_rules::{KeyId, KeyString, OperatorToken, ProjectId, Revision};
use keylodge_store::{NewOperator, OperatorRecord, ProjectRecord, StoreError};

use crate::{Lodge, failure, keys, projects};

/// What a first start made.
#[derive(Debug)]
pub struct Made {
    /// The default project.
    pub project: ProjectRecord,
    /// The string of the default key. Print it once; it must go nowhere else.
    pub key: KeyString,
}

/// Whether this is a first start.
///
/// # Errors
/// When the database does not answer.
pub async fn is_due(lodge: &Lodge) -> Result<bool, StoreError> {
    lodge.store.has_no_operator().await
}

/// Makes the project, its key and the owner. `owner` must be safe in its file before this is called.
///
/// # Errors
/// When the database does not do its part.
pub async fn make(lodge: &Lodge, owner: &OperatorToken) -> Result<Made, Status> {
    let act = lodge.own_act("keylodge.FirstStart");
    let id = ProjectId::parse("default-project").map_err(|_| Status::internal())?;
    let project = match lodge.store.project_by_id(&id).await.map_err(|error| failure::store(&error))? {
        Some(project) => project,
        None => projects::make(lodge, &act, id, "Default project".to_owned(), BTreeMap::new()).await?.1,
    };
    let known = lodge.store.keys(project.number, false, Revision(0), 1, lodge.now()).await;
    let key = match known.map_err(|error| failure::store(&error))?.items.first() {
        Some(key) => keys::reveal(lodge, key).await?,
        None => {
            let new = NewKey { display_name: "Default key".to_owned(), ..NewKey::default() };
            keys::make(lodge, &act, project.number, KeyId::choose("default-key").ok(), new).await?.1
        }
    };
    let operator =
        OperatorRecord { id: "owner".to_owned(), member: "user:owner".to_owned(), role: "roles/owner".to_owned() };
    let token_hash = lodge.master.pepper().hash_token(owner);
    let new = NewOperator { operator, token_hash };
    lodge.store.create_operator(&new, &act).await.map_err(|error| failure::store(&error))?;
    let string = key.key_string.unwrap_or_default();
    let key = KeyString::parse(&string).map_err(|_| Status::internal())?;
    Ok(Made { project, key })
}
