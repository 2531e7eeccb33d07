//! Interactions of models and agents at a server of the Gemini API: relayed byte for byte, both ways.
//!
//! ```text
//! POST  body ─ model or agent, flags, previous ─ gate, for the model ─ limits ─ upstream ─ answer ─ its id ─ owner written
//!         │                        │                                  │                                        │
//!         │          is it this project's, and there?    worst case reserved, cap lowered in the body,         │
//!         │          then: the account that made it      our credential, allowed headers and query             │
//!         └─ read once, and sent as it came                                          passed on from here on ◄──┘
//!                                                              usage read in passing ─ bill settled ─ tokens written
//! GET, DELETE, cancel   id ─ owner? ─┬─ of this project: the same upstream, the same account ─ answer as it comes
//!                                    └─ of nobody or others: not found, and nothing is sent
//! ```
//!
//! Our account at the upstream knows no projects: every interaction there could be read with our credential. So whose it is
//! stands in a row of ours ([`keylodge_store::RelayedRecord`], nothing of what was said), which is on disk before the first
//! byte that names the id goes to the caller. An interaction without a row is nobody's. What is not stored
//! (`store: false`) has no row, as nobody can ask for it again.
//!
//! An interaction that is answered in the background tells what it took only when somebody looks at it: then it is
//! counted, once, if nothing was reserved for it.

mod answer;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use keylodge_api::Envelope;
use keylodge_rules::quota::Metric;
use keylodge_rules::upstream::Member;
use keylodge_rules::{ProjectNumber, Timestamp};
use keylodge_store::RelayedRecord;

use super::Failure;
use super::fault::{Fault, Word};
use super::identify::{ID_CHARS_MAX, OfOne};
use super::keep::away;
use crate::bill::{Bill, outcome};
use crate::calling::Calling;
use crate::gemini::models::{Elsewhere, Found, Speech};
use crate::gemini::there::relayed::{FIELD_MASK, encoded, query};
use crate::gemini::there::{Affordable, Asking, unreadable};
use crate::gemini::{with_clamp, with_upstream};
use crate::observe::chain;
use crate::query::Query;
use crate::relay::usage::{InteractionRequest, Previous, Unreadable, clamp_interaction, worst_case_of_interaction};
use crate::relay::{Answer, Counts, Kind, Outgoing, Upstream, headers};
use crate::{Lodge, failure};
use answer::Passing;

/// A request for a model or an agent that is at a server of the Gemini API.
pub(super) struct Wanted<'lodge> {
    /// Who is asked, as callers call it, without `models/`.
    pub(super) name: String,
    elsewhere: &'lodge Elsewhere,
    request: InteractionRequest,
    body: Bytes,
}

/// What a request wants, if it is to be relayed. An agent is at an upstream if the models of the settings say so of its
/// name. What cannot be read, and who is not there, is said by whoever reads the request whole.
pub(super) fn wanted<'lodge>(lodge: &'lodge Lodge, body: &Bytes) -> Result<Option<Wanted<'lodge>>, Fault> {
    let Ok(request) = InteractionRequest::read(body) else { return Ok(None) };
    if let Some(field) = request.twice {
        return Err(Fault::new(Word::InvalidRequest, format!("Invalid value at '{field}': it stands twice.")));
    }
    let name = request.name.as_deref().map(|name| name.strip_prefix("models/").unwrap_or(name));
    let Some(name) = name.filter(|name| !name.contains('/')).map(str::to_owned) else { return Ok(None) };
    match lodge.models.find(&name) {
        Some(Found::There(elsewhere)) if elsewhere.speech == Speech::Gemini => {
            Ok(Some(Wanted { name, elsewhere, request, body: body.clone() }))
        }
        _ => Ok(None),
    }
}

/// Makes an interaction.
pub(super) async fn create(calling: &Calling<'_>, wanted: Wanted<'_>) -> Result<Response, Failure> {
    let mut bill = calling.bill().await?;
    let answered = ask(calling, wanted, &mut bill).await;
    // Where it was sent, the bill went along.
    match &answered {
        Ok(_) => {}
        Err(Failure::Fault(fault)) => {
            if let Some(bill) = &mut bill {
                bill.outcome = outcome(fault.http);
            }
        }
        Err(Failure::Refused(_)) => {
            if let Some(bill) = bill {
                bill.void();
            }
        }
    }
    answered
}

