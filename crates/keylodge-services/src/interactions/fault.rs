//! Errors of the Interactions API: a message, and a word in the place of a code.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use keylodge_api::status::{JSON, json_bytes};
use keylodge_api::{Code, Status};
use keylodge_rules::secret::mask;
use serde_json::{Value, json};

use crate::gemini::inside;
use crate::reading::UNKNOWN_NAME;

/// What kind of error: the words of the documentation, each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    InvalidRequest,
    ParameterUnknown,
    FailedPrecondition,
    NotFound,
    ModelNotFound,
    RateLimitExceeded,
}

impl Word {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::ParameterUnknown => "parameter_unknown",
            Self::FailedPrecondition => "failed_precondition",
            Self::NotFound => "not_found",
            Self::ModelNotFound => "model_not_found",
            Self::RateLimitExceeded => "rate_limit_exceeded",
        }
    }

    const fn http(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::ParameterUnknown | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::NotFound | Self::ModelNotFound => StatusCode::NOT_FOUND,
            Self::RateLimitExceeded => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// An error for a caller.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) http: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    retry_after: Option<HeaderValue>,
}

impl Fault {
    pub(super) fn new(word: Word, message: impl Into<String>) -> Self {
        Self { http: word.http(), code: word.as_str().to_owned(), message: message.into(), retry_after: None }
    }

    /// No interaction of this project has this id. One of another project reads the same.
    pub(super) fn no_such(id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        Self::new(Word::NotFound, format!("Interaction {id} not found."))
    }

    /// What was being answered when the program stopped.
    pub(super) fn stopped() -> Self {
        Self::of_status(&Status::new(Code::Aborted, "The server was stopped before the answer was complete."))
    }

    /// An error that our own handlers say in the other form.
    pub(super) fn of_status(status: &Status) -> Self {
        let is_unknown = status.message.starts_with(UNKNOWN_NAME);
        let code = if is_unknown { Word::ParameterUnknown.as_str() } else { status.word() };
        let http = StatusCode::from_u16(status.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { http, code: code.to_owned(), message: status.message.clone(), retry_after: None }
    }

    /// An error of the Gemini surface, or of whoever answered behind it.
    pub(super) fn of_gemini(fault: inside::Fault) -> Self {
        let inside::Fault { http, error, retry_after } = fault;
        let message = error["message"].as_str().unwrap_or("The server behind this API refused the call.").to_owned();
        let per_day = error.to_string().contains("PerDay");
        let code = match error["status"].as_str().and_then(Code::from_name) {
            Some(Code::NotFound) => Word::ModelNotFound.as_str(),
            Some(Code::ResourceExhausted) if per_day => "quota_exceeded",
            Some(code) => code.word(),
            None => Code::from_http(http.as_u16()).word(),
        };
        Self { http, code: code.to_owned(), message, retry_after }
    }

    /// The `error` of a body or an event.
    pub(super) fn error(&self) -> Value {
        json!({"message": mask(&self.message), "code": self.code})
    }

    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(json_bytes(&json!({"error": self.error()}), true)));
        *response.status_mut() = self.http;
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        if let Some(retry_after) = &self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, retry_after.clone());
        }
        response
    }
}
