//! Policies: who has which role, and what a policy may say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Condition, CustomRoleName, Expression, Member, MemberError, RoleName};

/// Most members in a policy. One that stands in several bindings counts in each.
pub const MEMBERS_MAX: usize = 1500;
/// More mistakes than this are not reported; a policy full of nonsense gets a bounded answer.
const MISTAKES_MAX: usize = 32;

/// Who has which role on a project, an organization or the deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// 3 when a binding has a condition, otherwise 1.
    pub version: i32,
    /// The bindings, in the order of their roles; no two of them have the same role and condition.
    pub bindings: Vec<Binding>,
    /// What should be written down of accesses, as JSON text. Kept for clients; Keylodge's audit log does not ask it.
    pub audit_configs: Option<String>,
    /// Differs after every change. Opaque bytes, chosen by whoever stores the policy.
    pub etag: Vec<u8>,
}

/// A role and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The role.
    pub role: RoleName,
    /// Who has it; no one twice.
    pub members: Vec<Member>,
    /// When it holds; always when there is none.
    pub condition: Option<Condition>,
}

/// A policy as somebody wrote it. Nothing in it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyDraft {
    /// 0 (not said), 1 or 3.
    pub version: i32,
    /// The bindings.
    pub bindings: Vec<BindingDraft>,
    /// As in [`Policy`].
    pub audit_configs: Option<String>,
    /// The etag of the policy that this one replaces; empty replaces whatever there is.
    pub etag: Vec<u8>,
}

/// A binding as somebody wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindingDraft {
    /// The name of a role.
    pub role: String,
    /// Members.
    pub members: Vec<String>,
    /// A condition.
    pub condition: Option<ConditionDraft>,
}

/// A condition as somebody wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionDraft {
    /// A title for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// When it holds.
    pub expression: String,
}

/// One thing that is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The path within the policy, in snake_case, as `bindings[0].members[2]`.
    pub field: String,
    /// What is wrong there.
    pub error: PolicyError,
}

/// What can be wrong with a policy. Prints as a sentence for whoever wrote it, with at most 64 characters of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// A version that IAM does not have.
    Version(i32),
    /// More than [`MEMBERS_MAX`] members.
    TooManyMembers(usize),
    /// A member of no type that IAM knows.
    UnknownMemberType(String),
    /// A member whose type does not fit what follows.
    MalformedMember(String),
    /// `allUsers` or `allAuthenticatedUsers`.
    Everybody(Member),
    /// A role that does not exist, or not for this resource.
    UnknownRole(String),
    /// A condition in a policy of another version than 3.
    ConditionNeedsVersion3,
    /// A condition that Keylodge does not understand.
    Condition(super::NotUnderstood),
    /// A condition's title or description has more than so many characters.
    TooLong(usize),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "Policies have version 1 or 3 (or 0, which means 1), not {version}."),
            Self::TooManyMembers(count) => {
                write!(f, "A policy names at most {MEMBERS_MAX} members in all its bindings, this one names {count}.")
            }
            Self::UnknownMemberType(member) => write!(
                f,
                "The member {} is of an unknown type. Please set a valid type prefix for the member.",
                excerpt(member)
            ),
            Self::MalformedMember(member) => {
                write!(f, "The member {} is not well formed: {}.", excerpt(member), MemberError::Malformed)
            }
            Self::Everybody(member) => write!(f, "The member {member} is not allowed: name who should have access."),
            Self::UnknownRole(role) => write!(f, "Role {} is not supported for this resource.", excerpt(role)),
            Self::ConditionNeedsVersion3 => {
                f.write_str("Conditions are only accepted in policies of version 3. Please set policy.version to 3.")
            }
            Self::Condition(error) => write!(f, "{error}."),
            Self::TooLong(chars_max) => write!(f, "Please use at most {chars_max} characters."),
        }
    }
}

impl std::error::Error for PolicyError {}

