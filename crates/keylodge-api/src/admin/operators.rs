//! Operators, their tokens, organizations and the audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Span, Time, request};

/// A person or machine that manages keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// `operators/<id>`
    pub name: String,
    /// As IAM policies name it, as `user:ana@example.com`.
    pub member: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// When it was made.
    pub create_time: Time,
    /// Since when its tokens prove nobody, if it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_time: Option<Time>,
    /// The version of the terms that were accepted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_version: Option<String>,
    /// When they were accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_accept_time: Option<Time>,
}

/// A bearer token of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// `operators/<id>/tokens/<id>`
    pub name: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// The token itself; only in the answer of the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it was made.
    pub create_time: Time,
    /// When it stops working by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Time>,
    /// Since when it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke_time: Option<Time>,
    /// When it was last used; at most some seconds late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use_time: Option<Time>,
}

request! {
    /// What a caller sends to make an operator.
    CreateOperatorRequest = "keylodge.v1.CreateOperatorRequest" {
        /// The id wanted: letters, digits and hyphens as in a key's id; one is chosen if none is given.
        operator_id: String = "operatorId",
        /// As IAM policies name it: `user:…` or `serviceAccount:…`.
        member: String = "member",
        /// A name for people, at most 63 characters.
        display_name: String = "displayName",
        /// Roles it gets on the whole deployment, as `roles/viewer`; none is fine, projects can grant their own.
        roles: Vec<String> = "roles",
        /// When its first token stops working.
        expire_time: Option<Time> = "expireTime",
        /// The same as a time from now.
        ttl: Option<Span> = "ttl",
    }
}

/// The operator that was made, and its first token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateOperatorResponse {
    /// The operator.
    pub operator: Operator,
    /// Its first token, shown this once.
    pub token: Token,
}

/// A page of operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListOperatorsResponse {
    /// The operators of this page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<Operator>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

request! {
    /// What a caller sends to give an operator one more token.
    CreateTokenRequest = "keylodge.v1.CreateTokenRequest" {
        /// A name for people, at most 63 characters.
        display_name: String = "displayName",
        /// When it stops working.
        expire_time: Option<Time> = "expireTime",
        /// The same as a time from now.
        ttl: Option<Span> = "ttl",
    }
}

/// A page of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListTokensResponse {
    /// The tokens of this page, revoked ones included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

request! {
    /// What a caller sends to make an organization.
    CreateOrganizationRequest = "keylodge.v1.CreateOrganizationRequest" {
        /// A name for people, at most 63 characters.
        display_name: String = "displayName",
    }
}

/// A page of the audit log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListAuditLogsResponse {
    /// Entries in the shape of Cloud Logging's LogEntry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<serde_json::Value>,
    /// Where the next page begins; absent where nothing more is there yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// The signed end of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditCheckpoint {
    /// How many entries the log has.
    pub sequence: u64,
    /// The hash of the chain up to the last of them, in hexadecimal.
    pub hash: String,
    /// When the last was written.
    pub time: Time,
    /// Which node signed.
    pub node: String,
    /// The node's Ed25519 public key, in hexadecimal.
    pub public_key: String,
    /// Its signature, in hexadecimal.
    pub signature: String,
}
