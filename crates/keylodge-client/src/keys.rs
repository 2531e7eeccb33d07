//! Keys, as API Keys v2 has them.

use std::collections::BTreeMap;

use keylodge_api::apikeys::{GetKeyStringResponse, Key, ListKeysResponse, LookupKeyResponse, Restrictions};
use keylodge_api::operation::Operation;
use serde::Serialize;
use serde_json::json;

use crate::transport::query;
use crate::{Client, ClientError, segment};

/// A key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewKey {
    /// Its id within the project; a UUID if none is chosen.
    #[serde(skip)]
    pub key_id: Option<String>,
    /// A name for people, at most 63 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Free data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What narrows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<Restrictions>,
    /// The service account it is to act as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_email: Option<String>,
}

/// What is to change of a key. What the mask names and is not set becomes empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyUpdate {
    /// The fields, as `displayName` or `restrictions.apiTargets`; without any, what is set.
    #[serde(skip)]
    pub mask: Vec<String>,
    /// A name for people, at most 63 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Free data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What narrows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<Restrictions>,
    /// What was last read of the key; a key that has another one now is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl Client {
    /// Makes a key and gives it with its string.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_key(&self, project: &str, new: &NewKey) -> Result<Key, ClientError> {
        let path = format!("{}{}", keys(project), query(&[("keyId", new.key_id.as_deref())]));
        let operation: Operation<Key> = self.transport.post(&path, new).await?;
        Ok(operation.response.message)
    }

    /// The keys of a project, in the order they were made.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_keys(
        &self,
        project: &str,
        show_deleted: bool,
        limit: Option<usize>,
    ) -> Result<Vec<Key>, ClientError> {
        let deleted = show_deleted.then_some("true");
        self.transport.pages::<ListKeysResponse>(&keys(project), &[("showDeleted", deleted)], limit).await
    }

    /// A key without its string.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_key(&self, project: &str, key: &str) -> Result<Key, ClientError> {
        self.transport.get(&key_path(project, key)).await
    }

    /// The string of a key. Noted in the audit log.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_key_string(&self, project: &str, key: &str) -> Result<String, ClientError> {
        let answer: GetKeyStringResponse = self.transport.get(&format!("{}/keyString", key_path(project, key))).await?;
        Ok(answer.key_string)
    }

    /// Alters a key. In force when this returns.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn update_key(&self, project: &str, key: &str, update: &KeyUpdate) -> Result<Key, ClientError> {
        let mask = Some(update.mask.join(",")).filter(|mask| !mask.is_empty());
        let path = format!("{}{}", key_path(project, key), query(&[("updateMask", mask.as_deref())]));
        let operation: Operation<Key> = self.transport.patch(&path, update).await?;
        Ok(operation.response.message)
    }

    /// Deletes a key. When this returns, the server refuses it.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn delete_key(&self, project: &str, key: &str) -> Result<Key, ClientError> {
        let operation: Operation<Key> = self.transport.delete(&key_path(project, key)).await?;
        Ok(operation.response.message)
    }

    /// Brings a key back that was deleted within the last 30 days.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn undelete_key(&self, project: &str, key: &str) -> Result<Key, ClientError> {
        let path = format!("{}:undelete", key_path(project, key));
        let operation: Operation<Key> = self.transport.post(&path, &json!({})).await?;
        Ok(operation.response.message)
    }

    /// Finds the key that a string belongs to, deleted or not.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn lookup_key(&self, key_string: &str) -> Result<LookupKeyResponse, ClientError> {
        self.transport.get(&format!("/v2/keys:lookupKey{}", query(&[("keyString", Some(key_string))]))).await
    }
}

fn keys(project: &str) -> String {
    format!("/v2/projects/{}/locations/global/keys", segment(project))
}

/// A key is named by its id or uid, or by its whole name.
fn key_path(project: &str, key: &str) -> String {
    let (project, key) = placed(project, key);
    format!("{}/{}", keys(project), segment(key))
}

/// The project and the id that a key's id, uid or whole name means.
pub(crate) fn placed<'name>(project: &'name str, key: &'name str) -> (&'name str, &'name str) {
    let whole = key.strip_prefix("projects/").and_then(|rest| rest.split_once("/locations/global/keys/"));
    whole.unwrap_or((project, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_id_or_by_its_whole_name() {
        let path = "/v2/projects/p1/locations/global/keys/k1";

        assert_eq!(key_path("p1", "k1"), path);
        assert_eq!(key_path("other", "projects/p1/locations/global/keys/k1"), path);
        assert_eq!(key_path("p1", "k1/../k2?x"), "/v2/projects/p1/locations/global/keys/k1%2F..%2Fk2%3Fx");
    }
}
