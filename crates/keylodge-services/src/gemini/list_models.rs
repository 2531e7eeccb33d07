//! `GET /v1/models`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::gemini::ListModelsResponse;
use keylodge_rules::Revision;
use serde_json::Value;
use tokio::time::Instant;

use super::models::to_wire;
use super::there;
use crate::query::Query;
use crate::{Lodge, paging, wire};

const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 1000;

/// Our own names first, then what the upstream of all other names lists. Where it does not, our own are worth more than an
/// error, but on a later page a short list would look like a whole one.
pub(super) async fn answer(lodge: &Lodge, version: &str, query: &Query, deadline: Instant) -> Result<Response, Status> {
    let size = usize::try_from(query.page_size(PAGE_DEFAULT, PAGE_MAX)?).unwrap_or(usize::MAX);
    let Revision(begin) = paging::begin(query)?;
    let begin = usize::try_from(begin).unwrap_or(usize::MAX);
    let own = lodge.models.entries().iter().map(|entry| serde_json::to_value(to_wire(entry)));
    let mut entries: Vec<Value> = own.collect::<Result<_, _>>().map_err(|_| Status::internal())?;
    if let Some(others) = lodge.models.others() {
        let mut theirs = match there::models::list(others, version, deadline).await {
            Ok(theirs) => theirs,
            Err(status) if begin > 0 => return Err(status),
            Err(_) => Vec::new(),
        };
        theirs.retain(|model| entries.iter().all(|own| own["name"] != model["name"]));
        entries.append(&mut theirs);
    }
    let end = begin.saturating_add(size);
    let answer = ListModelsResponse {
        models: entries.iter().skip(begin).take(size).cloned().collect(),
        next_page_token: (end < entries.len()).then(|| paging::token(Revision(u64::try_from(end).unwrap_or(u64::MAX)))),
    };
    wire::answer(&answer, query)
}
