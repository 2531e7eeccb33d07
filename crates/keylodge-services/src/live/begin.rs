//! The first message of a session: who asks, for which model, and whether there is room.

use std::pin::pin;
use std::sync::Arc;

use http::request::Parts;
use keylodge_api::gemini::{LiveMessage, Setup, camel_case};
use keylodge_api::proto_json;
use keylodge_gate::{Charge, Credentials, Pass, Peer};
use keylodge_rules::quota::Amounts;
use keylodge_rules::{KeyHash, Refusal, TokenProblem};
use serde_json::{Map, Value, json};

use super::closing::{Closing, DENIED, ERROR, End, INVALID};
use super::conversation::{Seat, unless_taken};
use super::ear::Ear;
use super::history::History;
use super::identify::Websocket;
use super::line::Line;
use super::resumption::{Owner, Resumed};
use super::sessions::Place;
use super::talk::{Resuming, Talk};
use super::there::There;
use super::{Credential, Live, refused};
use crate::Lodge;
use crate::auth_tokens::{AuthToken, Use};
use crate::bill::LEASE_WAIT_MAX;
use crate::calling::Calling;
use crate::gemini::identify::MODEL_CHARS_MAX;
use crate::gemini::inside::Unanswered;
use crate::gemini::models::{Found, Speech};
use crate::gemini::no_such_model;
use crate::tally::Caller;

/// Who may open a session: whose key it is, and the token that stands for the key, if one does.
pub(super) type Proven = (Pass, Option<Arc<AuthToken>>);

/// A session that was let in.
struct Begun {
    setup: Map<String, Value>,
    model: String,
    history: History,
    resuming: Option<Resuming>,
    /// The place in the session, where one can go on with it.
    seat: Option<Seat>,
    /// What is in flight between turns; none where the session is one call as a whole.
    held: Option<Charge>,
    place: Place,
}

/// Runs a session whose first message is here. Gives its end, and the pass of its key if that opened it.
pub(super) async fn session(
    live: &Live,
    parts: Parts,
    place: &Websocket,
    line: Line,
    (pass, token): Proven,
    first: &[u8],
) -> (Line, End, Option<Pass>) {
    let Live { lodge, surface } = live;
    let mut calling = Calling::new(lodge, surface, parts, pass, place.version.to_owned());
    // The first message may have taken its time.
    if let Err(refusal) = calling.again() {
        let closing = refused(&calling, refusal);
        return (line, closing.into(), None);
    }
    let begun = match begin(&mut calling, token.as_deref(), place, first).await {
        Ok(begun) => begun,
        Err(closing) => return (line, closing.into(), Some(calling.pass)),
    };
    let mut ear = Ear::new(lodge, line, token);
    let Begun { setup, model, history, resuming, seat, held, place: _place } = begun;
    let pass = calling.pass.clone();
    note_use(&calling);
    let end = match lodge.models.find(&model) {
        Some(Found::There(elsewhere)) if elsewhere.speech == Speech::Gemini => {
            There { calling, elsewhere, model, setup, resuming }.relay(&mut ear, seat.as_ref()).await
        }
        Some(found) => {
            let is_ours = matches!(found, Found::Here(_));
            let talk = Talk { ear: &mut ear, calling, setup, model, is_ours, history, resuming, held };
            unless_taken(seat.as_ref(), pin!(talk.run())).await.unwrap_or_else(End::from)
        }
        None => not_found(place, &model).into(),
    };
    (ear.line, end, Some(pass))
}

/// Whether the key or token opens a session at all. Where it does not, nothing is said of the setup.
pub(super) fn prove(live: &Live, parts: &mut Parts, place: &Websocket) -> Result<Proven, Refusal> {
    let lodge = &live.lodge;
    let credentials = parts.extensions.get_mut::<Credentials>().ok_or(Refusal::NoCredential)?;
    let token = match (place.takes, credentials.token()) {
        (Credential::Token, Some(token)) => {
            let hash = lodge.master.pepper().hash_ephemeral(token);
            let token = lodge.auth_tokens.find(&hash).ok_or(Refusal::UnknownToken)?;
            credentials.answer_for_token(token.on_behalf(Use::Message, lodge.now()));
            Some(token)
        }
        // As at Google: a token on the path for keys is no credential there. The other way round it is the same.
        (Credential::Key, Some(_)) => return Err(Refusal::NoCredential),
        (Credential::Token, None) if credentials.key().is_ok() => return Err(Refusal::NoCredential),
        (_, None) => None,
    };
    Ok((admit(live, parts)?, token))
}

