//! An axum program that issues keys and guards its own routes with them, with Keylodge's gate and nothing else of it.
//!
//! | call | needs | what happens |
//! |---|---|---|
//! | `POST /keys` | the admin token | issues a key; the answer is the only place where its string is ever seen |
//! | `DELETE /keys/{id}` | the admin token | revokes it; the very next call is refused |
//! | `GET /v1/forecast` | a key | 60 times a minute for each key, then Google's 429 |

mod office;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use keylodge_api::status::{JSON, json_bytes};
use keylodge_api::{Code, Envelope, Status};
use keylodge_gate::credential::TakeCredential;
use keylodge_gate::{Clock, CredentialLayer, Credentials, Entropy, GateLayer, Pass, Target};
use keylodge_rules::quota::Amounts;
use keylodge_rules::{KeyUid, OperatorToken};
use tower::Layer;

use office::Office;

const ONE_CALL: Amounts = Amounts { requests: 1, ..Amounts::ZERO };

/// The whole program behind its listener. The credential layer stands around the router, so that keys are out of a
/// request before anything else sees it.
#[must_use]
pub fn app(admin: &OperatorToken, clock: Clock, entropy: Entropy) -> TakeCredential<Router> {
    let office = Arc::new(Office::new(admin, clock, entropy));
    let guarded = Router::new()
        .route("/v1/forecast", get(forecast))
        .route_layer(from_fn_with_state(Arc::clone(&office), within_limits))
        .route_layer(GateLayer::new(office.surface.clone(), office.judge.clone()));
    let managed = Router::new()
        .route("/keys", post(issue))
        .route("/keys/{id}", delete(revoke))
        .route_layer(from_fn_with_state(Arc::clone(&office), admin_only));
    CredentialLayer.layer(guarded.merge(managed).with_state(office))
}

/// Only the gate can make a `Pass`, so this cannot be reached without a good key, wherever its route is put.
async fn forecast(pass: Pass) -> String {
    format!("Sunny, says the key {}.\n", pass.key())
}

/// Counts a call from its beginning: one that the caller breaks off has been made all the same.
async fn within_limits(
    State(office): State<Arc<Office>>,
    Extension(target): Extension<Target>,
    pass: Pass,
    request: Request,
    next: Next,
) -> Response {
    match office.judge.take(&pass, None, &ONE_CALL, Duration::ZERO).await {
        Ok(charge) => charge.settle(&ONE_CALL),
        Err(refusal) => return office.judge.refuse(refusal, &office.surface, &target),
    }
    next.run(request).await
}

async fn issue(State(office): State<Arc<Office>>) -> impl IntoResponse {
    let (uid, string) = office.issue();
    let answer = serde_json::json!({"id": uid.to_string(), "keyString": string.reveal()});
    ([(header::CONTENT_TYPE, JSON)], json_bytes(&answer, true))
}

async fn revoke(State(office): State<Arc<Office>>, Path(id): Path<String>) -> Response {
    let Some(()) = KeyUid::parse(&id).ok().and_then(|uid| office.revoke(uid)) else {
        return Status::new(Code::NotFound, format!("There is no live key {id}.")).response(Envelope::Object);
    };
    StatusCode::NO_CONTENT.into_response()
}

async fn admin_only(State(office): State<Arc<Office>>, request: Request, next: Next) -> Response {
    let token = Credentials::of(request.extensions()).and_then(Credentials::bearer_token);
    let token = token.and_then(|token| OperatorToken::parse(token).ok());
    if token.is_some_and(|token| office.is_admin(&token)) {
        return next.run(request).await;
    }
    Status::new(Code::Unauthenticated, "Send the admin token: Authorization: Bearer klo_…").response(Envelope::Object)
}
