//! What an upstream says of its models.

use std::sync::Arc;

use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Limited};
use keylodge_api::Status;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::super::models::{Elsewhere, Speech, of_upstream};
use super::relayed::encoded;
use crate::failure;
use crate::relay::{Outgoing, Underway, UpstreamError, openai};

/// Where servers with OpenAI's interface list their models.
const OPENAI_MODELS: &str = "/models";

/// The longest list that is read, in bytes. Google's has about 100 KiB.
const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The models that the upstream of `*` has, as `models` shows them.
///
/// # Errors
/// What the upstream answered, or why it did not.
pub(crate) async fn list(elsewhere: &Elsewhere, version: &str, deadline: Instant) -> Result<Vec<Value>, Status> {
    let (path, query) = match elsewhere.speech {
        Speech::Gemini => (format!("/{version}/models"), "/?pageSize=1000"),
        Speech::OpenAi => (OPENAI_MODELS.to_owned(), "/"),
    };
    let answer = get(elsewhere, &path, Uri::from_static(query), deadline).await.map_err(|Said { http, status }| {
        let upstream = &*elsewhere.upstream.name;
        tracing::warn!(upstream, http.status = http, "an upstream does not list its models");
        status
    })?;
    Ok(match elsewhere.speech {
        Speech::Gemini => answer["models"].as_array().cloned().unwrap_or_default(),
        Speech::OpenAi => ids(&answer).filter_map(|id| serde_json::to_value(of_upstream(id, elsewhere)).ok()).collect(),
    })
}

/// The names in a list of OpenAI's form.
fn ids(list: &Value) -> impl Iterator<Item = &str> {
    list["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str())
}

/// One model, as `models` shows it. Where the settings name it and its upstream would call it otherwise or lists names
/// only, it is what is known here.
///
/// # Errors
/// What the upstream answered, or why it did not; none where it has no such model.
pub(crate) async fn describe(
    elsewhere: &Elsewhere,
    version: &str,
    name: &str,
    is_settled: bool,
    deadline: Instant,
) -> Result<Option<Value>, Status> {
    let known = || serde_json::to_value(of_upstream(name, elsewhere)).map(Some).map_err(|_| Status::internal());
    let path = match elsewhere.speech {
        _ if !elsewhere.is_same_name(name) => return known(),
        Speech::OpenAi if is_settled => return known(),
        Speech::OpenAi => {
            return match get(elsewhere, OPENAI_MODELS, Uri::from_static("/"), deadline).await {
                Ok(list) if ids(&list).any(|id| id == name) => known(),
                Ok(_) | Err(Said { http: 404, .. }) => Ok(None),
                Err(Said { status, .. }) => Err(status),
            };
        }
        Speech::Gemini => format!("/{version}/models/{}", encoded(name)),
    };
    match get(elsewhere, &path, Uri::from_static("/"), deadline).await {
        Ok(model) => Ok(Some(model)),
        Err(Said { http: 404, .. }) => Ok(None),
        Err(Said { status, .. }) => Err(status),
    }
}

/// Why there is no answer.
struct Said {
    http: u16,
    status: Status,
}

async fn get(elsewhere: &Elsewhere, path: &str, query: Uri, deadline: Instant) -> Result<Value, Said> {
    let upstream = &elsewhere.upstream;
    let of_error = |error: UpstreamError| Said { http: 503, status: failure::upstream(&upstream.name, &error) };
    let mut request = Request::new(Outgoing::Whole(None));
    *request.uri_mut() = query;
    let answer = async {
        let mut slot = Some(request);
        let mut underway = Underway::new(&mut slot, None, upstream);
        let response = upstream.ask(&mut underway, path, &Arc::default()).await.map_err(of_error)?;
        let (head, body) = response.into_parts();
        let http = head.status.as_u16();
        let bytes = Limited::new(body, LIST_BYTES_MAX).collect().await;
        let bytes = bytes.map_err(|_| Said { http: 502, status: openai::broke_off() })?.to_bytes();
        if !head.status.is_success() {
            return Err(Said { http, status: openai::refused(http, &HeaderMap::new(), &bytes).status });
        }
        serde_json::from_slice(&bytes).map_err(|_| Said { http: 502, status: openai::not_understood() })
    };
    let late = |_| Err(Said { http: 504, status: failure::too_slow() });
    timeout_at(deadline, answer).await.unwrap_or_else(late)
}
