//! May this caller do this?
//!
//! Cost of a check: one look at every member of every binding of the chain, at most some thousands of short comparisons;
//! for each that is the caller, a search among 14 predefined roles and one bit. Nothing is allocated.

use super::{CustomRoleName, Member, Permission, PermissionSet, Policy, RoleName};
use crate::Timestamp;

/// Whether a caller may do something on a resource whose policies are `chain`: its own and those above it, in any order.
/// `roles` says what a custom role grants now ([`CustomRole::grants`](super::CustomRole::grants)), and nothing for one
/// that does not exist; predefined roles are known here.
///
/// A permission that does not exist is granted to nobody, not even to owners. If this says yes wrongly, secrets are open;
/// if no wrongly, somebody asks an owner.
pub fn granted(
    chain: &[&Policy],
    roles: &dyn Fn(&CustomRoleName) -> Option<PermissionSet>,
    caller: &Member,
    permission: &str,
    now: Timestamp,
) -> bool {
    Permission::parse(permission)
        .is_ok_and(|permission| grants(chain, roles, caller, now).any(|set| set.contains(permission)))
}

/// Those of some permissions that a caller has, in the order asked (testIamPermissions). Arguments as for [`granted`].
pub fn held<'names>(
    chain: &[&Policy],
    roles: &dyn Fn(&CustomRoleName) -> Option<PermissionSet>,
    caller: &Member,
    permissions: impl IntoIterator<Item = &'names str>,
    now: Timestamp,
) -> Vec<&'names str> {
    let all = permissions_of(chain, roles, caller, now);
    let is_held = |name: &&str| Permission::parse(name).is_ok_and(|permission| all.contains(permission));
    permissions.into_iter().filter(is_held).collect()
}

/// Everything a caller may do. Arguments as for [`granted`].
pub fn permissions_of(
    chain: &[&Policy],
    roles: &dyn Fn(&CustomRoleName) -> Option<PermissionSet>,
    caller: &Member,
    now: Timestamp,
) -> PermissionSet {
    grants(chain, roles, caller, now).fold(PermissionSet::EMPTY, PermissionSet::and)
}

/// What each binding that is in force for the caller permits.
fn grants(
    chain: &[&Policy],
    roles: &dyn Fn(&CustomRoleName) -> Option<PermissionSet>,
    caller: &Member,
    now: Timestamp,
) -> impl Iterator<Item = PermissionSet> {
    chain
        .iter()
        .flat_map(|policy| &policy.bindings)
        .filter(move |binding| binding.condition.as_ref().is_none_or(|condition| condition.holds(now)))
        .filter(|binding| binding.members.iter().any(|member| member.covers(caller)))
        .filter_map(|binding| match &binding.role {
            RoleName::Predefined(_) => binding.role.predefined().map(|role| role.permissions),
            RoleName::Custom(name) => roles(name),
        })
}

#[cfg(test)]
mod tests {
    use super::super::{PERMISSIONS, PolicyDraft, samples};
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_micros(1_769_860_800_000_000);

    fn policy(bindings: &[(&str, &[&str])]) -> Policy {
        let bindings = bindings.iter().map(|(role, members)| samples::binding_draft(role, members)).collect();
        Policy::read(&PolicyDraft { bindings, ..PolicyDraft::default() }, &|_| true).unwrap()
    }

    fn caller(text: &str) -> Member {
        Member::parse(text).unwrap()
    }

    fn no_custom_roles(_: &CustomRoleName) -> Option<PermissionSet> {
        None
    }

    #[test]
    fn a_role_permits_what_it_holds_to_those_who_have_it() {
        let policy = policy(&[("roles/serviceusage.apiKeysViewer", &["user:ada@example.com", "domain:acme.test"])]);
        let check = |who, what| granted(&[&policy], &no_custom_roles, &caller(who), what, NOW);

        assert!(check("user:ADA@example.com", "apikeys.keys.get"));
        assert!(check("user:bob@acme.test", "apikeys.keys.getKeyString"));
        assert!(!check("user:ada@example.com", "apikeys.keys.create"));
        assert!(!check("user:eve@example.com", "apikeys.keys.get"));
        assert!(!check("serviceAccount:ada@example.com", "apikeys.keys.get"));
    }

