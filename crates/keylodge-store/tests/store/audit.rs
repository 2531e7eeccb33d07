use keylodge_rules::audit::{Breach, Broken, Chain, Checkpoint, Entry, Verified, Verifier};
use keylodge_rules::iam::{CustomRole, CustomRoleName, PermissionSet, Stage};
use keylodge_rules::{OperatorToken, ProjectId, Revision};
use keylodge_store::{
    Act, AuditLine, DEPLOYMENT, NewKey, NewOperator, NewToken, OperationKind, Overlap, RoleRecord, Store, Use,
};
use sqlx::SqlitePool;

use crate::support::{GONE, HOUR, Kept, NOON, act, hash, imported_key, key, master, number, policy, project, service};

/// How the log grows.
struct Log<'kept> {
    store: &'kept Store,
    lines: u64,
}

impl Log<'_> {
    async fn grew_by(&mut self, lines: u64, step: &str) {
        self.lines += lines;
        assert_eq!(self.store.audit_lines().await.unwrap(), self.lines, "after {step}");
    }
}

/// Takes every step there is, and looks after each how many lines it left.
async fn take_every_step(kept: &Kept) {
    let store = &kept.store;
    let mut log = Log { store, lines: 0 };
    let at_noon = act(NOON);

    store.create_organization(7, "An organization", &policy("user:ana"), &at_noon).await.unwrap();
    log.grew_by(1, "create_organization").await;
    store.create_project(&project(1, "first-project"), &at_noon).await.unwrap();
    store.create_project(&project(2, "second-project"), &at_noon).await.unwrap();
    log.grew_by(2, "create_project, twice").await;
    store.alter_project(number(1), None, &at_noon, |_| Ok(())).await.unwrap();
    log.grew_by(1, "alter_project").await;
    let kind = (OperationKind::BatchEnableServices, "operations/s.1");
    store.switch_services(number(1), &[service()], true, kind, &at_noon).await.unwrap();
    log.grew_by(1, "switch_services").await;

    let first = kept.make(&NewKey { operation: Some("operations/akmf.1".into()), ..key(1) }).await;
    log.grew_by(1, "create_key").await;
    store.create_keys(&[key(2), imported_key(3)], &at_noon).await.unwrap();
    log.grew_by(2, "create_keys, of two keys").await;
    store.alter_key(number(1), &first.id, None, &at_noon, |_| Ok(())).await.unwrap();
    log.grew_by(1, "alter_key").await;
    store.alter_keys(number(1), 2, &at_noon, |_| Ok(true)).await.unwrap();
    log.grew_by(2, "alter_keys, of two keys").await;
    store.look_at_string(&first, &at_noon).await.unwrap();
    log.grew_by(1, "look_at_string").await;
    kept.rotate(&first.id, 10, Some(Overlap::Quiet(HOUR)), NOON).await.unwrap();
    log.grew_by(1, "rotate_key").await;
    store.retire_strings(number(1), &first.id, &at_noon).await.unwrap();
    log.grew_by(1, "retire_strings").await;
    kept.rotate(&key(1).id, 11, Some(Overlap::Until(NOON)), NOON).await.unwrap();
    kept.rotate(&key(2).id, 12, Some(Overlap::Until(NOON)), NOON).await.unwrap();
    log.grew_by(2, "rotate_key, of two keys").await;
    store.end_overlaps(10, &at_noon).await.unwrap();
    log.grew_by(2, "end_overlaps, of two strings").await;
    store.end_overlaps(10, &at_noon).await.unwrap();
    log.grew_by(0, "end_overlaps, when there is none").await;
    store.adopt_string(&key(3).uid, 1, &hash(3), &at_noon).await.unwrap();
    log.grew_by(1, "adopt_string").await;
    store.note_act_of_key(&key(3).uid, &at_noon).await.unwrap();
    log.grew_by(1, "note_act_of_key").await;
    let used = Use {
        uid: key(1).uid,
        generation: 1,
        caller_ip: String::new(),
        client: String::new(),
        calls: 1,
        first_time: NOON,
        last_time: NOON,
    };
    store.note_uses(&[used]).await.unwrap();
    log.grew_by(0, "note_uses").await;

    let operator = NewOperator { id: "ana".into(), member: "user:ana".into(), display_name: String::new() };
    let token = |which: u8| NewToken {
        id: format!("token-{which}"),
        operator: "ana".into(),
        display_name: String::new(),
        hash: master().pepper().hash_token(&OperatorToken::issue(&[which; 32])),
        expire_time: None,
    };
    store.create_operator(&operator, Some(&token(1)), &at_noon).await.unwrap();
    log.grew_by(1, "create_operator").await;
    store.create_token(&token(2), &at_noon).await.unwrap();
    log.grew_by(1, "create_token").await;
    store.revoke_token("ana", "token-2", &at_noon).await.unwrap();
    log.grew_by(1, "revoke_token").await;
    store.alter_operator("ana", &at_noon, |_| Ok(())).await.unwrap();
    log.grew_by(1, "alter_operator").await;
    store.note_token_uses(&[("token-1".into(), NOON)]).await.unwrap();
    log.grew_by(0, "note_token_uses").await;
    store.set_in_workspace("ana", number(1), true, &at_noon).await.unwrap();
    log.grew_by(1, "set_in_workspace").await;

    store.set_policy(DEPLOYMENT, &policy("user:ana"), None, None, &at_noon).await.unwrap();
    log.grew_by(1, "set_policy").await;
    let name = format!("projects/{}/roles/rotator", number(1));
    let role = CustomRole {
        name: CustomRoleName::parse(&name).unwrap(),
        title: String::new(),
        description: String::new(),
        permissions: PermissionSet::ALL,
        stage: Stage::Ga,
        deleted: false,
        etag: Vec::new(),
    };
    let role = RoleRecord { role, delete_time: None, created_at: Revision(0) };
    store.create_role(role, Some(number(1)), &at_noon).await.unwrap();
    log.grew_by(1, "create_role").await;
    store.alter_role(&name, Some(number(1)), &at_noon, |_| Ok(())).await.unwrap();
    log.grew_by(1, "alter_role").await;

    for which in 1..=2 {
        kept.delete(&key(which).id, NOON).await.unwrap();
    }
    log.grew_by(2, "the deletion of two keys").await;
    kept.delete_project(2, NOON).await.unwrap();
    log.grew_by(1, "the deletion of a project").await;
    store.purge_keys(10, &act(GONE)).await.unwrap();
    log.grew_by(2, "purge_keys, of two keys").await;
    store.forget_operations(GONE).await.unwrap();
    log.grew_by(0, "forget_operations").await;
}

