//! What can go wrong on the way to a Keylodge and back.

use std::fmt;

/// Why a call gave no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not `http://host:port`.
    BadUrl {
        /// What was given.
        url: String,
    },
    /// The token or key holds a character that no header can carry.
    BadToken,
    /// Nobody answered. Nothing was sent if the connection failed; otherwise it is unknown what was done.
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer began and broke off, or took too long.
    BrokeOff {
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server said no.
    Refused {
        /// The HTTP status.
        code: u16,
        /// The name, as `NOT_FOUND`.
        status: String,
        /// What the server says about it.
        message: String,
        /// What is wrong with the request, field by field, where the server says so.
        violations: Vec<Violation>,
    },
    /// The answer is none of a Keylodge.
    Nonsense {
        /// What was wrong with it.
        what: &'static str,
    },
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, as a path.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl ClientError {
    /// Whether the server refused with a status of this name, as `NOT_FOUND`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Self::Refused { status, .. } if status == name)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl { url } => {
                write!(f, "'{url}' is no address of a Keylodge; it looks like http://127.0.0.1:8585")
            }
            Self::BadToken => f.write_str("the token holds a character that no token has; is the file damaged?"),
            Self::Unreachable { url, .. } => {
                write!(f, "no Keylodge answers at {url}; start one with 'keylodge up', or say where it is with --url")
            }
            Self::BrokeOff { .. } => f.write_str("the server's answer broke off before its end; ask again"),
            Self::Refused { status, message, violations, .. } => {
                write!(f, "{status}: {}", sentence(message, violations))?;
                for Violation { field, description } in violations {
                    match field.as_str() {
                        "" => write!(f, "\n  {description}")?,
                        field => write!(f, "\n  {field}: {description}")?,
                    }
                }
                Ok(())
            }
            Self::Nonsense { what } => write!(f, "the server sent {what}; is it a Keylodge, and of this version?"),
        }
    }
}

/// The message, unless it only strings together what the violations say.
fn sentence<'message>(message: &'message str, violations: &[Violation]) -> &'message str {
    let repeats = |line: &str| violations.iter().any(|violation| violation.description == line);
    if !violations.is_empty() && message.lines().all(repeats) { "The request has mistakes:" } else { message }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable { cause, .. } | Self::BrokeOff { cause } => Some(cause.as_ref()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(message: &str, violations: &[(&str, &str)]) -> String {
        let violation =
            |(field, text): &(&str, &str)| Violation { field: (*field).to_owned(), description: (*text).to_owned() };
        let violations = violations.iter().map(violation).collect();
        let (status, message) = ("INVALID_ARGUMENT".to_owned(), message.to_owned());
        ClientError::Refused { code: 400, status, message, violations }.to_string()
    }

    #[test]
    fn a_refusal_is_a_sentence_and_a_line_for_each_mistake() {
        assert_eq!(printed("No such thing.", &[]), "INVALID_ARGUMENT: No such thing.");
        assert_eq!(
            printed("field [name] has issue [too short]", &[("name", "too short")]),
            "INVALID_ARGUMENT: field [name] has issue [too short]\n  name: too short"
        );
    }

    #[test]
    fn what_the_violations_say_is_not_said_twice() {
        assert_eq!(
            printed("Too long.\nNot a member.", &[("display_name", "Too long."), ("member", "Not a member.")]),
            "INVALID_ARGUMENT: The request has mistakes:\n  display_name: Too long.\n  member: Not a member."
        );
    }
}