    #[test]
    fn what_is_granted_above_holds_below() {
        let project = Policy::default();
        let deployment = policy(&[("roles/owner", &["user:owner"])]);
        let owner = caller("user:owner");

        assert!(granted(&[&project, &deployment], &no_custom_roles, &owner, "apikeys.keys.create", NOW));
        assert!(!granted(&[&project], &no_custom_roles, &owner, "apikeys.keys.create", NOW));
        assert!(!granted(&[], &no_custom_roles, &owner, "apikeys.keys.create", NOW));
    }

    #[test]
    fn a_permission_that_does_not_exist_is_granted_to_nobody() {
        let policy = policy(&[("roles/owner", &["user:owner"])]);

        for permission in ["apikeys.keys.burn", "apikeys.keys.*", ""] {
            assert!(!granted(&[&policy], &no_custom_roles, &caller("user:owner"), permission, NOW), "{permission}");
        }
    }

    #[test]
    fn a_custom_role_grants_what_it_grants_now() {
        let policy = policy(&[("projects/my-project/roles/rotator", &["user:ada@example.com"])]);
        let rotate: PermissionSet = [Permission::parse("keylodge.keys.rotate").unwrap()].into_iter().collect();
        let check = |grants: Option<PermissionSet>| {
            granted(&[&policy], &|_| grants, &caller("user:ada@example.com"), "keylodge.keys.rotate", NOW)
        };

        assert!(check(Some(rotate)));
        assert!(!check(Some(PermissionSet::EMPTY)));
        assert!(!check(None));
    }

    #[test]
    fn access_ends_with_its_condition() {
        let mut policy = policy(&[("roles/viewer", &["user:ada@example.com"])]);
        policy.bindings[0].condition = Some(samples::until("2026-01-31T12:00:00Z"));
        let check = |micros| {
            let now = Timestamp::from_micros(micros);
            granted(&[&policy], &no_custom_roles, &caller("user:ada@example.com"), "apikeys.keys.get", now)
        };

        assert!(check(NOW.micros() - 1));
        assert!(!check(NOW.micros()));
    }

    #[test]
    fn the_permissions_held_come_in_the_order_asked() {
        let policy = policy(&[("roles/viewer", &["user:a@b.c"]), ("roles/serviceusage.apiKeysAdmin", &["user:a@b.c"])]);
        let asked = [
            "serviceusage.services.list",
            "storage.buckets.get",
            "apikeys.keys.create",
            "resourcemanager.projects.delete",
        ];

        assert_eq!(
            held(&[&policy], &no_custom_roles, &caller("user:a@b.c"), asked, NOW),
            ["serviceusage.services.list", "apikeys.keys.create"]
        );
        assert!(held(&[&policy], &no_custom_roles, &caller("user:eve@b.c"), asked, NOW).is_empty());
    }

    /// Every other custom role permits something, so that bindings to them matter.
    fn some_custom_roles(name: &CustomRoleName) -> Option<PermissionSet> {
        let bytes = name.to_string().len();
        bytes
            .is_multiple_of(2)
            .then(|| PERMISSIONS.iter().skip(bytes % 7).step_by(3).flat_map(|p| Permission::parse(p)).collect())
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(policy in samples::policy()) {
            let once = policy.normalised();
            prop_assert_eq!(once.clone().normalised(), once);
        }

        #[test]
        fn normalising_changes_nobodys_permissions(policy in samples::policy(), caller in samples::caller(), now: i64) {
            let now = Timestamp::from_micros(now);
            let normal = policy.clone().normalised();
            prop_assert_eq!(
                permissions_of(&[&normal], &some_custom_roles, &caller, now),
                permissions_of(&[&policy], &some_custom_roles, &caller, now)
            );
        }

        #[test]
        fn more_policies_never_take_anything_away(
            chain in proptest::collection::vec(samples::policy(), 3),
            caller in samples::caller(),
            permission in proptest::sample::select(PERMISSIONS),
            now: i64,
        ) {
            let now = Timestamp::from_micros(now);
            let whole: Vec<&Policy> = chain.iter().collect();
            let check = |chain: &[&Policy]| granted(chain, &some_custom_roles, &caller, permission, now);

            prop_assert_eq!(check(&whole), chain.iter().any(|policy| check(&[policy])));
            prop_assert_eq!(
                check(&whole),
                held(&whole, &some_custom_roles, &caller, [permission], now) == [permission]
            );
        }
    }
}
