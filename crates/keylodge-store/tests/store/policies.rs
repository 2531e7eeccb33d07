use keylodge_rules::Revision;
use keylodge_rules::iam::{
    Binding, Condition, CustomRole, CustomRoleName, Expression, Member, PermissionSet, Policy, RoleName, Stage,
};
use keylodge_store::{DEPLOYMENT, PolicyError, RoleRecord};

use crate::support::{Kept, NOON, act, number, policy, project};

fn binding(role: &str, members: &[&str]) -> Binding {
    let members = members.iter().map(|member| Member::parse(member).unwrap()).collect();
    Binding { role: RoleName::parse(role).unwrap(), members, condition: None }
}

fn until_2030() -> Condition {
    Condition {
        title: "until \"then\"".into(),
        description: "Während der Prüfung".into(),
        expression: Expression::parse("request.time <= timestamp('2030-01-01T00:00:00Z')").unwrap(),
    }
}

/// Whether a policy comes back from the disk as it was set.
async fn check_kept(policy: Policy) {
    let kept = Kept::with_project().await;

    let set = kept.store.set_policy(DEPLOYMENT, &policy, None, None, &act(NOON)).await.unwrap().value;

    let kept = kept.reopened().await;
    assert_eq!(kept.store.policies(&[DEPLOYMENT]).await.unwrap(), std::slice::from_ref(&set));
    assert_eq!(Policy { etag: Vec::new(), ..set }, policy);
}

