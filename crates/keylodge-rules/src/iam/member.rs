//! Members: whom a binding names.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::ProjectId;

/// Whom a binding names. The same type says who a caller is; callers are users and service accounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// `user:ADDRESS`
    User(Address),
    /// `serviceAccount:ADDRESS`
    ServiceAccount(Address),
    /// `group:ADDRESS`. Kept, but Keylodge knows no groups, so it covers nobody.
    Group(Address),
    /// `domain:DOMAIN`: every user with an address there, and not in domains below it.
    Domain(Address),
    /// `projectOwner:PROJECT`. Kept; covers nobody.
    ProjectOwner(ProjectId),
    /// `projectEditor:PROJECT`. Kept; covers nobody.
    ProjectEditor(ProjectId),
    /// `projectViewer:PROJECT`. Kept; covers nobody.
    ProjectViewer(ProjectId),
    /// `principal://…`, an identity of a federation. Kept; covers nobody. Without the prefix.
    Principal(String),
    /// `principalSet://…`, several of them. Kept; covers nobody. Without the prefix.
    PrincipalSet(String),
    /// `deleted:…`: somebody who was deleted, with the `uid` that tells them from a namesake. Without the prefix.
    Deleted(String),
    /// `allUsers`: everybody. Read so that policies can refuse it.
    AllUsers,
    /// `allAuthenticatedUsers`: everybody with an account. Read so that policies can refuse it.
    AllAuthenticatedUsers,
}

/// The part of a member that says who: an e-mail address, a domain, or the id of one of Keylodge's operators. Kept as it
/// was written, compared without regard to the case of ASCII letters.
#[derive(Clone)]
pub struct Address(String);

/// Text was not a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberError {
    /// It begins with no prefix that IAM knows.
    UnknownType,
    /// The prefix is known, what follows is not what should follow.
    Malformed,
}

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownType => "a member begins with user:, serviceAccount:, group: or another type that IAM knows",
            Self::Malformed => {
                "a member is written user:ada@example.com, domain:example.com, deleted:user:ada@example.com?uid=1 or alike"
            }
        })
    }
}

impl std::error::Error for MemberError {}

impl Member {
    /// Most bytes of a member's text.
    pub const BYTES_MAX: usize = 512;

    /// Reads a member. Types are case-sensitive, as at Google.
    ///
    /// # Errors
    /// When the type is unknown, or what follows it is not of its form or too long.
    pub fn parse(text: &str) -> Result<Self, MemberError> {
        let printable = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let Some((kind, rest)) = text.split_once(':') else {
            return match text {
                "allUsers" => Ok(Self::AllUsers),
                "allAuthenticatedUsers" => Ok(Self::AllAuthenticatedUsers),
                _ => Err(MemberError::UnknownType),
            };
        };
        let member = match kind {
            "user" => Address::account(rest).map(Self::User),
            "serviceAccount" => Address::account(rest).map(Self::ServiceAccount),
            "group" => Address::account(rest).map(Self::Group),
            "domain" => Address::domain(rest).map(Self::Domain),
            "projectOwner" => ProjectId::parse(rest).ok().map(Self::ProjectOwner),
            "projectEditor" => ProjectId::parse(rest).ok().map(Self::ProjectEditor),
            "projectViewer" => ProjectId::parse(rest).ok().map(Self::ProjectViewer),
            "principal" => after_slashes(rest).map(Self::Principal),
            "principalSet" => after_slashes(rest).map(Self::PrincipalSet),
            "deleted" => is_deleted(rest).then(|| Self::Deleted(rest.to_owned())),
            _ => return Err(MemberError::UnknownType),
        };
        member.filter(|_| text.len() <= Self::BYTES_MAX && printable(text)).ok_or(MemberError::Malformed)
    }

    /// Whether what is granted to this member is granted to a caller. If this says yes wrongly, strangers get in; so
    /// what Keylodge cannot look into (groups, federations) covers nobody.
    #[must_use]
    pub fn covers(&self, caller: &Self) -> bool {
        match (self, caller) {
            (Self::User(one), Self::User(other)) | (Self::ServiceAccount(one), Self::ServiceAccount(other)) => {
                one == other
            }
            (Self::Domain(domain), Self::User(user)) => {
                user.0.rsplit_once('@').is_some_and(|(_, at)| domain.0.eq_ignore_ascii_case(at))
            }
            _ => false,
        }
    }
}

/// What follows the two slashes of `principal://…`.
fn after_slashes(text: &str) -> Option<String> {
    text.strip_prefix("//").filter(|rest| !rest.is_empty()).map(str::to_owned)
}

/// Whether the text is an account with its `uid`, or a principal, which has none.
fn is_deleted(text: &str) -> bool {
    if let Some(principal) = text.strip_prefix("principal:") {
        return after_slashes(principal).is_some();
    }
    let account = ["user:", "serviceAccount:", "group:"].iter().find_map(|kind| text.strip_prefix(kind));
    account
        .and_then(|account| account.split_once("?uid="))
        .is_some_and(|(address, uid)| Address::account(address).is_some() && !uid.is_empty())
}

impl Address {
    /// An e-mail address, or the bare id of one of Keylodge's operators, as `owner`.
    fn account(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && text.is_ascii() && !text.contains([':', '?', ',', '"']);
        let fits = match text.split_once('@') {
            None => true,
            Some((local, domain)) => !local.is_empty() && Self::domain(domain).is_some(),
        };
        (plain && fits).then(|| Self(text.to_owned()))
    }