/// All lines, read in pages.
async fn all_lines(store: &Store) -> Vec<AuditLine> {
    let mut lines: Vec<AuditLine> = Vec::new();
    loop {
        let last = lines.last().map_or(0, |line| line.sequence);
        let page = store.audit_after(last, None, 7).await.unwrap();
        if page.is_empty() {
            return lines;
        }
        lines.extend(page);
    }
}

/// Checks the log as a stranger would who knows the deployment's public key, and an earlier end of it at the most.
async fn verify(store: &Store, earlier: Option<Checkpoint>) -> Result<Verified, Broken> {
    let mut verifier = Verifier::new(earlier);
    for line in all_lines(store).await {
        verifier.entry(line.sequence, &line.entry, &line.hash)?;
    }
    let Some(head) = store.audit_head().await.unwrap() else { return Err(verifier.broken(Breach::NoCheckpoint)) };
    verifier.finish(&head, Some(&master().audit_key().public_key()))
}

#[tokio::test]
async fn every_step_leaves_its_line_and_the_log_is_whole_after_all_of_them() {
    let kept = Kept::empty().await;
    assert_eq!(kept.store.audit_head().await.unwrap(), None, "nothing is signed before anything happened");

    take_every_step(&kept).await;

    let kept = kept.reopened().await;
    let verified = verify(&kept.store, None).await.unwrap();
    assert_eq!((verified.first, verified.entries), (1, kept.store.audit_lines().await.unwrap()));
    assert_eq!((verified.checkpoint.node.as_str(), verified.checkpoint.time), ("node-1", GONE));
    let revisions: Vec<_> = all_lines(&kept.store).await.iter().filter_map(|line| line.entry.revision).collect();
    let newest = kept.store.newest_revision().await.unwrap();
    assert_eq!(revisions, (1..=newest.0).map(Revision).collect::<Vec<_>>(), "each change has a line, in its order");
}

#[tokio::test]
async fn steps_that_meet_leave_one_chain() {
    let kept = Kept::with_project().await;
    let mut steps = tokio::task::JoinSet::new();
    for which in 0..16 {
        let store = kept.store.clone();
        steps.spawn(async move { store.create_key(&key(which), None, &act(NOON)).await.unwrap() });
    }

    steps.join_all().await;

    assert_eq!(verify(&kept.store, None).await.unwrap().entries, 17);
}

