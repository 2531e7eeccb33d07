//! The fields of an exported line, in the order in which they are printed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `google.logging.v2.LogEntry`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEntry {
    pub(super) log_name: String,
    pub(super) insert_id: String,
    pub(super) timestamp: String,
    pub(super) receive_timestamp: String,
    pub(super) severity: String,
    pub(super) resource: MonitoredResource,
    pub(super) labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<LogEntryOperation>,
    pub(super) proto_payload: AuditLog,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MonitoredResource {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) labels: ResourceLabels,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ResourceLabels {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project_id: Option<String>,
    pub(super) service: String,
    pub(super) method: String,
}

/// What Google has no field for. Labels hold text only.
#[derive(Serialize, Deserialize)]
pub(super) struct Labels {
    #[serde(rename = "keylodge.format")]
    pub(super) format: String,
    #[serde(rename = "keylodge.sequence")]
    pub(super) sequence: String,
    #[serde(rename = "keylodge.hash")]
    pub(super) hash: String,
    #[serde(rename = "keylodge.revision", default, skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<String>,
    #[serde(rename = "keylodge.request_id", default, skip_serializing_if = "String::is_empty")]
    pub(super) request_id: String,
    #[serde(rename = "keylodge.project_number", default, skip_serializing_if = "Option::is_none")]
    pub(super) project_number: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LogEntryOperation {
    pub(super) id: String,
    pub(super) producer: String,
    pub(super) first: bool,
    pub(super) last: bool,
}

/// `google.cloud.audit.AuditLog`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditLog {
    #[serde(rename = "@type")]
    pub(super) type_url: String,
    pub(super) service_name: String,
    pub(super) method_name: String,
    pub(super) resource_name: String,
    pub(super) authentication_info: AuthenticationInfo,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) authorization_info: Vec<AuthorizationInfo>,
    pub(super) request_metadata: RequestMetadata,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) request: BTreeMap<String, String>,
    pub(super) status: RpcStatus,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthenticationInfo {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) principal_email: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) principal_subject: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthorizationInfo {
    pub(super) permission: String,
    pub(super) resource: String,
    pub(super) granted: bool,
    pub(super) resource_attributes: Empty,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestMetadata {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) caller_ip: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) caller_supplied_user_agent: String,
    pub(super) request_attributes: RequestAttributes,
    pub(super) destination_attributes: Empty,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RequestAttributes {
    pub(super) time: String,
    pub(super) auth: Empty,
}

/// `google.rpc.Status`: no field at all for a call that went well.
#[derive(Serialize, Deserialize)]
pub(super) struct RpcStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// A message that Google prints without fields.
#[derive(Serialize, Deserialize)]
pub(super) struct Empty {}

/// The last line.
#[derive(Serialize, Deserialize)]
pub(super) struct End {
    #[serde(rename = "keylodgeCheckpoint")]
    pub(super) checkpoint: EndCheckpoint,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndCheckpoint {
    pub(super) sequence: String,
    pub(super) hash: String,
    pub(super) time: String,
    pub(super) node: String,
    pub(super) public_key: String,
    pub(super) signature: String,
}
