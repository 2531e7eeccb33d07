//! The Interactions API: conversations that are kept, streamed, and answered in the background.
//!
//! ```text
//! create ─ revision ─ read ─ gate, for the model ─ what was said before ─ generateContent ─┬─ whole ─ kept ─ answer
//!                                                                                          ├─ stream of events ─ kept
//!                                                                                          └─ background ─ kept
//! ```
//!
//! What is asked goes to the Gemini surface in its own words ([`crate::gemini::inside`]), so that limits, engines and
//! upstreams are the same; but where a server of Gemini's answers, it goes there as it is ([`relayed`]). An answer grows in an
//! [`Interaction`]; events are told from it ([`events`]); it is kept ([`keep`]) before its end is said.

pub(crate) mod background;
mod contents;
mod events;
mod fault;
mod identify;
mod interaction;
pub(crate) mod keep;
mod relayed;
mod request;
mod revision;
mod settings;
mod streams;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use keylodge_api::Envelope;
use keylodge_gate::{Pass, Surface};
use keylodge_rules::Refusal;
use serde_json::{Value, json};

use crate::bill::outcome;
use crate::calling::Calling;
use crate::gemini;
use crate::gemini::identify::Verb;
use crate::gemini::inside::{self, Heard, Said, Unanswered};
use crate::origins::Origins;
use crate::query::Query;
use crate::{Lodge, wire};
use background::{Background, Begun, Place};
use events::Told;
use fault::{Fault, Word};
pub(crate) use identify::target;
use identify::{Call, OfOne};
use interaction::Interaction;
use keep::{Keeping, Kept};
use request::Create;

/// What the surface works with.
#[derive(Clone, Debug)]
pub(crate) struct Conversations {
    pub(crate) lodge: Lodge,
    pub(crate) surface: Surface,
}

