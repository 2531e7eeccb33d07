//! The Gemini surface, behind the gate, alike under `/v1`, `/v1beta` and `/v1alpha`.

mod batch_embed_contents;
mod count_tokens;
mod embed_content;
mod embedding;
mod functions;
mod generate_content;
mod get_model;
pub(crate) mod identify;
pub(crate) mod inside;
mod list_models;
pub(crate) mod models;
mod prompt;
mod stream;
mod stream_generate_content;
pub(crate) mod there;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Request};
use keylodge_api::{Code, Envelope, Status};
use keylodge_gate::{Pass, Surface};
use keylodge_model::{Embedder, Engine, Generate, ModelError};
use keylodge_rules::Refusal;

use crate::bill::{Bill, outcome};
use crate::budget::Worst;
use crate::query::Query;
use crate::relay::Upstream;
use crate::{Lodge, ModelEntry, failure, wire};
pub(crate) use embedding::REQUESTS_MAX;
use identify::{Call, Verb};
use models::Found;

/// Says which engine answered, so that nobody mistakes a small model for Google's.
const ENGINE_HEADER: &str = "x-keylodge-engine";

/// What the surface works with.
#[derive(Clone, Debug)]
pub(crate) struct Gemini {
    pub(crate) lodge: Lodge,
    pub(crate) surface: Surface,
}

/// Answers a call that the gate let through, unless a limit has no room for it.
pub(crate) async fn handle(State(gemini): State<Gemini>, pass: Pass, request: Request<Body>) -> Response {
    let lodge = &gemini.lodge;
    let (parts, body) = request.into_parts();
    let mut bill = Bill::of_request(lodge, pass, &parts);
    if let Some(taking) = &mut bill
        && let Err(refusal) = taking.take().await
    {
        return gemini.refuse(bill, refusal, &parts);
    }
    let call = match identify::call(&parts.method, &parts.uri) {
        Ok(call) => call,
        Err(status) => return status.response(Envelope::Object),
    };
    let envelope = call.envelope(Query::of(&parts.uri).get("alt"));
    let answer = async {
        let query = Query::read(&parts.uri)?;
        let deadline = prompt::deadline(lodge, &parts.headers);
        Ok::<_, Failure>(match call {
            Call::ListModels { version } => list_models::answer(lodge, &version, &query, deadline).await?,
            Call::ListTunedModels => wire::answer(&serde_json::json!({}), &query)?,
            Call::GetModel { version, model } => get_model::answer(lodge, &version, &model, &query, deadline).await?,
            Call::Verb { version, model, verb } => {
                let (version, model, query, bill) = (&*version, &*model, &query, &mut bill);
                let call = OfModel { lodge, version, model, verb, query, deadline, bill, envelope };
                call.answer(&parts, body).await?
            }
        })
    };
    let response = match answer.await {
        Ok(response) => response,
        Err(Failure::Status(status)) => status.response(envelope),
        Err(Failure::Refused(refusal)) => return gemini.refuse(bill, refusal, &parts),
    };
    // Where tokens were made, the bill is with them.
    if let Some(bill) = &mut bill {
        bill.outcome = outcome(response.status());
    }
    response
}

/// A call of a method of a model.
struct OfModel<'call> {
    lodge: &'call Lodge,
    version: &'call str,
    /// As the caller names it.
    model: &'call str,
    verb: Verb,
    query: &'call Query,
    deadline: tokio::time::Instant,
    /// Whoever makes tokens takes it along.
    bill: &'call mut Option<Box<Bill>>,
    envelope: Envelope,
}

impl OfModel<'_> {
    async fn answer(self, parts: &http::request::Parts, body: Body) -> Result<Response, Failure> {
        let Self { lodge, version, model, verb, query, deadline, bill, envelope } = self;
        let not_found = || no_such_model(version, model, verb.path_word());
        let entry = match lodge.models.find(model) {
            Some(Found::Here(entry)) => Ok(entry),
            Some(Found::Embeds(entry)) if verb.embeds() || verb == Verb::CountTokens => {
                let asked = Asked { entry: Ok(entry), query, deadline, bill };
                return match verb {
                    Verb::EmbedContent => embed_content::answer(lodge, asked, body).await,
                    Verb::BatchEmbedContents => batch_embed_contents::answer(lodge, asked, body).await,
                    _ => Ok(count_tokens::answer_embedder(lodge, asked, body).await?),
                };
            }
            Some(Found::There(elsewhere)) => {
                let call = there::Call { lodge, elsewhere, version, model, verb, query, deadline, bill, envelope };
                return call.answer(parts, body).await;
            }
            Some(Found::Embeds(_)) | None => Err(not_found()),
        };
        let asked = Asked { entry, query, deadline, bill };
        match verb {
            Verb::GenerateContent => generate_content::answer(lodge, asked, body).await,
            Verb::StreamGenerateContent => stream_generate_content::answer(lodge, asked, body).await,
            Verb::CountTokens => Ok(count_tokens::answer(lodge, asked, body).await?),
            Verb::EmbedContent | Verb::BatchEmbedContents | Verb::NotServed { .. } => Err(not_found().into()),
        }
    }
}

