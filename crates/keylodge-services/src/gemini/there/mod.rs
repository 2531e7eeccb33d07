//! Calls of models that are elsewhere: the way to an upstream, what is reserved before, and what is counted after.

mod embedded;
pub(super) mod models;
pub(crate) mod relayed;
mod translated;

use std::num::NonZeroU32;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request;
use keylodge_api::{Code, Envelope, Status};
use tokio::time::Instant;

use super::identify::Verb;
use super::models::{Elsewhere, Speech};
use super::{Failure, no_such_model};
use crate::Lodge;
use crate::bill::Bill;
use crate::budget::{Reserved, Worst};
use crate::query::{Query, invalid};
use crate::relay::usage::{Misnamed, Unreadable, WorstCase, clamp_output, rename_model, worst_case};

/// What is reserved for a prompt that names files, caches or pages, whose length nobody here knows: as much as the models
/// read that read most.
const INPUT_TOKENS_MAX: u64 = 1 << 20;

/// A call of a method of a model that is elsewhere.
pub(super) struct Call<'call> {
    pub(super) lodge: &'call Lodge,
    pub(super) elsewhere: &'call Elsewhere,
    pub(super) version: &'call str,
    /// The model as the caller names it.
    pub(super) model: &'call str,
    pub(super) verb: Verb,
    pub(super) query: &'call Query,
    pub(super) deadline: Instant,
    pub(super) bill: &'call mut Option<Box<Bill>>,
    pub(super) envelope: Envelope,
}

/// A body that was read, and what its call may use at most.
pub(crate) struct Affordable {
    pub(crate) body: Bytes,
    /// What was reserved, where a limit counts what is used.
    pub(crate) reserved: Option<Reserved>,
    /// How many tokens an answer may have, if the body was changed to say so.
    pub(crate) clamped: Option<u32>,
}

/// A body whose call's use is counted by a limit.
pub(crate) struct Asking {
    pub(crate) body: Bytes,
    /// The most that it can use.
    pub(crate) before: WorstCase,
    /// How many tokens an answer has at most that nothing caps.
    pub(crate) output_tokens_max: u64,
    /// Whether the answer comes as it is made.
    pub(crate) streams: bool,
    /// Says in the body how long an answer may be.
    pub(crate) clamp: fn(&Bytes, NonZeroU32) -> Result<Bytes, Unreadable>,
}

impl Call<'_> {
    pub(super) async fn answer(mut self, parts: &request::Parts, body: Body) -> Result<Response, Failure> {
        match self.elsewhere.speech {
            Speech::Gemini => relayed::answer(&mut self, parts, body).await,
            Speech::OpenAi => translated::answer(&mut self, body).await,
        }
    }

    fn counts_use(&self) -> bool {
        self.bill.as_ref().is_some_and(|bill| bill.counts_use())
    }

    async fn reserve(&mut self, body: Bytes) -> Result<Affordable, Failure> {
        let Some(bill) = self.bill.as_mut().filter(|bill| bill.counts_use()) else {
            return Ok(Affordable { body, reserved: None, clamped: None });
        };
        let mut before = worst_case(&body).map_err(unreadable)?;
        if self.verb.embeds() {
            before.output_cap = Some(0);
        }
        let output_tokens_max = self.elsewhere.upstream.settings.output_tokens_max;
        let streams = self.verb == Verb::StreamGenerateContent;
        Asking { body, before, output_tokens_max, streams, clamp: clamp_output }.reserve(bill).await
    }

    /// A body with the model's name as the upstream knows it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT where the body names another model than the path.
    fn named(&self, body: &Bytes) -> Result<Bytes, Status> {
        rename_model(body, self.model, self.elsewhere.model(self.model)).map_err(|error| match error {
            Misnamed::Unreadable => unreadable(Unreadable),
            Misnamed::Other(field) => {
                invalid(field, format!("Invalid value at '{field}': the path names another model, {}.", self.model))
            }
        })
    }

    fn not_served(&self) -> Status {
        no_such_model(self.version, self.model, self.verb.path_word())
    }
}

impl Asking {
    /// Reserves what a call may use at most. Where a limit that refuses counts output, the body says how long an answer may
    /// be: as it did, or what was reserved, so that the upstream cannot mean another number.
    ///
    /// # Errors
    /// When a limit has no room, or a budget no price.
    pub(crate) async fn reserve(self, bill: &mut Bill) -> Result<Affordable, Failure> {
        let Self { body, before, output_tokens_max, streams, clamp } = self;
        if bill.lacks_price() {
            return Err(no_price().into());
        }
        let mut worst = Worst {
            input: before.input_tokens_max.unwrap_or(INPUT_TOKENS_MAX),
            output: before.output_cap.unwrap_or(output_tokens_max),
            answers: before.candidates,
            is_capped: before.output_cap.is_some(),
        };
        let is_bound = bill.is_output_bound();
        let allowed = bill.afford(worst).await?;
        let is_said = worst.is_capped && allowed >= worst.output;
        worst.output = allowed;
        let reserved = Some(Reserved { worst, streams, is_bound });
        if is_said || !is_bound {
            return Ok(Affordable { body, reserved, clamped: None });
        }
        let max = NonZeroU32::new(u32::try_from(allowed).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let body = clamp(&body, max).map_err(unreadable)?;
        Ok(Affordable { body, reserved, clamped: Some(max.get()) })
    }
}

/// A budget can only hold what it knows the price of.
fn no_price() -> Status {
    Status::new(
        Code::FailedPrecondition,
        "A budget holds here, and this model has no price in the settings. Whoever runs this Keylodge must add one to [prices].",
    )
}

pub(crate) fn unreadable(Unreadable: Unreadable) -> Status {
    Status::new(Code::InvalidArgument, "Invalid JSON payload received. The body must be one JSON object.")
}
