//! What keys have beyond API Keys v2: expiry, owners, rotation, callers, receipts, import.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Span, Time, request};
use crate::apikeys::Key;

/// What Google has no field for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyDetails {
    /// `projects/<number>/locations/global/keys/<id>`
    pub name: String,
    /// Its identity for ever.
    pub uid: String,
    /// `LIVE`, `DISABLED`, `EXPIRED` or `DELETED`.
    pub state: String,
    /// When it stops working by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Time>,
    /// Since when it is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_time: Option<Time>,
    /// Whom to ask about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The member who made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub creator: String,
    /// When any of its strings was last used; at most some seconds late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use_time: Option<Time>,
    /// Its strings, the current one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strings: Vec<KeyStringInfo>,
}

/// About one of a key's strings; never the string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyStringInfo {
    /// 1 for the first, one more with each rotation.
    pub generation: u32,
    /// When it was made.
    pub create_time: Time,
    /// When it was rotated out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retire_time: Option<Time>,
    /// Until when it is still good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_until_time: Option<Time>,
    /// How long nobody must have used it before it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_period: Option<Span>,
    /// Whether getKeyString can show it.
    pub shown_again: bool,
    /// How often it was used.
    pub calls: u64,
    /// When it was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use_time: Option<Time>,
}

request! {
    /// What a caller sends to alter what Google has no field for. `updateMask` names the fields; without it, what is given.
    PatchKeyDetailsRequest = "keylodge.v1.KeyDetails" {
        /// When it stops working by itself.
        expire_time: Option<Time> = "expireTime",
        /// Whom to ask about it, at most 256 characters.
        owner: Option<String> = "owner",
        /// What it is for, at most 1024 characters.
        purpose: Option<String> = "purpose",
        /// Labels, as a project's.
        labels: Option<BTreeMap<String, String>> = "labels",
    }
}

request! {
    /// What a caller sends to give a key a new string. Without any field the old one ends at once.
    RotateKeyRequest = "keylodge.v1.RotateKeyRequest" {
        /// The old string is good until then.
        overlap_until_time: Option<Time> = "overlapUntilTime",
        /// The old string is good for so long from now.
        overlap: Option<Span> = "overlap",
        /// The old string is good until nobody has used it for so long.
        quiet_period: Option<Span> = "quietPeriod",
    }
}

/// A key with its new string.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotateKeyResponse {
    /// The key with its new string.
    #[schemars(with = "serde_json::Value")]
    pub key: Key,
    /// What is known of its strings now.
    pub details: KeyDetails,
}

/// Somebody who used a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// Which string was used.
    pub generation: u32,
    /// The address it was used from.
    pub caller_ip: String,
    /// What the caller's program calls itself.
    pub client: String,
    /// How often.
    pub calls: u64,
    /// The first time.
    pub first_time: Time,
    /// The last time.
    pub last_time: Time,
}

/// Who used a key, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListCallersResponse {
    /// At most 50 for each string.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<Caller>,
}

/// A node's signed word that it refuses a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The key's identity.
    pub key_uid: String,
    /// The revision with which it was stopped.
    pub revision: u64,
    /// Which node says so.
    pub node: String,
    /// From when on.
    pub time: Time,
    /// `deleted`, `disabled`, `expired` or `rotated out`.
    pub reason: String,
    /// The node's Ed25519 public key, in hexadecimal.
    pub public_key: String,
    /// Its signature, in hexadecimal.
    pub signature: String,
}

/// A key that was stopped, and the node's word for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopKeyResponse {
    /// What is known of the key now.
    pub details: KeyDetails,
    /// The node's word.
    pub receipt: Receipt,
}

request! {
    /// Which keys of a project to delete, at most 1000 in one call. What is given must all be so; give `all` to delete
    /// without any condition.
    RevokeKeysRequest = "keylodge.v1.RevokeKeysRequest" {
        /// Ids or uids.
        keys: Vec<String> = "keys",
        /// Labels that the key has.
        labels: BTreeMap<String, String> = "labels",
        /// Whom to ask about it.
        owner: String = "owner",
        /// The member who made it.
        creator: String = "creator",
        /// Every key of the project.
        all: bool = "all",
    }
}

/// The keys that were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RevokeKeysResponse {
    /// A receipt for each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<Receipt>,
    /// Whether there are more of them: call again.
    pub more: bool,
}

request! {
    /// A key of another gateway.
    ImportedKey = "keylodge.v1.ImportedKey" {
        /// Its string. Either this or `sha256`.
        key_string: String = "keyString",
        /// The SHA-256 of its string, in hexadecimal or base64, as other gateways keep it.
        sha256: String = "sha256",
        /// The id it gets, by the rules of a new key.
        key_id: String = "keyId",
        /// A name for people.
        display_name: String = "displayName",
        /// Whom to ask about it.
        owner: String = "owner",
        /// What it is for.
        purpose: String = "purpose",
        /// Labels.
        labels: BTreeMap<String, String> = "labels",
        /// When it stops working by itself.
        expire_time: Option<Time> = "expireTime",
        /// Services that it is for; all that the project has on where there is none.
        services: Vec<String> = "services",
    }
}

request! {
    /// Keys of other gateways, at most 1000 in one call: all are taken or none.
    ImportKeysRequest = "keylodge.v1.ImportKeysRequest" {
        /// The keys.
        keys: Vec<ImportedKey> = "keys",
    }
}

/// The keys as they are now, without their strings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImportKeysResponse {
    /// In the order of the request.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub keys: Vec<Key>,
}

/// How a project treats its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectSettings {
    /// Strings of new keys are shown when they are made and never again.
    pub key_strings_shown_once: bool,
    /// A key that is neither restricted nor bound to a service account is refused.
    pub standard_keys_must_be_restricted: bool,
}

request! {
    /// What a caller sends to alter how a project treats its keys; what is not given stays.
    PatchProjectSettingsRequest = "keylodge.v1.ProjectSettings" {
        /// Strings of new keys are shown when they are made and never again.
        key_strings_shown_once: Option<bool> = "keyStringsShownOnce",
        /// A key that is neither restricted nor bound to a service account is refused.
        standard_keys_must_be_restricted: Option<bool> = "standardKeysMustBeRestricted",
    }
}

/// Nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmptyResponse {}