/// At most 64 characters of what a caller wrote, so that an answer is never larger than its request.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Policy {
    /// Reads what somebody wrote, and brings it into the form that is stored: bindings with equal role and condition
    /// are merged, doubles and empty bindings dropped. `exists` says whether a custom role may be granted here; deleted
    /// ones should count as long as they can come back, so that a policy naming them can be written back.
    ///
    /// # Errors
    /// Everything that is wrong, up to 32 mistakes.
    pub fn read(draft: &PolicyDraft, exists: &dyn Fn(&CustomRoleName) -> bool) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes(Vec::new());
        if !matches!(draft.version, 0 | 1 | 3) {
            mistakes.note("version".to_owned(), PolicyError::Version(draft.version));
        }
        let mut bindings = Vec::new();
        for (at, binding) in draft.bindings.iter().enumerate() {
            bindings.extend(read_binding(binding, draft.version, exists, &format!("bindings[{at}]"), &mut mistakes));
        }
        let policy =
            Self { bindings, audit_configs: draft.audit_configs.clone(), etag: draft.etag.clone(), version: 1 }
                .normalised();
        let count = policy.bindings.iter().map(|binding| binding.members.len()).sum();
        if count > MEMBERS_MAX {
            mistakes.note("bindings".to_owned(), PolicyError::TooManyMembers(count));
        }
        if mistakes.0.is_empty() { Ok(policy) } else { Err(mistakes.0) }
    }

    /// The same grants in the form that is stored. Of members that differ only in case the first is kept.
    #[must_use]
    pub fn normalised(self) -> Self {
        let mut merged: BTreeMap<(RoleName, Option<Condition>), BTreeSet<Member>> = BTreeMap::new();
        for Binding { role, members, condition } in self.bindings {
            if !members.is_empty() {
                merged.entry((role, condition)).or_default().extend(members);
            }
        }
        let bindings: Vec<Binding> = merged
            .into_iter()
            .map(|((role, condition), members)| Binding { role, members: members.into_iter().collect(), condition })
            .collect();
        let version = if bindings.iter().any(|binding| binding.condition.is_some()) { 3 } else { 1 };
        Self { version, bindings, ..self }
    }
}

fn read_binding(
    draft: &BindingDraft,
    version: i32,
    exists: &dyn Fn(&CustomRoleName) -> bool,
    path: &str,
    mistakes: &mut Mistakes,
) -> Option<Binding> {
    let role = RoleName::parse(&draft.role).ok().filter(|role| match role {
        RoleName::Predefined(_) => role.predefined().is_some(),
        RoleName::Custom(name) => exists(name),
    });
    if role.is_none() {
        mistakes.note(format!("{path}.role"), PolicyError::UnknownRole(draft.role.clone()));
    }
    let mut members = Vec::new();
    for (at, text) in draft.members.iter().enumerate() {
        let error = match Member::parse(text) {
            Ok(member @ (Member::AllUsers | Member::AllAuthenticatedUsers)) => PolicyError::Everybody(member),
            Ok(member) => {
                members.push(member);
                continue;
            }
            Err(MemberError::UnknownType) => PolicyError::UnknownMemberType(text.clone()),
            Err(MemberError::Malformed) => PolicyError::MalformedMember(text.clone()),
        };
        mistakes.note(format!("{path}.members[{at}]"), error);
    }
    let condition = match &draft.condition {
        None => None,
        Some(condition) => Some(read_condition(condition, version, &format!("{path}.condition"), mistakes)?),
    };
    Some(Binding { role: role?, members, condition })
}

fn read_condition(draft: &ConditionDraft, version: i32, path: &str, mistakes: &mut Mistakes) -> Option<Condition> {
    if version != 3 {
        mistakes.note(path.to_owned(), PolicyError::ConditionNeedsVersion3);
    }
    for (name, text, chars_max) in [
        ("title", &draft.title, Condition::TITLE_CHARS_MAX),
        ("description", &draft.description, Condition::DESCRIPTION_CHARS_MAX),
    ] {
        if text.chars().count() > chars_max {
            mistakes.note(format!("{path}.{name}"), PolicyError::TooLong(chars_max));
        }
    }
    match Expression::parse(&draft.expression) {
        Ok(expression) => {
            Some(Condition { title: draft.title.clone(), description: draft.description.clone(), expression })
        }
        Err(error) => {
            mistakes.note(format!("{path}.expression"), PolicyError::Condition(error));
            None
        }
    }
}

struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn note(&mut self, field: String, error: PolicyError) {
        if self.0.len() < MISTAKES_MAX {
            self.0.push(Mistake { field, error });
        }
    }
}

#[cfg(test)]
mod tests;
