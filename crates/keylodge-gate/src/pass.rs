//! Proof of a yes, and the record of a no.

use keylodge_rules::{
    Admitted, Call, KeyHash, KeyId, KeyUid, ProjectId, ProjectNumber, Refusal, Revision, ServiceName,
};

/// Proof that the gate let a call through, and for whom. Nothing outside this crate can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    key: KeyUid,
    key_id: KeyId,
    generation: u32,
    foreign: Option<KeyHash>,
    project: ProjectNumber,
    project_id: ProjectId,
    service: ServiceName,
    method: String,
    revision: Revision,
}

impl Pass {
    pub(crate) fn new(admitted: Admitted<'_>, call: &Call<'_>, foreign: Option<KeyHash>, revision: Revision) -> Self {
        Self {
            key: admitted.key.uid.clone(),
            key_id: admitted.key.id.clone(),
            generation: admitted.credential.generation,
            foreign,
            project: admitted.project.number,
            project_id: admitted.project.id.clone(),
            service: call.service.clone(),
            method: call.method.to_owned(),
            revision,
        }
    }

    /// The pass in a request that went through a gate.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The key that was presented.
    #[must_use]
    pub fn key(&self) -> &KeyUid {
        &self.key
    }

    /// Its id within the project.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Which of the key's strings was presented.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The hash of the presented string under our pepper, where the key came from another gateway and was found by plain
    /// SHA-256: with it the string can be kept as our own are.
    #[must_use]
    pub fn foreign(&self) -> Option<KeyHash> {
        self.foreign
    }

    /// The project that the call is made for.
    #[must_use]
    pub fn project(&self) -> ProjectNumber {
        self.project
    }

    /// The id of that project.
    #[must_use]
    pub fn project_id(&self) -> &ProjectId {
        &self.project_id
    }

    /// The service that was called.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The full name of the method that was called.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The revision of the index that said yes.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum::extract::FromRequestParts<S> for Pass {
    type Rejection = http::Response<axum::body::Body>;

    /// The pass of the request. Without a gate in front there is none, and the call is refused as our own fault: a
    /// route was put in the wrong place, and open is the one thing it must not be.
    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        let pass = Self::of(&parts.extensions).cloned();
        pass.ok_or_else(|| keylodge_api::Status::internal().response(keylodge_api::Envelope::Object))
    }
}

/// The record of a no, in the extensions of the answer, for the log line and the metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The decision's name, as the caller sees it in `x-keylodge-decision`.
    pub decision: String,
    /// The rule that spoke against the call.
    pub refusal: Refusal,
}
