//! What an upstream's answer says about the credential that the call went with.

use std::time::Duration;

use http::header::{CONTENT_ENCODING, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use keylodge_api::admin::Span;
use keylodge_rules::upstream::Answered;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::relay::{Kind, UpstreamError};

/// Google's reasons for refusing a key or its project. The caller's own credentials and proofs never go on, so what is
/// wrong with a referrer or an app is wrong with ours, too.
const REFUSALS: [&str; 19] = [
    "ACCESS_TOKEN_EXPIRED",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "ACCESS_TOKEN_TYPE_UNSUPPORTED",
    "ACCOUNT_STATE_INVALID",
    "API_KEY_ANDROID_APP_BLOCKED",
    "API_KEY_EXPIRED",
    "API_KEY_HTTP_REFERRER_BLOCKED",
    "API_KEY_INVALID",
    "API_KEY_IOS_APP_BLOCKED",
    "API_KEY_IP_ADDRESS_BLOCKED",
    "API_KEY_SERVICE_BLOCKED",
    "BILLING_DISABLED",
    "CONSUMER_INVALID",
    "CONSUMER_SUSPENDED",
    "CREDENTIALS_MISSING",
    "LOCATION_TAX_POLICY_VIOLATED",
    "RESOURCE_PROJECT_INVALID",
    "SERVICE_DISABLED",
    "USER_PROJECT_DENIED",
];

/// How Google's servers begin to say the same where they give no reason, as their Interactions API never does.
const REFUSAL_WORDS: [&str; 6] = [
    "API Key not found",
    "API key expired",
    "API key not valid",
    "Method doesn't allow unregistered callers",
    "Your API key was reported as leaked",
    "Your project has been denied access",
];

/// How they begin to say it where they end a websocket: a reason of 123 bytes is all there is then. Some of these have a
/// reason in an answer. The caller's own credentials, and what it says of itself, never go on, so all of them are of ours.
const CLOSE_WORDS: [&str; 10] = [
    "API keys are not supported by this API",
    "Gemini API has not been used in project",
    "Generative Language API has not been used in project",
    "Permission denied on resource project",
    "Permission denied: Consumer",
    "Request had invalid authentication credentials",
    "Requests from referer",
    "Requests from this",
    "Requests to this API",
    "The provided API key has an IP address restriction",
];

/// How they begin to say there that they let no more through.
const QUOTA_WORDS: [&str; 2] = ["Resource has been exhausted", "You exceeded your current quota"];

/// Whether it is a server of Google's, which says what is wrong with a credential in words that may have it in them.
pub(super) const fn is_google(kind: Kind) -> bool {
    matches!(kind, Kind::Gemini | Kind::Jules)
}

/// Whether a body is not what its bytes say.
pub(in crate::relay) fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity")
}

/// Whether an error of a server of Google's can be looked through. What refuses a caller must be in its usual form: else
/// nobody knows whom it refuses.
pub(super) fn is_readable(status: StatusCode, body: &[u8]) -> bool {
    !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        || serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// What becomes of an error of a server of Google's that could not be read whole.
pub(super) fn unread(status: StatusCode) -> UpstreamError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => UpstreamError::Credential,
        _ => UpstreamError::Unread,
    }
}

/// Whether the head of an answer leaves open what it says about the credential, so that its body must be looked at.
pub(super) fn is_open(kind: Kind, status: StatusCode) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        _ if is_google(kind) => status.is_client_error() || status.is_server_error(),
        // Whose 401 that of an HTTP service is, its own caller's or ours, nobody knows.
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => kind != Kind::Http,
        _ => false,
    }
}

/// What an answer says whose body need not be looked at.
pub(super) fn by_head(status: StatusCode) -> Answered {
    if status.is_success() { Answered::Good } else { Answered::Other }
}

/// What an answer says that is open until its body is known. A body that cannot be read, because it is compressed or of
/// another form, says nothing. Google's 401 needs no words: nobody's credential but ours was there.
pub(super) fn by_body(kind: Kind, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answered {
    let is_said_of_us = is_google(kind) && status == StatusCode::UNAUTHORIZED;
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    // Some of Google's answers are arrays with the error in them.
    let error = body.pointer("/error").or_else(|| body.pointer("/0/error"));
    let details = || error.and_then(|error| error["details"].as_array()).into_iter().flatten();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let said = || details().find_map(|detail| Span::parse(detail["retryDelay"].as_str()?));
        return Answered::TooMany(seconds.map(Duration::from_secs).or_else(|| said().map(|span| span.0)));
    }
    let is_refusal = match kind {
        Kind::Http => false,
        Kind::OpenAi => status == StatusCode::UNAUTHORIZED,
        Kind::Gemini | Kind::Jules => {
            let reason = |detail: &Value| detail["reason"].as_str().is_some_and(|reason| REFUSALS.contains(&reason));
            let message = error.and_then(|error| error["message"].as_str()).unwrap_or_default();
            let is_in_words = || REFUSAL_WORDS.iter().any(|words| message.starts_with(words));
            is_said_of_us
                || (matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN)
                    && (details().any(reason) || is_in_words()))
        }
    };
    if is_refusal { Answered::Refused } else { Answered::Other }
}

