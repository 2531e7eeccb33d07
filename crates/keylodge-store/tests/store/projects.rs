use std::collections::BTreeSet;
use std::time::Duration;

use keylodge_rules::key::UNDELETE_WITHIN;
use keylodge_rules::{ProjectId, ProjectState, Revision, ServiceName, Subject, Timestamp};
use keylodge_store::{Among, NewProject, OperationKind, ProjectError, ProjectRecord};

use crate::support::{GONE, HOUR, Kept, NOON, act, key, number, policy, project, service};

#[tokio::test]
async fn a_project_is_kept_as_it_was_given_with_its_operation_policy_and_audit_line() {
    let kept = Kept::empty().await;
    kept.store.create_organization(7, "An organization", &policy("user:ana"), &act(NOON)).await.unwrap();
    let new = NewProject {
        parent: Some(7),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        operation: Some("operations/pc.1".into()),
        ..project(1, "first-project")
    };

    let made = kept.store.create_project(&new, &act(NOON)).await.unwrap();

    let kept = kept.reopened().await;
    assert_eq!(kept.project(1).await, made.value);
    let by_id = kept.store.project_by_id(&new.id, NOON).await.unwrap();
    assert_eq!(by_id.as_ref(), Some(&made.value));
    assert_eq!(
        (&made.value.parent, &made.value.labels, &made.value.services),
        (&new.parent, &new.labels, &new.services)
    );
    assert_eq!((made.value.state, made.value.delete_time), (ProjectState::Active, None));
    assert_eq!((made.value.key_count, made.value.strings_shown_once, made.value.must_restrict), (0, false, false));
    assert_eq!((made.value.created_at, made.value.revision), (made.revision, made.revision));
    assert_eq!(kept.store.operation("operations/pc.1").await.unwrap().unwrap().kind, OperationKind::CreateProject);
    let resource = format!("projects/{}", new.number);
    assert_eq!(kept.store.policies(&[&resource]).await.unwrap()[0].bindings, new.policy.bindings);
    assert_eq!(kept.store.audit_lines().await.unwrap(), 2, "one for the organization, one for the project");
}

#[tokio::test]
async fn the_operation_tells_by_which_version_a_project_was_made() {
    let kept = Kept::empty().await;
    for (which, id, name, kind) in [
        (1, "first-project", "operations/pc.1", OperationKind::CreateProject),
        (2, "second-project", "operations/cp.2", OperationKind::CreateProjectV3),
    ] {
        let new = NewProject { operation: Some(name.into()), ..project(which, id) };
        kept.store.create_project(&new, &act(NOON)).await.unwrap();

        let operation = kept.store.operation(name).await.unwrap().unwrap();
        assert_eq!((operation.kind, operation.project), (kind, number(which)));
    }
}

#[tokio::test]
async fn a_project_id_and_number_are_given_once_for_ever() {
    let kept = Kept::with_project().await;
    kept.delete_project(1, NOON).await.unwrap();

    let same_id = kept.store.create_project(&project(2, "first-project"), &act(GONE)).await;
    let same_number = kept.store.create_project(&project(1, "second-project"), &act(GONE)).await;

    assert!(matches!(same_id, Err(ProjectError::IdTaken)), "{same_id:?}");
    assert!(matches!(same_number, Err(ProjectError::NumberTaken)), "{same_number:?}");
    assert_eq!(kept.store.audit_lines().await.unwrap(), 2);
}

