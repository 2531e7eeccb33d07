//! What every backend must do. Backends come and go; these promises stay.
//!
//! Each file is about one kind of thing that is kept; `support` has the store, the things and the steps they share.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod ephemeral;
mod feed;
mod interactions;
mod key_life;
mod keys;
mod migration;
mod operators;
mod policies;
mod projects;
mod strings;
mod support;
mod upstreams;