/// Why a call has no answer.
pub(crate) enum Failure {
    /// An error of its own.
    Status(Status),
    /// A limit has no room for what it would take.
    Refused(Refusal),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Gemini {
    fn refuse(&self, bill: Option<Box<Bill>>, refusal: Refusal, parts: &http::request::Parts) -> Response {
        if let Some(bill) = bill {
            bill.void();
        }
        match parts.extensions.get() {
            Some(target) => self.lodge.judge.refuse(refusal, &self.surface, target),
            None => Status::internal().response(Envelope::Object),
        }
    }
}

/// A call of one of a model's methods.
struct Asked<'request, E = ModelEntry> {
    /// The model, or the error that it does not exist: said after the body was read, as Google does.
    entry: Result<&'request E, Status>,
    query: &'request Query,
    deadline: tokio::time::Instant,
    /// Whoever makes tokens takes it along.
    bill: &'request mut Option<Box<Bill>>,
}

pub(crate) fn no_such_model(version: &str, model: &str, method: &str) -> Status {
    let name = if model.starts_with("tunedModels/") { model.to_owned() } else { format!("models/{model}") };
    Status::new(
        Code::NotFound,
        format!(
            "{name} is not found for API version {version}, or is not supported for {method}. Call ListModels to see the list of available models and their supported methods."
        ),
    )
}

/// Says that a budget let a call make no more tokens than so many.
pub(crate) const CLAMPED_HEADER: &str = "x-keylodge-max-output-tokens";

/// Reserves what a generation may use at most, and lets it make fewer tokens where a budget allows no more. Gives how
/// many, if they are fewer.
async fn afford(
    asked: &mut Asked<'_>,
    engine: &Engine,
    generate: &mut Generate,
    is_capped: bool,
) -> Result<Option<u32>, Failure> {
    let Some(bill) = asked.bill.as_mut().filter(|bill| bill.counts_use()) else { return Ok(None) };
    let input = in_time(asked.deadline, engine.count(&generate.model, &generate.prompt)).await?;
    let output = u64::from(generate.output_tokens_max);
    let allowed = bill.afford(Worst { input, output, answers: 1, is_capped }).await?;
    if allowed >= output {
        return Ok(None);
    }
    generate.output_tokens_max = u32::try_from(allowed).unwrap_or(u32::MAX);
    Ok(Some(generate.output_tokens_max))
}

/// Says in an answer that its length was clamped.
pub(crate) fn with_clamp(mut response: Response, clamped: Option<u32>) -> Response {
    if let Some(tokens) = clamped {
        response.headers_mut().insert(CLAMPED_HEADER, tokens.into());
    }
    response
}

/// Marks an answer with the engine it came from.
fn with_engine(response: Response, engine: &Engine) -> Response {
    marked(response, &engine.info().name)
}

/// Marks an answer with the model that made its vectors.
fn with_embedder(response: Response, embedder: &Embedder) -> Response {
    marked(response, &embedder.info().name)
}

/// Marks an answer with the upstream it came from.
pub(crate) fn with_upstream(response: Response, upstream: &Upstream) -> Response {
    marked(response, &upstream.name)
}

fn marked(mut response: Response, name: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(name) {
        response.headers_mut().insert(ENGINE_HEADER, value);
    }
    response
}

/// Runs a step of a call until its deadline.
async fn in_time<T>(
    deadline: tokio::time::Instant,
    step: impl Future<Output = Result<T, ModelError>>,
) -> Result<T, Status> {
    held_in_time(deadline, "", step).await
}

/// The same for an answer that is held to the schema in this field.
async fn held_in_time<T>(
    deadline: tokio::time::Instant,
    schema: &str,
    step: impl Future<Output = Result<T, ModelError>>,
) -> Result<T, Status> {
    match tokio::time::timeout_at(deadline, step).await {
        Ok(done) => done.map_err(|error| failure::model(&error, schema)),
        Err(_) => Err(failure::too_slow()),
    }
}
