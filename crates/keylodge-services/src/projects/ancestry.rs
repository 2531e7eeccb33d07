//! `POST /v1/projects/*:getAncestry`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::proto_json::Empty;
use keylodge_api::resource_manager::v1::{Ancestor, GetAncestryResponse, ResourceId};

use crate::management::Call;

/// The project, then the organization that owns it.
pub(crate) async fn get_ancestry(mut call: Call) -> Result<Response, Status> {
    let Empty {} = call.read().await?;
    let project = call.project()?;
    let own = ResourceId { kind: "project".to_owned(), id: project.id.to_string() };
    let parent = project.parent.map(|number| ResourceId { kind: "organization".to_owned(), id: number.to_string() });
    let ancestor = std::iter::once(own).chain(parent).map(|resource_id| Ancestor { resource_id }).collect();
    call.answer(&GetAncestryResponse { ancestor })
}
