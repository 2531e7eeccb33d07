//! Whether the program lives, and whether it can do its work.

use std::time::Duration;

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keylodge_model::{Engine, State};
use serde_json::{Value, json};

use crate::lodge::ListensAt;
use crate::{Lodge, Served};

/// How long readiness waits for the database: less than a probe waits for it.
const PING_TIME_MAX: Duration = Duration::from_secs(1);

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200 when keys can be managed and every model of text answers, else 503; either way with the state of each part
/// and where the planes listen.
pub(crate) async fn readyz(Shared(lodge): Shared<Lodge>) -> Response {
    let ListensAt { data, control } = &lodge.listens_at;
    report(&lodge, Some(json!({"data": data, "control": control}))).await
}

/// The same for a listener that only has the data plane: strangers reach it, and need not know where the other is.
pub(crate) async fn readyz_of_data(Shared(lodge): Shared<Lodge>) -> Response {
    report(&lodge, None).await
}

async fn report(lodge: &Lodge, listens_at: Option<Value>) -> Response {
    let store = match tokio::time::timeout(PING_TIME_MAX, lodge.store.ping()).await {
        Ok(Ok(())) => json!({"state": "ready"}),
        Ok(Err(_)) | Err(_) => {
            json!({"state": "failed", "reason": "the database does not answer; checks go on, changes do not"})
        }
    };
    let engines = lodge.models.engines().iter().map(|engine| part(&engine.info().name, engine.state()));
    // Told, and no reason to take a node out: they are started by calls and fetched then, and calls of text go on.
    let embedders = lodge.models.embedders().iter().map(|embedder| part(&embedder.info().name, embedder.state()));
    let (engines, embedders): (Vec<_>, Vec<_>) = (engines.collect(), embedders.collect());
    let mut answering = lodge.models.entries().iter().filter_map(Served::engine).map(Engine::state);
    let ready = store["state"] == "ready" && answering.all(|state| state == State::Ready);
    let mut report = json!({
        "ready": ready,
        "store": store,
        "engines": engines,
        "embedders": embedders,
        "index": {"revision": lodge.index.revision().0, "keys": lodge.index.read(keylodge_rules::KeyIndex::len)},
    });
    if let Some(listens_at) = listens_at {
        report["listens_at"] = listens_at;
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(http::header::CONTENT_TYPE, "application/json")], format!("{report:#}\n")).into_response()
}

fn part(name: &str, state: State) -> Value {
    let (state, reason) = match state {
        State::Ready => ("ready", None),
        State::Asleep => ("asleep", None),
        State::Starting { what } => ("starting", Some(what)),
        State::Failed { reason } => ("failed", Some(reason)),
    };
    json!({"name": name, "state": state, "reason": reason})
}

/// `GET /metrics`: counters in OpenMetrics text.
pub(crate) async fn metrics(Shared(lodge): Shared<Lodge>) -> Response {
    let text = lodge.metrics.print(&lodge);
    ([(http::header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
