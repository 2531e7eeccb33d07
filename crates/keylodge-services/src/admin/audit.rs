//! The audit log: shown, exported with its chain, and its signed end.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use keylodge_api::admin::{AuditCheckpoint, ListAuditLogsResponse, Time};
use keylodge_api::{Code, Status, audit_log};
use keylodge_rules::{ProjectNumber, Revision};
use keylodge_store::AuditLine;
use serde_json::Value;

use crate::management::Call;
use crate::observe::chain;
use crate::query::invalid;
use crate::{failure, paging};

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;
/// How many lines an export reads at a time.
const EXPORT_PAGE: u32 = 500;

pub(crate) async fn list(call: Call) -> Result<Response, Status> {
    page(&call, None).await
}

pub(crate) async fn list_of_project(call: Call) -> Result<Response, Status> {
    page(&call, Some(call.project()?.number)).await
}

async fn page(call: &Call, project: Option<ProjectNumber>) -> Result<Response, Status> {
    let size = call.query.page_size(PAGE_DEFAULT, PAGE_MAX)?;
    let after = match call.query.get("pageToken") {
        Some(_) => paging::begin(&call.query)?.0,
        None => after_sequence(call)?,
    };
    let lines = call.lodge.store.audit_after(after, project, size).await.map_err(|error| failure::store(&error))?;
    let next = if lines.len() == usize::try_from(size).unwrap_or(usize::MAX) { lines.last() } else { None };
    let next_page_token = next.map(|line| paging::token(Revision(line.sequence)));
    let entries = lines.iter().filter_map(|line| serde_json::from_str::<Value>(&print(line)).ok()).collect();
    call.answer(&ListAuditLogsResponse { entries, next_page_token })
}

fn after_sequence(call: &Call) -> Result<u64, Status> {
    let text = call.query.get("afterSequence").unwrap_or("0");
    text.parse().map_err(|_| invalid("after_sequence", "after_sequence must be a whole number that is not negative."))
}

pub(crate) async fn checkpoint(call: Call) -> Result<Response, Status> {
    let head = call.lodge.store.audit_head().await.map_err(|error| failure::store(&error))?;
    let head = head.ok_or_else(|| Status::new(Code::NotFound, "The audit log is empty."))?;
    call.answer(&AuditCheckpoint {
        sequence: head.statement.sequence,
        hash: head.statement.hash.to_string(),
        time: Time(head.statement.time),
        node: head.statement.node.clone(),
        public_key: head.public_key.to_string(),
        signature: head.signature.to_string(),
    })
}

/// Streams the log up to the end it had when the export began, then that end with its signature. An export that breaks
/// off has no such end, and does not verify.
pub(crate) async fn export(call: Call) -> Result<Response, Status> {
    let after = after_sequence(&call)?;
    let store = call.lodge.store.clone();
    let head = store.audit_head().await.map_err(|error| failure::store(&error))?;
    // What comes next: the lines after this one, or nothing more.
    let lines = stream::unfold(Some(after), move |after| {
        let (store, head) = (store.clone(), head.clone());
        async move {
            let (after, head) = (after?, head?);
            let end = head.statement.sequence;
            if after >= end {
                return Some((Ok(Bytes::from(audit_log::print_checkpoint(&head) + "\n")), None));
            }
            match store.audit_after(after, None, EXPORT_PAGE).await {
                Ok(lines) => {
                    let next = lines.last().map_or(end, |line| line.sequence);
                    let within = lines.iter().filter(|line| line.sequence <= end);
                    let text: String = within.map(|line| print(line) + "\n").collect();
                    Some((Ok(Bytes::from(text)), Some(next)))
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "an export of the audit log breaks off");
                    Some((Err(error), None))
                }
            }
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson; charset=UTF-8"));
    Ok(response)
}

fn print(line: &AuditLine) -> String {
    audit_log::print(line.sequence, &line.entry, &line.hash)
}