fn admit(live: &Live, parts: &Parts) -> Result<Pass, Refusal> {
    let (extensions, judge) = (&parts.extensions, &live.lodge.judge);
    let target = extensions.get().cloned().unwrap_or_else(|| keylodge_gate::Target::new(""));
    let credentials = Credentials::of(extensions);
    judge.admit(credentials, &live.surface, &target, &parts.headers, Peer::of(extensions), judge.now())
}

/// Reads the setup, and takes what a session takes: a place, and a use of its token.
async fn begin(
    calling: &mut Calling<'_>,
    token: Option<&AuthToken>,
    place: &Websocket,
    first: &[u8],
) -> Result<Begun, Closing> {
    let lodge = calling.lodge;
    let (mut setup, unknown) = read(first)?;
    if let Some(token) = token {
        let constraint = lodge.auth_tokens.constraint(token, &lodge.vault).await;
        let constraint = constraint.map_err(|status| Closing::of_status(&status))?;
        if let Some(constraint) = constraint {
            constraint.crossed(&setup).map_or(Ok(()), |field| Err(crossed(calling, token, &field)))?;
            setup = constraint.apply(setup);
        }
    }
    let Some(model) = setup.remove("model").and_then(|model| Some(name(model.as_str()?))) else {
        return Err(Closing::new(INVALID, "* BidiGenerateContentSetup.model: model is not specified"));
    };
    calling.of_model(&model, None).map_err(|unanswered| said_no(calling, unanswered))?;
    let upstream = match lodge.models.find(&model) {
        None | Some(Found::Embeds(_)) => return Err(not_found(place, &model)),
        Some(Found::There(elsewhere)) if elsewhere.speech == Speech::Gemini => {
            Some(Arc::clone(&elsewhere.upstream.name))
        }
        Some(found) => {
            unknown.map_or(Ok(()), Err)?;
            served(&setup, matches!(found, Found::Here(_)))?;
            None
        }
    };
    let is_one_call = upstream.is_some();
    let owner = Owner { key: calling.pass.key(), token: token.map(|token| token.hash), upstream };
    let mut resuming = setup.remove("sessionResumption").map(|asked| Resuming::new(&asked, owner));
    let resumed = resuming.as_mut().map(|resuming| resume(lodge, resuming)).transpose()?.flatten();
    // Going on is no use of the token that it was begun with; of another one it is.
    let (history, begins_with) = match (resumed, token) {
        (Some((history, of)), Some(token)) => (history, (of != Some(token.hash)).then_some(token)),
        (resumed, token) => (resumed.map(|(history, _)| history).unwrap_or_default(), token),
    };
    if let Some(token) = begins_with {
        may_begin(lodge, token).map_err(|refusal| refused(calling, refusal))?;
    }
    // Before anything is taken that the connection before may still have.
    let seat = match &resuming {
        Some(resuming) => Some(resuming.conversation.take().await?),
        None => None,
    };
    let held = if is_one_call { None } else { Some(hold(calling).await?) };
    let place = lodge
        .live
        .place(lodge.limits.live.sessions_max)
        .ok_or_else(|| Closing::new(ERROR, "The server has as many sessions as it takes. Try again later."))?;
    if let Some(token) = begins_with {
        begin_with(lodge, token).await.map_err(|refusal| refused(calling, refusal))?;
        if let Some(handle) = resuming.as_ref().and_then(|resuming| resuming.handle.as_deref()) {
            lodge.live.memory.pass_to(handle, token.hash);
        }
    }
    Ok(Begun { setup, model, history, resuming, seat, held, place })
}

/// What was said in the session that a client wants to go on with, and its token; none where it begins one.
fn resume(lodge: &Lodge, resuming: &mut Resuming) -> Result<Option<(History, Option<KeyHash>)>, Closing> {
    let Some(handle) = &resuming.handle else { return Ok(None) };
    let found = lodge.live.memory.find(handle, &resuming.owner, lodge.now());
    let (Resumed { history, conversation, account }, token) = found.ok_or_else(|| {
        Closing::new(DENIED, "The session to go on with is not known, or its time is over. Begin a new one.")
    })?;
    (resuming.conversation, resuming.account) = (conversation, account);
    Ok(Some((history, token)))
}

/// What a client is told of a model that holds no conversations here.
fn not_found(place: &Websocket, model: &str) -> Closing {
    Closing::of_status(&no_such_model(place.version, model, "bidiGenerateContent"))
}