/// Why a call has no answer.
enum Failure {
    Fault(Fault),
    /// A limit has no room, or the gate refused the model.
    Refused(Refusal),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Fault(fault) => Self::Fault(Fault::of_gemini(fault)),
            Unanswered::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl From<gemini::Failure> for Failure {
    fn from(failure: gemini::Failure) -> Self {
        match failure {
            gemini::Failure::Status(status) => Self::Fault(Fault::of_status(&status)),
            gemini::Failure::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// Answers a call that the gate let through, unless a limit has no room for it.
pub(crate) async fn handle(State(state): State<Conversations>, pass: Pass, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let (version, call) = match identify::call(&parts.method, &parts.uri) {
        Ok(call) => call,
        Err(status) => return status.response(Envelope::Word),
    };
    let mut calling = Calling::new(&state.lodge, &state.surface, parts, pass, version);
    let answered = match call {
        Call::Create => create(&mut calling, body).await,
        Call::OfOne(verb, id) => of_one(&calling, verb, &id, body).await,
    };
    match answered {
        Ok(response) => response,
        Err(Failure::Fault(fault)) => fault.response(),
        Err(Failure::Refused(refusal)) => calling.refuse(refusal, Envelope::Word),
    }
}

/// A call about one interaction, counted like any other.
async fn of_one(calling: &Calling<'_>, verb: OfOne, id: &str, body: Body) -> Result<Response, Failure> {
    let mut bill = calling.bill().await?;
    let answering = async {
        revision::check(calling.headers())?;
        if let Some(owned) = relayed::find(calling.lodge, calling.pass.project(), id).await? {
            return relayed::pass_on(calling, verb, &owned, body, &mut bill).await;
        }
        match verb {
            OfOne::Get => get(calling, id).await,
            OfOne::Delete => delete(calling, id).await,
            OfOne::Cancel => cancel(calling, id).await,
        }
    };
    let answered = answering.await;
    if let Some(bill) = &mut bill {
        bill.outcome = answered.as_ref().map_or_else(|fault| outcome(fault.http), |_| "ok");
    }
    Ok(answered?)
}

async fn create(calling: &mut Calling<'_>, body: Body) -> Result<Response, Failure> {
    let lodge = calling.lodge;
    let create = match asked(calling, body).await {
        Ok(Asked::Here(create)) => *create,
        Ok(Asked::There(wanted)) => return relayed::create(calling, wanted).await,
        Err(Failure::Fault(fault)) => {
            calling.count(fault.http).await?;
            return Err(fault.into());
        }
        Err(refused) => return Err(refused),
    };
    let mut bill = calling.bill().await?;
    let project = calling.pass.project();
    let (body, origins, place) = match prepared(calling, &create).await {
        Ok(prepared) => prepared,
        Err(fault) => {
            if let Some(bill) = &mut bill {
                bill.outcome = outcome(fault.http);
            }
            return Err(fault.into());
        }
    };
    let in_pieces = create.streams || create.in_background;
    let verb = if in_pieces { Verb::StreamGenerateContent } else { Verb::GenerateContent };
    let heard = calling.ask(&create.model, verb, &body, &mut bill).await;
    let Heard { said, headers } = inside::named(heard, &origins)?;
    let Create { asked_model, input, previous, streams, stores, echoed, .. } = create;
    let mut interaction = Interaction::new(new_id(lodge), asked_model, lodge.now(), echoed);
    let mut response = match (said, place) {
        (Said::Whole(said), _) => {
            interaction.take(&said);
            interaction.finish(lodge.now());
            if stores {
                let keeping = Keeping { lodge, project, input: &input, previous: previous.as_deref() };
                keeping.add(&interaction).await?;
            }
            wire::json(&interaction.wire(&[]))
        }
        (Said::Pieces(pieces), Some(place)) => {
            let shown = interaction.wire(&[]);
            let begun = Begun { project, interaction, input, previous, pieces, place };
            let live = Background::begin(lodge, begun).await?;
            if streams { streams::follow(live.follow(), Told::default()) } else { wire::json(&shown) }
        }
        (Said::Pieces(pieces), None) => {
            let keep = stores.then(|| streams::Keep { lodge: lodge.clone(), project, input, previous });
            streams::answer(lodge, interaction, pieces, keep)
        }
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

/// What is asked, and of whom.
enum Asked<'lodge> {
    /// Answered by the Gemini surface, in its words.
    Here(Box<Create>),
    There(relayed::Wanted<'lodge>),
}

/// What is asked, if the gate lets this key ask it of this model.
async fn asked<'lodge>(calling: &mut Calling<'lodge>, body: Body) -> Result<Asked<'lodge>, Failure> {
    let lodge = calling.lodge;
    let read = wire::bytes(lodge, body).await;
    revision::check(calling.headers())?;
    let bytes = Bytes::from(read.map_err(|status| Fault::of_status(&status))?);
    if let Some(wanted) = relayed::wanted(lodge, &bytes)? {
        calling.of_model(&wanted.name, None)?;
        return Ok(Asked::There(wanted));
    }
    let create = request::read(&bytes).map_err(|status| Fault::of_status(&status))?;
    calling.of_model(&create.model, None)?;
    if create.in_background {
        calling.without_timeout();
    }
    Ok(Asked::Here(Box::new(create)))
}

/// The body of generateContent that asks it, where that was written, and room in the background where that is wanted.
async fn prepared(calling: &Calling<'_>, create: &Create) -> Result<(Value, Origins, Option<Place>), Fault> {
    let (lodge, project) = (calling.lodge, calling.pass.project());
    let place = create.in_background.then(|| lodge.background.place(project)).transpose()?;
    let before = match &create.previous {
        Some(id) => keep::history(lodge, project, id).await?,
        None => Vec::new(),
    };
    let (body, origins) = create.body(&before).map_err(|status| Fault::of_status(&status))?;
    Ok((body, origins, place))
}

async fn get(calling: &Calling<'_>, id: &str) -> Result<Response, Fault> {
    let (lodge, project) = (calling.lodge, calling.pass.project());
    let query = Query::of(&calling.parts.uri);
    let flag = |name: &str| query.flag(name).map_err(|status| Fault::of_status(&status));
    let (streams, with_input) = (flag("stream")?, flag("include_input")?);
    let told = match query.given("last_event_id") {
        None => Told::default(),
        Some(_) if !streams => {
            return Err(Fault::new(Word::InvalidRequest, "last_event_id is for streams only; add stream=true."));
        }
        Some(id) => Told::parse(id)
            .ok_or_else(|| Fault::new(Word::InvalidRequest, "last_event_id is not the event_id of an event."))?,
    };
    let live = lodge.background.find(project, id);
    if let Some(live) = &live {
        if streams {
            return Ok(streams::follow(live.follow(), told));
        }
        let input = if with_input { live.input.as_slice() } else { &[] };
        return Ok(wire::json(&live.follow().borrow().wire(input)));
    }
    let Kept { interaction, input } = keep::get(lodge, project, id).await?;
    if streams {
        return Ok(streams::again(&interaction, told));
    }
    Ok(wire::json(&interaction.wire(if with_input { &input } else { &[] })))
}

/// Ends an interaction that is being answered in the background.
async fn cancel(calling: &Calling<'_>, id: &str) -> Result<Response, Fault> {
    let (lodge, project) = (calling.lodge, calling.pass.project());
    if let Some(live) = lodge.background.find(project, id) {
        return Ok(wire::json(&live.cancel().await.wire(&[])));
    }
    let Kept { interaction, .. } = keep::get(lodge, project, id).await?;
    let message = format!("Interaction {id} is not in progress: it is {}.", interaction.state.as_str());
    Err(Fault::new(Word::FailedPrecondition, message))
}

async fn delete(calling: &Calling<'_>, id: &str) -> Result<Response, Fault> {
    let (lodge, project) = (calling.lodge, calling.pass.project());
    if let Some(live) = lodge.background.find(project, id) {
        live.cancel().await;
    }
    keep::delete(lodge, project, id).await?;
    Ok(wire::json(&json!({})))
}

/// Ids of the form that Google's have; nobody can guess one.
fn new_id(lodge: &Lodge) -> String {
    format!("v1_{}", BASE64_URL_SAFE_NO_PAD.encode(lodge.random::<24>()))
}