#[tokio::test]
async fn an_altered_project_is_kept_as_it_was_answered() {
    let kept = Kept::with_project().await;
    kept.store.create_organization(7, "An organization", &policy("user:ana"), &act(NOON)).await.unwrap();
    let later = act(NOON.plus(HOUR));
    let change = |project: &mut ProjectRecord| {
        project.display_name = "Another".into();
        project.parent = Some(7);
        project.labels = [("env".to_owned(), "test".to_owned())].into();
        project.services.clear();
        project.strings_shown_once = true;
        project.must_restrict = true;
        Ok(())
    };

    let operation = Some((OperationKind::UpdateProject, "operations/up.1", ""));
    let altered = kept.store.alter_project(number(1), operation, &later, change).await.unwrap();

    let kept = kept.reopened().await;
    assert_eq!(kept.project(1).await, altered.value);
    assert_eq!((altered.value.create_time, altered.value.update_time), (NOON, later.at));
    assert_eq!((altered.value.created_at, altered.value.revision), (Revision(1), altered.revision));
    assert_eq!(kept.store.operation("operations/up.1").await.unwrap().unwrap().kind, OperationKind::UpdateProject);
    let news = kept.store.changes_after(Revision(2), Revision(2)).await.unwrap().changes;
    assert!(matches!(&news[..], [change] if matches!(&change.subject, Subject::Project(project)
        if project.standard_keys_must_be_restricted && project.services.is_empty())));
}

#[tokio::test]
async fn a_project_that_was_not_altered_leaves_no_gap_and_no_audit_line() {
    let kept = Kept::with_project().await;
    let before = kept.project(1).await;

    let refused = |project: &mut ProjectRecord| {
        project.display_name = "Another".into();
        Err(ProjectError::EtagMismatch)
    };
    let refused = kept.store.alter_project(number(1), None, &act(NOON), refused).await;
    let orphan = |project: &mut ProjectRecord| {
        project.parent = Some(7);
        Ok(())
    };
    let orphan = kept.store.alter_project(number(1), None, &act(NOON), orphan).await;
    let missing = kept.store.alter_project(number(2), None, &act(NOON), |_| Ok(())).await;

    assert!(matches!(refused, Err(ProjectError::EtagMismatch)), "{refused:?}");
    assert!(matches!(orphan, Err(ProjectError::NoSuchOrganization)), "{orphan:?}");
    assert!(matches!(missing, Err(ProjectError::NoSuchProject)), "{missing:?}");
    assert_eq!(kept.project(1).await, before);
    assert_eq!(
        (kept.store.newest_revision().await.unwrap(), kept.store.audit_lines().await.unwrap()),
        (Revision(1), 1)
    );
}

#[tokio::test]
async fn a_deleted_project_can_be_brought_back_for_thirty_days_and_is_gone_after() {
    let kept = Kept::with_project().await;
    let id = ProjectId::parse("first-project").unwrap();
    let last = NOON.plus(UNDELETE_WITHIN - Duration::from_micros(1));
    let deleted = kept.delete_project(1, NOON).await.unwrap().value;
    assert_eq!((deleted.state, deleted.delete_time), (ProjectState::DeleteRequested, Some(NOON)));
    let seen = async |now: Timestamp| {
        let listed = kept.store.projects(&Among::All, Revision(0), 10, now).await.unwrap().items;
        let by_id = kept.store.project_by_id(&id, now).await.unwrap();
        let by_number = kept.store.project_by_number(number(1), now).await.unwrap();
        assert_eq!((by_id.as_ref(), by_number.as_ref()), (listed.first(), listed.first()));
        by_id
    };

    assert_eq!(seen(last).await, Some(deleted), "still shown");
    assert_eq!(seen(GONE).await, None, "then gone");
    assert!(matches!(kept.undelete_project(1, GONE).await, Err(ProjectError::NoSuchProject)));
    let back = kept.undelete_project(1, last).await.unwrap().value;
    assert_eq!((back.state, back.delete_time), (ProjectState::Active, None));
    assert_eq!(seen(GONE).await, Some(back));
}