/// What a client is told that asks for something else than its token fixes.
fn crossed(calling: &Calling<'_>, token: &AuthToken, field: &str) -> Closing {
    if field == "model" {
        return refused(calling, token.refusal(TokenProblem::OtherModel));
    }
    let Closing { code, .. } = refused(calling, token.refusal(TokenProblem::OtherSetup));
    Closing::new(code, &format!("The ephemeral token fixes {field}. Leave it out, or ask for what is fixed."))
}

/// Takes a use of a token for a new session. When this has said yes, it is on disk.
async fn begin_with(lodge: &Lodge, token: &AuthToken) -> Result<(), Refusal> {
    may_begin(lodge, token)?;
    crate::auth_tokens::spend(lodge, token).await
}

/// Whether a token may begin a session now.
fn may_begin(lodge: &Lodge, token: &AuthToken) -> Result<(), Refusal> {
    let problem = token.on_behalf(Use::Session, lodge.now()).problem;
    problem.map_or(Ok(()), |problem| Err(token.refusal(problem)))
}

/// Reads the first message. Fields that nobody here knows are a mistake only if it is we who answer: at an upstream they
/// may be known.
fn read(first: &[u8]) -> Result<(Map<String, Value>, Option<Closing>), Closing> {
    match proto_json::parse(first) {
        Ok(LiveMessage::Setup(Setup(setup))) => Ok((setup, None)),
        Ok(_) => Err(Closing::new(INVALID, "The first message must be setup, and only that.")),
        Err(status) => {
            let wrong = Closing::of_status(&status);
            let message: Value = serde_json::from_slice(first).map_err(|_| wrong.clone())?;
            match message.get("setup") {
                Some(Value::Object(setup)) => {
                    Ok((setup.iter().map(|(name, value)| (camel_case(name), value.clone())).collect(), Some(wrong)))
                }
                _ => Err(wrong),
            }
        }
    }
}

/// Whether everything that the setup asks for can be had where answers are text. Nothing is dropped in silence but what
/// changes nothing there: how sound is cut into turns, transcripts of sound, labels.
fn served(setup: &Map<String, Value>, is_ours: bool) -> Result<(), Closing> {
    let refuse = |field: &str| {
        Err(Closing::new(INVALID, &format!("setup.{field}: the model behind this name reads and writes text only")))
    };
    let config = setup.get("generationConfig").cloned().unwrap_or_else(|| json!({}));
    let modalities = config.get("responseModalities").and_then(Value::as_array);
    if modalities.is_some_and(|list| list.iter().any(|modality| modality != "TEXT")) {
        return refuse("generation_config.response_modalities");
    }
    for (name, snake) in [
        ("speechConfig", "speech_config"),
        ("enableAffectiveDialog", "enable_affective_dialog"),
        ("translationConfig", "translation_config"),
    ] {
        if config.get(name).is_some() {
            return refuse(&format!("generation_config.{snake}"));
        }
    }
    for (name, snake) in [("avatarConfig", "avatar_config"), ("translationConfig", "translation_config")] {
        if setup.contains_key(name) {
            return refuse(snake);
        }
    }
    let has_tools = setup.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
    if has_tools && is_ours {
        return Err(Closing::new(
            INVALID,
            "setup.tools: with the model behind this name, functions are not called in Live sessions",
        ));
    }
    Ok(())
}

/// Counts a session among what is in flight for its key and project, between its turns.
pub(super) async fn hold(calling: &Calling<'_>) -> Result<Charge, Closing> {
    let model = calling.parts.extensions.get::<keylodge_gate::Target>().and_then(|target| target.model.clone());
    let judge = &calling.lodge.judge;
    let held = judge.take(&calling.pass, model.as_deref(), &Amounts::ZERO, LEASE_WAIT_MAX).await;
    held.map_err(|refusal| refused(calling, refusal))
}

/// Why there is no answer, as a close.
pub(super) fn said_no(calling: &Calling<'_>, unanswered: Unanswered) -> Closing {
    match unanswered {
        Unanswered::Fault(fault) => Closing::of_fault(&fault),
        Unanswered::Refused(refusal) => refused(calling, refusal),
    }
}

/// A model's name without `models/`; one that is too long is cut and found nowhere.
fn name(model: &str) -> String {
    let bare = model.strip_prefix("models/").unwrap_or(model);
    bare.chars().take(MODEL_CHARS_MAX + 1).collect()
}

/// Notes that the key was used.
pub(super) fn note_use(calling: &Calling<'_>) {
    let Calling { lodge, parts, pass, .. } = calling;
    let address = Peer::of(&parts.extensions).map(Peer::ip);
    let caller = Caller::of(&parts.headers, address);
    lodge.uses.note_key(pass, address, &caller.client(), lodge.now());
}
