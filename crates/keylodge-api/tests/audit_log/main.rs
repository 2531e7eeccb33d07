//! Promises about the exported audit log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod export;
mod lines;
mod mutations;
mod mutator;
