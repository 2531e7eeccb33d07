//! Every reason for which the gate says no.

use std::net::IpAddr;

use crate::quota::Exceeded;
use crate::{KeyUid, Malformed, ProjectNumber, ServiceName};

/// Why a call was refused. What the caller sees of it is decided in one place, the gate's `status` module.
///
/// Text that the caller claimed is cut, and what looks like a key in it is masked: it is repeated to the caller.
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
    /// The string was rotated out, and the time in which it was still good is over.
    StringRotatedOut(Presented),
    /// The key was deleted.
    KeyDeleted(Presented),
    /// The key was switched off by its owner.
    KeyDisabled(Presented),
    /// The key's time is over.
    KeyExpired(Presented),
    /// The key's project is deleted.
    ProjectDeleted(Presented),
    /// The key has neither a restriction nor a service account, and its project asks for one of them.
    MustBeRestricted(Presented),
    /// The key is for other services, or for other methods of this one.
    ServiceBlocked(Presented),
    /// The key is for pages, and not for the one that this call comes from.
    ReferrerBlocked {
        /// The key and its project.
        presented: Presented,
        /// The page, if one was named.
        referrer: Option<String>,
    },
    /// The key is for machines, and not for the one that this call comes from.
    AddressBlocked {
        /// The key and its project.
        presented: Presented,
        /// The address, if it is known.
        address: Option<IpAddr>,
    },
    /// The key is for Android apps, and not for the one that makes this call.
    AndroidAppBlocked {
        /// The key and its project.
        presented: Presented,
        /// The app's package name, if one was named.
        package_name: Option<String>,
    },
    /// The key is for iOS apps, and not for the one that makes this call.
    IosAppBlocked {
        /// The key and its project.
        presented: Presented,
        /// The app's bundle id, if one was named.
        bundle: Option<String>,
    },
    /// The key is for other models.
    ModelBlocked {
        /// The key and its project.
        presented: Presented,
        /// The model that was named.
        model: String,
    },
    /// The key is for other hours.
    HoursBlocked(Presented),
    /// The key's project has not switched the service on.
    ServiceDisabled {
        /// The key and its project.
        presented: Presented,
        /// The service.
        service: ServiceName,
    },
    /// Limits have no room for the call.
    LimitExceeded {
        /// The key and its project.
        presented: Presented,
        /// Those of the project.
        of_project: Vec<Exceeded>,
        /// Those of the key.
        of_key: Vec<Exceeded>,
    },
    /// A limit by the day or month has room, but it could not be written down in time that it is used.
    LedgerAway(Presented),
    /// An ephemeral token came in place of a key, and nobody was ever issued it, or it is gone.
    UnknownToken,
    /// An ephemeral token came in place of a key, and the key behind it may make the call, but the token may not.
    Token {
        /// The key that stands behind the token, and its project.
        presented: Presented,
        /// What is wrong.
        problem: TokenProblem,
    },
}

/// Why an ephemeral token that is known opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenProblem {
    /// Its time is over.
    Expired,
    /// Its time is not over, but that in which it could begin sessions is.
    TooLate,
    /// All its uses are used.
    Spent,
    /// It is for other kinds of calls.
    OutOfScope,
    /// It is for another model.
    OtherModel,
    /// It fixes how sessions are set up, and another one was asked for.
    OtherSetup,
    /// Tokens make no tokens.
    MakesNone,
    /// It could not be written down in time that it is used.
    Away,
}

impl TokenProblem {
    /// A short fixed word for it, as [`Refusal::word`].
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expired => "token_expired",
            Self::TooLate => "token_too_late",
            Self::Spent => "token_spent",
            Self::OutOfScope => "token_out_of_scope",
            Self::OtherModel => "token_other_model",
            Self::OtherSetup => "token_other_setup",
            Self::MakesNone => "token_makes_none",
            Self::Away => "token_away",
        }
    }
}

/// The key that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The key.
    pub key: KeyUid,
    /// Its project.
    pub project: ProjectNumber,
}

impl Presented {
    /// No key of no project, for refusals that say nothing of either.
    pub const NOBODY: Self = Self { key: KeyUid::from_random([0; 16]), project: ProjectNumber::from_random([0; 8]) };
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
            Self::StringRotatedOut(_) => "string_rotated_out",
            Self::KeyDeleted(_) => "key_deleted",
            Self::KeyDisabled(_) => "key_disabled",
            Self::KeyExpired(_) => "key_expired",
            Self::ProjectDeleted(_) => "project_deleted",
            Self::MustBeRestricted(_) => "must_be_restricted",
            Self::ServiceBlocked(_) => "service_blocked",
            Self::ReferrerBlocked { .. } => "referrer_blocked",
            Self::AddressBlocked { .. } => "address_blocked",
            Self::AndroidAppBlocked { .. } => "android_app_blocked",
            Self::IosAppBlocked { .. } => "ios_app_blocked",
            Self::ModelBlocked { .. } => "model_blocked",
            Self::HoursBlocked(_) => "hours_blocked",
            Self::ServiceDisabled { .. } => "service_disabled",
            Self::LimitExceeded { .. } => "limit_exceeded",
            Self::LedgerAway(_) => "ledger_away",
            Self::UnknownToken => "unknown_token",
            Self::Token { problem, .. } => problem.word(),
        }
    }

    /// The key that was refused, where one was recognised.
    #[must_use]
    pub const fn key(&self) -> Option<&KeyUid> {
        match self.presented() {
            Some(presented) => Some(&presented.key),
            None => None,
        }
    }

    /// The project that the refused key belongs to, where one was recognised.
    #[must_use]
    pub const fn project(&self) -> Option<ProjectNumber> {
        match self.presented() {
            Some(presented) => Some(presented.project),
            None => None,
        }
    }

    const fn presented(&self) -> Option<&Presented> {
        match self {
            Self::NoCredential
            | Self::TwoCredentials
            | Self::NotAnApiKey
            | Self::Malformed(_)
            | Self::UnknownKey
            | Self::UnknownToken => None,
            Self::StringRotatedOut(presented)
            | Self::KeyDeleted(presented)
            | Self::KeyDisabled(presented)
            | Self::KeyExpired(presented)
            | Self::ProjectDeleted(presented)
            | Self::MustBeRestricted(presented)
            | Self::ServiceBlocked(presented)
            | Self::ReferrerBlocked { presented, .. }
            | Self::AddressBlocked { presented, .. }
            | Self::AndroidAppBlocked { presented, .. }
            | Self::IosAppBlocked { presented, .. }
            | Self::ModelBlocked { presented, .. }
            | Self::HoursBlocked(presented)
            | Self::ServiceDisabled { presented, .. }
            | Self::LimitExceeded { presented, .. }
            | Self::LedgerAway(presented)
            | Self::Token { presented, .. } => Some(presented),
        }
    }
}
