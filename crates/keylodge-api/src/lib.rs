//! The words that travel on the wire: requests and answers of the surfaces Keylodge speaks, and how errors look.
//!
//! Requests are read by [`proto_json`], which follows proto3's JSON mapping the way Google's servers do (either
//! spelling of a field, numbers as strings, every mistake of a body reported at once). Answers are plain structs that
//! serde prints. This crate knows no server and no client: only `http` for status codes and header names.
//!
//! ```
//! use keylodge_api::{gemini, proto_json};
//!
//! let body = br#"{"contents": [{"parts": [{"text": "Hi"}]}], "generation_config": {"topK": "3"}}"#;
//! let request: gemini::GenerateContentRequest = proto_json::parse(body).unwrap();
//! assert_eq!(request.generation_config.top_k, Some(3));
//!
//! let status = proto_json::parse::<gemini::GenerateContentRequest>(br#"{"foo": 1}"#).unwrap_err();
//! assert_eq!(status.message, "Invalid JSON payload received. Unknown name \"foo\": Cannot find field.");
//! ```
//!
//! | module | words of |
//! |---|---|
//! | [`gemini`] | the Gemini API: generateContent and its kin, models |
//! | [`admin`] | Keylodge's own API |
//! | [`apikeys`] | API Keys v2 |
//! | [`resource_manager`] | Resource Manager v1 and v3 |
//! | [`iam`] | IAM: policies, roles, questions about permissions |
//! | [`service_usage`] | Service Usage v1 |
//! | [`audit_log`] | the exported audit log, as Cloud Logging has it |
//! | [`operation`] | long-running operations, shared by key, project and service calls |
//! | [`status`] | `google.rpc.Status`, the one form of every error |
//! | [`proto_json`] | reading proto3 JSON |
//! | [`timestamp`] | RFC 3339 |

pub mod admin;
pub mod apikeys;
pub mod audit_log;
pub mod gemini;
pub mod iam;
pub mod operation;
pub mod proto_json;
pub mod resource_manager;
pub mod service_usage;
pub mod status;
pub mod timestamp;

pub use status::{Code, Detail, Envelope, Status};

/// The service name of the Gemini API, in errors, restrictions and Service Usage.
pub const GEMINI_SERVICE: &str = "generativelanguage.googleapis.com";
/// The header in which Gemini clients send their key.
pub const API_KEY_HEADER: &str = "x-goog-api-key";
/// The header that names the decision behind a refusal, for `keylodge explain` and the log.
pub const DECISION_HEADER: &str = "x-keylodge-decision";
/// The header that names a request in the log.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