#[tokio::test]
async fn the_keys_of_a_project_go_with_it_and_its_number_and_id_stay_taken() {
    let kept = Kept::with_project().await;
    kept.store.create_project(&project(2, "second-project"), &act(NOON)).await.unwrap();
    for which in 1..=3 {
        kept.make(&key(which)).await;
    }
    kept.delete(&key(2).id, NOON.plus(HOUR)).await.unwrap();
    kept.delete_project(1, NOON).await.unwrap();
    let snapshot = kept.snapshot().await;
    let known = snapshot.find(&crate::support::hash(1), || [0; 32]).unwrap();
    assert_eq!(known.project.state, ProjectState::DeleteRequested, "gates refuse its keys meanwhile");
    let early = act(NOON.plus(UNDELETE_WITHIN - Duration::from_micros(1)));
    assert_eq!(kept.store.purge_keys(10, &early).await.unwrap().value, 0);

    assert_eq!(kept.store.purge_keys(10, &act(GONE)).await.unwrap().value, 3);

    assert!(kept.snapshot().await.is_empty());
    for which in 1..=3 {
        assert_eq!(kept.store.strings(&key(which).uid).await.unwrap(), [], "key {which}");
    }
    assert_eq!(kept.project(1).await.key_count, 0);
    assert_eq!(kept.store.purge_keys(10, &act(GONE)).await.unwrap().value, 0);
    assert!(matches!(
        kept.store.create_project(&project(3, "first-project"), &act(GONE)).await,
        Err(ProjectError::IdTaken)
    ));
}

#[tokio::test]
async fn a_deleted_project_takes_no_keys() {
    let kept = Kept::with_project().await;
    kept.delete_project(1, NOON).await.unwrap();

    let refused = kept.store.create_key(&key(1), None, &act(NOON)).await;

    assert!(matches!(refused, Err(keylodge_store::KeyError::ProjectDeleted)), "{refused:?}");
}

#[tokio::test]
async fn a_project_knows_how_many_keys_it_has() {
    let kept = Kept::with_project().await;
    let count = async || kept.project(1).await.key_count;
    assert_eq!(count().await, 0);

    kept.make(&key(1)).await;
    kept.store.create_keys(&[key(2), key(3)], &act(NOON)).await.unwrap();
    kept.store.create_key(&key(3), None, &act(NOON)).await.unwrap_err();
    assert_eq!(count().await, 3);

    kept.delete(&key(1).id, NOON).await.unwrap();
    kept.delete(&key(2).id, NOON).await.unwrap();
    kept.undelete(&key(2).id, NOON).await.unwrap();
    kept.rotate(&key(3).id, 4, None, NOON).await.unwrap();
    assert_eq!(count().await, 3, "deleted ones included");

    kept.store.purge_keys(10, &act(GONE)).await.unwrap();
    assert_eq!(count().await, 2);
}

#[tokio::test]
async fn lists_show_the_projects_asked_for_in_the_order_of_creation() {
    let kept = Kept::empty().await;
    for organization in [7, 8] {
        kept.store.create_organization(organization, "", &policy("user:ana"), &act(NOON)).await.unwrap();
    }
    let ids = ["project-a", "project-b", "project-c", "project-d", "project-e"];
    for (which, (id, parent)) in (1..).zip(ids.into_iter().zip([Some(7), None, Some(8), Some(7), None])) {
        let new = NewProject { parent, ..project(which, id) };
        kept.store.create_project(&new, &act(NOON)).await.unwrap();
    }
    let check = async |among: Among, expected: &[&str]| {
        let mut seen = Vec::new();
        let mut after = Revision(0);
        loop {
            let page = kept.store.projects(&among, after, 2, NOON).await.unwrap();
            seen.extend(page.items.iter().map(|project| project.id.to_string()));
            let Some(next) = page.next else { break };
            after = next;
        }
        assert_eq!(seen, expected, "{among:?}");
    };
    let these = |parents: &[u64], projects: &[u8]| Among::These {
        parents: parents.iter().copied().collect(),
        projects: projects.iter().copied().map(number).collect(),
    };

    check(Among::All, &ids).await;
    check(these(&[], &[]), &[]).await;
    check(these(&[7], &[]), &["project-a", "project-d"]).await;
    check(these(&[7, 8], &[]), &["project-a", "project-c", "project-d"]).await;
    check(these(&[], &[5, 2]), &["project-b", "project-e"]).await;
    check(these(&[7], &[4, 5]), &["project-a", "project-d", "project-e"]).await;
    check(these(&[9], &[9]), &[]).await;
}

