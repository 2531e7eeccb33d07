//! The audit log.

use keylodge_api::admin::{AuditCheckpoint, ListAuditLogsResponse};

use crate::transport::query;
use crate::{Client, ClientError, Lines, segment};

impl Client {
    /// A page of the audit log after the entry with this sequence, oldest first: of a project, or of everything. An entry
    /// has its sequence in the label `keylodge.sequence`.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_audit_log(
        &self,
        project: Option<&str>,
        after_sequence: u64,
        page_size: u32,
    ) -> Result<ListAuditLogsResponse, ClientError> {
        let of = project.map(|project| format!("/projects/{}", segment(project))).unwrap_or_default();
        let (after, size) = (after_sequence.to_string(), page_size.to_string());
        let query = query(&[("afterSequence", Some(&after)), ("pageSize", Some(&size))]);
        self.transport.get(&format!("/keylodge/v1{of}/auditLogs{query}")).await
    }

    /// The signed end of the audit log.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn audit_checkpoint(&self) -> Result<AuditCheckpoint, ClientError> {
        self.transport.get("/keylodge/v1/auditLogs:checkpoint").await
    }

    /// The audit log after the entry with this sequence, as lines that end with the signed checkpoint:
    /// [`keylodge_api::audit_log::ExportVerifier`] checks them.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn export_audit_log(&self, after_sequence: u64) -> Result<Lines, ClientError> {
        let after = (after_sequence > 0).then(|| after_sequence.to_string());
        let query = query(&[("afterSequence", after.as_deref())]);
        self.transport.lines(&format!("/keylodge/v1/auditLogs:export{query}")).await
    }
}
