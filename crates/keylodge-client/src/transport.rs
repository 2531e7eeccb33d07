//! One JSON call over HTTP/1.1.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keylodge_api::API_KEY_HEADER;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ClientError;

/// How long one call may take; a story of a small model on a busy machine takes its time.
const CALL_MAX: Duration = Duration::from_secs(300);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

type Body = Full<std::io::Cursor<Vec<u8>>>;

#[derive(Clone)]
pub(crate) struct Transport {
    http: Http<HttpConnector, Body>,
    authority: Authority,
    credential: (HeaderName, HeaderValue),
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        Self::with(url, AUTHORIZATION, &format!("Bearer {token}"))
    }

    pub(crate) fn with_key(url: &str, key: &str) -> Result<Self, ClientError> {
        Self::with(url, HeaderName::from_static(API_KEY_HEADER), key)
    }

    fn with(url: &str, name: HeaderName, credential: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadUrl { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        if uri.scheme() != Some(&Scheme::HTTP) || uri.path() != "/" {
            return Err(bad());
        }
        let authority = uri.authority().cloned().ok_or_else(bad)?;
        let mut credential = HeaderValue::from_str(credential).map_err(|_| ClientError::BadToken)?;
        credential.set_sensitive(true);
        let http = Http::builder(TokioExecutor::new()).build_http();
        Ok(Self { http, authority, credential: (name, credential) })
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let url = format!("http://{}", self.authority);
        let (name, credential) = self.credential.clone();
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header(name, credential)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(std::io::Cursor::new(body)))
            .map_err(|_| ClientError::BadUrl { url: url.clone() })?;
        let unreachable =
            |cause: Box<dyn std::error::Error + Send + Sync>| ClientError::Unreachable { url: url.clone(), cause };
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| unreachable(error.into()))?;
            let status = response.status();
            let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(unreachable)?;
            Ok((status, answer.to_bytes()))
        };
        let (status, answer) =
            tokio::time::timeout(CALL_MAX, exchange).await.map_err(|error| unreachable(error.into()))??;
        if status.is_success() {
            return serde_json::from_slice(&answer)
                .map_err(|_| ClientError::Nonsense { what: "an answer of another form" });
        }
        Err(refused(status.as_u16(), &answer))
    }
}

fn refused(code: u16, answer: &[u8]) -> ClientError {
    let body: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = |name: &str| body.pointer(&format!("/error/{name}")).and_then(Value::as_str).map(str::to_owned);
    match (text("status"), text("message")) {
        (Some(status), Some(message)) => ClientError::Refused { code, status, message },
        _ => ClientError::Nonsense { what: "an error of another form" },
    }
}

/// A query of the parameters that have a value.
pub(crate) fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        empty if empty.is_empty() => empty,
        query => format!("?{query}"),
    }
}
