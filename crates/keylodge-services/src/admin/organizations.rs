//! `POST /keylodge/v1/organizations`

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::admin::CreateOrganizationRequest;
use keylodge_rules::ProjectNumber;

use crate::management::Call;
use crate::query::invalid;
use crate::{failure, organizations, projects};

pub(crate) async fn create(mut call: Call) -> Result<Response, Status> {
    let request: CreateOrganizationRequest = call.read().await?;
    if !(1..=63).contains(&request.display_name.chars().count()) {
        return Err(invalid("display_name", "display_name must have 1 to 63 characters."));
    }
    // Numbers of organizations look like those of projects, as at Google.
    let number = ProjectNumber::from_random(call.lodge.random()).get();
    let act = call.act_with([("display_name", request.display_name.clone())]);
    let policy = projects::owned_by(call.operator.member());
    let made = call.lodge.store.create_organization(number, &request.display_name, &policy, &act).await;
    call.answer(&organizations::to_v3(&made.map_err(|error| failure::project(&error))?.value))
}
