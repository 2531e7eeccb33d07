//! HTTP in, whole JSON out: the router called as a function, over a real SQLite file and the scripted model, with a
//! clock that stands still and dice that count.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod callers;
mod gemini;
mod keys;
mod observe;
mod projects;
mod support;
