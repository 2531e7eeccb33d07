//! What can happen to a step.

use std::fmt;

use keylodge_rules::StageError;

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

/// Why a step on a key did not happen.
#[derive(Debug)]
pub enum KeyError {
    /// There is no such key in the project.
    NoSuchKey,
    /// The project is deleted.
    ProjectDeleted,
    /// A key of the project has this id, perhaps a deleted one.
    IdTaken,
    /// The project has as many keys as it may have.
    TooManyKeys,
    /// The key changed since the caller read it.
    EtagMismatch,
    /// The key's life has no such step.
    Stage(StageError),
    /// The database did not do its part.
    Store(StoreError),
}

/// Why a step on a project did not happen.
#[derive(Debug)]
pub enum ProjectError {
    /// There is no such project.
    NoSuchProject,
    /// Somebody has, or had, this id.
    IdTaken,
    /// The random number is in use; another will do.
    NumberTaken,
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
from_store!(KeyError, ProjectError);
