//! The first start of a fresh data directory: an owner, a default project and a key in it.
//!
//! Each step looks whether it is done already, so a first start that was cut off anywhere is simply taken up again. The
//! owner comes last: as long as there is none, it is still the first start.

use keylodge_api::Status;
use keylodge_api::apikeys::NewKey;
use keylodge_rules::{KeyId, KeyString, KeyUid, OperatorToken, ProjectId, Revision};
use keylodge_store::{DEPLOYMENT, NewOperator, NewToken, ProjectRecord, StoreError};

use crate::{Lodge, failure, keys, projects};

/// Who owns everything at first, as IAM policies have it.
const OWNER: &str = "user:owner";

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
    let project = match lodge.store.project_by_id(&id, lodge.now()).await.map_err(|error| failure::store(&error))? {
        Some(project) => project,
        None => {
            let making = projects::Making {
                id: id.to_string(),
                display_name: "Default project".to_owned(),
                owner: OWNER.to_owned(),
                ..projects::Making::default()
            };
            projects::make(lodge, &act, making).await?.1
        }
    };
    let known = lodge.store.keys(project.number, false, Revision(0), 1, lodge.now()).await;
    let key = match known.map_err(|error| failure::store(&error))?.items.first() {
        Some(key) => keys::reveal(lodge, key).await?,
        None => {
            let new = NewKey { display_name: "Default key".to_owned(), ..NewKey::default() };
            let making = keys::Making { id: KeyId::choose("default-key").ok(), ..keys::Making::of(new) };
            keys::make(lodge, &act, &project, making).await?
        }
    };
    let policy = projects::owned_by(OWNER);
    let set = lodge.store.set_policy(DEPLOYMENT, &policy, None, None, &act).await;
    set.map_err(|error| failure::policy(&error))?;
    let new = NewOperator { id: "owner".to_owned(), member: OWNER.to_owned(), display_name: "Owner".to_owned() };
    let token = NewToken {
        id: KeyUid::from_random(lodge.random()).to_string(),
        operator: new.id.clone(),
        display_name: "first start".to_owned(),
        hash: lodge.master.pepper().hash_token(owner),
        expire_time: None,
    };
    lodge.store.create_operator(&new, Some(&token), &act).await.map_err(|error| failure::operator(&error))?;
    let string = key.key_string.unwrap_or_default();
    let key = KeyString::parse(&string).map_err(|_| Status::internal())?;
    Ok(Made { project, key })
}
