use keylodge_rules::{KeyIndex, Lookup, Revision, Stage, Subject};
use keylodge_store::{Changes, KeyError, KeyRecord, NewKey, OperationKind, Overlap};
use proptest::prelude::*;

use crate::support::{
    Found, GONE, Gate, HOUR, Kept, NOON, act, found, hash, imported_key, key, number, service, sha256, uid,
};

/// Revisions that no gate needs, more than one look takes in.
const MANY: u64 = 1_000;

/// Lets so many revisions go by of which gates need nothing.
async fn let_go_by(kept: &Kept, revisions: u64) {
    let file = kept.behind_its_back().await;
    let go_by = "WITH RECURSIVE step (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM step WHERE n < ?)
                 INSERT INTO changes SELECT (SELECT max(revision) FROM changes) + n, 0, 'role', 'x' FROM step";
    sqlx::query(go_by).bind(i64::try_from(revisions).unwrap()).execute(&file).await.unwrap();
    file.close().await;
}

async fn changes(kept: &Kept, after: u64, forget_after: u64) -> Changes {
    kept.store.changes_after(Revision(after), Revision(forget_after)).await.unwrap()
}

#[tokio::test]
async fn following_step_by_step_ends_where_a_snapshot_begins() {
    let kept = Kept::with_project().await;
    let mut gate = Gate::starting(&kept.store).await;
    for which in 1..=6u16 {
        let made = kept.make(&key(which)).await;
        if which % 2 == 0 {
            kept.delete(&made.id, NOON).await.unwrap();
        }
        if which % 3 == 0 {
            gate.catch_up(&kept.store).await;
        }
    }

    let snapshot = kept.snapshot().await;

    assert_eq!(gate.index.revision(), snapshot.revision());
    for which in 1..=6 {
        let known = found(&gate.index, which);
        assert_eq!(known, found(&snapshot, which), "key {which}");
        assert_eq!(known.unwrap().terms.stage != Stage::Live, which % 2 == 0);
    }
}

#[tokio::test]
async fn a_subject_that_changed_several_times_is_told_once_as_it_is_now() {
    let (kept, made) = Kept::with_key().await;
    kept.delete(&made.id, NOON).await.unwrap();
    kept.undelete(&made.id, NOON).await.unwrap();
    kept.store.alter_project(number(1), None, &act(NOON), |_| Ok(())).await.unwrap();

    let news = changes(&kept, 0, 0).await;

    let revisions: Vec<_> = news.changes.iter().map(|change| change.revision.0).collect();
    assert_eq!(revisions, [4, 5], "oldest change first");
    assert!(matches!(&news.changes[0].subject, Subject::Key(key) if key.terms.stage == Stage::Live));
    assert_eq!((news.up_to, news.newest), (Revision(5), Revision(5)));
    assert!(changes(&kept, 5, 0).await.changes.is_empty());
}

#[tokio::test]
async fn one_look_takes_in_a_bounded_part_and_says_how_far_it_goes() {
    let (kept, _) = Kept::with_key().await;
    let_go_by(&kept, MANY).await;
    kept.make(&key(2)).await;
    let newest = Revision(MANY + 3);

    let first = changes(&kept, 0, newest.0).await;
    assert!(first.up_to < newest, "{first:?}");
    assert_eq!((first.newest, first.changes.len()), (newest, 2), "the project and the first key");

    let rest = changes(&kept, first.up_to.0, newest.0).await;
    assert_eq!((rest.up_to, rest.newest, rest.changes.len()), (newest, newest, 1));
    let mut gate = Gate::starting(&kept.store).await;
    assert!(gate.look(&kept.store).await && !gate.look(&kept.store).await);
    assert!(found(&gate.index, 1).is_some() && found(&gate.index, 2).is_some());
}

#[tokio::test]
async fn a_key_that_changes_while_a_gate_loads_is_not_missed() {
    let (kept, made) = Kept::with_key().await;
    kept.make(&key(2)).await;
    let_go_by(&kept, MANY).await;
    let mut gate = Gate::starting(&kept.store).await;
    assert!(gate.look(&kept.store).await);

    kept.delete(&made.id, NOON).await.unwrap();
    kept.store.purge_keys(10, &act(GONE)).await.unwrap();
    kept.delete(&key(2).id, NOON).await.unwrap();
    gate.catch_up(&kept.store).await;

    assert_eq!(found(&gate.index, 1), None, "known from the first part, and gone since");
    assert_eq!(found(&gate.index, 2).unwrap().terms.stage, Stage::Deleted { at: NOON });
}

