//! What a caller sees of each refusal: code, reason, message and details in one `match`, exact as Google has them.
//!
//! Wire facts: the tables on missing and wrong keys, credentials of the wrong kind, and calls that are not allowed, in
//! Google's Gemini and API Keys documentation and transcripts. Messages never repeat a key.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Response, StatusCode, header};
use keylodge_api::status::{JSON, Link};
use keylodge_api::{Code, Detail, Envelope, Status};
use keylodge_rules::{Presented, ProjectNumber, Refusal, TokenProblem};

use crate::surface::KeyPlace;
use crate::{Surface, Target, quota};

/// The error that answers a refused call.
#[must_use]
pub fn status(refusal: &Refusal, surface: &Surface, target: &Target) -> Status {
    let service = ("service", surface.service.to_string());
    match refusal {
        Refusal::NoCredential if surface.keys == KeyPlace::Bearer => {
            Status::new(Code::InvalidArgument, "Missing or invalid Authorization header.")
        }
        Refusal::TwoCredentials if surface.keys == KeyPlace::Bearer => Status::new(
            Code::InvalidArgument,
            "Multiple authentication credentials received. Please pass only one.",
        ),
        Refusal::NoCredential => Status::new(
            Code::PermissionDenied,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
        ),
        Refusal::NotAnApiKey | Refusal::MustBeRestricted(_) => Status::new(
            Code::Unauthenticated,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        )
        .with(Detail::info("ACCESS_TOKEN_TYPE_UNSUPPORTED", vec![service, ("method", target.method.to_string())])),
        Refusal::TwoCredentials | Refusal::Malformed(_) | Refusal::UnknownKey => {
            invalid_key("API key not valid. Please pass a valid API key.", service)
        }
        Refusal::StringRotatedOut(_) | Refusal::KeyDeleted(_) | Refusal::KeyDisabled(_) | Refusal::KeyExpired(_) => {
            invalid_key("API key expired. Please renew the API key.", service)
        }
        Refusal::ProjectDeleted(Presented { project, .. }) => {
            let message = format!("Permission denied on resource project {project}.");
            denied("CONSUMER_INVALID", message, vec![service, consumer(*project)])
                .with(help("Keylodge projects", format!("{}/projects", surface.console_url)))
        }
        Refusal::ServiceBlocked(presented) => {
            let (api, method) = (&surface.service, &target.method);
            let message = format!("Requests to this API {api} method {method} are blocked.");
            let metadata = [("apiName", api.to_string()), ("methodName", method.to_string())];
            blocked("API_KEY_SERVICE_BLOCKED", message, metadata, service, presented)
        }
        Refusal::ReferrerBlocked { presented, referrer } => {
            let referrer = or_empty(referrer.as_deref());
            let message = format!("Requests from referer {referrer} are blocked.");
            blocked("API_KEY_HTTP_REFERRER_BLOCKED", message, [("httpReferrer", referrer)], service, presented)
        }
        Refusal::AddressBlocked { presented, address } => {
            let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
            let message = format!(
                "The provided API key has an IP address restriction. The originating IP address of the call ({address}) violates this restriction."
            );
            blocked("API_KEY_IP_ADDRESS_BLOCKED", message, [("callerIp", address)], service, presented)
        }
        Refusal::AndroidAppBlocked { presented, package_name } => {
            let package = or_empty(package_name.as_deref());
            let message = format!("Requests from this Android client application {package} are blocked.");
            blocked("API_KEY_ANDROID_APP_BLOCKED", message, [("androidPackage", package)], service, presented)
        }
        Refusal::IosAppBlocked { presented, bundle } => {
            let bundle = or_empty(bundle.as_deref());
            let message = format!("Requests from this iOS client application {bundle} are blocked.");
            blocked("API_KEY_IOS_APP_BLOCKED", message, [("iosBundleId", bundle)], service, presented)
        }
        // Google has no such restrictions. The reason is that of a key which is for other things than what it was used
        // for; who looks closer finds the model, or that it is about time, in the metadata.
        Refusal::ModelBlocked { presented, model } => {
            let message = format!("Requests to this API {} for model {model} are blocked.", surface.service);
            let metadata = [("apiName", surface.service.to_string()), ("model", model.clone())];
            blocked("API_KEY_SERVICE_BLOCKED", message, metadata, service, presented)
        }
        Refusal::HoursBlocked(presented) => {
            let message = format!("Requests to this API {} are blocked at this time.", surface.service);
            let metadata = [("apiName", surface.service.to_string()), ("restriction", "hours".to_owned())];
            blocked("API_KEY_SERVICE_BLOCKED", message, metadata, service, presented)
        }
        Refusal::ServiceDisabled { presented: Presented { project, .. }, service: disabled } => {
            let title = &surface.title;
            let url = format!("{}/apis/{disabled}?project={project}", surface.console_url);
            let message = format!(
                "{title} has not been used in project {project} before or it is disabled. Enable it by visiting {url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
            );
            let metadata = vec![
                service,
                ("serviceTitle", title.to_string()),
                consumer(*project),
                ("containerInfo", project.to_string()),
                ("activationUrl", url.clone()),
            ];
            denied("SERVICE_DISABLED", message, metadata).with(help("Google developers console API activation", url))
        }
        Refusal::LimitExceeded { presented, of_project, of_key } => {
            quota::exceeded(&surface.service, presented, of_project, of_key)
        }
        Refusal::LedgerAway(_) => Status::new(
            Code::Unavailable,
            "The limits of this key cannot be checked right now. Try again in a moment.",
        )
        .with(Detail::RetryInfo(LEDGER_RETRY)),
        // Google's words for these are not known (UNCONFIRMED). A token that nobody was given reads like a key that nobody
        // was given, since whoever sends it has mistaken one; what a good token may not do is 403, as for good keys.
        Refusal::UnknownToken => {
            invalid_key("Ephemeral token not valid. Please pass a valid token or API key.", service)
        }
        Refusal::Token { problem: TokenProblem::Away, .. } => Status::new(
            Code::Unavailable,
            "The use of this ephemeral token cannot be written down right now. Try again in a moment.",
        )
        .with(Detail::RetryInfo(LEDGER_RETRY)),
        Refusal::Token { problem, .. } => Status::new(Code::PermissionDenied, token_words(*problem)),
    }
}