#[tokio::test]
async fn an_organization_owns_the_projects_that_name_it() {
    let kept = Kept::empty().await;
    let made = kept.store.create_organization(7, "An organization", &policy("user:ana"), &act(NOON)).await.unwrap();
    kept.store.create_organization(8, "Another", &policy("user:ben"), &act(NOON)).await.unwrap();

    let orphan = NewProject { parent: Some(9), ..project(1, "first-project") };
    let orphan = kept.store.create_project(&orphan, &act(NOON)).await;
    assert!(matches!(orphan, Err(ProjectError::NoSuchOrganization)), "{orphan:?}");
    let taken = kept.store.create_organization(7, "", &policy("user:ana"), &act(NOON)).await;
    assert!(matches!(taken, Err(ProjectError::NumberTaken)), "{taken:?}");

    let kept = kept.reopened().await;
    assert_eq!(kept.store.organization(7).await.unwrap().as_ref(), Some(&made.value));
    assert_eq!(kept.store.organization(9).await.unwrap(), None);
    let page = kept.store.organizations(Revision(0), 1).await.unwrap();
    assert_eq!((page.items, page.next), (vec![made.value], Some(made.revision)));
    let page = kept.store.organizations(made.revision, 1).await.unwrap();
    assert_eq!((page.items[0].number, page.next), (8, None));
}

#[tokio::test]
async fn services_are_switched_all_or_none() {
    let kept = Kept::with_project().await;
    let other = ServiceName::parse("other.googleapis.com").unwrap();
    let third = ServiceName::parse("third.googleapis.com").unwrap();
    let both = [service(), other.clone()];
    let switch = async |services: &[ServiceName], on, name: &str| {
        let kind = if on { OperationKind::BatchEnableServices } else { OperationKind::DisableService };
        kept.store.switch_services(number(1), services, on, (kind, name), &act(NOON)).await
    };

    let off = switch(&both, false, "operations/s.1").await;
    assert!(matches!(off, Err(ProjectError::ServiceOff(name)) if name == other));
    assert_eq!(kept.project(1).await.services, [service()].into(), "not even the one that was on");
    assert_eq!(kept.store.operation("operations/s.1").await.unwrap(), None);

    let on = switch(&both, true, "operations/s.2").await.unwrap();
    assert_eq!((on.value.services.clone(), on.revision), (BTreeSet::from(both.clone()), Revision(2)));
    assert_eq!(kept.project(1).await, on.value);
    let again = switch(&[third], true, "operations/s.3").await.unwrap();
    assert_eq!(again.value.services.len(), 3);
    let operation = kept.store.operation("operations/s.2").await.unwrap().unwrap();
    assert_eq!(operation.kind, OperationKind::BatchEnableServices);
    assert_eq!(operation.subject, "generativelanguage.googleapis.com,other.googleapis.com");
}

#[tokio::test]
async fn a_switched_service_is_in_the_project_and_in_the_feed_even_when_it_was_on() {
    let kept = Kept::with_project().await;
    let switch = async |on, kind, name| {
        kept.store.switch_services(number(1), &[service()], on, (kind, name), &act(NOON)).await.unwrap()
    };

    let still_on = switch(true, OperationKind::EnableService, "operations/s.1").await;
    assert_eq!(still_on.revision, Revision(2));
    let off = switch(false, OperationKind::DisableService, "operations/s.2").await;

    assert!(off.value.services.is_empty());
    let changes = kept.store.changes_after(Revision(1), Revision(1)).await.unwrap();
    assert!(matches!(&changes.changes[..], [change]
        if matches!(&change.subject, Subject::Project(project) if project.services.is_empty())));
    let lines = kept.store.audit_after(1, None, 10).await.unwrap();
    let resource = format!("projects/{}/services/{}", number(1), service());
    assert!(lines.len() == 2 && lines.iter().all(|line| line.entry.resource == resource), "{lines:?}");
}

#[tokio::test]
async fn no_service_of_a_deleted_project_is_switched() {
    let kept = Kept::with_project().await;
    kept.delete_project(1, NOON).await.unwrap();

    let kind = (OperationKind::DisableService, "operations/s.1");
    let off = kept.store.switch_services(number(1), &[service()], false, kind, &act(NOON)).await;

    assert!(matches!(off, Err(ProjectError::NoSuchProject)), "{off:?}");
}