#[tokio::test]
async fn a_policy_is_kept_as_it_was_set() {
    check_kept(Policy::default()).await;
    check_kept(Policy {
        version: 1,
        bindings: vec![
            binding("organizations/7/roles/rotator", &["domain:Example.com"]),
            binding("roles/owner", &["user:owner", "serviceAccount:robot@p.iam.gserviceaccount.com"]),
            binding("roles/viewer", &[]),
        ],
        ..Policy::default()
    })
    .await;
    check_kept(Policy {
        version: 3,
        bindings: vec![
            Binding { condition: Some(until_2030()), ..binding("roles/viewer", &["user:Ana@Example.com"]) },
            binding("roles/viewer", &["group:all@example.com", "deleted:user:eve@example.com?uid=1"]),
        ],
        audit_configs: Some(r#"[{"service": "allServices"}]"#.into()),
        ..Policy::default()
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_changed_since_it_was_read_is_not_replaced() {
    let kept = Kept::empty().await;
    let set = async |policy: &Policy, expected: Option<&[u8]>| {
        kept.store.set_policy(DEPLOYMENT, policy, expected, None, &act(NOON)).await
    };
    let never_set = kept.store.policies(&[DEPLOYMENT]).await.unwrap().remove(0);
    assert_eq!(never_set.bindings, []);

    let first = set(&policy("user:ana"), Some(&never_set.etag)).await.unwrap().value;
    let second = set(&policy("user:ben"), Some(&first.etag)).await.unwrap();
    for stale in [&never_set.etag[..], &first.etag, b"other"] {
        let stale = set(&policy("user:eve"), Some(stale)).await;
        assert!(matches!(stale, Err(PolicyError::Stale)), "{stale:?}");
    }

    assert_eq!(kept.store.policies(&[DEPLOYMENT]).await.unwrap(), [second.value]);
    let third = set(&policy("user:ana"), None).await.unwrap();
    assert_eq!(third.revision, Revision(second.revision.0 + 1), "who does not care replaces what there is");
    assert_ne!(third.value.etag, first.etag, "the same words again are another change");
    assert_eq!(kept.store.audit_lines().await.unwrap(), 3);
}

#[tokio::test]
async fn policies_come_in_the_order_asked_for_and_what_was_never_set_is_empty() {
    let kept = Kept::with_project().await;
    kept.store.create_organization(7, "", &policy("user:ana"), &act(NOON)).await.unwrap();
    kept.store.set_policy(DEPLOYMENT, &policy("user:ben"), None, None, &act(NOON)).await.unwrap();
    let of_project = format!("projects/{}", number(1));
    let of_other = format!("projects/{}", number(2));

    let asked = [DEPLOYMENT, &of_other, "organizations/7", &of_project, DEPLOYMENT];
    let policies = kept.store.policies(&asked).await.unwrap();

    let members = |policy: &Policy| policy.bindings.iter().flat_map(|binding| binding.members.clone()).next();
    let member = |text| Some(Member::parse(text).unwrap());
    let (ana, ben, owner) = (member("user:ana"), member("user:ben"), member("user:owner"));
    assert_eq!(policies.iter().map(members).collect::<Vec<_>>(), [ben.clone(), None, ana, owner, ben]);
}

#[tokio::test]
async fn members_lead_to_the_resources_in_whose_policies_they_stand() {
    let kept = Kept::empty().await;
    for (which, id) in [(1, "first-project"), (2, "second-project")] {
        kept.store.create_project(&project(which, id), &act(NOON)).await.unwrap();
    }
    let of = |which| format!("projects/{}", number(which));
    let first = Policy {
        bindings: vec![
            binding("roles/owner", &["user:Ana@Example.com"]),
            Binding { condition: Some(until_2030()), ..binding("roles/viewer", &["user:Ana@Example.com"]) },
        ],
        ..Policy::default()
    };
    let second = Policy { bindings: vec![binding("roles/viewer", &["domain:example.com"])], ..Policy::default() };
    kept.store.set_policy(&of(1), &first, None, Some(number(1)), &act(NOON)).await.unwrap();
    kept.store.set_policy(&of(2), &second, None, Some(number(2)), &act(NOON)).await.unwrap();
    let resources = async |members: &[&str]| {
        let members: Vec<String> = members.iter().map(|member| (*member).to_owned()).collect();
        kept.store.resources_of(&members).await.unwrap()
    };

    assert_eq!(resources(&["user:ana@example.com"]).await, [of(1)], "whatever letters the policy has");
    assert_eq!(resources(&["user:ana@example.com", "domain:example.com"]).await, [of(1), of(2)]);
    assert_eq!(resources(&["user:owner"]).await, Vec::<String>::new(), "a policy that was replaced counts no more");
    assert_eq!(resources(&[]).await, Vec::<String>::new());
}

fn role(name: &str) -> RoleRecord {
    let role = CustomRole {
        name: CustomRoleName::parse(name).unwrap(),
        title: "Rotator".into(),
        description: "Gives keys new strings".into(),
        permissions: PermissionSet::ALL.iter().step_by(3).collect(),
        stage: Stage::Beta,
        deleted: false,
        etag: Vec::new(),
    };
    RoleRecord { role, delete_time: None, created_at: Revision(0) }
}

#[tokio::test]
async fn a_role_is_kept_as_it_was_given_and_its_name_is_given_once() {
    let kept = Kept::empty().await;
    let name = "organizations/7/roles/rotator";

    let made = kept.store.create_role(role(name), None, &act(NOON)).await.unwrap();

    let kept = kept.reopened().await;
    assert_eq!(kept.store.role(name).await.unwrap().as_ref(), Some(&made.value));
    let given = CustomRole { etag: made.value.role.etag.clone(), ..role(name).role };
    assert_eq!((made.value.role, made.value.created_at), (given, made.revision));
    let taken = kept.store.create_role(role(name), None, &act(NOON)).await;
    assert!(matches!(&taken, Err(PolicyError::NameTaken { name: taken }) if taken.to_string() == name), "{taken:?}");
    assert_eq!(kept.store.role("organizations/7/roles/other").await.unwrap(), None);
    assert_eq!(kept.store.audit_lines().await.unwrap(), 1);
}

#[tokio::test]
async fn an_altered_role_is_kept_as_it_was_answered_and_has_another_etag() {
    let kept = Kept::empty().await;
    let name = "organizations/7/roles/rotator";
    let made = kept.store.create_role(role(name), None, &act(NOON)).await.unwrap().value;
    let change = |record: &mut RoleRecord| {
        record.role.title = "Other".into();
        record.role.description.clear();
        record.role.permissions = PermissionSet::EMPTY;
        record.role.stage = Stage::Disabled;
        Ok(())
    };

    let altered = kept.store.alter_role(name, None, &act(NOON), change).await.unwrap().value;

    let kept = kept.reopened().await;
    assert_eq!(kept.store.role(name).await.unwrap().as_ref(), Some(&altered));
    assert_ne!(altered.role.etag, made.role.etag);
    let refused = |record: &mut RoleRecord| {
        record.role.title.clear();
        Err(PolicyError::Stale)
    };
    let refused = kept.store.alter_role(name, None, &act(NOON), refused).await;
    assert!(matches!(refused, Err(PolicyError::Stale)), "{refused:?}");
    let missing = kept.store.alter_role("organizations/7/roles/other", None, &act(NOON), |_| Ok(())).await;
    assert!(matches!(missing, Err(PolicyError::NoSuchRole)), "{missing:?}");
    assert_eq!(kept.store.role(name).await.unwrap(), Some(altered));
    assert_eq!(kept.store.audit_lines().await.unwrap(), 2);
}

#[tokio::test]
async fn a_deleted_role_says_so_keeps_its_name_and_can_come_back() {
    let kept = Kept::empty().await;
    let name = "organizations/7/roles/rotator";
    kept.store.create_role(role(name), None, &act(NOON)).await.unwrap();
    let set = async |time| {
        let change = move |record: &mut RoleRecord| {
            record.delete_time = time;
            Ok(())
        };
        kept.store.alter_role(name, None, &act(NOON), change).await.unwrap().value
    };

    let deleted = set(Some(NOON)).await;
    assert!(deleted.role.deleted && deleted.role.grants() == PermissionSet::EMPTY);
    assert_eq!(kept.store.role(name).await.unwrap(), Some(deleted));
    let taken = kept.store.create_role(role(name), None, &act(NOON)).await;
    assert!(matches!(&taken, Err(PolicyError::NameTaken { name: taken }) if taken.to_string() == name), "{taken:?}");

    let back = set(None).await;
    assert_eq!((back.role.deleted, back.role.permissions), (false, role(name).role.permissions));
}

#[tokio::test]
async fn roles_are_listed_by_where_they_belong() {
    let kept = Kept::with_project().await;
    for name in ["organizations/7/roles/one", "organizations/77/roles/two", "organizations/7/roles/three"] {
        kept.store.create_role(role(name), None, &act(NOON)).await.unwrap();
    }
    let of_project = format!("projects/{}/roles/four", number(1));
    kept.store.create_role(role(&of_project), Some(number(1)), &act(NOON)).await.unwrap();
    let delete = |record: &mut RoleRecord| {
        record.delete_time = Some(NOON);
        Ok(())
    };
    kept.store.alter_role("organizations/7/roles/one", None, &act(NOON), delete).await.unwrap();
    let check = async |parent: &str, show_deleted, expected: &[&str]| {
        let mut seen = Vec::new();
        let mut after = Revision(0);
        loop {
            let page = kept.store.roles(parent, show_deleted, after, 1).await.unwrap();
            seen.extend(page.items.iter().map(|record| record.role.name.id.to_string()));
            let Some(next) = page.next else { break };
            after = next;
        }
        assert_eq!(seen, expected, "{parent}");
    };

    check("organizations/7", true, &["one", "three"]).await;
    check("organizations/7", false, &["three"]).await;
    check("organizations/77", false, &["two"]).await;
    check(&format!("projects/{}", number(1)), false, &["four"]).await;
    check("organizations/8", true, &[]).await;
}
