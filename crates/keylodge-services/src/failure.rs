//! What a caller sees of what went wrong behind the gate: one `match` for each border's errors.

use std::time::Duration;

use http::Response;
use http::header::RETRY_AFTER;
use keylodge_api::iam::stale_policy;
use keylodge_api::{Code, Detail, Envelope, Status};
use keylodge_model::ModelError;
use keylodge_rules::StageError;
use keylodge_rules::upstream::Why;
use keylodge_store::{CredentialError, KeyError, OperatorError, PolicyError, ProjectError, StoreError, VaultError};

use crate::follow::NotCaughtUp;
use crate::observe::chain;
use crate::query::invalid;
use crate::relay::{NoneFree, UpstreamError};

/// The store did not do its part. The cause is logged here, where the error is handled, and never sent.
pub(crate) fn store(error: &StoreError) -> Status {
    tracing::error!(error = chain(error), "the store failed");
    match error {
        StoreError::Unavailable(_) => Status::new(
            Code::Unavailable,
            "The key store is not available right now. Look whether a change was made before you try again.",
        )
        .with(Detail::RetryInfo(Duration::from_secs(1))),
        StoreError::Contradiction { .. } => Status::internal(),
    }
}

/// A step on a key did not happen.
pub(crate) fn key(error: &KeyError) -> Status {
    match error {
        KeyError::NoSuchKey => no_such_key(),
        KeyError::ProjectDeleted => Status::new(Code::FailedPrecondition, "The project is deleted. Undelete it first."),
        KeyError::IdTaken => Status::new(
            Code::AlreadyExists,
            "A key with this key_id exists in the project, perhaps deleted within the last 30 days. Choose another key_id, or undelete it.",
        ),
        KeyError::StringTaken => {
            Status::new(Code::AlreadyExists, "A key with this string exists already. Look it up to see which.")
        }
        KeyError::TooManyKeys { keys_max } => Status::new(
            Code::ResourceExhausted,
            format!("The project has {keys_max} keys, deleted ones included, which is the most it can have."),
        ),
        KeyError::TooManyOfProfile { keys_max } => Status::new(
            Code::ResourceExhausted,
            format!("You have {keys_max} keys of this kind, which is the most you can have. Delete one first."),
        ),
        KeyError::Contradiction => {
            Status::new(Code::InvalidArgument, "What was asked for contradicts what the key is already.")
        }
        KeyError::MustBeRestricted => Status::new(
            Code::FailedPrecondition,
            "The keys of this project must be restricted. Name the services or the callers that the key is for (restrictions), or bind it to a service account.",
        ),
        KeyError::ShownOnce => Status::new(
            Code::FailedPrecondition,
            "The string of this key was shown when it was made and is not kept. Rotate the key to get a new one.",
        ),
        KeyError::NeverSeen => Status::new(
            Code::FailedPrecondition,
            "The key was imported by the hash of its string, so the string is not known here. Rotate the key to get a new one.",
        ),
        KeyError::NotRotated => Status::new(
            Code::FailedPrecondition,
            "Nothing was changed: the key has one string only, none that was rotated out.",
        ),
        KeyError::EtagMismatch => Status::new(
            Code::Aborted,
            "The key changed since its etag was read. Get the key again and repeat the request with the new etag.",
        ),
        KeyError::Stage(StageError::Purged) => no_such_key(),
        KeyError::Stage(stage @ (StageError::AlreadyDeleted | StageError::NotDeleted)) => {
            Status::new(Code::FailedPrecondition, format!("Nothing was changed: {stage}."))
        }
        KeyError::Store(error) => store(error),
    }
}

/// There is no such key. A missing key is 404 and a missing project 403: Terraform needs the first, and the second
/// reveals nothing.
pub(crate) fn no_such_key() -> Status {
    Status::new(Code::NotFound, "Requested entity was not found.")
}

/// A step on a project did not happen.
pub(crate) fn project(error: &ProjectError) -> Status {
    match error {
        ProjectError::NoSuchProject | ProjectError::NoSuchOrganization => {
            Status::new(Code::PermissionDenied, "The caller does not have permission")
        }
        ProjectError::IdTaken => Status::new(Code::AlreadyExists, "Requested entity already exists"),
        ProjectError::NumberTaken => Status::new(Code::Aborted, "The number drawn is taken. Try again."),
        ProjectError::AlreadyDeleted => {
            Status::new(Code::FailedPrecondition, "Nothing was changed: the project is already deleted.")
        }
        ProjectError::NotDeleted => {
            Status::new(Code::FailedPrecondition, "Nothing was changed: the project is not deleted.")
        }
        ProjectError::ServiceOff(service) => Status::new(
            Code::FailedPrecondition,
            format!("Nothing was changed: the service {service} is not enabled for the project."),
        ),
        ProjectError::EtagMismatch => Status::new(
            Code::Aborted,
            "The project changed since its etag was read. Get the project again and repeat the request with the new etag.",
        ),
        ProjectError::Store(error) => store(error),
    }
}

