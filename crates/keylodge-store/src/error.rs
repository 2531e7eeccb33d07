//! What can happen to a step.

use std::fmt;

use keylodge_rules::iam::CustomRoleName;
use keylodge_rules::{ServiceName, StageError};

/// The database did not do its part.
#[derive(Debug)]
pub enum StoreError {
    /// It could not be reached or did not finish in time. Trying again may help; nothing was changed.
    Unavailable(sqlx::Error),
    /// A row holds what it cannot hold. Somebody should look at it.
    Contradiction {
        /// Where.
        table: &'static str,
        /// Which column.
        column: &'static str,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(_) => f.write_str("the database is unavailable"),
            Self::Contradiction { table, column } => {
                write!(f, "column {column} of table {table} holds a value that it cannot hold")
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(cause) => Some(cause),
            Self::Contradiction { .. } => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(cause: sqlx::Error) -> Self {
        Self::Unavailable(cause)
    }
}

/// Why a database could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// It was made under another master key: with this one every key would read as unknown.
    OtherMasterKey,
    /// The database did not do its part.
    Store(StoreError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherMasterKey => "the database was made under another master key",
            Self::Store(_) => "the database cannot be opened",
        })
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OtherMasterKey => None,
            Self::Store(cause) => Some(cause),
        }
    }
}

/// Why a step on a key did not happen.
#[derive(Debug)]
pub enum KeyError {
    /// There is no such key in the project.
    NoSuchKey,
    /// The project is deleted.
    ProjectDeleted,
    /// A key of the project has this id, perhaps a deleted one.
    IdTaken,
    /// The string belongs to a key already.
    StringTaken,
    /// The project has as many keys as it may have.
    TooManyKeys {
        /// How many that is.
        keys_max: u64,
    },
    /// The operator has as many keys of this profile as one may have.
    TooManyOfProfile {
        /// How many that is.
        keys_max: u64,
    },
    /// The key changed since the caller read it.
    EtagMismatch,
    /// What should become of the key contradicts what it is.
    Contradiction,
    /// The project wants its standard keys restricted, and this one is not.
    MustBeRestricted,
    /// The string was shown when it was made, and is not kept.
    ShownOnce,
    /// The string was never seen: the key was imported by its hash.
    NeverSeen,
    /// There is no string that was rotated out.
    NotRotated,
    /// The key's life has no such step.
    Stage(StageError),
    /// The database did not do its part.
    Store(StoreError),
}

/// Why a step on a project or an organization did not happen.
#[derive(Debug)]
pub enum ProjectError {
    /// There is no such project.
    NoSuchProject,
    /// There is no such organization.
    NoSuchOrganization,
    /// Somebody has, or had, this id.
    IdTaken,
    /// The random number is in use; another will do.
    NumberTaken,
    /// It is deleted already.
    AlreadyDeleted,
    /// It is not deleted, so there is nothing to bring back.
    NotDeleted,
    /// The service is off already.
    ServiceOff(ServiceName),
    /// The project changed since the caller read it.
    EtagMismatch,
    /// The database did not do its part.
    Store(StoreError),
}

/// Why a step on a policy or a role did not happen.
#[derive(Debug)]
pub enum PolicyError {
    /// It changed since the caller read it.
    Stale,
    /// There is a role of this name, perhaps a deleted one.
    NameTaken {
        /// The name, with its parent.
        name: CustomRoleName,
    },
    /// The project or organization has as many roles as it may have.
    TooManyRoles {
        /// How many that is.
        roles_max: u64,
    },
    /// There is no such role.
    NoSuchRole,
    /// The role is deleted already, or not deleted.
    WrongState,
    /// The database did not do its part.
    Store(StoreError),
}

/// Why a step on an operator or a token did not happen.
#[derive(Debug)]
pub enum OperatorError {
    /// There is no such operator.
    NoSuchOperator,
    /// There is no such token.
    NoSuchToken,
    /// There is an operator of this id or member.
    Taken,
    /// It is in that state already.
    WrongState,
    /// The database did not do its part.
    Store(StoreError),
}

/// Why a step on a credential at an upstream did not happen.
#[derive(Debug)]
pub enum CredentialError {
    /// The upstream has no such credential.
    NoSuchCredential,
    /// The upstream has as many credentials as one may have.
    TooMany {
        /// How many that is.
        credentials_max: u64,
    },
    /// The database did not do its part.
    Store(StoreError),
}

impl From<StageError> for KeyError {
    fn from(error: StageError) -> Self {
        Self::Stage(error)
    }
}

macro_rules! from_store {
    ($($error:ident),+) => {$(
        impl From<StoreError> for $error {
            fn from(error: StoreError) -> Self {
                Self::Store(error)
            }
        }

        impl From<sqlx::Error> for $error {
            fn from(cause: sqlx::Error) -> Self {
                Self::Store(cause.into())
            }
        }
    )+};
}
from_store!(OpenError, KeyError, ProjectError, PolicyError, OperatorError, CredentialError);

/// Why a file beside the database could not be opened.
#[derive(Debug)]
pub enum OpenFileError {
    /// A newer Keylodge wrote the file.
    Newer {
        /// The number of a step of its schema that this one does not know.
        schema: i64,
    },
    /// The database did not do its part.
    Store(StoreError),
}

impl fmt::Display for OpenFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { schema } => {
                write!(
                    f,
                    "a newer Keylodge wrote this file: its schema has step {schema}, which this one does not know"
                )
            }
            Self::Store(_) => f.write_str("the file cannot be opened"),
        }
    }
}

impl std::error::Error for OpenFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Newer { .. } => None,
            Self::Store(cause) => Some(cause),
        }
    }
}

impl From<StoreError> for OpenFileError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
