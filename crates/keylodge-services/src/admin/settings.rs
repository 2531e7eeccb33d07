//! How a project treats its keys.

use axum::response::Response;
use keylodge_api::Status;
use keylodge_api::admin::{PatchProjectSettingsRequest, ProjectSettings};
use keylodge_store::ProjectRecord;

use crate::failure;
use crate::management::Call;

pub(crate) async fn get(call: Call) -> Result<Response, Status> {
    call.answer(&to_wire(call.project()?))
}

/// Alters what is given. In force at this gate when it has answered.
pub(crate) async fn update(mut call: Call) -> Result<Response, Status> {
    let request: PatchProjectSettingsRequest = call.read().await?;
    let asked = |given: Option<bool>| given.map(|yes| yes.to_string()).unwrap_or_default();
    let act = call.act_with([
        ("key_strings_shown_once", asked(request.key_strings_shown_once)),
        ("standard_keys_must_be_restricted", asked(request.standard_keys_must_be_restricted)),
    ]);
    let altered = call.lodge.store.alter_project(call.project()?.number, None, &act, |project| {
        project.strings_shown_once = request.key_strings_shown_once.unwrap_or(project.strings_shown_once);
        project.must_restrict = request.standard_keys_must_be_restricted.unwrap_or(project.must_restrict);
        Ok(())
    });
    let altered = altered.await.map_err(|error| failure::project(&error))?;
    call.in_force(altered.revision).await?;
    call.answer(&to_wire(&altered.value))
}

fn to_wire(project: &ProjectRecord) -> ProjectSettings {
    ProjectSettings {
        key_strings_shown_once: project.strings_shown_once,
        standard_keys_must_be_restricted: project.must_restrict,
    }
}
