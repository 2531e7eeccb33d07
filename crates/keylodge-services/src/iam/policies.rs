//! `getIamPolicy`, `setIamPolicy` and `testIamPermissions` of projects, organizations and the deployment.

use std::collections::BTreeSet;

use axum::response::Response;
use keylodge_api::iam::{
    GetIamPolicyRequest, Policy, SetIamPolicyRequest, TestIamPermissionsRequest, TestIamPermissionsResponse, bad_policy,
};
use keylodge_api::{Code, Status};
use keylodge_rules::iam::{self, CustomRoleName, MEMBERS_MAX, Member, RoleName, RoleParent};
use keylodge_store::DEPLOYMENT;

use crate::failure;
use crate::management::Call;
use crate::operator::folded;
use crate::query::invalid;

pub(crate) async fn get(mut call: Call) -> Result<Response, Status> {
    let request: GetIamPolicyRequest = call.read().await?;
    let policy = current(&call).await?;
    call.answer(&Policy::shown(&policy, request.requested_policy_version))
}

pub(crate) async fn set(mut call: Call) -> Result<Response, Status> {
    let request: SetIamPolicyRequest = call.read().await?;
    if request.policy.bindings.len() > MEMBERS_MAX {
        return Err(invalid("policy.bindings", format!("A policy has at most {MEMBERS_MAX} bindings.")));
    }
    let exists = roles_there_are(&call, &request).await?;
    let given = iam::Policy::read(&request.policy, &|name| exists.contains(&with_id(&call, name)));
    let given = given.map_err(|mistakes| bad_policy(&mistakes))?;
    let expected = Some(given.etag.clone()).filter(|etag| !etag.is_empty());
    let known = current(&call).await?;
    // What the mask leaves as it is must be what it was read as.
    let is_partial = !(request.update_mask.bindings && request.update_mask.audit_configs);
    let expected =
        expected.or_else(|| is_partial.then(|| known.etag.clone()).filter(|_| known.audit_configs.is_some()));
    let new = named_by_id(&call, request.update_mask.apply(&known, given));
    if call.resource_name() == DEPLOYMENT && !has_owner(&call, &new).await? {
        return Err(Status::new(
            Code::FailedPrecondition,
            "The policy of the deployment must keep an unconditional owner (roles/owner) who is an operator and not disabled, or nobody could change it again.",
        ));
    }
    let resource = call.resource_name();
    let project = call.project().ok().map(|project| project.number);
    let bindings = new.bindings.iter().map(|binding| {
        let members: Vec<String> = binding.members.iter().map(ToString::to_string).collect();
        format!("{}: {}", binding.role, members.join(" "))
    });
    let act = call.act_with([("bindings", bindings.collect::<Vec<_>>().join("; "))]);
    let set = call.lodge.store.set_policy(&resource, &new, expected.as_deref(), project, &act).await;
    let set = set.map_err(|error| failure::policy(&error))?;
    call.answer(&Policy::shown(&set.value, 3))
}

pub(crate) async fn test(mut call: Call) -> Result<Response, Status> {
    let request: TestIamPermissionsRequest = call.read().await?;
    let access = call.access().await?;
    let mut permissions = request.permissions;
    permissions.retain(|permission| access.grants(&call.lodge, &call.operator, permission));
    call.answer(&TestIamPermissionsResponse { permissions })
}

async fn current(call: &Call) -> Result<iam::Policy, Status> {
    let policies = call.lodge.store.policies(&[&call.resource_name()]).await;
    Ok(policies.map_err(|error| failure::store(&error))?.remove(0))
}

/// The custom roles that the policy names and that may stand in it. Deleted ones count: they can come back.
async fn roles_there_are(call: &Call, request: &SetIamPolicyRequest) -> Result<BTreeSet<CustomRoleName>, Status> {
    let named = request.policy.bindings.iter().filter_map(|binding| match RoleName::parse(&binding.role) {
        Ok(RoleName::Custom(name)) => Some(with_id(call, &name)),
        _ => None,
    });
    let named: BTreeSet<CustomRoleName> = named.filter(|name| fits(call, name)).collect();
    let names: Vec<String> = named.iter().map(ToString::to_string).collect();
    let found = call.lodge.store.roles_named(&names).await.map_err(|error| failure::store(&error))?;
    Ok(found.into_iter().map(|record| record.role.name).collect())
}

/// A role of a project counts in that project, a role of an organization in it and in its projects.
fn fits(call: &Call, name: &CustomRoleName) -> bool {
    match (&name.parent, call.project(), call.organization()) {
        (RoleParent::Project(id), Ok(project), _) => *id == project.id,
        (RoleParent::Organization(number), Ok(project), _) => project.parent == Some(*number),
        (RoleParent::Organization(number), _, Ok(organization)) => *number == organization.number,
        _ => false,
    }
}

/// A role's name with the id of its project, where the caller used the number.
fn with_id(call: &Call, name: &CustomRoleName) -> CustomRoleName {
    match (&name.parent, call.project()) {
        (RoleParent::ProjectNumber(number), Ok(project)) if *number == project.number => {
            CustomRoleName { parent: RoleParent::Project(project.id.clone()), id: name.id.clone() }
        }
        _ => name.clone(),
    }
}

fn named_by_id(call: &Call, mut policy: iam::Policy) -> iam::Policy {
    for binding in &mut policy.bindings {
        if let RoleName::Custom(name) = &binding.role {
            binding.role = RoleName::Custom(with_id(call, name));
        }
    }
    policy.normalised()
}

/// Whether somebody who can come in owns everything.
async fn has_owner(call: &Call, policy: &iam::Policy) -> Result<bool, Status> {
    for member in owners(policy) {
        let found = call.lodge.store.operator_by_member(&member).await.map_err(|error| failure::store(&error))?;
        if found.is_some_and(|operator| operator.disable_time.is_none()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The accounts that a policy makes owners without any condition.
pub(crate) fn owners(policy: &iam::Policy) -> Vec<String> {
    let owning = policy
        .bindings
        .iter()
        .filter(|binding| binding.condition.is_none() && binding.role.to_string() == "roles/owner");
    let accounts = owning
        .flat_map(|binding| &binding.members)
        .filter(|member| matches!(member, Member::User(_) | Member::ServiceAccount(_)));
    accounts.map(|member| folded(&member.to_string())).collect()
}
