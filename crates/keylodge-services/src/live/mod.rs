//! The Live API: conversations over a websocket, one turn after the other.
//!
//! ```text
//! upgrade ─ first message ─ key or token ─ setup ─ gate, for the model ─┬─ turns, asked like any generation ─ pieces
//!                                                                       └─ a websocket of our own to an upstream
//! ```
//!
//! Whoever asks for the websocket gets it: what is wrong is said in a close after the first message, since clients show
//! nothing else well ([`closing`] has the codes). Each turn goes to the Gemini surface in its own words
//! ([`crate::gemini::inside`]), so that limits, engines and upstreams are the same, and is a call of its own for limits
//! and usage. Only a session with a model at a Gemini upstream is one call as a whole ([`there`]).
//!
//! A session ends within a moment after its key does: it listens to the revisions of the gate's index ([`ear`]), and asks
//! the gate again at each of them, at each message, and each second for what ends by the clock.

mod begin;
mod closing;
mod conversation;
mod ear;
mod history;
mod identify;
mod line;
mod resumption;
mod sessions;
mod talk;
mod there;
mod turn;
mod upgrade;

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{ORIGIN, REFERER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request};
use keylodge_api::{Code, Detail, Envelope, Status};
use keylodge_gate::{Peer, Refused, Surface, Target};
use keylodge_rules::{Refusal, TokenProblem};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::calling::Calling;
use crate::observe::RequestId;
use crate::tally::Caller;
use crate::{Lodge, bill, failure};
use begin::Proven;
use closing::{Closing, DENIED, End};
use identify::Websocket;
use line::Line;
use sessions::Waiting;
pub use sessions::{LiveLimits, Sessions};

/// How long the first message may take, and before it the upgrade.
const FIRST_TIME_MAX: Duration = Duration::from_secs(10);

/// How large the first message of a websocket may be that no key or token opens, in bytes: it is refused whatever it says.
const UNPROVEN_BYTES_MAX: usize = 64 * 1024;

/// What the surface works with.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) lodge: Lodge,
    pub(crate) surface: Surface,
}

/// What opens a websocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credential {
    Key,
    Token,
}

/// Changes to a websocket and leaves the session to a task of its own.
pub(crate) async fn handle(State(live): State<Live>, mut request: Request<Body>) -> Response {
    let Some(place) = identify::websocket(request.uri().path()) else {
        return failure::no_such_path(request.uri().path()).response(Envelope::Object);
    };
    let Some(waiting) = live.lodge.live.waiting() else {
        let status = Status::new(Code::Unavailable, "Too many websockets wait for their first message. Try again.");
        return status.with(Detail::RetryInfo(Duration::from_secs(1))).response(Envelope::Object);
    };
    let (response, connection) = match upgrade::agree(&mut request) {
        Ok(agreed) => agreed,
        Err(status) => return status.response(Envelope::Object),
    };
    let (mut parts, _) = request.into_parts();
    name_page(&mut parts.headers);
    parts.extensions.insert(Target::new(place.method()));
    let lodge = live.lodge.clone();
    lodge.live.spawn(async move {
        let opened = live.lodge.live.unless_stopping(timeout(FIRST_TIME_MAX, connection)).await;
        let Some(Ok(Ok(connection))) = opened else { return };
        let proven = begin::prove(&live, &mut parts, &place);
        let most = live.lodge.limits.body_bytes_max;
        let bytes_max = if proven.is_ok() { most } else { most.min(UNPROVEN_BYTES_MAX) };
        let line = Line::new(connection, Role::Server, bytes_max).await;
        // In a box: a session is large, and a task that only waits for its upgrade need not be.
        Box::pin(run(&live, parts, &place, line, proven, waiting)).await;
    });
    response
}

/// Browsers say of a websocket from which origin it is opened (RFC 6455, 10.2) and never from which page, so for a key that
/// is restricted to pages the origin stands for one, as in a `Referer` that is cut to it. What Google does is UNCONFIRMED.
fn name_page(headers: &mut HeaderMap) {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let page = origin.and_then(|origin| HeaderValue::try_from(format!("{origin}/")).ok());
    if let (false, Some(page)) = (headers.contains_key(REFERER), page) {
        headers.insert(REFERER, page);
    }
}