#[tokio::test]
async fn a_line_says_who_did_what_to_what_and_how_it_was_asked_for() {
    let kept = Kept::with_project().await;
    let new = NewKey { operation: Some("operations/akmf.1".into()), ..key(1) };

    let made = kept.store.create_key(&new, None, &act(NOON.plus(HOUR))).await.unwrap();

    let lines = kept.store.audit_after(1, None, 10).await.unwrap();
    let Act { principal, service, method, permission, request_id, caller_ip, user_agent, request, at } =
        act(NOON.plus(HOUR));
    let expected = Entry {
        time: at,
        principal,
        service: service.into(),
        method: method.into(),
        resource: format!("projects/{}/locations/global/keys/{}", number(1), made.value.id),
        request_id,
        caller_ip,
        user_agent,
        permission: permission.into(),
        project: Some((number(1), "first-project".into())),
        operation: "operations/akmf.1".into(),
        denied: None,
        request,
        revision: Some(made.revision),
    };
    assert_eq!(lines.iter().map(|line| &line.entry).collect::<Vec<_>>(), [&expected]);
}

#[tokio::test]
async fn the_lines_of_a_project_are_those_about_it_and_what_is_in_it() {
    let kept = Kept::empty().await;
    take_every_step(&kept).await;
    let all = all_lines(&kept.store).await;
    let first = ProjectId::parse("first-project").unwrap();

    let of_first = kept.store.audit_after(0, Some(number(1)), 1000).await.unwrap();

    let expected: Vec<_> =
        all.into_iter().filter(|line| line.entry.resource.starts_with(&format!("projects/{}", number(1)))).collect();
    assert_eq!(of_first, expected);
    assert!(of_first.iter().all(|line| line.entry.project == Some((number(1), first.to_string()))));
    let page = kept.store.audit_after(of_first[1].sequence, Some(number(1)), 2).await.unwrap();
    assert_eq!(page, of_first[2..4]);
}

/// A log of every step, which somebody edits behind the store's back and mends again.
struct Edited {
    kept: Kept,
    file: SqlitePool,
}

impl Edited {
    async fn new() -> Self {
        let kept = Kept::empty().await;
        take_every_step(&kept).await;
        let file = kept.behind_its_back().await;
        for save in ["CREATE TABLE kept AS SELECT * FROM audit", "CREATE TABLE kept_head AS SELECT * FROM audit_head"] {
            sqlx::query(save).execute(&file).await.unwrap();
        }
        Self { kept, file }
    }

    async fn edit(&self, sql: &str) {
        let edit = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(edit).execute(&self.file).await.unwrap();
    }

    /// What is found after an edit.
    async fn check(&self, sql: &str, expected: impl Fn(&Broken) -> bool) {
        self.edit(sql).await;
        let found = verify(&self.kept.store, None).await.expect_err(sql);
        assert!(expected(&found), "{sql}: {found:?}");
        self.edit("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept").await;
        self.edit("DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head").await;
        assert!(verify(&self.kept.store, None).await.is_ok(), "mended after {sql}");
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM pragma_table_info(?)").bind(table).fetch_all(&self.file).await.unwrap()
    }
}

#[tokio::test]
async fn an_edited_line_is_found_whatever_was_edited() {
    let log = Edited::new().await;
    // The line of the first key, of which nothing is empty but the denial.
    let line = 6;

    for column in log.columns("audit").await {
        let other = match column.as_str() {
            "sequence" => continue,
            "time" | "revision" | "project_number" => format!("{column} + 1"),
            "hash" => "randomblob(32)".to_owned(),
            "request" => r#"'{"view":"basic"}'"#.to_owned(),
            "denied" => "''".to_owned(),
            _ => format!("{column} || 'x'"),
        };
        let edit = format!("UPDATE audit SET {column} = {other} WHERE sequence = {line}");
        log.check(&edit, |found| *found == Broken { sequence: line, breach: Breach::Altered }).await;
    }
    let unsaid = format!("UPDATE audit SET project_number = NULL WHERE sequence = {line}");
    log.check(&unsaid, |found| found.breach == Breach::Altered).await;
}

