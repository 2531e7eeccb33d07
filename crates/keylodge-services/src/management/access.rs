//! Who may do what: policies of the project, its organization and the deployment, one below the other.

use std::collections::{BTreeSet, HashMap};

use keylodge_api::{Code, Detail, Status};
use keylodge_rules::iam::{CustomRoleName, Member, PermissionSet, Policy, RoleName, RoleParent, granted};
use keylodge_rules::{ProjectNumber, ProjectState};
use keylodge_store::{Among, DEPLOYMENT, OrganizationRecord, ProjectRecord};

use super::call::Resource;
use super::route::{API_KEYS, KEYLODGE, On, Places, RESOURCE_MANAGER, Route};
use crate::operator::Operator;
use crate::query::invalid;
use crate::{Lodge, failure, find};

/// The policies that hold for a resource, the nearest first, with the roles that they name.
pub(crate) struct Access {
    policies: Vec<Policy>,
    roles: HashMap<CustomRoleName, PermissionSet>,
}

impl Access {
    /// What holds for a project.
    pub(crate) async fn to_project(lodge: &Lodge, project: &ProjectRecord) -> Result<Self, Status> {
        let own = format!("projects/{}", project.number);
        let parent = project.parent.map(|parent| format!("organizations/{parent}"));
        let mut resources = vec![own.as_str()];
        resources.extend(parent.as_deref());
        resources.push(DEPLOYMENT);
        Self::load(lodge, &resources).await
    }

    /// What holds for an organization.
    pub(crate) async fn to_organization(lodge: &Lodge, number: u64) -> Result<Self, Status> {
        Self::load(lodge, &[&format!("organizations/{number}"), DEPLOYMENT]).await
    }

    /// What holds for everything.
    pub(crate) async fn to_deployment(lodge: &Lodge) -> Result<Self, Status> {
        Self::load(lodge, &[DEPLOYMENT]).await
    }

    async fn load(lodge: &Lodge, resources: &[&str]) -> Result<Self, Status> {
        let policies = lodge.store.policies(resources).await.map_err(|error| failure::store(&error))?;
        let named = policies.iter().flat_map(|policy| &policy.bindings).filter_map(|binding| match &binding.role {
            RoleName::Custom(name) => Some(name.to_string()),
            RoleName::Predefined(_) => None,
        });
        let named: BTreeSet<String> = named.collect();
        let found = lodge.store.roles_named(&named.into_iter().collect::<Vec<_>>()).await;
        let found = found.map_err(|error| failure::store(&error))?;
        // A role of an organization that the project has left grants nothing any more.
        let holds = |parent: &RoleParent| match parent {
            RoleParent::Organization(number) => resources.contains(&format!("organizations/{number}").as_str()),
            RoleParent::Project(_) | RoleParent::ProjectNumber(_) => true,
        };
        let roles = found.into_iter().filter(|record| holds(&record.role.name.parent));
        let roles = roles.map(|record| (record.role.name.clone(), record.role.grants())).collect();
        Ok(Self { policies, roles })
    }

    /// Whether an operator has a permission here, now.
    pub(crate) fn grants(&self, lodge: &Lodge, operator: &Operator, permission: &str) -> bool {
        let chain: Vec<&Policy> = self.policies.iter().collect();
        let roles = |name: &CustomRoleName| self.roles.get(name).copied();
        Member::parse(operator.member()).is_ok_and(|caller| granted(&chain, &roles, &caller, permission, lodge.now()))
    }
}

/// Finds what a route stands on, and checks the permission. What is missing and what is not the caller's read alike.
pub(super) async fn check(
    lodge: &Lodge,
    operator: &Operator,
    route: &'static Route,
    places: &Places,
) -> Result<Resource, Status> {
    let (resource, access) = match route.on {
        On::Each => return Ok(Resource::None),
        On::Deployment => (Resource::None, Access::to_deployment(lodge).await?),
        On::Project => {
            let location = places.at("location");
            if !location.is_empty() && location != "global" {
                return Err(invalid("parent", format!("Location '{location}' does not exist; keys live in 'global'.")));
            }
            let Some(project) = find::project(lodge, places.at("project")).await? else {
                return Err(denied(route, places.at("project")));
            };
            // Resource Manager alone goes on with a project that is deleted: it can bring it back.
            if project.state != ProjectState::Active && ![RESOURCE_MANAGER, KEYLODGE].contains(&route.service) {
                return Err(denied(route, places.at("project")));
            }
            let access = Access::to_project(lodge, &project).await?;
            (Resource::Project(Box::new(project)), access)
        }
        On::Organization => {
            let Some(organization) = find::organization(lodge, places.at("organization")).await? else {
                return Err(denied(route, places.at("organization")));
            };
            let access = Access::to_organization(lodge, organization.number).await?;
            (Resource::Organization(organization), access)
        }
    };
    if route.permission.is_empty() || access.grants(lodge, operator, route.permission) {
        return Ok(resource);
    }
    let name = match route.on {
        On::Project => places.at("project"),
        On::Organization => places.at("organization"),
        On::Deployment | On::Each => "",
    };
    let mut status = denied(route, name);
    // Said only to those who may know that the project is there.
    if route.permission == "apikeys.keys.create" && access.grants(lodge, operator, "resourcemanager.projects.get") {
        status.message.push_str(" You do not have permission to create a key in this project.");
    }
    Err(status)
}