    fn domain(text: &str) -> Option<Self> {
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        (text.len() <= 253 && text.split('.').all(label)).then(|| Self(text.to_owned()))
    }

    /// The text, in the case it was written in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Address {}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.folded() {
            state.write_u8(byte);
        }
        state.write_u8(0xff);
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(Address(who)) => write!(f, "user:{who}"),
            Self::ServiceAccount(Address(who)) => write!(f, "serviceAccount:{who}"),
            Self::Group(Address(who)) => write!(f, "group:{who}"),
            Self::Domain(Address(domain)) => write!(f, "domain:{domain}"),
            Self::ProjectOwner(project) => write!(f, "projectOwner:{project}"),
            Self::ProjectEditor(project) => write!(f, "projectEditor:{project}"),
            Self::ProjectViewer(project) => write!(f, "projectViewer:{project}"),
            Self::Principal(path) => write!(f, "principal://{path}"),
            Self::PrincipalSet(path) => write!(f, "principalSet://{path}"),
            Self::Deleted(who) => write!(f, "deleted:{who}"),
            Self::AllUsers => f.write_str("allUsers"),
            Self::AllAuthenticatedUsers => f.write_str("allAuthenticatedUsers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use proptest::prelude::*;

    fn member(text: &str) -> Member {
        Member::parse(text).unwrap()
    }

    #[test]
    fn every_type_of_member_is_read_and_printed() {
        for good in [
            "user:Ada.Lovelace+keys@Example.com",
            "user:owner",
            "serviceAccount:ci@my-project.iam.gserviceaccount.com",
            "group:admins@example.com",
            "domain:example.com",
            "projectOwner:my-project",
            "projectEditor:my-project",
            "projectViewer:my-project",
            "principal://iam.googleapis.com/locations/global/workforcePools/p/subject/s",
            "principalSet://iam.googleapis.com/locations/global/workforcePools/p/*",
            "deleted:user:ada@example.com?uid=123456789012345678901",
            "deleted:serviceAccount:ci@my-project.iam.gserviceaccount.com?uid=1",
            "deleted:group:admins@example.com?uid=1",
            "deleted:principal://iam.googleapis.com/locations/global/workforcePools/p/subject/s",
            "allUsers",
            "allAuthenticatedUsers",
        ] {
            assert_eq!(member(good).to_string(), good);
        }
    }

    #[test]
    fn what_is_no_member_is_refused_with_the_reason() {
        for unknown in ["", "ada@example.com", "USER:ada@example.com", "robot:r2", "allusers", " user:ada@example.com"]
        {
            assert_eq!(Member::parse(unknown), Err(MemberError::UnknownType), "{unknown}");
        }
        let long = format!("user:{}", "a".repeat(Member::BYTES_MAX));
        for malformed in [
            "user:",
            "user:@example.com",
            "user:ada@",
            "user:ada@b@c",
            "user:ada @example.com",
            "user:ada@example.com\n",
            "user:ada@example.com?uid=1",
            "user:user:ada@example.com",
            "domain:",
            "domain:ada@example.com",
            "domain:.example.com",
            "projectOwner:P",
            "principal:x",
            "principalSet://",
            "deleted:user:ada@example.com",
            "deleted:user:ada@example.com?uid=",
            "deleted:domain:example.com?uid=1",
            &long,
        ] {
            assert_eq!(Member::parse(malformed), Err(MemberError::Malformed), "{malformed}");
        }
    }

    #[test]
    fn the_case_of_an_address_does_not_matter() {
        assert_eq!(member("user:Ada@Example.COM"), member("user:ada@example.com"));
        assert!(member("user:Ada@Example.com").covers(&member("user:ada@example.COM")));
        assert_ne!(member("user:ada@example.com"), member("serviceAccount:ada@example.com"));
    }

    #[test]
    fn a_domain_covers_its_users_and_nobody_below_or_beside_it() {
        let domain = member("domain:Example.com");

        assert!(domain.covers(&member("user:ada@example.com")));
        for other in [
            "user:ada@mail.example.com",
            "user:ada@badexample.com",
            "user:example.com",
            "serviceAccount:ci@example.com",
            "group:admins@example.com",
            "domain:example.com",
        ] {
            assert!(!domain.covers(&member(other)), "{other}");
        }
    }

    #[test]
    fn what_keylodge_cannot_look_into_covers_nobody() {
        let caller = member("user:ada@example.com");

        for other in [
            "group:ada@example.com",
            "serviceAccount:ada@example.com",
            "deleted:user:ada@example.com?uid=1",
            "principalSet://x/*",
            "projectOwner:my-project",
            "allUsers",
            "allAuthenticatedUsers",
        ] {
            assert!(!member(other).covers(&caller), "{other}");
            assert!(!member(other).covers(&member("user:owner")), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_a_member_prints_it_also_reads(member in samples::member()) {
            let printed = member.to_string();
            let read = Member::parse(&printed).unwrap();

            prop_assert_eq!(&read, &member);
            prop_assert_eq!(read.to_string(), printed);
        }

        #[test]
        fn no_text_makes_the_reader_stumble(text in ".{0,80}") {
            if let Ok(member) = Member::parse(&text) {
                prop_assert_eq!(member.to_string(), text);
            }
        }
    }
}