#[tokio::test]
async fn a_line_that_is_gone_moved_or_put_in_is_found() {
    let log = Edited::new().await;
    let end = log.kept.store.audit_lines().await.unwrap();
    let missing =
        |from, found| move |broken: &Broken| *broken == Broken { sequence: from, breach: Breach::Missing { found } };

    log.check("DELETE FROM audit WHERE sequence = 1", missing(1, 2)).await;
    log.check("DELETE FROM audit WHERE sequence = 3", missing(3, 4)).await;
    log.check("DELETE FROM audit WHERE sequence BETWEEN 3 AND 5", missing(3, 6)).await;
    let renumbered = "DELETE FROM audit WHERE sequence = 3; UPDATE audit SET sequence = 3 WHERE sequence = 4";
    log.check(renumbered, |broken| broken.sequence == 3 && broken.breach == Breach::Altered).await;
    let exchanged =
        "UPDATE audit SET sequence = -1 WHERE sequence = 3; UPDATE audit SET sequence = 3 WHERE sequence = 4;
                     UPDATE audit SET sequence = 4 WHERE sequence = -1";
    log.check(exchanged, |broken| broken.sequence == 3 && broken.breach == Breach::Altered).await;
    for cut in [1, 5, end] {
        let cut_tail = format!("DELETE FROM audit WHERE sequence > {}", end - cut);
        log.check(&cut_tail, |broken| broken.breach == Breach::EndMissing { end }).await;
    }
}

#[tokio::test]
async fn the_end_is_signed_and_no_word_of_it_can_be_changed() {
    let log = Edited::new().await;
    let head = log.kept.store.audit_head().await.unwrap().unwrap();
    assert_eq!((head.verify(), head.public_key), (Ok(()), master().audit_key().public_key()));
    let foreign = keylodge_rules::audit::AuditKey::new(&[9; 32]).public_key();

    for column in log.columns("audit_head").await {
        let other = match column.as_str() {
            "one" => continue,
            "sequence" | "time" => format!("{column} - 1"),
            "hash" => "randomblob(32)".to_owned(),
            "node" => "'node-2'".to_owned(),
            "public_key" => format!("'{foreign}'"),
            "signature" => format!("'{}'", "0".repeat(128)),
            _ => panic!("a new column {column}: is it signed?"),
        };
        let edit = format!("UPDATE audit_head SET {column} = {other}");
        log.check(&edit, |found| matches!(found.breach, Breach::BadSignature | Breach::OtherKey { .. })).await;
    }
    log.check("DELETE FROM audit_head", |found| found.breach == Breach::NoCheckpoint).await;
}

#[tokio::test]
async fn a_line_that_fits_the_chain_and_was_not_signed_for_is_found() {
    let log = Edited::new().await;
    let end = log.kept.store.audit_head().await.unwrap().unwrap().statement;
    // Somebody who knows how the chain is made, but not the key.
    let last = all_lines(&log.kept.store).await.pop().unwrap();
    let link = Chain::at(end.sequence, end.hash).extend(&last.entry);
    let hash: String = link.hash.to_string();

    let put_in = format!(
        "INSERT INTO audit SELECT {}, time, principal, service, method, resource, request_id, caller_ip, user_agent,
             permission, project_number, project_id, operation, denied, request, revision, x'{hash}'
         FROM audit WHERE sequence = {}",
        link.sequence, last.sequence
    );
    log.check(&put_in, |found| found.breach == Breach::PastEnd { end: end.sequence }).await;
}

#[tokio::test]
async fn a_cut_tail_is_found_even_after_the_log_grew_on() {
    let log = Edited::new().await;
    let end = log.kept.store.audit_lines().await.unwrap();

    log.edit(&format!("DELETE FROM audit WHERE sequence = {end}")).await;
    log.kept.make(&key(20)).await;

    let found = verify(&log.kept.store, None).await.unwrap_err();
    assert_eq!(found, Broken { sequence: end, breach: Breach::Missing { found: end + 1 } });
}

#[tokio::test]
async fn a_tail_that_was_cut_together_with_its_signature_is_found_by_whoever_kept_a_later_one() {
    let log = Edited::new().await;
    log.kept.make(&key(20)).await;
    let end = log.kept.store.audit_head().await.unwrap().unwrap().statement;
    assert!(verify(&log.kept.store, Some(end.clone())).await.is_ok());

    log.edit(&format!("DELETE FROM audit WHERE sequence = {}", end.sequence)).await;
    log.edit("DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head").await;

    assert!(verify(&log.kept.store, None).await.is_ok(), "by itself it is whole");
    let earlier = end.sequence;
    let found = verify(&log.kept.store, Some(end)).await.unwrap_err();
    assert_eq!(found.breach, Breach::Shorter { earlier });
}
