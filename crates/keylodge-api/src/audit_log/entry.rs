//! An audit entry as a line, and back.

use keylodge_rules::audit::{ChainHash, Entry};
use keylodge_rules::{ProjectNumber, Revision};

use super::wire::{
    AuditLog, AuthenticationInfo, AuthorizationInfo, Empty, Labels, LogEntry, LogEntryOperation, MonitoredResource,
    RequestAttributes, RequestMetadata, ResourceLabels, RpcStatus,
};
use super::{FORMAT, NotAnEntry};
use crate::timestamp;

/// `google.rpc.Code.PERMISSION_DENIED`.
const PERMISSION_DENIED: i32 = 7;

/// Prints an entry as one line, without the newline.
///
/// - `logName` is `projects/<id>/logs/…`, and `keylodge/logs/…` for what belongs to no project. Reads are in
///   `data_access`, everything else in `activity`.
/// - `insertId` is the sequence with leading zeros, so that entries of one moment sort as they happened.
/// - `receiveTimestamp` is the `timestamp`: an entry is written together with what it tells of.
/// - An operation has one entry, its first and its last, because it is done when it is answered.
/// - Google's times have years; an entry outside the years -9999 to 9999 prints as the epoch and does not read back.
#[must_use]
pub fn print(sequence: u64, entry: &Entry, hash: &ChainHash) -> String {
    let time = timestamp::print(entry.time);
    let line = LogEntry {
        log_name: log_name(entry),
        insert_id: format!("{sequence:020}"),
        timestamp: time.clone(),
        receive_timestamp: time.clone(),
        severity: if entry.denied.is_none() { "NOTICE" } else { "ERROR" }.to_owned(),
        resource: MonitoredResource {
            kind: "audited_resource".to_owned(),
            labels: ResourceLabels {
                project_id: entry.project.as_ref().map(|(_, id)| id.clone()),
                service: entry.service.clone(),
                method: entry.method.clone(),
            },
        },
        labels: Labels {
            format: FORMAT.to_owned(),
            sequence: sequence.to_string(),
            hash: hash.to_string(),
            revision: entry.revision.map(|Revision(number)| number.to_string()),
            request_id: entry.request_id.clone(),
            project_number: entry.project.as_ref().map(|(number, _)| number.to_string()),
        },
        operation: (!entry.operation.is_empty()).then(|| LogEntryOperation {
            id: entry.operation.clone(),
            producer: entry.service.clone(),
            first: true,
            last: true,
        }),
        proto_payload: audit_log(entry, time),
    };
    serde_json::to_string(&line).expect("text and maps with text as keys always print")
}

/// Reads a line.
///
/// # Errors
/// When the line is not exactly what [`print()`] gives for the values in it. Whether these are the values that were once
/// written, only the hash chain can tell.
pub fn parse(line: &str) -> Result<(u64, Entry, ChainHash), NotAnEntry> {
    let read: LogEntry = serde_json::from_str(line).map_err(|_| NotAnEntry::NotJson)?;
    if read.labels.format != FORMAT {
        return Err(NotAnEntry::OtherFormat);
    }
    let sequence = read.labels.sequence.parse().map_err(|_| NotAnEntry::Field("keylodge.sequence"))?;
    let hash = ChainHash::parse(&read.labels.hash).map_err(|_| NotAnEntry::Field("keylodge.hash"))?;
    let entry = entry(read)?;
    // Much is printed twice or follows from something else; comparing the whole line checks all of it.
    if print(sequence, &entry, &hash) == line { Ok((sequence, entry, hash)) } else { Err(NotAnEntry::OtherSpelling) }
}

fn entry(read: LogEntry) -> Result<Entry, NotAnEntry> {
    let LogEntry { resource, labels, operation, proto_payload: payload, .. } = read;
    let project = match (labels.project_number, resource.labels.project_id) {
        (Some(number), Some(id)) => {
            let number = ProjectNumber::parse(&number).map_err(|_| NotAnEntry::Field("keylodge.project_number"))?;
            Some((number, id))
        }
        _ => None,
    };
    let revision = labels.revision.map(|number| number.parse().map(Revision)).transpose();
    Ok(Entry {
        time: timestamp::parse(&read.timestamp).map_err(|_| NotAnEntry::Field("timestamp"))?,
        principal: payload.authentication_info.principal_subject,
        service: payload.service_name,
        method: payload.method_name,
        resource: payload.resource_name,
        request_id: labels.request_id,
        caller_ip: payload.request_metadata.caller_ip,
        user_agent: payload.request_metadata.caller_supplied_user_agent,
        permission: payload.authorization_info.into_iter().next().map(|info| info.permission).unwrap_or_default(),
        project,
        operation: operation.map(|operation| operation.id).unwrap_or_default(),
        denied: payload.status.message,
        request: payload.request,
        revision: revision.map_err(|_| NotAnEntry::Field("keylodge.revision"))?,
    })
}

fn audit_log(entry: &Entry, time: String) -> AuditLog {
    let resource = match &entry.project {
        Some((number, _)) => format!("projectnumbers/{number}"),
        None => entry.resource.clone(),
    };
    let authorization = (!entry.permission.is_empty()).then(|| AuthorizationInfo {
        permission: entry.permission.clone(),
        resource,
        granted: entry.denied.is_none(),
        resource_attributes: Empty {},
    });
    AuditLog {
        type_url: "type.googleapis.com/google.cloud.audit.AuditLog".to_owned(),
        service_name: entry.service.clone(),
        method_name: entry.method.clone(),
        resource_name: entry.resource.clone(),
        authentication_info: AuthenticationInfo {
            principal_email: email(&entry.principal).to_owned(),
            principal_subject: entry.principal.clone(),
        },
        authorization_info: authorization.into_iter().collect(),
        request_metadata: RequestMetadata {
            caller_ip: entry.caller_ip.clone(),
            caller_supplied_user_agent: entry.user_agent.clone(),
            request_attributes: RequestAttributes { time, auth: Empty {} },
            destination_attributes: Empty {},
        },
        request: entry.request.clone(),
        status: RpcStatus { code: entry.denied.as_ref().map(|_| PERMISSION_DENIED), message: entry.denied.clone() },
    }
}

/// The part of a member that Google calls its e-mail address. Other kinds of member have none.
fn email(principal: &str) -> &str {
    let email = principal.strip_prefix("user:").or_else(|| principal.strip_prefix("serviceAccount:"));
    email.unwrap_or_default()
}

fn log_name(entry: &Entry) -> String {
    let owner = match &entry.project {
        Some((_, id)) => format!("projects/{id}"),
        None => "keylodge".to_owned(),
    };
    let log = if is_read(&entry.method) { "data_access" } else { "activity" };
    format!("{owner}/logs/cloudaudit.googleapis.com%2F{log}")
}

/// Whether a method only reads, by the verb that its name begins with (AIP-130). Google lists GetOperation with the
/// writes.
fn is_read(method: &str) -> bool {
    let name = method.rsplit('.').next().unwrap_or_default();
    let reads = ["Get", "List", "Lookup", "Search", "Test", "Query", "BatchGet"];
    name != "GetOperation" && reads.iter().any(|verb| name.starts_with(verb))
}
