//! Names of roles, and roles that somebody put together.

use std::fmt;

use super::{PermissionSet, PredefinedRole};
use crate::{NameError, ProjectId, ProjectNumber};

/// What a binding grants, by name. Not every name has a role behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// `roles/ID`: one that comes with Keylodge.
    Predefined(RoleId),
    /// One that somebody put together.
    Custom(CustomRoleName),
}

/// `projects/P/roles/ID` or `organizations/N/roles/ID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomRoleName {
    /// Where the role belongs, and where it may be granted.
    pub parent: RoleParent,
    /// Its id there.
    pub id: RoleId,
}

/// Where a custom role belongs. A project has two names; whoever compares names of roles uses one of them throughout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleParent {
    /// `projects/<id>`, the form that Google shows.
    Project(ProjectId),
    /// `projects/<number>`
    ProjectNumber(ProjectNumber),
    /// `organizations/<number>`, at most 18 digits.
    Organization(u64),
}

/// The last part of a role's name: 3 to 64 letters, digits, underscores and periods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(String);

impl RoleName {
    /// Reads a name. A predefined name need not be of a role that exists.
    ///
    /// # Errors
    /// When the text has none of the three forms.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("roles/") {
            Some(id) => RoleId::parse(id).map(Self::Predefined),
            None => CustomRoleName::parse(text).map(Self::Custom),
        }
    }

    /// The predefined role of this name, if the name is that of one.
    #[must_use]
    pub fn predefined(&self) -> Option<&'static PredefinedRole> {
        match self {
            Self::Predefined(id) => PredefinedRole::find(id),
            Self::Custom(_) => None,
        }
    }
}

impl CustomRoleName {
    /// Reads a name.
    ///
    /// # Errors
    /// When the text does not have one of the two forms.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let Some((parent, id)) = text.split_once("/roles/") else {
            return Err(NameError {
                rule: "a role is named roles/ID, projects/PROJECT/roles/ID or organizations/NUMBER/roles/ID",
            });
        };
        Ok(Self { parent: RoleParent::parse(parent)?, id: RoleId::parse(id)? })
    }
}

impl RoleParent {
    /// Reads `projects/<id or number>` or `organizations/<number>`.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if let Some(project) = text.strip_prefix("projects/") {
            return ProjectNumber::parse(project)
                .map(Self::ProjectNumber)
                .or_else(|_| ProjectId::parse(project).map(Self::Project));
        }
        let number = text.strip_prefix("organizations/").and_then(|number| ProjectNumber::parse(number).ok());
        number
            .map(|number| Self::Organization(number.get()))
            .ok_or(NameError { rule: "a custom role belongs to projects/PROJECT or organizations/NUMBER" })
    }
}

impl RoleId {
    /// Reads an id.
    ///
    /// # Errors
    /// When the text breaks `[a-zA-Z0-9_.]{3,64}`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        if (3..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { rule: "a role id has 3 to 64 letters, digits, underscores and periods" })
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Predefined(id) => write!(f, "roles/{id}"),
            Self::Custom(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for CustomRoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/roles/{}", self.parent, self.id)
    }
}

impl fmt::Display for RoleParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => write!(f, "projects/{id}"),
            Self::ProjectNumber(number) => write!(f, "projects/{number}"),
            Self::Organization(number) => write!(f, "organizations/{number}"),
        }
    }
}

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A role that somebody put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRole {
    /// Its name; never changes.
    pub name: CustomRoleName,
    /// A title for people, at most [`Self::TITLE_CHARS_MAX`].
    pub title: String,
    /// What it is for, at most [`Self::DESCRIPTION_CHARS_MAX`].
    pub description: String,
    /// What it permits, while it permits anything; see [`Self::grants`].
    pub permissions: PermissionSet,
    /// How finished it is.
    pub stage: Stage,
    /// Whether it is deleted. Bindings to it stay and grant nothing.
    pub deleted: bool,
    /// Differs after every change. Opaque bytes, chosen by whoever stores the role.
    pub etag: Vec<u8>,
}

impl CustomRole {
    /// Most characters of a title.
    pub const TITLE_CHARS_MAX: usize = 100;
    /// Most characters of a description.
    pub const DESCRIPTION_CHARS_MAX: usize = 256;

    /// What it permits now: nothing while it is deleted or disabled.
    #[must_use]
    pub const fn grants(&self) -> PermissionSet {
        if self.deleted || matches!(self.stage, Stage::Disabled) { PermissionSet::EMPTY } else { self.permissions }
    }
}

macro_rules! stages {
    ($($(#[$doc:meta])+ $stage:ident = $name:literal;)+) => {
        /// How finished a custom role is (`google.iam.admin.v1.Role.RoleLaunchStage`). Only [`Stage::Disabled`] changes
        /// what the role does.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Stage { $($(#[$doc])+ $stage),+ }

        impl Stage {
            /// Reads a name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($name => Some(Self::$stage),)+ _ => None }
            }

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$stage => $name),+ }
            }
        }
    };
}

stages! {
    /// Being tried out. What a role without a stage has.
    #[default]
    Alpha = "ALPHA";
    /// Tested by some.
    Beta = "BETA";
    /// For everybody.
    Ga = "GA";
    /// On its way out; still grants.
    Deprecated = "DEPRECATED";
    /// Grants nothing.
    Disabled = "DISABLED";
    /// For a few who were asked.
    Eap = "EAP";
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_role_name_has_one_of_three_forms() {
        for good in [
            "roles/owner",
            "roles/serviceusage.apiKeysAdmin",
            "projects/my-project/roles/key_rotator.v2",
            "projects/123456789012/roles/rotator",
            "organizations/42/roles/rotator",
        ] {
            assert_eq!(RoleName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "owner",
            "roles/",
            "roles/ab",
            "roles/a-b-c",
            &format!("roles/{}", "a".repeat(65)),
            "Roles/owner",
            "projects/P/roles/rotator",
            "projects/my-project/roles/rotator/roles/rotator",
            "organizations/acme/roles/rotator",
            "folders/1/roles/rotator",
        ] {
            assert!(RoleName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_deleted_or_disabled_role_grants_nothing() {
        let role = CustomRole {
            name: CustomRoleName::parse("organizations/42/roles/rotator").unwrap(),
            title: String::new(),
            description: String::new(),
            permissions: PermissionSet::ALL,
            stage: Stage::Deprecated,
            deleted: false,
            etag: Vec::new(),
        };

        assert_eq!(role.grants(), PermissionSet::ALL);
        assert_eq!(CustomRole { deleted: true, ..role.clone() }.grants(), PermissionSet::EMPTY);
        assert_eq!(CustomRole { stage: Stage::Disabled, ..role }.grants(), PermissionSet::EMPTY);
    }

    #[test]
    fn a_stage_reads_as_it_prints() {
        for stage in [Stage::Alpha, Stage::Beta, Stage::Ga, Stage::Deprecated, Stage::Disabled, Stage::Eap] {
            assert_eq!(Stage::parse(stage.as_str()), Some(stage));
        }
        assert_eq!(Stage::parse("beta"), None);
    }

    proptest! {
        #[test]
        fn what_a_role_name_prints_it_also_reads(name in samples::role_name()) {
            prop_assert_eq!(RoleName::parse(&name.to_string()), Ok(name));
        }
    }
}
