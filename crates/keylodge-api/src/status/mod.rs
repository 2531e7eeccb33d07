//! `google.rpc.Status`: the one form in which every error leaves Keylodge.

mod detail;
mod response;

pub use detail::{Detail, FieldViolation, Link, QuotaViolation};
pub use response::{Envelope, JSON, json_bytes};

/// An error for a caller. The message says what to do next; causes stay in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What kind of error.
    pub code: Code,
    /// A sentence for the person who reads it.
    pub message: String,
    /// Facts for programs, in Google's order.
    pub details: Vec<Detail>,
}

impl Status {
    /// An error without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    /// The same error with one more detail.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// The same error, ending with its own message as a `LocalizedMessage`, as key checks at Google do.
    #[must_use]
    pub fn localized(self) -> Self {
        let message = self.message.clone();
        self.with(Detail::LocalizedMessage { message })
    }

    /// INVALID_ARGUMENT with a `BadRequest` detail; the message joins all descriptions, a line each.
    #[must_use]
    pub fn bad_request(violations: Vec<FieldViolation>) -> Self {
        let lines: Vec<&str> = violations.iter().map(|violation| violation.description.as_str()).collect();
        let message = lines.join("\n");
        Self::new(Code::InvalidArgument, message).with(Detail::BadRequest(violations))
    }

    /// Two errors about the same request as one: the messages a line each, the violations together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.message = format!("{}\n{}", self.message, other.message);
        for detail in other.details {
            match (self.details.last_mut(), detail) {
                (Some(Detail::BadRequest(violations)), Detail::BadRequest(more)) => violations.extend(more),
                (_, detail) => self.details.push(detail),
            }
        }
        self
    }

    /// What the Interactions API calls it, where errors have words in the place of codes.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let is_long = |detail: &Detail| match detail {
            Detail::QuotaFailure(violations) => {
                let names_it = |id: &str| ["PerDay", "PerMonth"].iter().any(|window| id.contains(window));
                violations.iter().any(|violation| names_it(&violation.quota_id))
            }
            _ => false,
        };
        if self.code == Code::ResourceExhausted && self.details.iter().any(is_long) {
            return "quota_exceeded";
        }
        self.code.word()
    }

    /// The error for something that is our fault. Its cause belongs in the log, with the request id.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "An internal error has occurred. Please retry, or give the x-request-id of this answer to whoever runs this Keylodge.",
        )
    }
}

macro_rules! codes {
    ($($code:ident = $name:literal, $http:literal;)+) => {
        /// The canonical error codes (google.rpc.Code), without OK: a Status is never a success.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are google.rpc.Code's own")]
        pub enum Code { $($code),+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name),+ }
            }

            /// The HTTP status it travels with, always 4xx or 5xx.
            #[must_use]
            pub const fn http(self) -> u16 {
                match self { $(Self::$code => $http),+ }
            }
        }
    };
}

codes! {
    Cancelled = "CANCELLED", 499;
    Unknown = "UNKNOWN", 500;
    InvalidArgument = "INVALID_ARGUMENT", 400;
    DeadlineExceeded = "DEADLINE_EXCEEDED", 504;
    NotFound = "NOT_FOUND", 404;
    AlreadyExists = "ALREADY_EXISTS", 409;
    PermissionDenied = "PERMISSION_DENIED", 403;
    ResourceExhausted = "RESOURCE_EXHAUSTED", 429;
    FailedPrecondition = "FAILED_PRECONDITION", 400;
    Aborted = "ABORTED", 409;
    OutOfRange = "OUT_OF_RANGE", 400;
    Unimplemented = "UNIMPLEMENTED", 501;
    Internal = "INTERNAL", 500;
    Unavailable = "UNAVAILABLE", 503;
    DataLoss = "DATA_LOSS", 500;
    Unauthenticated = "UNAUTHENTICATED", 401;
}

impl Code {
    /// The code of this name on the wire.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// What the Interactions API calls it. A limit by the day has another word: see [`Status::word`].
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::InvalidArgument => "invalid_request",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::PermissionDenied => "permission_denied",
            Self::ResourceExhausted => "rate_limit_exceeded",
            Self::FailedPrecondition => "failed_precondition",
            Self::Aborted => "aborted",
            Self::OutOfRange => "out_of_range",
            Self::Unimplemented => "unimplemented",
            Self::Unknown | Self::Internal | Self::DataLoss => "api_error",
            Self::Unavailable => "service_unavailable",
            Self::Unauthenticated => "authentication",
        }
    }

    /// The code that belongs to an HTTP error status that somebody asked for; other 4xx and 5xx map to their class.
    #[must_use]
    pub fn from_http(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::NotFound,
            409 => Self::Aborted,
            429 => Self::ResourceExhausted,
            499 => Self::Cancelled,
            501 => Self::Unimplemented,
            503 => Self::Unavailable,
            504 => Self::DeadlineExceeded,
            400..=498 => Self::InvalidArgument,
            _ => Self::Internal,
        }
    }
}
