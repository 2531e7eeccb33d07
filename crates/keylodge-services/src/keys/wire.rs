//! Keys as they are kept, into keys as they travel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keylodge_api::apikeys::Key;
use keylodge_api::{Status, timestamp};
use keylodge_rules::{KeyString, KeyUid, ProjectNumber, Stage};
use keylodge_store::{Act, KeyRecord, OperationKind};

use crate::{Lodge, failure};

/// A key without its string.
pub(crate) fn to_wire(key: &KeyRecord) -> Key {
    Key {
        name: format!("projects/{}/locations/global/keys/{}", key.project, key.id),
        display_name: key.display_name.clone(),
        key_string: None,
        create_time: timestamp::print(key.create_time),
        uid: key.uid.to_string(),
        update_time: timestamp::print(key.update_time),
        delete_time: match key.stage {
            Stage::Live => None,
            Stage::Deleted { at } => Some(timestamp::print(at)),
        },
        annotations: key.annotations.clone(),
        restrictions: None,
        etag: etag(key),
        service_account_email: String::new(),
    }
}

/// The same key with its string for whoever asked to see it, with the audit line of that look.
pub(crate) async fn show(lodge: &Lodge, act: &Act, key: &KeyRecord) -> Result<Key, Status> {
    let sealed = lodge.store.look_at_sealed(key, act).await.map_err(|error| failure::key(&error))?;
    let string = lodge.vault.open(&key.uid, &sealed).map_err(failure::vault)?;
    Ok(Key { key_string: Some(string.reveal().to_owned()), ..to_wire(key) })
}

/// The same key with its string, as delete and undelete answer it; the step itself has its audit line.
pub(crate) async fn reveal(lodge: &Lodge, key: &KeyRecord) -> Result<Key, Status> {
    let sealed = lodge.store.sealed(&key.uid).await.map_err(|error| failure::store(&error))?;
    let sealed = sealed.ok_or_else(failure::no_such_key)?;
    let string: KeyString = lodge.vault.open(&key.uid, &sealed).map_err(failure::vault)?;
    Ok(Key { key_string: Some(string.reveal().to_owned()), ..to_wire(key) })
}

/// A key's etag: weak, and quoted as part of the text.
pub(crate) fn etag(key: &KeyRecord) -> String {
    format!("W/\"{}\"", STANDARD.encode(key.fingerprint()))
}

/// The name of a new operation. The prefix `akmf` makes gcloud ask the API Keys API about it.
pub(crate) fn operation_name(lodge: &Lodge, kind: OperationKind, project: ProjectNumber) -> String {
    let uuid = KeyUid::from_random(lodge.random());
    match kind {
        OperationKind::CreateKey => format!("operations/akmf.p7-{project}-{uuid}"),
        OperationKind::DeleteKey => format!("operations/akmf.p12-{project}-{uuid}"),
        OperationKind::UndeleteKey => format!("operations/akmf.p13-{project}-{uuid}"),
        OperationKind::EnableService | OperationKind::DisableService => format!("operations/acat.p2-{project}-{uuid}"),
        OperationKind::CreateProject => {
            format!("operations/pc.{}", u64::from_le_bytes(lodge.random()) % 1_000_000_000_000_000_000)
        }
    }
}
