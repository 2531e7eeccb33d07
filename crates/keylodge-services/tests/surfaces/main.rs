//! HTTP in, whole JSON out: the router called as a function, over a real SQLite file and the scripted model, with a
//! clock that stands still and dice that count.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod bulk;
mod callers;
mod embeddings;
mod explain;
mod functions;
mod gemini;
mod import;
mod interactions;
mod interactions_relayed;
mod keys;
mod keys_life;
mod keys_restrictions;
mod keys_update;
mod limits;
mod live;
mod observe;
mod openai;
mod openapi;
mod operators;
mod organizations;
mod policies;
mod projects;
mod projects_v3;
mod receipts;
mod rehearse;
mod rotation;
mod services;
mod support;
mod tokens;
mod upstreams;
mod usage;
mod visitor;
mod workspace;