#[tokio::test]
async fn keys_that_were_gone_before_are_not_told_to_those_who_never_knew_them() {
    let (kept, made) = Kept::with_key().await;
    kept.delete(&made.id, NOON).await.unwrap();
    kept.store.purge_keys(10, &act(GONE)).await.unwrap();

    let purged = |news: Changes| news.changes.iter().any(|change| change.subject == Subject::KeyPurged(uid(1)));

    assert!(purged(changes(&kept, 2, 0).await), "who knew it is told");
    assert!(purged(changes(&kept, 2, 3).await));
    assert!(!purged(changes(&kept, 0, 4).await), "who starts now is not");
    assert!(kept.snapshot().await.is_empty());
}

#[tokio::test]
async fn a_gate_is_told_everything_that_decides_a_call() {
    let kept = Kept::with_project().await;
    kept.make(&imported_key(1)).await;
    let change = |key: &mut KeyRecord| {
        key.expire_time = Some(NOON.plus(HOUR));
        key.disable_time = Some(NOON);
        Ok(())
    };
    kept.store.alter_key(number(1), &key(1).id, None, &act(NOON), change).await.unwrap();
    kept.rotate(&key(1).id, 2, Some(Overlap::Until(NOON.plus(HOUR))), NOON).await.unwrap();

    let snapshot = kept.snapshot().await;

    let by_old = snapshot.find(&hash(1), || sha256(1)).unwrap();
    let by_new = snapshot.find(&hash(2), || sha256(2)).unwrap();
    assert_eq!(by_old.key, by_new.key);
    assert_eq!((by_old.terms.enabled, by_old.terms.expires), (false, Some(NOON.plus(HOUR))));
    assert_eq!((by_old.generation, by_old.until), (1, Some(NOON.plus(HOUR))));
    assert_eq!((by_new.generation, by_new.until), (2, None));
    assert_eq!(by_new.project.services, [service()].into());
}

/// Something that happens to a store, or a gate looking at it.
#[derive(Clone, Debug)]
enum Step {
    /// A key is made with a string that no key had before.
    Make,
    /// A key is made with a string that some key has or had.
    MakeWithString(usize),
    Import,
    Adopt(usize),
    Delete(usize),
    Undelete(usize),
    SwitchOff(usize),
    Rotate(usize, Option<Overlap>),
    Retire(usize),
    EndOverlaps,
    Purge,
    SwitchService(bool),
    DeleteProject,
    UndeleteProject,
    /// So many days go by.
    Wait(u64),
    /// Revisions go by.
    LetGoBy(u64),
    /// The gate takes in one part.
    Look,
    /// Another gate starts, and takes in one part.
    Start,
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..8usize;
    let overlap = prop_oneof![
        Just(None),
        (0..24u32).prop_map(|hours| Some(Overlap::Until(NOON.plus(HOUR * 24 * hours)))),
        Just(Some(Overlap::Quiet(HOUR))),
    ];
    prop_oneof![
        6 => Just(Step::Make),
        3 => which().prop_map(Step::MakeWithString),
        2 => Just(Step::Import),
        2 => which().prop_map(Step::Adopt),
        6 => which().prop_map(Step::Delete),
        2 => which().prop_map(Step::Undelete),
        1 => which().prop_map(Step::SwitchOff),
        4 => (which(), overlap).prop_map(|(which, overlap)| Step::Rotate(which, overlap)),
        1 => which().prop_map(Step::Retire),
        2 => Just(Step::EndOverlaps),
        3 => Just(Step::Purge),
        1 => any::<bool>().prop_map(Step::SwitchService),
        1 => Just(Step::DeleteProject),
        1 => Just(Step::UndeleteProject),
        4 => (1..40u64).prop_map(Step::Wait),
        1 => (MANY / 2..MANY * 2).prop_map(Step::LetGoBy),
        6 => Just(Step::Look),
        1 => Just(Step::Start),
    ]
}

/// A store to which things happen. Steps that are refused change nothing, which is part of the promise.
struct Story {
    kept: Kept,
    now: keylodge_rules::Timestamp,
    /// The keys made so far, and the newest string of each.
    made: Vec<(NewKey, u16)>,
    strings: u16,
}

impl Story {
    fn key(&self, which: usize) -> Option<&(NewKey, u16)> {
        self.made.get(which.checked_rem(self.made.len())?)
    }

    fn new_string(&mut self) -> u16 {
        self.strings += 1;
        self.strings
    }

