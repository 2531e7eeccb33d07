//! What stands behind a gate.

use http::{Method, Uri};
use keylodge_api::{Envelope, Status};
use keylodge_rules::ServiceName;

/// A gated HTTP service.
#[derive(Clone, Debug)]
pub struct Surface {
    /// Its name, as projects switch it on and restrictions name it.
    pub service: ServiceName,
    /// Its title for people, as in "Generative Language API".
    pub title: String,
    /// Where people manage keys, for links in refusals; without a slash at the end.
    pub console_url: String,
    /// Finds out what a request wants, from method and path alone; the key is out of the query by then.
    ///
    /// An `Err` is answered as it is, with or without a key: paths that do not exist are no secret.
    pub identify: fn(&Method, &Uri) -> Result<Target, Status>,
}

/// What a request wants of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The full name of the RPC, as `google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent`.
    pub method: String,
    /// How an error to this request must be wrapped.
    pub envelope: Envelope,
}

impl Target {
    /// A target whose errors are plain objects.
    pub fn new(method: impl Into<String>) -> Self {
        Self { method: method.into(), envelope: Envelope::Object }
    }

    /// The same target with its errors in another wrapping.
    #[must_use]
    pub fn enveloped(self, envelope: Envelope) -> Self {
        Self { envelope, ..self }
    }
}