async fn ask(calling: &Calling<'_>, wanted: Wanted<'_>, bill: &mut Option<Box<Bill>>) -> Result<Response, Failure> {
    let Calling { lodge, parts, version, .. } = calling;
    let query = query(&Query::of(&parts.uri), &[]).map_err(|status| Fault::of_status(&status))?;
    let before = wanted.previous(lodge, calling.pass.project()).await?;
    let Affordable { body, reserved, clamped } = wanted.reserve(before.as_ref(), bill).await?;
    let Wanted { name, elsewhere, request, .. } = wanted;
    let upstream = &elsewhere.upstream;
    let sending = Sending {
        calling,
        upstream,
        account: before.as_ref().map(|before| &before.account),
        path: format!("/{version}/interactions"),
        query,
        body: Outgoing::Whole(Some(body)),
        bill: bill.take().map(|bill| (bill, Counts::OfInteraction(reserved))),
    };
    let response = match sending.send().await {
        Ok(response) => response,
        Err(response) => return Ok(response),
    };
    let (head, body) = response.into_parts();
    let body = if request.stores && head.status.is_success() {
        let owner = Owner {
            lodge,
            project: calling.pass.project(),
            upstream: &upstream.name,
            account: body.account(),
            model: name,
            // A stream that its caller leaves may go on there: who looks at it first is charged for what it took then.
            is_counted: match (request.streams, request.in_background) {
                (true, false) => false,
                (false, false) => true,
                (_, true) => reserved.is_some(),
            },
        };
        answer::with_owner(&head.headers, body, &owner).await?
    } else {
        Body::new(body)
    };
    Ok(with_clamp(with_upstream(Response::from_parts(head, body), upstream), clamped))
}

impl Wanted<'_> {
    /// The interaction that this one goes on from: this project's, and at the same upstream.
    async fn previous(&self, lodge: &Lodge, project: ProjectNumber) -> Result<Option<RelayedRecord>, Fault> {
        let wrong = |field: &str, why: &str| {
            Err(Fault::new(Word::InvalidRequest, format!("Invalid value at '{field}': {why}.")))
        };
        if self.request.names_environment {
            return wrong("environment", "it is 'remote' here; whose any other is, nobody behind this Keylodge knows");
        }
        if self.request.names_continuation {
            return wrong(
                "continuation_token",
                "whose conversation it goes on with, nobody behind this Keylodge knows",
            );
        }
        let id = match &self.request.previous {
            Previous::None => return Ok(None),
            Previous::NoText => return wrong("previous_interaction_id", "it is the id of an interaction"),
            Previous::Id(id) => id,
        };
        let found = find(lodge, project, id).await?;
        let here = found.filter(|found| *found.upstream == *self.elsewhere.upstream.name);
        here.map(Some).ok_or_else(|| Fault::no_such(id))
    }

    /// The body as it goes on, and what was reserved for it where a limit counts what it uses.
    async fn reserve(
        &self,
        before: Option<&RelayedRecord>,
        bill: &mut Option<Box<Bill>>,
    ) -> Result<Affordable, Failure> {
        let Self { name, elsewhere, request, body } = self;
        let body =
            if elsewhere.is_same_name(name) { body.clone() } else { request.renamed(body, elsewhere.model(name)) };
        let Some(bill) = bill.as_mut().filter(|bill| bill.counts_use()) else {
            return Ok(Affordable { body, reserved: None, clamped: None });
        };
        let counted = [Metric::InputTokens, Metric::OutputTokens, Metric::Cost];
        if request.is_agent && counted.into_iter().any(|metric| bill.left(metric).is_some()) {
            let message = "A limit counts tokens or money here, and nobody can say beforehand what an agent takes.";
            return Err(Fault::new(Word::FailedPrecondition, message).into());
        }
        let said = |error: Unreadable| Fault::of_status(&unreadable(error));
        let mut worst = worst_case_of_interaction(&body).map_err(said)?;
        // What was said before is read again.
        let history = before.map_or(Some(0), |before| before.tokens);
        worst.input_tokens_max = worst.input_tokens_max.zip(history).map(|(now, before)| now.saturating_add(before));
        let asking = Asking {
            body,
            before: worst,
            output_tokens_max: elsewhere.upstream.settings.output_tokens_max,
            // What is answered in the background goes on when nobody listens.
            streams: request.streams && !request.in_background,
            clamp: clamp_interaction,
        };
        Ok(asking.reserve(bill).await?)
    }
}

/// Whose an answer is, as far as is known before it says its id.
struct Owner<'call> {
    lodge: &'call Lodge,
    project: ProjectNumber,
    upstream: &'call str,
    account: Option<Member>,
    model: String,
    is_counted: bool,
}

impl Owner<'_> {
    fn record(&self, id: &str) -> RelayedRecord {
        let created_at = self.lodge.now();
        let kept = i64::try_from(self.lodge.limits.interactions_kept.as_micros()).unwrap_or(i64::MAX);
        let nobody = || Member { id: String::new(), quota_project: String::new() };
        RelayedRecord {
            id: id.to_owned(),
            upstream: self.upstream.to_owned(),
            project: self.project,
            account: self.account.clone().unwrap_or_else(nobody),
            model: self.model.clone(),
            tokens: None,
            is_counted: self.is_counted,
            created_at,
            expires_at: Timestamp::from_micros(created_at.micros().saturating_add(kept)),
        }
    }
}

