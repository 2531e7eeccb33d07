//! Who asks in management: an operator with a bearer token.
//!
//! Three answers: no credential, a wrong one, a proven one. A wrong one never falls through to anything else, and a
//! database that cannot be asked is no answer at all but an honest 503.

use std::collections::BTreeMap;

use http::HeaderValue;
use http::header::{USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use keylodge_api::{Code, Detail, Status};
use keylodge_gate::{Credentials, Peer};
use keylodge_rules::secret::{head, mask};
use keylodge_rules::{OperatorToken, Refusal, Timestamp};
use keylodge_store::{Act, OperatorRecord};

use crate::management::Route;
use crate::observe::RequestId;
use crate::{Lodge, failure};

/// How much of what a caller's program calls itself is kept.
const USER_AGENT_CHARS_MAX: usize = 256;

/// Proof that an operator asks. Only `prove` makes one.
#[derive(Clone, Debug)]
pub struct Operator {
    record: OperatorRecord,
    expires: Option<Timestamp>,
    request_id: String,
    caller_ip: String,
    user_agent: String,
}

impl Operator {
    /// Proves who asks, or says what is wrong with the proof.
    pub(crate) async fn prove(
        lodge: &Lodge,
        credentials: Option<&Credentials>,
        parts: &Parts,
        target: &Route,
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
        let found = lodge.store.operator_by_token(&hash).await.map_err(|error| failure::store(&error))?;
        let (record, token) = found.ok_or_else(|| wrong(target))?;
        if token.revoke_time.is_some() || record.disable_time.is_some() {
            return Err(wrong(target));
        }
        if token.expire_time.is_some_and(|end| end <= lodge.now()) {
            return Err(expired(target));
        }
        lodge.uses.note_token(&token.id, lodge.now());
        let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self {
            record,
            expires: token.expire_time,
            request_id: RequestId::of(&parts.extensions),
            caller_ip: Peer::of(&parts.extensions).map(|peer| peer.ip().to_string()).unwrap_or_default(),
            user_agent: mask(head(user_agent, 4 * USER_AGENT_CHARS_MAX)).chars().take(USER_AGENT_CHARS_MAX).collect(),
        })
    }

    /// What is known of the operator.
    pub(crate) fn record(&self) -> &OperatorRecord {
        &self.record
    }

    /// When the token that proved it stops working by itself.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// As IAM policies name the operator.
    pub(crate) fn member(&self) -> &str {
        &self.record.member
    }

    /// The act of calling a method now, for the audit line.
    pub(crate) fn act(&self, lodge: &Lodge, route: &'static Route) -> Act {
        Act {
            principal: self.record.member.clone(),
            service: route.service,
            method: route.method,
            permission: route.permission,
            request_id: self.request_id.clone(),
            caller_ip: self.caller_ip.clone(),
            user_agent: self.user_agent.clone(),
            request: BTreeMap::new(),
            at: lodge.now(),
        }
    }
}

/// A member in the one spelling that operators are kept under: addresses do not differ by case.
pub(crate) fn folded(member: &str) -> String {
    match member.split_once(':') {
        Some((kind, address)) => format!("{kind}:{}", address.to_ascii_lowercase()),
        None => member.to_owned(),
    }
}

/// What 401 answers carry besides their body.
pub(crate) const CHALLENGE: (http::HeaderName, HeaderValue) =
    (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\""));

const EXPECTED: &str = "Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";

fn missing(target: &Route) -> Status {
    unauthenticated(
        format!("Request is missing required authentication credential. {EXPECTED}"),
        "CREDENTIALS_MISSING",
        target,
    )
}

fn wrong(target: &Route) -> Status {
    unauthenticated(
        format!("Request had invalid authentication credentials. {EXPECTED}"),
        "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        target,
    )
}

fn expired(target: &Route) -> Status {
    unauthenticated(
        format!("Request had invalid authentication credentials. {EXPECTED}"),
        "ACCESS_TOKEN_EXPIRED",
        target,
    )
}

fn api_key(target: &Route) -> Status {
    unauthenticated(
        "API keys are not supported by this API. Expected OAuth2 access token or other authentication credentials that assert a principal. See https://cloud.google.com/docs/authentication".to_owned(),
        "CREDENTIALS_MISSING",
        target,
    )
}

fn unauthenticated(message: String, reason: &'static str, target: &Route) -> Status {
    let metadata = vec![("service", target.service.to_owned()), ("method", target.method.to_owned())];
    Status::new(Code::Unauthenticated, message).with(Detail::info(reason, metadata))
}