/// What the reason says with which a server of Google's ends a websocket. Only how it begins counts: what comes later may be
/// the caller's own words, as in a model's name.
pub(super) fn by_close(reason: &str) -> Answered {
    let begins = |all: &[&str]| all.iter().any(|words| reason.starts_with(words));
    if begins(&REFUSAL_WORDS) || begins(&CLOSE_WORDS) {
        return Answered::Refused;
    }
    let is_traced = reason.starts_with("Request trace id") && reason.contains("generic::resource_exhausted");
    if begins(&QUOTA_WORDS) || is_traced { Answered::TooMany(None) } else { Answered::Other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(kind: Kind, status: u16, body: &Value, expected: Answered) {
        let status = StatusCode::from_u16(status).unwrap();
        let said = by_body(kind, status, &HeaderMap::new(), body.to_string().as_bytes());
        assert_eq!(said, expected, "{kind:?} {status} {body}");
    }

    #[test]
    fn google_refuses_a_key_with_a_reason_whatever_the_status() {
        let error = |reason: &str| {
            json!({"error": {"details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"},
                {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US"},
            ]}})
        };
        check(Kind::Gemini, 400, &error("API_KEY_INVALID"), Answered::Refused);
        check(Kind::Gemini, 400, &json!([error("API_KEY_INVALID")]), Answered::Refused);
        check(Kind::Jules, 403, &error("CONSUMER_SUSPENDED"), Answered::Refused);
        check(Kind::Gemini, 401, &error("CREDENTIALS_MISSING"), Answered::Refused);
        check(Kind::Gemini, 401, &json!({"error": {"status": "UNAUTHENTICATED"}}), Answered::Refused);
        check(Kind::Gemini, 403, &error("API_KEY_HTTP_REFERRER_BLOCKED"), Answered::Refused);
        check(Kind::Gemini, 404, &error("API_KEY_INVALID"), Answered::Other);
        check(Kind::Gemini, 400, &error("FIELD_INVALID"), Answered::Other);
        check(Kind::Gemini, 403, &json!({"error": {"status": "PERMISSION_DENIED"}}), Answered::Other);
        check(Kind::Gemini, 400, &json!("nonsense"), Answered::Other);
    }

    #[test]
    fn google_refuses_a_key_in_words_too_and_what_is_not_the_caller_s_is_not_taken_for_his() {
        let words = |message: &str| json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}});
        for message in [
            "Your API key was reported as leaked. Please use another API key.",
            "Your project has been denied access. Please contact support.",
            "Method doesn't allow unregistered callers (callers without established identity).",
            "API key not valid. Please pass a valid API key.",
        ] {
            check(Kind::Gemini, 403, &words(message), Answered::Refused);
        }
        let file = "You do not have permission to access the File x or it may not exist.";
        check(Kind::Gemini, 403, &words(file), Answered::Other);
    }

    #[test]
    fn a_refusal_of_google_s_that_cannot_be_read_is_not_passed_on() {
        for (status, expected) in [(401, false), (403, false), (400, true), (502, true)] {
            let status = StatusCode::from_u16(status).unwrap();
            for body in [b"<html>".as_slice(), b"", b"{\"error\": {\"message\": \"Perm"] {
                assert_eq!(is_readable(status, body), expected, "{status}");
            }
            assert!(is_readable(status, b"{}"));
        }
    }

    #[test]
    fn an_openai_server_refuses_a_key_with_401_and_somebody_s_own_service_never() {
        check(Kind::OpenAi, 401, &json!({"error": {"code": "invalid_api_key"}}), Answered::Refused);
        check(Kind::OpenAi, 403, &json!({"error": {"code": "unsupported_country"}}), Answered::Other);
        check(Kind::OpenAi, 400, &json!({"error": {"details": [{"reason": "API_KEY_INVALID"}]}}), Answered::Other);
        for status in [400, 401, 403] {
            assert!(!is_open(Kind::Http, StatusCode::from_u16(status).unwrap()));
            check(Kind::Http, status, &json!({"error": {"details": [{"reason": "API_KEY_INVALID"}]}}), Answered::Other);
        }
    }

    #[test]
    fn how_long_to_wait_is_said_in_the_head_or_in_the_body() {
        let body = json!({"error": {"code": 429, "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"},
        ]}});
        check(Kind::Gemini, 429, &body, Answered::TooMany(Some(Duration::from_millis(34_500))));
        check(Kind::Http, 429, &json!({}), Answered::TooMany(None));

        let wait = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            by_body(Kind::Gemini, StatusCode::TOO_MANY_REQUESTS, &headers, body.to_string().as_bytes())
        };
        assert_eq!(wait("7"), Answered::TooMany(Some(Duration::from_secs(7))));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Answered::TooMany(Some(Duration::from_millis(34_500))));
    }

    #[test]
    fn the_reason_of_a_close_says_what_an_answer_would() {
        for (reason, expected) in [
            ("API key not valid. Please pass a valid API key.", Answered::Refused),
            ("Permission denied: Consumer 'api_key:x' has been suspended.", Answered::Refused),
            ("Requests from referer <empty> are blocked.", Answered::Refused),
            ("You exceeded your current quota, please check your plan", Answered::TooMany(None)),
            ("Request trace id: x, [ORIGINAL ERROR] generic::resource_exhausted: y", Answered::TooMany(None)),
            ("models/API key not valid is not found for API version v1beta", Answered::Other),
            ("Internal error encountered.", Answered::Other),
            ("", Answered::Other),
        ] {
            assert_eq!(by_close(reason), expected, "{reason}");
        }
    }

    #[test]
    fn success_is_good_and_what_is_about_the_call_says_nothing() {
        for (status, expected) in
            [(200, Answered::Good), (204, Answered::Good), (404, Answered::Other), (503, Answered::Other)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(!is_open(Kind::OpenAi, status));
            assert_eq!(is_open(Kind::Gemini, status), !status.is_success(), "it may name our key");
            assert_eq!(by_head(status), expected);
        }
    }
}
