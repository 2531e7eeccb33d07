//! Every reason for which the gate says no.

use crate::{KeyUid, Malformed, ProjectNumber, ServiceName};

/// Why a call was refused. What the caller sees of it is decided in one place, the gate's `status` module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No credential came with the call.
    NoCredential,
    /// Two key strings came with the call, and they differ.
    TwoCredentials,
    /// A credential came, but not an API key (a bearer token where only keys count).
    NotAnApiKey,
    /// The string is not a key: refused before any look-up.
    Malformed(Malformed),
    /// Nobody was ever issued this string, or its key is purged.
    UnknownKey,
    /// The key was deleted.
    KeyDeleted {
        /// The key.
        key: KeyUid,
        /// Its project.
        project: ProjectNumber,
    },
    /// The key's project is deleted.
    ProjectDeleted {
        /// The project.
        project: ProjectNumber,
    },
    /// The key's project has not switched the service on.
    ServiceDisabled {
        /// The project.
        project: ProjectNumber,
        /// The service.
        service: ServiceName,
    },
}

impl Refusal {
    /// A short fixed word for logs and metric labels.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::TwoCredentials => "two_credentials",
            Self::NotAnApiKey => "not_an_api_key",
            Self::Malformed(_) => "malformed_key",
            Self::UnknownKey => "unknown_key",
            Self::KeyDeleted { .. } => "key_deleted",
            Self::ProjectDeleted { .. } => "project_deleted",
            Self::ServiceDisabled { .. } => "service_disabled",
        }
    }

    /// The key that was refused, where one was recognised.
    #[must_use]
    pub const fn key(&self) -> Option<&KeyUid> {
        match self {
            Self::KeyDeleted { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The project that the refused key belongs to, where one was recognised.
    #[must_use]
    pub const fn project(&self) -> Option<ProjectNumber> {
        match self {
            Self::KeyDeleted { project, .. }
            | Self::ProjectDeleted { project }
            | Self::ServiceDisabled { project, .. } => Some(*project),
            _ => None,
        }
    }
}
