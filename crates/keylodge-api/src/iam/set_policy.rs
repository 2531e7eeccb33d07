//! Policies as callers write them.

use keylodge_rules::iam::{self as rules, BindingDraft, ConditionDraft, PolicyDraft};

use super::bytes;
use super::policy::{AuditConfig, AuditLogConfig};
use crate::proto_json::{Fields, Message};
use crate::status::FieldViolation;
use crate::{Code, Status};

/// A policy to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetIamPolicyRequest {
    /// The policy, as it was written. [`rules::Policy::read`] checks what it says, [`bad_policy`] answers.
    pub policy: PolicyDraft,
    /// Which parts of it are meant.
    pub update_mask: PolicyMask,
}

/// The parts of a policy that a call sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyMask {
    /// The bindings.
    pub bindings: bool,
    /// The audit configs.
    pub audit_configs: bool,
}

/// What is set when nothing is said: `bindings, etag`. An etag that is given is always compared, so it needs no part.
impl Default for PolicyMask {
    fn default() -> Self {
        Self { bindings: true, audit_configs: false }
    }
}

impl PolicyMask {
    /// Reads a field mask in either spelling; an empty one means the default.
    fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let mut mask = Self { bindings: false, audit_configs: false };
        for path in text.split(',') {
            match path.trim() {
                "bindings" => mask.bindings = true,
                "auditConfigs" | "audit_configs" => mask.audit_configs = true,
                "*" => mask = Self { bindings: true, audit_configs: true },
                "etag" | "version" => {}
                _ => return None,
            }
        }
        Some(mask)
    }

    /// The current policy with the parts of the given one that are meant. The etag stays the current one's; a new one is
    /// the store's to give.
    #[must_use]
    pub fn apply(self, current: &rules::Policy, given: rules::Policy) -> rules::Policy {
        let mut policy = current.clone();
        if self.bindings {
            policy.bindings = given.bindings;
            policy.version = given.version;
        }
        if self.audit_configs {
            policy.audit_configs = given.audit_configs;
        }
        policy
    }
}

/// The answer to a policy that cannot be: INVALID_ARGUMENT, each mistake with its path below `policy`.
#[must_use]
pub fn bad_policy(mistakes: &[rules::Mistake]) -> Status {
    let violation = |mistake: &rules::Mistake| FieldViolation {
        field: format!("policy.{}", mistake.field),
        description: mistake.error.to_string(),
    };
    Status::bad_request(mistakes.iter().map(violation).collect())
}

/// The answer to an etag that is not the current policy's any more.
#[must_use]
pub fn stale_policy() -> Status {
    Status::new(
        Code::Aborted,
        "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
    )
}

impl Message for SetIamPolicyRequest {
    const NAME: &str = "google.iam.v1.SetIamPolicyRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let update_mask = PolicyMask::parse(&fields.string("updateMask").unwrap_or_default()).unwrap_or_else(|| {
            fields.refuse("updateMask", "The parts of a policy that can be set are bindings, auditConfigs and etag.");
            PolicyMask::default()
        });
        let policy = fields.message("policy").unwrap_or_else(|| {
            fields.refuse("policy", "Please give the policy to set. To remove all bindings, set an empty one: {}.");
            PolicyDraft::default()
        });
        Self { policy, update_mask }
    }
}

impl Message for PolicyDraft {
    const NAME: &str = "google.iam.v1.Policy";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let audit_configs: Vec<AuditConfig> = fields.messages("auditConfigs");
        let text = serde_json::to_string(&audit_configs).unwrap_or_default();
        if text.len() > AUDIT_CONFIGS_BYTES_MAX {
            fields.refuse("auditConfigs", format!("Audit configs have at most {AUDIT_CONFIGS_BYTES_MAX} bytes."));
        }
        Self {
            version: fields.int32("version").unwrap_or_default(),
            bindings: fields.messages("bindings"),
            audit_configs: (!audit_configs.is_empty()).then_some(text),
            etag: bytes::field(fields, "etag"),
        }
    }
}

/// They are kept for clients and followed by nobody, so they may not grow without end.
const AUDIT_CONFIGS_BYTES_MAX: usize = 64 * 1024;

impl Message for BindingDraft {
    const NAME: &str = "google.iam.v1.Binding";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            role: fields.string("role").unwrap_or_default(),
            members: fields.strings("members"),
            condition: fields.message("condition"),
        }
    }
}

impl Message for ConditionDraft {
    const NAME: &str = "google.type.Expr";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        // Where the expression stood in its author's file: for messages only, and ours name the field.
        fields.string("location");
        Self {
            title: fields.string("title").unwrap_or_default(),
            description: fields.string("description").unwrap_or_default(),
            expression: fields.string("expression").unwrap_or_default(),
        }
    }
}

impl Message for AuditConfig {
    const NAME: &str = "google.iam.v1.AuditConfig";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self {
            service: fields.string("service").unwrap_or_default(),
            audit_log_configs: fields.messages("auditLogConfigs"),
        }
    }
}

impl Message for AuditLogConfig {
    const NAME: &str = "google.iam.v1.AuditLogConfig";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        const TYPES: &[&str] = &["LOG_TYPE_UNSPECIFIED", "ADMIN_READ", "DATA_WRITE", "DATA_READ"];
        let log_type = fields.enumeration("logType", "type.googleapis.com/google.iam.v1.AuditLogConfig.LogType", TYPES);
        Self { log_type: log_type.unwrap_or_default().to_owned(), exempted_members: fields.strings("exemptedMembers") }
    }
}

#[cfg(test)]
mod tests;
