//! What a caller wants of a token.

use keylodge_api::Status;
use keylodge_api::gemini::{CreateAuthTokenRequest, SetupMask};
use keylodge_api::status::FieldViolation;
use keylodge_rules::Timestamp;
use keylodge_store::TokenScope;

use super::constraint::Constraint;

/// How long a token is good where its maker does not say, in microseconds.
const EXPIRES_AFTER: i64 = 30 * 60 * 1_000_000;

/// How long it begins sessions where its maker does not say, in microseconds.
const BEGINS_FOR: i64 = 60 * 1_000_000;

/// Times must be nearer than this, in microseconds.
const AHEAD: i64 = 20 * 60 * 60 * 1_000_000;

/// How large what a token fixes may be, in bytes of JSON.
const SETUP_BYTES_MAX: usize = 16 * 1024;

/// A token to be made.
pub(super) struct Wanted {
    /// None is no limit.
    pub(super) uses: Option<u32>,
    pub(super) expire_time: Timestamp,
    pub(super) new_session_expire_time: Timestamp,
    pub(super) scope: TokenScope,
    pub(super) constraint: Option<Constraint>,
}

impl Wanted {
    /// Reads a request that came at `now`; all mistakes are reported together.
    pub(super) fn of(request: CreateAuthTokenRequest, now: Timestamp) -> Result<Self, Status> {
        let mut mistakes = Vec::new();
        let mut wrong = |field: &str, description: String| {
            mistakes.push(FieldViolation { field: field.to_owned(), description });
        };
        let after = |micros: i64| Timestamp::from_micros(now.micros().saturating_add(micros));
        for (field, time) in
            [("expire_time", request.expire_time), ("new_session_expire_time", request.new_session_expire_time)]
        {
            match time {
                Some(time) if time <= now => wrong(field, format!("{field} must be in the future.")),
                Some(time) if time >= after(AHEAD) => {
                    wrong(field, format!("{field} must be less than 20 hours ahead."))
                }
                Some(_) | None => {}
            }
        }
        let names_model = request.field_mask.as_ref().is_some_and(SetupMask::names_model);
        let has_model = request.bidi_generate_content_setup.as_ref().is_some_and(|setup| setup.0.contains_key("model"));
        if names_model && !has_model {
            wrong(
                "field_mask",
                "field_mask names the model, which bidi_generate_content_setup does not set.".to_owned(),
            );
        }
        let constraint = Constraint::new(request.bidi_generate_content_setup, request.field_mask);
        if constraint.as_ref().is_some_and(|constraint| constraint.text().len() > SETUP_BYTES_MAX) {
            let description = format!("bidi_generate_content_setup must have at most {SETUP_BYTES_MAX} bytes.");
            wrong("bidi_generate_content_setup", description);
        }
        if !mistakes.is_empty() {
            return Err(Status::bad_request(mistakes));
        }
        let expire_time = request.expire_time.unwrap_or_else(|| after(EXPIRES_AFTER));
        Ok(Self {
            uses: match request.uses.unwrap_or(1) {
                0 => None,
                uses => Some(u32::try_from(uses).unwrap_or(1)),
            },
            expire_time,
            // A default that is later than the end would only be misread.
            new_session_expire_time: request
                .new_session_expire_time
                .unwrap_or_else(|| after(BEGINS_FOR).min(expire_time)),
            scope: request.scope.and_then(TokenScope::parse).unwrap_or(TokenScope::Live),
            constraint,
        })
    }
}
