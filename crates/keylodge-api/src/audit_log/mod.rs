//! The audit log as it is exported: one JSON object per line, entries first and the signed end last.
//!
//! An entry is a Cloud Logging `LogEntry` with a `google.cloud.audit.AuditLog` in it, so that whatever reads Google's
//! audit logs reads ours. What Google has no field for stands in `labels` under `keylodge.`. The last line is
//! `{"keylodgeCheckpoint": {…}}`.
//!
//! Reading is strict on purpose: a line counts only if it is byte for byte what printing its values gives. The hash
//! chain of [`keylodge_rules::audit`] covers the values; this covers the spelling, so that no byte of an export can be
//! changed unnoticed.

mod checkpoint;
mod entry;
mod verify;
mod wire;

use std::fmt;

pub use checkpoint::{parse as parse_checkpoint, print as print_checkpoint};
pub use entry::{parse, print};
pub use verify::{ExportVerifier, verify_export};

/// What the exported form is called in each entry's label `keylodge.format`.
pub const FORMAT: &str = "1";

/// Why a line is not an entry, or not the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnEntry {
    /// It is not UTF-8.
    NotText,
    /// It is not JSON with the fields that such a line has.
    NotJson,
    /// It has another format than [`FORMAT`].
    OtherFormat,
    /// A field holds something that it never holds; this is the field's name.
    Field(&'static str),
    /// It says the same in other bytes, or has something that is not read.
    OtherSpelling,
}

impl fmt::Display for NotAnEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("it is not UTF-8"),
            Self::NotJson => f.write_str("it is not JSON, or fields are missing or of the wrong type"),
            Self::OtherFormat => write!(f, "its format is not {FORMAT}; a newer Keylodge may read it"),
            Self::Field(field) => write!(f, "{field} holds something that it never holds"),
            Self::OtherSpelling => f.write_str("some of its bytes are not those that were written"),
        }
    }
}

impl std::error::Error for NotAnEntry {}
