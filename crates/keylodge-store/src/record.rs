//! What is kept, as values.

use std::collections::{BTreeMap, BTreeSet};

use keylodge_rules::{
    Change, KeyHash, KeyId, KeyUid, ProjectId, ProjectNumber, ProjectState, Revision, ServiceName, Stage, Timestamp,
};
use sha2::{Digest, Sha256};

use crate::vault::Sealed;

/// How many keys a project may have, deleted ones included (API Keys v2: 300).
pub const KEYS_PER_PROJECT_MAX: i64 = 300;

/// Who does what, for the audit line that is written with every step.
#[derive(Clone, Debug)]
pub struct Act {
    /// The operator's member string, as `user:owner`.
    pub principal: String,
    /// The full name of the method, as `google.api.apikeys.v2.ApiKeys.CreateKey`.
    pub method: &'static str,
    /// The request, as logs and answers name it.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
}

/// The outcome of a step that is on disk.
#[derive(Clone, Debug)]
pub struct Committed<T> {
    /// What came of it.
    pub value: T,
    /// Its place in the change feed. A gate that has applied this revision acts on it.
    pub revision: Revision,
}

/// A key, as it is kept, without the string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its identity for ever.
    pub uid: KeyUid,
    /// Its id within the project.
    pub id: KeyId,
    /// Its project.
    pub project: ProjectNumber,
    /// A name for people.
    pub display_name: String,
    /// Free data of clients.
    pub annotations: BTreeMap<String, String>,
    /// Where in its life it is.
    pub stage: Stage,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
    /// Its place in lists: the revision of its creation.
    pub created_at: Revision,
}

impl KeyRecord {
    /// A fingerprint of its content (id, display name, annotations), not of its times: Google's etag stays the same
    /// through delete and undelete.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let content = serde_json::json!([self.uid.as_str(), self.id.as_str(), self.display_name, self.annotations]);
        let digest: [u8; 32] = Sha256::digest(content.to_string()).into();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        first
    }
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its identity for ever.
    pub uid: KeyUid,
    /// Its id within the project.
    pub id: KeyId,
    /// Its project.
    pub project: ProjectNumber,
    /// A name for people.
    pub display_name: String,
    /// Free data of clients.
    pub annotations: BTreeMap<String, String>,
    /// What a presented string is compared with.
    pub hash: KeyHash,
    /// The string, sealed for this key's uid.
    pub sealed: Sealed,
    /// The operation that answers the request.
    pub operation: String,
}

/// A project, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRecord {
    /// Its number.
    pub number: ProjectNumber,
    /// Its id.
    pub id: ProjectId,
    /// A name for people.
    pub display_name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The services switched on.
    pub services: BTreeSet<ServiceName>,
    /// Where in its life it is.
    pub state: ProjectState,
    /// When it was made.
    pub create_time: Timestamp,
    /// Its place in lists: the revision of its creation.
    pub created_at: Revision,
}

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Its number.
    pub number: ProjectNumber,
    /// Its id.
    pub id: ProjectId,
    /// A name for people.
    pub display_name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The services switched on from the start.
    pub services: BTreeSet<ServiceName>,
    /// The operation that answers the request.
    pub operation: String,
}

/// A person or machine that manages keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// Its id.
    pub id: String,
    /// As IAM policies name it, as `user:owner`.
    pub member: String,
    /// Its role on everything, as `roles/owner`.
    pub role: String,
}

/// An operator to be made.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// Who.
    pub operator: OperatorRecord,
    /// The hash of its token.
    pub token_hash: KeyHash,
}

/// A finished operation. Its result is read from its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// `operations/…`
    pub name: String,
    /// What was done.
    pub kind: OperationKind,
    /// In which project.
    pub project: ProjectNumber,
    /// To what: a key's uid or a service's name; empty where the project itself is meant.
    pub subject: String,
    /// When.
    pub create_time: Timestamp,
}

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Made a key.
    CreateKey,
    /// Deleted a key.
    DeleteKey,
    /// Brought a key back.
    UndeleteKey,
    /// Made a project.
    CreateProject,
    /// Switched a service on.
    EnableService,
    /// Switched a service off.
    DisableService,
}

impl OperationKind {
    const ALL: [Self; 6] = [
        Self::CreateKey,
        Self::DeleteKey,
        Self::UndeleteKey,
        Self::CreateProject,
        Self::EnableService,
        Self::DisableService,
    ];

    /// The word it is kept as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CreateKey => "create_key",
            Self::DeleteKey => "delete_key",
            Self::UndeleteKey => "undelete_key",
            Self::CreateProject => "create_project",
            Self::EnableService => "enable_service",
            Self::DisableService => "disable_service",
        }
    }

    /// The kind that was kept as this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A page of a list in the order of creation.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Revision>,
}

/// What changed after some revision, up to and including another.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The subjects, as they are now, oldest change first. A subject that changed twice is there once.
    pub changes: Vec<Change>,
    /// The newest revision they include.
    pub up_to: Revision,
}