/// The answer about a resource that is not there or not the caller's: Google does not say which, and each service has
/// its own words.
pub(crate) fn denied(route: &Route, name: &str) -> Status {
    let Route { service, permission, .. } = *route;
    let permission = if permission.is_empty() { "resourcemanager.projects.get" } else { permission };
    let (kind, name) = match name.strip_prefix("organizations/") {
        Some(number) => ("organizations", number),
        None if route.on == On::Organization => ("organizations", name),
        None => ("projects", name),
    };
    let (resource, domain) = match service {
        API_KEYS => (format!("//{service}/projects/{name}/locations/global"), "googleapis.com"),
        KEYLODGE if name.is_empty() => (format!("//{service}/deployment"), "keylodge"),
        KEYLODGE => (format!("//{service}/{kind}/{name}"), "keylodge"),
        _ => (format!("//{service}/{kind}/{name}"), service),
    };
    let message = if route.path.starts_with("/v1/") && service != KEYLODGE {
        "The caller does not have permission".to_owned()
    } else {
        format!("Permission '{permission}' denied on resource '{resource}' (or it may not exist).")
    };
    let short = if service == API_KEYS { resource } else { format!("{kind}/{name}") };
    let metadata = vec![("permission", permission.to_owned()), ("resource", short)];
    Status::new(Code::PermissionDenied, message).with(Detail::ErrorInfo {
        reason: "IAM_PERMISSION_DENIED",
        domain,
        metadata,
    })
}

/// The projects in which an operator has a permission, for lists.
pub(crate) async fn projects_with(lodge: &Lodge, operator: &Operator, permission: &str) -> Result<Among, Status> {
    if Access::to_deployment(lodge).await?.grants(lodge, operator, permission) {
        return Ok(Among::All);
    }
    let (mut parents, mut projects) = (BTreeSet::new(), BTreeSet::new());
    for resource in standing(lodge, operator).await? {
        if let Some(number) = resource.strip_prefix("organizations/").and_then(|number| number.parse().ok()) {
            if Access::to_organization(lodge, number).await?.grants(lodge, operator, permission) {
                parents.insert(number);
            }
        } else if let Some(number) =
            resource.strip_prefix("projects/").and_then(|number| ProjectNumber::parse(number).ok())
            && let Some(project) =
                lodge.store.project_by_number(number, lodge.now()).await.map_err(|error| failure::store(&error))?
            && Access::to_project(lodge, &project).await?.grants(lodge, operator, permission)
        {
            projects.insert(number);
        }
    }
    Ok(Among::These { parents, projects })
}

/// Whether an operator may see an organization.
pub(crate) async fn sees_organization(
    lodge: &Lodge,
    operator: &Operator,
    organization: &OrganizationRecord,
) -> Result<bool, Status> {
    let access = Access::to_organization(lodge, organization.number).await?;
    Ok(access.grants(lodge, operator, "resourcemanager.organizations.get"))
}

/// The resources in whose policies an operator stands, as a person or as one of a domain.
async fn standing(lodge: &Lodge, operator: &Operator) -> Result<Vec<String>, Status> {
    let member = operator.member().to_lowercase();
    let domain = member.strip_prefix("user:").and_then(|mail| mail.split_once('@'));
    let domain = domain.map(|(_, domain)| format!("domain:{domain}"));
    let members: Vec<String> = std::iter::once(member.clone()).chain(domain).collect();
    lodge.store.resources_of(&members).await.map_err(|error| failure::store(&error))
}
