//! IAM v1's roles: the predefined ones, and those that somebody puts together in a project or an organization.

use axum::response::Response;
use keylodge_api::iam::{
    CreateRoleRequest, ListRolesResponse, QueryTestablePermissionsRequest, Role, RoleFields, RoleMask, RoleView,
    UndeleteRoleRequest, parse_etag,
};
use keylodge_api::{Code, Status};
use keylodge_rules::Revision;
use keylodge_rules::iam::{CustomRoleName, PERMISSIONS, PREDEFINED, PredefinedRole, RoleId, RoleParent};
use keylodge_store::{PolicyError, RoleRecord};
use serde_json::json;

use crate::management::Call;
use crate::query::{Query, invalid};
use crate::{failure, paging};

const PAGE_DEFAULT: u32 = 300;
const PAGE_MAX: u32 = 1000;

/// The predefined roles. They fit on a page.
pub(crate) async fn list_predefined(call: Call) -> Result<Response, Status> {
    let view = view(&call.query)?;
    let roles = PREDEFINED.iter().map(|role| Role::predefined(role, view)).collect();
    call.answer(&ListRolesResponse { roles, next_page_token: None })
}

pub(crate) async fn get_predefined(call: Call) -> Result<Response, Status> {
    let found = RoleId::parse(call.place("role")).ok().and_then(|id| PredefinedRole::find(&id));
    let role = found.ok_or_else(|| missing(&format!("roles/{}", call.place("role"))))?;
    call.answer(&Role::predefined(role, RoleView::Full))
}

/// The permissions that a custom role may have: every one there is, whatever the resource. They fit on a page.
pub(crate) async fn query_testable(mut call: Call) -> Result<Response, Status> {
    let QueryTestablePermissionsRequest = call.read().await?;
    let permissions = PERMISSIONS.iter().map(|name| json!({"name": name, "stage": "GA"}));
    call.answer(&json!({ "permissions": permissions.collect::<Vec<_>>() }))
}

pub(crate) async fn list(call: Call) -> Result<Response, Status> {
    let view = view(&call.query)?;
    let size = call.query.page_size(PAGE_DEFAULT, PAGE_MAX)?;
    let (deleted, after) = (call.query.flag("showDeleted")?, paging::begin(&call.query)?);
    let page = call.lodge.store.roles(&parent(&call)?.to_string(), deleted, after, size).await;
    let page = page.map_err(|error| failure::store(&error))?;
    call.answer(&ListRolesResponse {
        roles: page.items.iter().map(|record| Role::custom(&record.role, view)).collect(),
        next_page_token: page.next.map(paging::token),
    })
}

pub(crate) async fn create(mut call: Call) -> Result<Response, Status> {
    let CreateRoleRequest { role_id, role } = CreateRoleRequest::parse(&call.bytes().await?)?;
    let name = CustomRoleName { parent: parent(&call)?, id: role_id };
    let new = RoleRecord { role: role.create(name, Vec::new()), delete_time: None, created_at: Revision(0) };
    let act = call.act_with([("permissions", words(&new))]);
    let made = call.lodge.store.create_role(new, project(&call), &act).await;
    answer(&call, &made.map_err(|error| failure::policy(&error))?.value)
}

pub(crate) async fn get(call: Call) -> Result<Response, Status> {
    let name = name(&call)?.to_string();
    let found = call.lodge.store.role(&name).await.map_err(|error| failure::store(&error))?;
    answer(&call, &found.ok_or_else(|| missing(&name))?)
}

/// Alters what the mask names; without one, what is given.
pub(crate) async fn update(mut call: Call) -> Result<Response, Status> {
    let given: RoleFields = call.read().await?;
    let mask = RoleMask::parse(call.query.get("updateMask").unwrap_or_default(), &given)?;
    let expected = given.etag.clone();
    alter(&call, &expected, |record| {
        if record.delete_time.is_some() {
            return Err(PolicyError::WrongState);
        }
        record.role = mask.apply(&record.role, given);
        Ok(())
    })
    .await
}

pub(crate) async fn delete(call: Call) -> Result<Response, Status> {
    let expected =
        call.query.get("etag").map(|etag| parse_etag(etag).ok_or_else(|| invalid("etag", "etag is no base64.")));
    let expected = expected.transpose()?.unwrap_or_default();
    let now = call.lodge.now();
    alter(&call, &expected, |record| {
        if record.delete_time.is_some() {
            return Err(PolicyError::WrongState);
        }
        record.delete_time = Some(now);
        Ok(())
    })
    .await
}

pub(crate) async fn undelete(mut call: Call) -> Result<Response, Status> {
    let UndeleteRoleRequest { etag } = call.read().await?;
    alter(&call, &etag, |record| match record.delete_time.take() {
        Some(_) => Ok(()),
        None => Err(PolicyError::WrongState),
    })
    .await
}

async fn alter(
    call: &Call,
    expected: &[u8],
    change: impl FnOnce(&mut RoleRecord) -> Result<(), PolicyError> + Send,
) -> Result<Response, Status> {
    let (name, act) = (name(call)?.to_string(), call.act());
    let altered = call.lodge.store.alter_role(&name, project(call), &act, |record| {
        if !expected.is_empty() && expected != record.role.etag {
            return Err(PolicyError::Stale);
        }
        change(record)
    });
    answer(call, &altered.await.map_err(|error| failure::policy(&error))?.value)
}

fn answer(call: &Call, record: &RoleRecord) -> Result<Response, Status> {
    call.answer(&Role::custom(&record.role, RoleView::Full))
}

fn project(call: &Call) -> Option<keylodge_rules::ProjectNumber> {
    call.project().ok().map(|project| project.number)
}

/// Names of roles carry the id of their project, as at Google, whichever the caller used.
fn parent(call: &Call) -> Result<RoleParent, Status> {
    match call.project() {
        Ok(project) => Ok(RoleParent::Project(project.id.clone())),
        Err(_) => Ok(RoleParent::Organization(call.organization()?.number)),
    }
}

fn name(call: &Call) -> Result<CustomRoleName, Status> {
    let id = RoleId::parse(call.place("role")).map_err(|_| missing(call.place("role")))?;
    Ok(CustomRoleName { parent: parent(call)?, id })
}

fn view(query: &Query) -> Result<RoleView, Status> {
    let text = query.get("view").unwrap_or("BASIC");
    RoleView::parse(text).ok_or_else(|| invalid("view", "The view is BASIC or FULL."))
}

fn words(record: &RoleRecord) -> String {
    let permissions: Vec<&str> = record.role.permissions.iter().map(keylodge_rules::iam::Permission::as_str).collect();
    permissions.join(" ")
}

fn missing(name: &str) -> Status {
    let name: String = name.chars().take(128).collect();
    Status::new(Code::NotFound, format!("The role named {name} was not found."))
}
