//! Who may do what: members, roles, permissions and the policies that bind them together.
//!
//! The words and their meaning are Google's IAM. A policy stands on a project, an organization or the whole deployment,
//! and what a higher one grants holds below. There are no denials, so the order of the chain never matters.
//!
//! ```
//! use keylodge_rules::Timestamp;
//! use keylodge_rules::iam::{BindingDraft, Member, Policy, PolicyDraft, granted};
//!
//! let draft = PolicyDraft {
//!     bindings: vec![BindingDraft {
//!         role: "roles/serviceusage.apiKeysAdmin".to_owned(),
//!         members: vec!["domain:example.com".to_owned()],
//!         condition: None,
//!     }],
//!     ..PolicyDraft::default()
//! };
//! let policy = Policy::read(&draft, &|_custom_role| false).unwrap();
//! let ada = Member::parse("user:ada@example.com").unwrap();
//! let now = Timestamp::from_micros(0);
//!
//! assert!(granted(&[&policy], &|_| None, &ada, "apikeys.keys.create", now));
//! assert!(!granted(&[&policy], &|_| None, &ada, "resourcemanager.projects.delete", now));
//! ```
//!
//! | module | what is decided there |
//! |---|---|
//! | [`permission`] | which permissions there are |
//! | [`predefined`] | the roles that every Keylodge has |
//! | [`role`] | names of roles, and roles that somebody put together |
//! | [`member`] | whom a binding names, and whether that is the caller |
//! | [`condition`] | until when a binding holds |
//! | [`policy`] | what a policy may say |
//! | [`decision`] | may this caller do this? |

pub mod condition;
pub mod decision;
pub mod member;
pub mod permission;
pub mod policy;
pub mod predefined;
pub mod role;

mod rfc3339;
#[cfg(test)]
mod samples;

pub use condition::{Condition, Expression, NotUnderstood};
pub use decision::{granted, held, permissions_of};
pub use member::{Address, Member, MemberError};
pub use permission::{PERMISSIONS, Permission, PermissionError, PermissionSet};
pub use policy::{Binding, BindingDraft, ConditionDraft, MEMBERS_MAX, Mistake, Policy, PolicyDraft, PolicyError};
pub use predefined::{PREDEFINED, PredefinedRole};
pub use role::{CustomRole, CustomRoleName, RoleId, RoleName, RoleParent, Stage};
