//! A Status, or any answer, as bytes of an HTTP response.

use std::borrow::Cow;

use http::{HeaderValue, Response, StatusCode, header};
use keylodge_rules::secret::mask;
use serde::Serialize;

use super::{Detail, Status};

/// The content type of every JSON answer.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

/// How an error body is wrapped. Google's array streams (and its OpenAI surface) put it into a one-element array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `{"error": …}`
    Object,
    /// `[{"error": …}]`
    Array,
    /// `{"error": {"message": …, "code": "invalid_request"}}`, as the Interactions API has it.
    Word,
}

#[derive(Serialize)]
struct Body<'status> {
    error: Error<'status>,
}

#[derive(Serialize)]
struct WordBody<'status> {
    error: WordError<'status>,
}

#[derive(Serialize)]
struct WordError<'status> {
    message: &'status str,
    code: &'static str,
}

#[derive(Serialize)]
struct Error<'status> {
    code: u16,
    message: &'status str,
    status: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'status [Detail],
}

impl Status {
    /// The whole HTTP answer. Whatever looks like a key in it is masked: messages repeat what callers sent.
    #[must_use]
    pub fn response<B: From<Vec<u8>>>(&self, envelope: Envelope) -> Response<B> {
        let body = match envelope {
            Envelope::Object => masked(json_bytes(&self.body(), true)),
            Envelope::Array => masked(json_bytes(&[self.body()], true)),
            Envelope::Word => {
                let error = WordError { message: &self.message, code: self.word() };
                masked(json_bytes(&WordBody { error }, true))
            }
        };
        let mut response = Response::new(B::from(body));
        *response.status_mut() = StatusCode::from_u16(self.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    }

    /// The error as one line of JSON that begins with `{"error":`, as a stream carries it. Python's client knows an
    /// error in a stream by exactly that beginning.
    #[must_use]
    pub fn stream_chunk(&self) -> Vec<u8> {
        masked(json_bytes(&self.body(), false))
    }

    fn body(&self) -> Body<'_> {
        let error =
            Error { code: self.code.http(), message: &self.message, status: self.code.name(), details: &self.details };
        Body { error }
    }
}

fn masked(json: Vec<u8>) -> Vec<u8> {
    match std::str::from_utf8(&json).map(mask) {
        Ok(Cow::Owned(masked)) => masked.into_bytes(),
        Ok(Cow::Borrowed(_)) | Err(_) => json,
    }
}

/// Prints an answer as Google does: two blanks of indent or one line, and no bare `<` or `>`.
#[must_use]
pub fn json_bytes<T: Serialize + ?Sized>(answer: &T, pretty: bool) -> Vec<u8> {
    let text = if pretty { serde_json::to_string_pretty(answer) } else { serde_json::to_string(answer) };
    let text = text.expect("our answers have string keys and no failing parts");
    if !text.contains(['<', '>']) {
        return text.into_bytes();
    }
    // Angle brackets occur in JSON only inside strings, where the escape means the same.
    text.replace('<', "\\u003c").replace('>', "\\u003e").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use crate::status::QuotaViolation;

    #[test]
    fn an_error_without_details_leaves_the_field_out() {
        let status = Status::new(Code::NotFound, "a <b>");

        assert_eq!(
            String::from_utf8(status.stream_chunk()).unwrap(),
            r#"{"error":{"code":404,"message":"a \u003cb\u003e","status":"NOT_FOUND"}}"#
        );
    }

    #[test]
    fn an_array_stream_gets_its_error_in_an_array() {
        let response: Response<Vec<u8>> = Status::new(Code::Unavailable, "later").response(Envelope::Array);

        assert_eq!(response.status(), 503);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body[0]["error"]["code"], 503);
    }

    #[test]
    fn a_key_that_a_message_repeats_is_masked() {
        let key = keylodge_rules::KeyString::issue(&[1; 32]);
        let status = Status::new(Code::NotFound, format!("Nothing is served at /v1/{}.", key.reveal()));

        let response: Response<Vec<u8>> = status.response(Envelope::Object);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();

        assert_eq!(body["error"]["message"], "Nothing is served at /v1/kl_….");
        assert!(String::from_utf8(status.stream_chunk()).unwrap().contains("/v1/kl_…."));
    }

    #[test]
    fn interactions_have_words_for_codes_and_no_details() {
        let quota = |id: &str| QuotaViolation {
            quota_metric: String::new(),
            quota_id: id.to_owned(),
            quota_dimensions: std::collections::BTreeMap::new(),
            quota_value: "1".to_owned(),
        };
        let exhausted = |id| Status::new(Code::ResourceExhausted, "x").with(Detail::QuotaFailure(vec![quota(id)]));
        for (status, word) in [
            (Status::new(Code::InvalidArgument, "x"), "invalid_request"),
            (exhausted("GenerateRequestsPerMinutePerProjectPerModel"), "rate_limit_exceeded"),
            (exhausted("GenerateRequestsPerDayPerProjectPerModel"), "quota_exceeded"),
        ] {
            let response: Response<Vec<u8>> = status.response(Envelope::Word);
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body, serde_json::json!({"error": {"message": "x", "code": word}}));
            assert_eq!(response.status(), status.code.http());
        }
    }

    #[test]
    fn no_code_is_a_success() {
        assert!(Code::ALL.iter().all(|code| (400..600).contains(&code.http())));
    }
}
