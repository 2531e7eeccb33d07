//! Who asks in management: an operator with a bearer token.
//!
//! Three answers: no credential, a wrong one, a proven one. A wrong one never falls through to anything else, and a
//! database that cannot be asked is no answer at all but an honest 503.

use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use keylodge_api::{Code, Detail, Status};
use keylodge_gate::Credentials;
use keylodge_rules::{OperatorToken, Refusal};
use keylodge_store::{Act, OperatorRecord};

use crate::{Lodge, failure};

/// Proof that an operator asks. Only `prove` makes one.
#[derive(Clone, Debug)]
pub struct Operator {
    record: OperatorRecord,
    request_id: String,
}

impl Operator {
    /// Proves who asks, or says what is wrong with the proof.
    pub(crate) async fn prove(
        lodge: &Lodge,
        credentials: Option<&Credentials>,
        request_id: String,
        target: &Target,
    ) -> Result<Self, Status> {
        let token = credentials.and_then(Credentials::bearer_token);
        let Some(token) = token else {
            // Something else than one bearer token came, or nothing but a key, or nothing at all.
            return Err(match credentials {
                Some(credentials) if credentials.has_authorization() => wrong(target),
                Some(credentials) if !matches!(credentials.key(), Err(Refusal::NoCredential)) => api_key(target),
                _ => missing(target),
            });
        };
        let Ok(token) = OperatorToken::parse(token) else { return Err(wrong(target)) };
        let hash = lodge.master.pepper().hash_token(&token);
        let record = lodge.store.operator_by_token(&hash).await.map_err(|error| failure::store(&error))?;
        let record = record.ok_or_else(|| wrong(target))?;
        Ok(Self { record, request_id })
    }

    /// The act of calling a method now, for the audit line.
    pub(crate) fn act(&self, lodge: &Lodge, method: &'static str) -> Act {
        let OperatorRecord { member, .. } = &self.record;
        Act { principal: member.clone(), method, request_id: self.request_id.clone(), at: lodge.now() }
    }
}

/// A management method, as errors, logs and audit lines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The service, as `apikeys.googleapis.com`.
    pub(crate) service: &'static str,
    /// The full name of the method.
    pub(crate) method: &'static str,
}

/// What 401 answers carry besides their body.
pub(crate) const CHALLENGE: (http::HeaderName, HeaderValue) =
    (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\""));

const EXPECTED: &str = "Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";

fn missing(target: &Target) -> Status {
    unauthenticated(
        format!("Request is missing required authentication credential. {EXPECTED}"),
        "CREDENTIALS_MISSING",
        target,
    )
}

fn wrong(target: &Target) -> Status {
    unauthenticated(
        format!("Request had invalid authentication credentials. {EXPECTED}"),
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        target,
    )
}

fn api_key(target: &Target) -> Status {
    unauthenticated(
        "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials that assert a principal. See https://cloud.google.com/docs/authentication".to_owned(),
        "CREDENTIALS_MISSING",
        target,
    )
}

fn unauthenticated(message: String, reason: &'static str, target: &Target) -> Status {
    let metadata = vec![("service", target.service.to_owned()), ("method", target.method.to_owned())];
    Status::new(Code::Unauthenticated, message).with(Detail::info(reason, metadata))
}
