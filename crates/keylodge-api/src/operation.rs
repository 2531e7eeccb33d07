//! Long-running operations (`google.longrunning.Operation`). Keylodge's are done when they are answered.

use serde::{Deserialize, Serialize};

/// An operation that ended well. `error` is never written beside `response`: Rust's client refuses even a null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation<R> {
    /// `operations/` and a prefix that tells gcloud whom to poll.
    pub name: String,
    /// About the work itself, where the surface says something about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
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
        Self { name, metadata: None, done: true, response: Typed { type_url, message } }
    }

    /// The same with its metadata: a message of this type with these fields.
    #[must_use]
    pub fn with_metadata(self, message_type: &str, fields: serde_json::Value) -> Self {
        let mut metadata = serde_json::Map::new();
        metadata.insert("@type".to_owned(), format!("type.googleapis.com/{message_type}").into());
        if let serde_json::Value::Object(fields) = fields {
            metadata.extend(fields);
        }
        Self { metadata: Some(metadata.into()), ..self }
    }
}
