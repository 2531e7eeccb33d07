//! Ephemeral tokens: `POST auth_tokens`, and what a token opens afterwards.
//!
//! A token stands for the key that made it. Each time it is used the judge asks all rules about that key
//! ([`keylodge_gate::OnBehalf`]), so a token is never wider than its key and ends with it; usage, limits and last use
//! count for the key. Of its text only the hash is kept.
//!
//! ```text
//! request ─ credentials ─ Present: whose token? ─ gate, for its key ─ Spend: a use, on disk ─ handler
//! ```

mod constraint;
mod crossing;
mod path;
mod present;
mod request;
mod table;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::USER_AGENT;
use http::{Method, Request, Uri};
use keylodge_api::{Code, Envelope, Status, timestamp};
use keylodge_gate::{Credentials, Pass, Peer, Surface, Target};
use keylodge_rules::secret::{head, mask};
use keylodge_rules::{EphemeralToken, KeyHash};
use keylodge_store::vault::SEAL_RANDOM_BYTES;
use keylodge_store::{Act, EphemeralRecord};
use serde_json::json;

use crate::bill::outcome;
use crate::calling::Calling;
use crate::observe::RequestId;
use crate::query::Query;
use crate::{Lodge, failure, uses, wire};
use request::Wanted;

pub(crate) use present::{Presenting, Spend, present, spend};
pub use table::AuthTokens;
use table::Full;
pub(crate) use table::{AuthToken, Use};

/// The full name of the method (the service's name is UNCONFIRMED), as the audit log has it whatever the path says.
const METHOD: &str = "google.ai.generativelanguage.v1alpha.AuthTokenService.CreateToken";

/// How much of what a program calls itself stands in an audit line.
const USER_AGENT_CHARS_MAX: usize = 256;

/// What the surface works with.
#[derive(Clone, Debug)]
pub(crate) struct Making {
    pub(crate) lodge: Lodge,
    pub(crate) surface: Surface,
}

/// Which method a path means.
pub(crate) fn target(method: &Method, uri: &Uri) -> Result<Target, Status> {
    let path = uri.path();
    match path.trim_matches('/').split_once('/') {
        Some((version, "auth_tokens")) if method == Method::POST => {
            Ok(Target::new(format!("google.ai.generativelanguage.{version}.AuthTokenService.CreateToken")))
        }
        _ => {
            let path: String = mask(path).chars().take(128).collect();
            let message = format!("{method} is not served at {path}. Tokens are made with POST auth_tokens.");
            Err(Status::new(Code::NotFound, message))
        }
    }
}

/// Makes a token for a call that the gate let through, unless a limit has no room for it.
pub(crate) async fn handle(State(making): State<Making>, pass: Pass, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let calling = Calling::new(&making.lodge, &making.surface, parts, pass, String::new());
    let mut bill = match calling.bill().await {
        Ok(bill) => bill,
        Err(unanswered) => return calling.answer(unanswered, Envelope::Object),
    };
    let response = match create(&calling, body).await {
        Ok(response) => response,
        Err(status) => status.response(Envelope::Object),
    };
    if let Some(bill) = &mut bill {
        bill.outcome = outcome(response.status());
    }
    response
}

async fn create(calling: &Calling<'_>, body: Body) -> Result<Response, Status> {
    let Calling { lodge, parts, pass, .. } = calling;
    let query = Query::read(&parts.uri)?;
    let now = lodge.now();
    let wanted = Wanted::of(wire::read(lodge, body).await?, now)?;
    let key_hash = presented(lodge, parts)?;
    if pass.foreign().is_some() {
        // Found by its plain SHA-256 so far: the token finds its key by our own hash, which must be in the index first.
        lodge.uses.note_foreign(pass);
        uses::freshen(lodge).await;
    }
    let token = EphemeralToken::issue(&lodge.random());
    let hash = lodge.master.pepper().hash_ephemeral(&token);
    let constraints = wanted.constraint.as_ref().map(|constraint| {
        let random = lodge.random::<SEAL_RANDOM_BYTES>();
        lodge.vault.seal_constraints(pass.project(), &hash, &constraint.text(), &random)
    });
    let record = EphemeralRecord {
        hash,
        project: pass.project(),
        key: pass.key(),
        key_hash,
        expire_time: wanted.expire_time,
        new_session_expire_time: wanted.new_session_expire_time,
        uses_left: wanted.uses,
        scope: wanted.scope,
        constraints,
        created_at: now,
    };
    let model = wanted.constraint.as_ref().and_then(|constraint| constraint.model());
    let reserved = lodge.auth_tokens.reserve(&record, model, now).map_err(full)?;
    // The token first and its line after: a token without a line was never told to anybody, and goes.
    lodge.auth_tokens.file().add(&record).await.map_err(|error| failure::store(&error))?;
    let act = act(calling, &wanted);
    if let Err(error) = lodge.store.note_act_of_key(&pass.key(), &act).await {
        if let Err(error) = lodge.auth_tokens.file().remove(&hash).await {
            tracing::warn!(
                error = crate::observe::chain(&error),
                "a token that nobody got stays until its time is over"
            );
        }
        return Err(failure::store(&error));
    }
    reserved.keep();
    let answer = json!({
        "name": token.reveal(),
        "expireTime": timestamp::print(wanted.expire_time),
        "newSessionExpireTime": timestamp::print(wanted.new_session_expire_time),
        "uses": wanted.uses.unwrap_or(0),
    });
    wire::answer(&answer, &query)
}

/// The hash of the key string that the request came with.
fn presented(lodge: &Lodge, parts: &http::request::Parts) -> Result<KeyHash, Status> {
    let key = Credentials::of(&parts.extensions).and_then(|credentials| credentials.key().ok());
    // The gate let it through, so there is one.
    key.map(|key| lodge.master.pepper().hash(key)).ok_or_else(Status::internal)
}

fn full(Full { tokens_max }: Full) -> Status {
    Status::new(
        Code::ResourceExhausted,
        format!(
            "The project has {tokens_max} ephemeral tokens, which is the most it can have. They end by themselves."
        ),
    )
}

fn act(calling: &Calling<'_>, wanted: &Wanted) -> Act {
    let Calling { lodge, parts, pass, .. } = calling;
    let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut asked = vec![
        ("uses", wanted.uses.unwrap_or(0).to_string()),
        ("expire_time", timestamp::print(wanted.expire_time)),
        ("new_session_expire_time", timestamp::print(wanted.new_session_expire_time)),
        ("scope", wanted.scope.as_str().to_owned()),
    ];
    let model = wanted.constraint.as_ref().and_then(|constraint| constraint.model());
    asked.extend(model.map(|model| ("model", model.to_string())));
    Act {
        principal: format!("key:{}", pass.key()),
        service: keylodge_api::GEMINI_SERVICE,
        method: METHOD,
        permission: "",
        request_id: RequestId::of(&parts.extensions),
        caller_ip: Peer::of(&parts.extensions).map(|peer| peer.ip().to_string()).unwrap_or_default(),
        user_agent: mask(head(user_agent, 4 * USER_AGENT_CHARS_MAX)).chars().take(USER_AGENT_CHARS_MAX).collect(),
        request: asked.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        at: lodge.now(),
    }
}