/// What the holder of a token can do about it.
const fn token_words(problem: TokenProblem) -> &'static str {
    match problem {
        TokenProblem::Expired => "The ephemeral token expired. Ask for a new one where you got it.",
        TokenProblem::TooLate => {
            "The ephemeral token starts no new sessions any more (newSessionExpireTime). Ask for a new one where you got it."
        }
        TokenProblem::Spent => "All uses of the ephemeral token are used. Ask for a new one where you got it.",
        TokenProblem::OutOfScope => "The ephemeral token is for Live sessions only. Use an API key for this call.",
        TokenProblem::OtherModel => "The ephemeral token is for another model than the one that was asked for.",
        TokenProblem::OtherSetup => {
            "The ephemeral token fixes how sessions are set up, and another setup was asked for."
        }
        TokenProblem::MakesNone => "An ephemeral token makes no other tokens. Use an API key.",
        TokenProblem::Away => "The use of the ephemeral token cannot be written down.",
    }
}

/// Refusals that are answered alike, whatever the call: they say nothing of it. Floods of bad keys are made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alike {
    NoCredential,
    Invalid,
    Expired,
}

/// The kind of a refusal's answer, if others are answered alike.
pub(crate) fn answers(refusal: &Refusal, surface: &Surface) -> Option<Alike> {
    match refusal {
        Refusal::TwoCredentials if surface.keys == KeyPlace::Bearer => None,
        Refusal::NoCredential => Some(Alike::NoCredential),
        Refusal::TwoCredentials | Refusal::Malformed(_) | Refusal::UnknownKey => Some(Alike::Invalid),
        Refusal::StringRotatedOut(_) | Refusal::KeyDeleted(_) | Refusal::KeyDisabled(_) | Refusal::KeyExpired(_) => {
            Some(Alike::Expired)
        }
        _ => None,
    }
}

/// Answers of a surface that are made once and then copied: of each kind, in each wrapping.
#[derive(Debug, Default)]
pub(crate) struct Prepared([[OnceLock<Made>; 3]; 3]);

type Made = (StatusCode, Vec<u8>);

impl Prepared {
    pub(crate) fn response<A: From<Vec<u8>>>(
        &self,
        alike: Alike,
        surface: &Surface,
        envelope: Envelope,
    ) -> Response<A> {
        let (code, body) = self.0[alike as usize][envelope as usize].get_or_init(|| {
            let of_kind = match alike {
                Alike::NoCredential => Refusal::NoCredential,
                Alike::Invalid => Refusal::UnknownKey,
                Alike::Expired => Refusal::StringRotatedOut(Presented::NOBODY),
            };
            let whole: Response<Vec<u8>> = status(&of_kind, surface, &Target::new("")).response(envelope);
            (whole.status(), whole.into_body())
        });
        let mut response = Response::new(A::from(body.clone()));
        *response.status_mut() = *code;
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    }
}

/// How long a caller should wait while limits cannot be checked.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// When a refused call may be tried again, in whole seconds for `Retry-After`.
pub(crate) fn retry_after(refusal: &Refusal) -> Option<u64> {
    match refusal {
        Refusal::LimitExceeded { of_project, of_key, .. } => {
            quota::retry(of_project.iter().chain(of_key)).map(quota::whole_seconds)
        }
        Refusal::LedgerAway(_) | Refusal::Token { problem: TokenProblem::Away, .. } => Some(LEDGER_RETRY.as_secs()),
        _ => None,
    }
}

type Fact = (&'static str, String);

fn invalid_key(message: &str, service: Fact) -> Status {
    Status::new(Code::InvalidArgument, message).with(Detail::info("API_KEY_INVALID", vec![service])).localized()
}

fn denied(reason: &'static str, message: String, metadata: Vec<Fact>) -> Status {
    Status::new(Code::PermissionDenied, message).with(Detail::info(reason, metadata)).localized()
}

/// A restriction of the key spoke against the call.
fn blocked<const COUNT: usize>(
    reason: &'static str,
    message: String,
    facts: [Fact; COUNT],
    service: Fact,
    presented: &Presented,
) -> Status {
    let common = [consumer(presented.project), service];
    denied(reason, message, facts.into_iter().chain(common).collect())
}

fn consumer(project: ProjectNumber) -> Fact {
    ("consumer", format!("projects/{project}"))
}

fn or_empty(claim: Option<&str>) -> String {
    claim.unwrap_or("<empty>").to_owned()
}

fn help(description: &str, url: String) -> Detail {
    Detail::Help(vec![Link { description: description.to_owned(), url }])
}
