//! Long-running operations (`google.longrunning.Operation`). Keylodge's are done when they are answered.

use serde::{Deserialize, Serialize};

/// An operation that ended well. `error` is never written beside `response`: Rust's client refuses even a null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation<R> {
    /// `operations/` and a prefix that tells gcloud whom to poll.
    pub name: String,
    /// Always true.
    pub done: bool,
    /// What came of it.
    pub response: Typed<R>,
}

/// A message with its full type name, as `google.protobuf.Any` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typed<R> {
    /// `type.googleapis.com/` and the full name.
    #[serde(rename = "@type")]
    pub type_url: String,
    /// The message.
    #[serde(flatten)]
    pub message: R,
}

impl<R> Operation<R> {
    /// An operation that is done.
    pub fn done(name: String, message_type: &str, message: R) -> Self {
        let type_url = format!("type.googleapis.com/{message_type}");
        Self { name, done: true, response: Typed { type_url, message } }
    }
}
