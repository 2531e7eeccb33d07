//! `GET /v1/models`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::gemini::ListModelsResponse;
use keylodge_rules::Revision;

use super::models::to_wire;
use crate::query::Query;
use crate::{Lodge, paging, wire};

const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 1000;

pub(super) fn answer(lodge: &Lodge, query: &Query) -> Result<Response, Status> {
    let size = usize::try_from(query.page_size(PAGE_DEFAULT, PAGE_MAX)?).unwrap_or(usize::MAX);
    let Revision(begin) = paging::begin(query)?;
    let begin = usize::try_from(begin).unwrap_or(usize::MAX);
    let entries = lodge.models.entries();
    let page = entries.get(begin..).unwrap_or_default();
    let end = begin.saturating_add(size);
    let answer = ListModelsResponse {
        models: page.iter().take(size).map(to_wire).collect(),
        next_page_token: (end < entries.len()).then(|| paging::token(Revision(u64::try_from(end).unwrap_or(u64::MAX)))),
    };
    wire::answer(&answer, query)
}