/// A step on a policy or a role did not happen.
pub(crate) fn policy(error: &PolicyError) -> Status {
    match error {
        PolicyError::Stale => stale_policy(),
        // Google's words; a deleted role keeps its name.
        PolicyError::NameTaken { name } => {
            Status::new(Code::AlreadyExists, format!("A role named {} in {} already exists.", name.id, name.parent))
        }
        PolicyError::TooManyRoles { roles_max } => Status::new(
            Code::ResourceExhausted,
            format!("There are {roles_max} custom roles here, deleted ones included, which is the most there can be."),
        ),
        PolicyError::NoSuchRole => Status::new(Code::NotFound, "The role was not found."),
        PolicyError::WrongState => Status::new(
            Code::FailedPrecondition,
            "Nothing was changed: the role is deleted, or for an undelete is not deleted.",
        ),
        PolicyError::Store(error) => store(error),
    }
}

/// A step on an operator or a token did not happen.
pub(crate) fn operator(error: &OperatorError) -> Status {
    match error {
        OperatorError::NoSuchOperator => Status::new(Code::NotFound, "There is no such operator."),
        OperatorError::NoSuchToken => Status::new(Code::NotFound, "The operator has no such token."),
        OperatorError::Taken => {
            Status::new(Code::AlreadyExists, "An operator with this id or this member exists already.")
        }
        OperatorError::WrongState => {
            Status::new(Code::FailedPrecondition, "Nothing was changed: it is in that state already.")
        }
        OperatorError::Store(error) => store(error),
    }
}

/// A step on a credential at an upstream did not happen.
pub(crate) fn credential(error: &CredentialError) -> Status {
    match error {
        CredentialError::NoSuchCredential => Status::new(Code::NotFound, "The upstream has no such credential."),
        CredentialError::TooMany { credentials_max } => Status::new(
            Code::ResourceExhausted,
            format!(
                "The upstream has {credentials_max} credentials, which is the most one can have. Remove one first."
            ),
        ),
        CredentialError::Store(error) => store(error),
    }
}

/// The change is on disk, but the gate could not confirm it: the caller must not believe that it is in force.
pub(crate) fn not_caught_up(_: NotCaughtUp) -> Status {
    Status::new(
        Code::Unavailable,
        "The change was stored, but the gate has not confirmed it within its time. It will follow; check before you rely on it.",
    )
}

/// A sealed string did not open.
pub(crate) fn vault(error: VaultError) -> Status {
    tracing::error!(error = chain(&error), "a sealed key string did not open; is this the right master key?");
    Status::internal()
}

/// The model did not answer. `schema` is the path of the field with the schema that the answer is held to, if it is.
pub(crate) fn model(error: &ModelError, schema: &str) -> Status {
    match error {
        ModelError::Loading { what } => unavailable(format!("The model is not ready yet ({what}). Please try again shortly."), 1),
        ModelError::Unavailable { .. } => unavailable(
            "The model cannot answer right now. Whoever runs this Keylodge finds the reason on /readyz and in its log.".to_owned(),
            5,
        ),
        ModelError::Overloaded => unavailable(
            "This model is currently experiencing high demand. Spikes in demand are usually temporary. Please try again later.".to_owned(),
            2,
        ),
        ModelError::Lost => unavailable("The model stopped before it finished its answer. Please try again.".to_owned(), 1),
        ModelError::PromptTooLong { tokens, tokens_max } => Status::new(
            Code::InvalidArgument,
            format!("The input token count ({tokens}) exceeds the maximum number of tokens allowed {tokens_max}."),
        ),
        ModelError::BadSchema { reason } => {
            invalid(schema, format!("Invalid value at '{schema}': the schema cannot be followed: {reason}."))
        }
        ModelError::Scripted { status, message } => scripted(*status, message.as_deref()),
    }
}

fn unavailable(message: String, retry_seconds: u64) -> Status {
    Status::new(Code::Unavailable, message).with(Detail::RetryInfo(Duration::from_secs(retry_seconds)))
}

