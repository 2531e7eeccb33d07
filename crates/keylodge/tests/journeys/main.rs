//! The journeys: the real program, real sockets, and what people use it with. Each test is a promise to users; its name
//! says which. They start their own servers on free ports with folders of their own, so they run side by side.
//!
//! With the feature `embedded-model` the stories are told by the real model; without it those tests are left out.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and ends")]

mod callers;
mod canary;
mod cli;
mod drain;
mod embeddings;
mod emulate;
mod engines;
mod errors;
mod first_start;
mod framing;
mod gate;
mod gcloud;
mod kill_nine;
mod listeners;
mod locked_database;
mod management;
mod observe;
mod python_clients;
mod recording;
mod relay;
mod relayed_interactions;
mod revoke;
mod routes;
mod rust_client;
mod sdks;
mod spoofing;
#[cfg(feature = "embedded-model")]
mod story;
mod stream;
mod support;
mod tls;
mod unread;
mod upstreams;
#[cfg(feature = "embedded-model")]
mod worker;
