//! What stands behind a gate.

use std::sync::Arc;

use http::{Method, Uri};
use keylodge_api::{Envelope, Status};
use keylodge_rules::ServiceName;

use crate::status::Prepared;

/// Finds out what a request wants, from method and path alone; the key is out of the query by then.
///
/// An `Err` is answered as it is, with or without a key: paths that do not exist are no secret.
pub type Identify = Arc<dyn Fn(&Method, &Uri) -> Result<Target, Status> + Send + Sync>;

/// A gated HTTP service.
#[derive(Clone)]
pub struct Surface {
    pub(crate) service: ServiceName,
    pub(crate) title: Arc<str>,
    pub(crate) console_url: Arc<str>,
    pub(crate) identify: Identify,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) keys: KeyPlace,
    pub(crate) envelope: Envelope,
}

/// Where callers of a surface put their key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// In `x-goog-api-key` or in the query; a bearer token is something else.
    Google,
    /// In `Authorization`, as a bearer token, or in `x-goog-api-key`; one of them.
    Bearer,
}

impl Surface {
    /// A surface by its name, as projects switch it on and restrictions name it; its title for people, as in "Generative
    /// Language API"; where people manage keys, for links in refusals, without a slash at the end; and how its requests
    /// are told apart.
    pub fn new(
        service: ServiceName,
        title: &str,
        console_url: &str,
        identify: impl Fn(&Method, &Uri) -> Result<Target, Status> + Send + Sync + 'static,
    ) -> Self {
        Self {
            service,
            title: title.into(),
            console_url: console_url.into(),
            identify: Arc::new(identify),
            prepared: Arc::default(),
            keys: KeyPlace::Google,
            envelope: Envelope::Object,
        }
    }

    /// The same surface where a key comes as a bearer token, as OpenAI's clients send it.
    #[must_use]
    pub fn with_bearer_keys(self) -> Self {
        Self { keys: KeyPlace::Bearer, ..self }
    }

    /// The same surface where errors about paths that there are not come in this wrapping.
    #[must_use]
    pub fn enveloped(self, envelope: Envelope) -> Self {
        Self { envelope, ..self }
    }

    /// Its name, as projects switch it on and restrictions name it.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// What a request wants.
    ///
    /// # Errors
    /// What answers a request that wants nothing there is.
    pub fn identify(&self, method: &Method, uri: &Uri) -> Result<Target, Status> {
        (self.identify)(method, uri)
    }
}

impl std::fmt::Debug for Surface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surface").field("service", &self.service).finish_non_exhaustive()
    }
}

/// What a request wants of a service. Clones share their texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The full name of the RPC, as `google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent`.
    pub method: Arc<str>,
    /// The model it names, without `models/`, if it names one.
    pub model: Option<Arc<str>>,
    /// How an error to this request must be wrapped.
    pub envelope: Envelope,
}

impl Target {
    /// A target that names no model and whose errors are plain objects.
    pub fn new(method: impl Into<Arc<str>>) -> Self {
        Self { method: method.into(), model: None, envelope: Envelope::Object }
    }

    /// The same target with its errors in another wrapping.
    #[must_use]
    pub fn enveloped(self, envelope: Envelope) -> Self {
        Self { envelope, ..self }
    }

    /// The same target for a model.
    #[must_use]
    pub fn of_model(self, model: impl Into<Arc<str>>) -> Self {
        Self { model: Some(model.into()), ..self }
    }
}
