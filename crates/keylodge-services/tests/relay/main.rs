//! Promises about relayed calls: what is read of them in passing, and how they are translated.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod openai;
mod openai_refusals;
mod openai_stream;
mod usage;
mod usage_interactions;