/// A fault that the script asked for, in the words Google uses for that code where the script gives none.
fn scripted(http: u16, message: Option<&str>) -> Status {
    let code = Code::from_http(http);
    let words = match code {
        Code::ResourceExhausted => "Resource has been exhausted (e.g. check quota).",
        Code::Unavailable => "The model is overloaded. Please try again later.",
        Code::DeadlineExceeded => "Deadline expired before operation could complete.",
        Code::InvalidArgument => "Request contains an invalid argument.",
        Code::PermissionDenied => "The caller does not have permission",
        Code::NotFound => "Requested entity was not found.",
        _ => "An internal error has occurred. Please retry.",
    };
    let status = Status::new(code, message.unwrap_or(words));
    match code {
        Code::ResourceExhausted | Code::Unavailable => status.with(Detail::RetryInfo(Duration::from_secs(1))),
        _ => status,
    }
}

/// What a caller needs to know where it is our credential that an upstream does not take.
const CREDENTIAL: &str = "The server behind this API does not take the credential of this Keylodge. It is not your key that is wrong; whoever runs this Keylodge finds the reason in its log.";

/// An upstream gave no answer. What it was is logged here, where the error is handled, and never sent.
pub(crate) fn upstream(name: &str, error: &UpstreamError) -> Status {
    tracing::warn!(upstream = name, error = error.words(), "an upstream gave no answer");
    let retry = Detail::RetryInfo(Duration::from_secs(1));
    match error {
        UpstreamError::Unreachable(_) => {
            Status::new(Code::Unavailable, "The server behind this API cannot be reached right now. Try again.")
                .with(retry)
        }
        UpstreamError::Broken(_) | UpstreamError::Switched => Status::new(
            Code::Unavailable,
            "The server behind this API broke off before it answered. It may have done what was asked.",
        )
        .with(retry),
        UpstreamError::Resting(wait) => {
            let message = "The server behind this API cannot be reached right now. Try again.";
            Status::new(Code::Unavailable, message).with(Detail::RetryInfo((*wait).max(Duration::from_secs(1))))
        }
        UpstreamError::NoneFree(none) => match none.why {
            Why::TooMany => Status::new(
                Code::ResourceExhausted,
                "The server behind this API lets no more calls through for now. Try again later.",
            ),
            Why::Refused => Status::new(Code::Unavailable, CREDENTIAL),
        }
        .with(Detail::RetryInfo(none.wait)),
        // Not now, and not soon.
        UpstreamError::Credential => {
            Status::new(Code::Unavailable, CREDENTIAL).with(Detail::RetryInfo(Duration::from_secs(60)))
        }
        UpstreamError::Unread => Status::new(
            Code::Unavailable,
            "The server behind this API refused the call in words that are not passed on. Try again.",
        )
        .with(retry),
        UpstreamError::TooSlow => too_slow(),
        UpstreamError::Path => Status::new(Code::InvalidArgument, "The path cannot be passed on as it is."),
        UpstreamError::Unreadable => {
            Status::new(Code::InvalidArgument, "The body did not come whole, or is too long to be recorded.")
        }
    }
}

/// The answer of a call that an upstream did not answer. Where it says how long to wait, it says so in the head, too, for
/// clients that know HTTP and not Google's details.
pub(crate) fn of_upstream<B: From<Vec<u8>>>(name: &str, error: &UpstreamError, envelope: Envelope) -> Response<B> {
    let mut response = upstream(name, error).response(envelope);
    if let UpstreamError::Resting(wait) | UpstreamError::NoneFree(NoneFree { wait, .. }) = error {
        // Whole seconds, and never too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Nothing is served at this path.
pub(crate) fn no_such_path(path: &str) -> Status {
    // As Google's servers put it for a collection that cannot be listed.
    if matches!(path.trim_end_matches('/'), "/v1/operations" | "/v2/operations" | "/v3/operations") {
        return Status::new(Code::NotFound, "Method not found.");
    }
    let mut message = format!("Nothing is served at {}.", excerpt(path));
    let versions = path.split('/').filter(|piece| matches!(*piece, "v1" | "v1beta" | "v1alpha")).count();
    if versions > 1 {
        message.push_str(" The version stands there twice: give clients the base URL without a version.");
    } else if path.ends_with("/chat/completions") {
        message.push_str(" The OpenAI-compatible surface is not served by this version of Keylodge.");
    }
    Status::new(Code::NotFound, message)
}

/// The deadline of a call passed.
pub(crate) fn too_slow() -> Status {
    Status::new(Code::DeadlineExceeded, "Deadline expired before operation could complete.")
}

fn excerpt(path: &str) -> String {
    path.chars().take(128).collect()
}
