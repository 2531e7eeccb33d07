//! `GET /v2/projects/*/locations/global/keys`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::apikeys::ListKeysResponse;

use super::to_wire;
use crate::management::Call;
use crate::{failure, paging};

/// AIP style: 50 when not said, at most 300, which is as many keys as a project can have unless settings say otherwise.
const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 300;

pub(crate) async fn list(call: Call) -> Result<Response, Status> {
    let size = call.query.page_size(PAGE_DEFAULT, PAGE_MAX)?;
    let after = paging::begin(&call.query)?;
    let (lodge, project) = (&call.lodge, call.project()?.number);
    let page = lodge.store.keys(project, call.query.flag("showDeleted")?, after, size, lodge.now()).await;
    let page = page.map_err(|error| failure::store(&error))?;
    let answer = ListKeysResponse {
        keys: page.items.iter().map(to_wire).collect(),
        next_page_token: page.next.map(paging::token),
    };
    call.answer(&answer)
}
