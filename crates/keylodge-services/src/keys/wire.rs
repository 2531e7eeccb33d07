//! Keys as they are kept, into keys as they travel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keylodge_api::apikeys::Key;
use keylodge_api::{Status, apikeys, timestamp};
use keylodge_rules::{KeyUid, ProjectNumber, Restrictions, Stage};
use keylodge_store::{Act, KeyError, KeyRecord, OperationKind};

use crate::management::Call;
use crate::{Lodge, failure};

/// `projects/<number>/locations/global/keys/<id>`
pub(crate) fn key_name(key: &KeyRecord) -> String {
    format!("projects/{}/locations/global/keys/{}", key.project, key.id)
}

/// A key without its string.
pub(crate) fn to_wire(key: &KeyRecord) -> Key {
    Key {
        name: key_name(key),
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
        restrictions: apikeys::Restrictions::of(&key.restrictions),
        etag: etag(key),
        service_account_email: key.service_account.clone().unwrap_or_default(),
    }
}

/// The same key with its string for whoever asked to see it, with the audit line of that look.
pub(crate) async fn show(lodge: &Lodge, act: &Act, key: &KeyRecord) -> Result<Key, Status> {
    let looked = lodge.store.look_at_string(key, act).await.map_err(|error| failure::key(&error))?;
    let (generation, sealed) = looked;
    let string = lodge.vault.open(&key.uid, generation, &sealed).map_err(failure::vault)?;
    Ok(Key { key_string: Some(string.reveal().to_owned()), ..to_wire(key) })
}

/// The same key with its string where it is kept, as delete and undelete answer it; the step itself has its audit line.
pub(crate) async fn reveal(lodge: &Lodge, key: &KeyRecord) -> Result<Key, Status> {
    let string = lodge.store.current_string(&key.uid).await.map_err(|error| failure::store(&error))?;
    let string = string.ok_or_else(|| failure::key(&KeyError::NoSuchKey))?;
    let Some(sealed) = string.sealed else { return Ok(to_wire(key)) };
    let string = lodge.vault.open(&key.uid, string.generation, &sealed).map_err(failure::vault)?;
    Ok(Key { key_string: Some(string.reveal().to_owned()), ..to_wire(key) })
}

/// The same for whoever may see key strings; others get the key without it.
pub(crate) async fn reveal_to(call: &Call, key: &KeyRecord) -> Result<Key, Status> {
    let may = call.access().await?.grants(&call.lodge, &call.operator, "apikeys.keys.getKeyString");
    if may { reveal(&call.lodge, key).await } else { Ok(to_wire(key)) }
}

/// A key's etag: weak, and quoted as part of the text.
pub(crate) fn etag(key: &KeyRecord) -> String {
    format!("W/\"{}\"", STANDARD.encode(key.fingerprint()))
}

/// Restrictions as one line, for an audit entry.
pub(crate) fn in_words(restrictions: &Restrictions) -> String {
    match apikeys::Restrictions::of(restrictions) {
        None => String::new(),
        Some(restrictions) => serde_json::to_string(&restrictions).unwrap_or_default(),
    }
}

/// The name of a new operation. The prefix `akmf` makes gcloud ask the API Keys API about it.
pub(crate) fn operation_name(lodge: &Lodge, kind: OperationKind, project: ProjectNumber) -> String {
    let digits = || u64::from_le_bytes(lodge.random()) % 1_000_000_000_000_000_000;
    let prefix = match kind {
        OperationKind::CreateKey => "akmf.p7",
        OperationKind::UpdateKey => "akmf.p10",
        OperationKind::DeleteKey => "akmf.p12",
        OperationKind::UndeleteKey => "akmf.p13",
        OperationKind::EnableService | OperationKind::DisableService => "acat.p2",
        OperationKind::BatchEnableServices => "acat.p17",
        OperationKind::CreateProject => return format!("operations/pc.{}", digits()),
        OperationKind::CreateProjectV3 => return format!("operations/cp.{}", digits()),
        OperationKind::UpdateProject => return format!("operations/up.{}", digits()),
        OperationKind::DeleteProject => return format!("operations/dp.{}", digits()),
        OperationKind::UndeleteProject => return format!("operations/udp.{}", digits()),
        OperationKind::MoveProject => return format!("operations/mp.{}", digits()),
    };
    format!("operations/{prefix}-{project}-{}", KeyUid::from_random(lodge.random()))
}