    async fn make(&mut self, string: u16, lookup: Lookup) -> Result<(), KeyError> {
        let which = 1000 + u16::try_from(self.made.len()).unwrap();
        let new = NewKey { lookup, ..key(which) };
        self.kept.store.create_key(&new, None, &act(self.now)).await?;
        self.made.push((new, string));
        Ok(())
    }

    async fn take(&mut self, step: &Step) -> Result<(), KeyError> {
        let act = act(self.now);
        let at = self.now;
        match *step {
            Step::Make => {
                let string = self.new_string();
                self.make(string, Lookup::Hash(hash(string))).await?;
            }
            Step::MakeWithString(which) => {
                let Some((NewKey { lookup: Lookup::Hash(_), .. }, string)) = self.key(which) else { return Ok(()) };
                let string = *string;
                self.make(string, Lookup::Hash(hash(string))).await?;
            }
            Step::Import => {
                let string = self.new_string();
                self.make(string, Lookup::Sha256(sha256(string))).await?;
            }
            Step::Adopt(which) => {
                let Some((NewKey { uid, lookup: Lookup::Sha256(_), .. }, string)) = self.key(which) else {
                    return Ok(());
                };
                self.kept.store.adopt_string(uid, 1, &hash(*string), &act).await?;
            }
            Step::Delete(which) => {
                let Some((key, _)) = self.key(which) else { return Ok(()) };
                self.kept.delete(&key.id, at).await?;
            }
            Step::Undelete(which) => {
                let Some((key, _)) = self.key(which) else { return Ok(()) };
                self.kept.undelete(&key.id, at).await?;
            }
            Step::SwitchOff(which) => {
                let Some((key, _)) = self.key(which) else { return Ok(()) };
                let off = |key: &mut KeyRecord| {
                    key.disable_time = Some(at);
                    Ok(())
                };
                self.kept.store.alter_key(number(1), &key.id, None, &act, off).await?;
            }
            Step::Rotate(which, overlap) => {
                let string = self.new_string();
                let Some((key, _)) = self.key(which) else { return Ok(()) };
                self.kept.rotate(&key.id, string, overlap, at).await?;
            }
            Step::Retire(which) => {
                let Some((key, _)) = self.key(which) else { return Ok(()) };
                self.kept.store.retire_strings(number(1), &key.id, &act).await?;
            }
            Step::EndOverlaps => {
                self.kept.store.end_overlaps(10, &act).await?;
            }
            Step::Purge => {
                self.kept.store.purge_keys(2, &act).await?;
            }
            Step::SwitchService(on) => {
                let kind = (OperationKind::BatchEnableServices, "");
                // Refused where the service is off or the project deleted.
                let _ = self.kept.store.switch_services(number(1), &[service()], on, kind, &act).await;
            }
            Step::DeleteProject => {
                let _ = self.kept.delete_project(1, at).await;
            }
            Step::UndeleteProject => {
                let _ = self.kept.undelete_project(1, at).await;
            }
            Step::Wait(days) => self.now = at.plus(HOUR * 24 * u32::try_from(days).unwrap()),
            Step::LetGoBy(revisions) => let_go_by(&self.kept, revisions).await,
            Step::Look | Step::Start => {}
        }
        Ok(())
    }
}

/// What a gate says of each string.
fn known(index: &KeyIndex, strings: u16) -> Vec<Option<Found>> {
    (1..=strings).map(|string| found(index, string)).collect()
}

async fn ends_as_a_snapshot(steps: &[Step]) {
    let mut story = Story { kept: Kept::with_project().await, now: NOON, made: Vec::new(), strings: 0 };
    let mut gates = vec![Gate::starting(&story.kept.store).await];
    for step in steps {
        let outcome = story.take(step).await;
        assert!(!matches!(outcome, Err(KeyError::Store(_))), "{step:?}: {outcome:?}");
        match step {
            Step::Look => {
                for gate in &mut gates {
                    gate.look(&story.kept.store).await;
                }
            }
            Step::Start => {
                let mut gate = Gate::starting(&story.kept.store).await;
                gate.look(&story.kept.store).await;
                gates.push(gate);
            }
            _ => {}
        }
    }

    let snapshot = story.kept.snapshot().await;

    for gate in &mut gates {
        gate.catch_up(&story.kept.store).await;
        assert_eq!(gate.index.len(), snapshot.len());
        assert_eq!(known(&gate.index, story.strings), known(&snapshot, story.strings));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_followed_in_any_portions_ends_as_a_snapshot_does(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ends_as_a_snapshot(&steps));
    }
}
