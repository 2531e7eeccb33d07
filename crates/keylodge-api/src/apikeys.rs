//! API Keys v2 (`google.api.apikeys.v2`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::proto_json::{Fields, Message};

/// The full name of [`Key`] in operations.
pub const KEY_TYPE: &str = "google.api.apikeys.v2.Key";

/// A key, as answers show it. Fields are in Google's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Key {
    /// `projects/<number>/locations/global/keys/<id>`
    pub name: String,
    /// A name for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// The string itself; only in the operations of create, delete and undelete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_string: Option<String>,
    /// When it was made.
    pub create_time: String,
    /// Its identity for ever.
    pub uid: String,
    /// When it last changed.
    pub update_time: String,
    /// When it was deleted; only while it can be brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_time: Option<String>,
    /// Free data of clients.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// A fingerprint of the content, to notice other people's changes.
    pub etag: String,
}

/// What a caller sends to make a key. Output-only fields are read past, as AIP-203 has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// A name for people.
    pub display_name: String,
    /// Free data.
    pub annotations: BTreeMap<String, String>,
}

impl Message for NewKey {
    const NAME: &str = "google.api.apikeys.v2.Key";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        for output_only in ["name", "keyString", "createTime", "uid", "updateTime", "deleteTime", "etag"] {
            fields.any(output_only);
        }
        // gcloud always sends an empty message. A restriction that would not be enforced must not seem accepted.
        if fields.any("restrictions").is_some_and(|given| given.as_object().is_none_or(|given| !given.is_empty())) {
            fields.refuse("restrictions", "Key restrictions are not supported by this version of Keylodge.");
        }
        if fields.string("serviceAccountEmail").is_some_and(|email| !email.is_empty()) {
            fields.refuse("serviceAccountEmail", "Keys bound to a service account are not supported by this version.");
        }
        let display_name = fields.string("displayName").unwrap_or_default();
        if display_name.chars().count() > 63 {
            fields.refuse("displayName", "key.display_name must have at most 63 characters.");
        }
        let annotations = fields.string_map("annotations");
        let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > 256 * 1024 {
            fields.refuse("annotations", "key.annotations must have at most 256 KiB in all (AIP-148).");
        }
        Self { display_name, annotations }
    }
}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListKeysResponse {
    /// The keys of this page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// The answer of getKeyString.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetKeyStringResponse {
    /// The string.
    pub key_string: String,
}

/// The answer of lookupKey.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupKeyResponse {
    /// `projects/<number>/locations/global`
    pub parent: String,
    /// The key's name.
    pub name: String,
}
