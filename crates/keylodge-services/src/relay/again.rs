//! Asks upstreams again what a recording has, and holds what they answer now against it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt as _;

use super::Upstreams;
use super::body::Outgoing;
use super::underway::Underway;
use super::upstream::Upstream;
use crate::recording::{self, Answered, Asked, BODY_BYTES_MAX, Exchange, Scrubber, compare, difference};

/// What came of asking again. Each line names the request and what is so, in words.
#[derive(Debug, Default)]
pub struct Checked {
    /// How many requests were asked.
    pub asked: usize,
    /// What the recording promises and is not so.
    pub drifts: Vec<String>,
    /// What could not be found out, because an upstream did not answer, or answered that it cannot now.
    pub unknown: Vec<String>,
    /// What is there that was not.
    pub news: Vec<String>,
}

/// Asks each request of a recording once, one after the other. What was recorded for the same request more than once is one
/// promise.
///
/// # Errors
/// Words for whoever started the program: the recording cannot be read, or is of an upstream that is not there.
pub async fn check(upstreams: &Upstreams, file: &Path) -> Result<Checked, String> {
    let (exchanges, is_cut) = recording::read(file)?;
    let mut checked = Checked::default();
    if is_cut {
        checked.unknown.push("the recording is cut off at its end".to_owned());
    }
    if exchanges.is_empty() {
        checked.unknown.push("the recording has no calls".to_owned());
    }
    for (at, exchange) in exchanges.iter().enumerate() {
        let Exchange { upstream: name, request, .. } = exchange;
        let is_same = |other: &&Exchange| difference(name, request, other).is_none();
        if exchanges[..at].iter().any(|before| is_same(&before)) {
            continue;
        }
        let upstream = upstreams.find(name).ok_or_else(|| no_such_upstream(name))?;
        let recorded: Vec<&Answered> = exchanges.iter().filter(is_same).map(|same| &same.response).collect();
        checked.asked += 1;
        let line = request.line();
        let now = match ask(upstream, request).await {
            Ok(now) => now,
            Err(problem) => {
                checked.unknown.push(format!("{line}: {problem}"));
                continue;
            }
        };
        let is_expected = recorded.iter().any(|answer| answer.status == now.status);
        // A fault that was recorded beside a good answer, as of a client that tried again, says nothing of the good one.
        let is_luck = now.status >= 400 && is_expected && recorded.iter().any(|answer| answer.status < 400);
        if is_luck || !is_expected && (now.status == 429 || now.status >= 500) {
            checked.unknown.push(format!("{line}: the upstream answered {}", now.status));
            continue;
        }
        if now.broke_off && !recorded.iter().any(|answer| answer.broke_off) {
            checked.unknown.push(format!("{line}: the answer broke off"));
            continue;
        }
        let compared = compare(&request.path, &recorded, &now);
        let named = |words: String| format!("{line}: {words}");
        checked.drifts.extend(compared.drifts.into_iter().map(named));
        checked.news.extend(compared.news.into_iter().map(named));
    }
    Ok(checked)
}

/// The settings do not have an upstream that a recording has.
fn no_such_upstream(name: &str) -> String {
    format!(
        "the recording has calls to an upstream '{name}', which the settings do not have; give those it was made with"
    )
}

async fn ask(upstream: &Arc<Upstream>, asked: &Asked) -> Result<Answered, String> {
    let mut slot = Some(request(asked).ok_or("it cannot be asked as it is written")?);
    let mut underway = Underway::new(&mut slot, None, upstream);
    let answered = upstream.ask(&mut underway, &asked.path, &Arc::default()).await;
    let response = match answered {
        Ok(response) => response,
        Err(error) => {
            underway.unanswered(&error);
            return Err(error.words());
        }
    };
    let (head, mut body) = response.into_parts();
    let (mut pieces, mut bytes) = (Vec::new(), 0);
    let mut broke_off = false;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            broke_off = true;
            break;
        };
        let Ok(piece) = frame.into_data() else { continue };
        bytes += piece.len();
        if bytes > BODY_BYTES_MAX {
            return Err("the answer is too long".to_owned());
        }
        pieces.push(piece.to_vec());
    }
    // Nothing of it is written, so no secret need be known.
    Ok(Answered::of(head.status.as_u16(), &head.headers, pieces, broke_off, &Scrubber::default()))
}

fn request(asked: &Asked) -> Option<Request<Outgoing>> {
    let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
    let body = asked.body.pieces().concat();
    let mut request = Request::new(Outgoing::Whole((!body.is_empty()).then(|| Bytes::from(body))));
    *request.method_mut() = Method::from_bytes(asked.method.as_bytes()).ok()?;
    *request.uri_mut() = Uri::try_from(format!("/{query}")).ok()?;
    for (name, value) in &asked.headers {
        let (name, value) = (HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        request.headers_mut().insert(name, value);
    }
    Some(request)
}