/// A session from its first message to its end. One that does not begin keeps its place among those that wait until its
/// client has heard why.
async fn run(
    live: &Live,
    parts: Parts,
    place: &Websocket,
    mut line: Line,
    proven: Result<Proven, Refusal>,
    waiting: Waiting,
) {
    let request_id = RequestId::of(&parts.extensions);
    let began = live.lodge.now();
    let first = match live.lodge.live.unless_stopping(timeout(FIRST_TIME_MAX, first(&mut line))).await {
        // Whoever has said nothing yet need not be waited for.
        None => return line.leave(&Closing::away()),
        Some(Ok(Ok(first))) => Ok(first),
        Some(Ok(Err(end))) => Err(end),
        Some(Err(_)) => {
            let reason = format!("No setup came within {} seconds.", FIRST_TIME_MAX.as_secs());
            Err(Closing::new(closing::INVALID, &reason).into())
        }
    };
    let is_too_large = |end: &End| matches!(end, End::Close(said) if said.code == closing::TOO_LARGE);
    let (line, end, pass) = match (first, proven) {
        (Ok(first), Ok(proven)) => {
            drop(waiting);
            begin::session(live, parts, place, line, proven, &first).await
        }
        (Ok(_), Err(refusal)) => (line, refuse(&live.lodge, &live.surface, &parts, refusal).into(), None),
        (Err(end), Err(refusal)) if is_too_large(&end) => {
            (line, refuse(&live.lodge, &live.surface, &parts, refusal).into(), None)
        }
        (Err(end), _) => (line, end, None),
    };
    // Not the reason: it may repeat what the client said.
    let code = match &end {
        End::Gone => None,
        End::HungUp(said) | End::Close(said) => Some(said.code),
    };
    let micros = live.lodge.now().micros().saturating_sub(began.micros());
    tracing::info!(
        request.id = request_id,
        method = place.method(),
        project.number = pass.as_ref().map(|pass| pass.project().get()),
        key.uid = pass.as_ref().map(|pass| tracing::field::display(pass.key())),
        close.code = code,
        duration_ms = micros / 1000,
        "live session ended"
    );
    match end {
        End::Close(closing) => line.close(&closing).await,
        End::Gone | End::HungUp(_) => line.agree().await,
    }
}

async fn first(line: &mut Line) -> Result<Vec<u8>, End> {
    loop {
        if let line::Heard::Message(message) = line.next().await? {
            return Ok(message.into_data().into());
        }
    }
}

/// What a client is told of a refusal of the gate or of a limit, which is counted like any other.
fn refuse(lodge: &Lodge, surface: &Surface, parts: &Parts, refusal: Refusal) -> Closing {
    let target = parts.extensions.get().cloned().unwrap_or_else(|| Target::new(""));
    let is_of_token = match &refusal {
        Refusal::UnknownToken => true,
        Refusal::Token { problem, .. } => *problem != TokenProblem::Away,
        _ => false,
    };
    let response: http::Response<Vec<u8>> = lodge.judge.refuse(refusal, surface, &target);
    if let Some(refused) = response.extensions().get::<Refused>() {
        let caller = Caller::of(&parts.headers, Peer::of(&parts.extensions).map(Peer::ip));
        bill::refused(lodge, refused, &target, &caller, lodge.now());
        lodge.metrics.count_refusal(refused.refusal.word());
    }
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("Internal error encountered.");
    // The codes for tokens are UNCONFIRMED.
    if is_of_token { Closing::new(DENIED, message) } else { Closing::of_http(response.status().as_u16(), message) }
}

/// The same in the middle of a session.
fn refused(calling: &Calling<'_>, refusal: Refusal) -> Closing {
    refuse(calling.lodge, calling.surface, &calling.parts, refusal)
}