/// An interaction of this project that an upstream has.
pub(super) async fn find(lodge: &Lodge, project: ProjectNumber, id: &str) -> Result<Option<RelayedRecord>, Fault> {
    let is_any = lodge.upstreams.all().iter().any(|upstream| upstream.settings.kind == Kind::Gemini);
    if !is_any || !can_be_id(id) {
        return Ok(None);
    }
    lodge.interactions.get_relayed(project, id, lodge.now()).await.map_err(|error| away(&error))
}

/// Whether an id can be asked for: dots would be steps in a path.
fn can_be_id(id: &str) -> bool {
    !matches!(id, "" | "." | "..") && id.chars().count() <= ID_CHARS_MAX
}

/// Passes a call about an interaction of the project on to the upstream that has it.
pub(super) async fn pass_on(
    calling: &Calling<'_>,
    verb: OfOne,
    owned: &RelayedRecord,
    body: Body,
    bill: &mut Option<Box<Bill>>,
) -> Result<Response, Fault> {
    let Calling { lodge, parts, version, .. } = calling;
    let upstream = lodge.upstreams.find(&owned.upstream).filter(|found| found.settings.kind == Kind::Gemini);
    let Some(upstream) = upstream else {
        let message = format!("Interaction {} is at an upstream that the settings have no more.", owned.id);
        return Err(Fault::new(Word::FailedPrecondition, message));
    };
    let given = Query::of(&parts.uri);
    let own = ["stream", "include_input", "last_event_id"].map(|name| (name, given.given(name)));
    let own: Vec<_> = own.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let own = if verb == OfOne::Get { own.as_slice() } else { &[] };
    let (id, word) = (encoded(&owned.id), if verb == OfOne::Cancel { "/cancel" } else { "" });
    // What was answered in the background says only now what it took, and whoever sees it first is charged for it.
    let is_news = verb != OfOne::Delete && owned.tokens.is_none();
    let own_bill = if is_news && !owned.is_counted { bill.take() } else { None };
    let sending = Sending {
        calling,
        upstream,
        account: Some(&owned.account),
        path: format!("/{version}/interactions/{id}{word}"),
        query: query(&given, own).map_err(|status| Fault::of_status(&status))?,
        body: Outgoing::Layered(body),
        bill: bill.take().map(|bill| (bill, Counts::Calls)),
    };
    let response = match sending.send().await {
        Ok(response) => response,
        Err(response) => {
            if let Some(mut bill) = own_bill {
                bill.outcome = outcome(response.status());
            }
            return Ok(response);
        }
    };
    let status = response.status();
    if verb == OfOne::Delete && (status.is_success() || status == StatusCode::NOT_FOUND) {
        forget(lodge, owned).await;
    }
    let (head, body) = response.into_parts();
    let own_bill = own_bill.map(|mut bill| {
        bill.upstream = Arc::clone(&upstream.name);
        bill.of_model(&owned.model);
        bill
    });
    let body =
        if is_news { Passing::news(lodge, owned.clone(), &head, body, own_bill).into_body() } else { Body::new(body) };
    Ok(with_upstream(Response::from_parts(head, body), upstream))
}

/// It is gone there; that it is still known here is no reason to say otherwise.
async fn forget(lodge: &Lodge, owned: &RelayedRecord) {
    if let Err(error) = lodge.interactions.forget_relayed(owned).await {
        tracing::error!(error = chain(&error), id = owned.id, "whose a deleted interaction was is still written down");
    }
}

/// A call on its way.
struct Sending<'call> {
    calling: &'call Calling<'call>,
    upstream: &'call Upstream,
    account: Option<&'call Member>,
    path: String,
    query: Uri,
    body: Outgoing,
    bill: Option<(Box<Bill>, Counts)>,
}

impl Sending<'_> {
    /// Sends it with the caller's header fields that may go on. Where there is no answer, gives the one that the caller gets.
    async fn send(self) -> Result<Response<Answer>, Response> {
        let Self { calling, upstream, account, path, query, body, bill } = self;
        let mut request = Request::from_parts(calling.parts.clone(), body);
        *request.uri_mut() = query;
        drop_unwanted(request.headers_mut());
        match upstream.relay_of(account, &mut Some(request), &path, &Arc::default(), bill).await {
            Ok(mut response) => {
                headers::drop_theirs(response.headers_mut());
                Ok(response)
            }
            Err(error) => Err(failure::of_upstream(&upstream.name, &error, Envelope::Word)),
        }
    }
}

/// A part of an answer may have neither counts nor an id.
fn drop_unwanted(headers: &mut HeaderMap) {
    headers.remove(FIELD_MASK);
}
