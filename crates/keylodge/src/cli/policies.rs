//! The verbs that everything with a policy has: projects, organizations, the deployment.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keylodge_api::admin::Time;
use keylodge_api::iam::{Binding, Expr, Policy};
use keylodge_client::Resource;

use super::files;
use super::session::{Done, Failed, Session};
use super::values::{at, moment};
use crate::output;

/// What can be done to the policy of a kind of resource.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand<R: Args> {
    /// Show who may do what
    GetIamPolicy {
        #[command(flatten)]
        on: R,
    },
    /// Replace who may do what by a file, as get-iam-policy --format json prints it
    SetIamPolicy {
        #[command(flatten)]
        on: R,
        /// Policy as JSON; - is stdin
        policy_file: PathBuf,
    },
    /// Give a member a role
    AddIamPolicyBinding {
        #[command(flatten)]
        on: R,
        #[command(flatten)]
        binding: OneBinding,
    },
    /// Take a role from a member
    RemoveIamPolicyBinding {
        #[command(flatten)]
        on: R,
        #[command(flatten)]
        binding: OneBinding,
        /// Whatever the condition
        #[arg(long, conflicts_with = "condition_until")]
        all: bool,
    },
}

/// A member and a role.
#[derive(Clone, Debug, Args)]
pub(crate) struct OneBinding {
    /// Who, as user:ana@example.com, serviceAccount:…, domain:…
    #[arg(long, value_name = "MEMBER")]
    member: String,
    /// The role, as roles/viewer
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// The role that is held until then, as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    condition_until: Option<Time>,
}

pub(crate) async fn run<R: Args + Into<Resource>>(session: &Session, command: PolicyCommand<R>) -> Done {
    match command {
        PolicyCommand::GetIamPolicy { on } => {
            show(session, &session.client()?.get_iam_policy(&on.into()).await?);
        }
        PolicyCommand::SetIamPolicy { on, policy_file } => {
            let policy = files::read(&policy_file)?;
            let policy: Policy = serde_json::from_str(&policy)
                .map_err(|error| Failed(format!("{} holds no policy as JSON: {error}", policy_file.display())))?;
            let resource = on.into();
            session.confirm(&format!(
                "The policy of {} will be replaced by {}.",
                name(&resource),
                policy_file.display()
            ))?;
            show(session, &session.client()?.set_iam_policy(&resource, &policy).await?);
        }
        PolicyCommand::AddIamPolicyBinding { on, binding } => {
            let change = |policy: &mut Policy| add(policy, &binding);
            show(session, &session.client()?.alter_iam_policy(&on.into(), change).await?);
        }
        PolicyCommand::RemoveIamPolicyBinding { on, binding, all } => {
            let mut removed = false;
            let change = |policy: &mut Policy| removed = remove(policy, &binding, all);
            let policy = session.client()?.alter_iam_policy(&on.into(), change).await?;
            if !removed {
                return Err(Failed(format!(
                    "{} does not have {} there{}; nothing was changed",
                    binding.member,
                    binding.role,
                    if all { "" } else { " in that form (--all removes it whatever its condition)" }
                )));
            }
            show(session, &policy);
        }
    }
    Ok(())
}

fn add(policy: &mut Policy, OneBinding { member, role, condition_until }: &OneBinding) {
    let condition = condition_until.map(until);
    policy.version = if condition.is_some() { 3 } else { policy.version };
    let there = policy.bindings.iter_mut().find(|there| there.role == *role && there.condition == condition);
    match there {
        Some(there) if there.members.contains(member) => {}
        Some(there) => there.members.push(member.clone()),
        None => {
            policy.bindings.push(Binding { role: role.clone(), members: vec![member.clone()], condition });
        }
    }
}

/// Whether there was something to remove.
fn remove(policy: &mut Policy, OneBinding { member, role, condition_until }: &OneBinding, all: bool) -> bool {
    let condition = condition_until.map(until).map(|condition| condition.expression);
    let mut removed = false;
    for binding in policy.bindings.iter_mut().filter(|binding| binding.role == *role) {
        if all || binding.condition.as_ref().map(|condition| &condition.expression) == condition.as_ref() {
            let before = binding.members.len();
            binding.members.retain(|there| there != member);
            removed |= binding.members.len() < before;
        }
    }
    policy.bindings.retain(|binding| !binding.members.is_empty());
    removed
}

/// The condition that a role is held until then.
fn until(end: Time) -> Expr {
    let end = at(end);
    Expr {
        title: format!("until {end}"),
        description: String::new(),
        expression: format!("request.time < timestamp('{end}')"),
    }
}

fn show(session: &Session, policy: &Policy) {
    session.print(policy, || {
        let rows = policy.bindings.iter().flat_map(|binding| {
            let condition =
                binding.condition.as_ref().map(|condition| condition.expression.clone()).unwrap_or_default();
            binding.members.iter().map(move |member| vec![binding.role.clone(), member.clone(), condition.clone()])
        });
        output::table(&["ROLE", "MEMBER", "CONDITION"], rows.collect());
    });
}

fn name(resource: &Resource) -> String {
    match resource {
        Resource::Project(project) => format!("project {project}"),
        Resource::Organization(number) => format!("organization {number}"),
        Resource::Deployment => "the deployment".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(member: &str, until: Option<&str>) -> OneBinding {
        let condition_until = until.map(|end| moment(end).unwrap());
        OneBinding { member: member.to_owned(), role: "roles/viewer".to_owned(), condition_until }
    }

    #[test]
    fn a_member_is_added_to_the_binding_that_is_there() {
        let mut policy = Policy::default();
        for one in [binding("user:a", None), binding("user:b", None), binding("user:b", None)] {
            add(&mut policy, &one);
        }
        assert_eq!(policy.bindings[0].members, ["user:a", "user:b"]);

        add(&mut policy, &binding("user:a", Some("2030-01-01T00:00:00Z")));
        assert_eq!((policy.version, policy.bindings.len()), (3, 2));
        let condition = policy.bindings[1].condition.as_ref().unwrap();
        assert_eq!(condition.expression, "request.time < timestamp('2030-01-01T00:00:00Z')");
    }

    #[test]
    fn only_the_binding_that_is_meant_is_removed() {
        let end = Some("2030-01-01T00:00:00Z");
        let mut policy = Policy::default();
        add(&mut policy, &binding("user:a", None));
        add(&mut policy, &binding("user:a", end));

        assert!(!remove(&mut policy, &binding("user:b", None), false));
        assert!(remove(&mut policy, &binding("user:a", None), false));
        assert!(!remove(&mut policy, &binding("user:a", None), false));
        assert!(remove(&mut policy.clone(), &binding("user:a", end), false));
        assert!(remove(&mut policy, &binding("user:a", None), true) && policy.bindings.is_empty());
    }
}
