//! What Keylodge keeps, and how: every method of [`Store`] is a whole step that happens entirely or not at all.
//!
//! A write that returned `Ok` is on disk (SQLite, WAL, `synchronous=FULL`) together with its audit line and its place
//! in the change feed. A write that returned an error, or never returned because the process died, changed nothing or
//! happened whole; it is never half there. Reads and writes that cannot reach the database give
//! [`StoreError::Unavailable`], which never means "not there".
//!
//! This crate knows nothing of HTTP or wire formats, asks no clock and throws no dice.
//!
//! | if this fails | callers see |
//! |---|---|
//! | another process holds the database | waits [`sqlite::BUSY_SECONDS_MAX`] seconds, then `Unavailable` |
//! | disk full | `Unavailable`; nothing half-written |
//! | a row contradicts the schema's promises | `Contradiction` with table and column |
//!
//! Calls, limits and refusals are metered in a file of their own, so that neither waits for the other: see [`meter`]; so
//! do conversations that callers want kept, see [`interactions`], and ephemeral tokens, see [`ephemeral`].
//!
//! To add a kind of record: a table in the next migration with a `revision` column, a struct in [`record`], a file in
//! `sqlite/` with one method for each step, and its subject in `sqlite/feed.rs` if gates must know it.

#[cfg(feature = "sqlite")]
pub mod ephemeral;
pub mod error;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
pub mod interactions;
#[cfg(feature = "sqlite")]
pub mod meter;
pub mod record;
mod restrictions;
mod rules;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod vault;

#[cfg(feature = "sqlite")]
pub use ephemeral::{Ephemeral, EphemeralRecord, TokenScope};
pub use error::{
    CredentialError, KeyError, OpenError, OpenFileError, OperatorError, PolicyError, ProjectError, StoreError,
};
#[cfg(feature = "sqlite")]
pub use interactions::{InteractionRecord, Interactions, InteractionsOptions, RelayedRecord};
#[cfg(feature = "sqlite")]
pub use meter::{Meter, MeterOptions};
pub use record::{
    Act, AuditLine, Changes, Committed, KeyRecord, NewKey, NewOperator, NewProject, NewToken, NewUpstreamCredential,
    Operation, OperationKind, OperatorRecord, OrganizationRecord, Overlap, Page, ProjectRecord, RoleRecord,
    StringRecord, TokenRecord, UpstreamCredentialRecord, Use,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{Among, CALLERS_MAX, CREDENTIALS_PER_UPSTREAM_MAX, DEPLOYMENT, ProfileLimit, Store, StoreOptions};
pub use vault::{MasterKey, Sealed, UpstreamSecret, Vault, VaultError};
