//! Conversations that are kept, in a file of their own.

use keylodge_rules::upstream::Member;
use keylodge_rules::{ProjectNumber, Timestamp};
use keylodge_store::vault::SEAL_RANDOM_BYTES;
use keylodge_store::{
    InteractionRecord, Interactions, InteractionsOptions, MasterKey, OpenFileError, RelayedRecord, Sealed, Vault,
};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

struct Kept {
    interactions: Interactions,
    folder: tempfile::TempDir,
}

impl Kept {
    async fn with(per_project_max: u32) -> Self {
        Self::of(InteractionsOptions { per_project_max, ..InteractionsOptions::default() }).await
    }

    /// With room for so many bytes in each project.
    async fn of_bytes(per_project_bytes_max: u64) -> Self {
        Self::of(InteractionsOptions { per_project_bytes_max, ..InteractionsOptions::default() }).await
    }

    async fn of(options: InteractionsOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let interactions = Interactions::open(&folder.path().join("interactions.db"), options).await.unwrap();
        Self { interactions, folder }
    }

    /// Which of these the first project has.
    async fn there<'id>(&self, ids: &[&'id str]) -> Vec<&'id str> {
        let mut there = Vec::new();
        for id in ids {
            if self.interactions.get(number(7), id, day(5)).await.unwrap().is_some() {
                there.push(*id);
            }
        }
        there
    }

    async fn ids(&self, project: u64, from: &str, longest: u32) -> Vec<String> {
        let chain = self.interactions.chain(number(project), from, day(1), longest).await.unwrap();
        chain.into_iter().map(|record| record.id).collect()
    }
}

fn number(project: u64) -> ProjectNumber {
    ProjectNumber::parse(&project.to_string()).unwrap()
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_micros(day * DAY)
}

/// What is kept from the first day to the tenth.
fn record(id: &str, previous: Option<&str>) -> InteractionRecord {
    let vault = Vault::new(&MasterKey::new([1; 32]));
    InteractionRecord {
        id: id.to_owned(),
        project: number(7),
        previous: previous.map(str::to_owned),
        in_progress: false,
        created_at: day(1),
        expires_at: day(10),
        said: vault.seal_interaction(number(7), id, "said", &[2; SEAL_RANDOM_BYTES]),
    }
}

#[tokio::test]
async fn an_interaction_reads_back_for_its_project_until_its_time_is_over() {
    let kept = Kept::with(10).await;
    let one = record("one", None);

    kept.interactions.add(&one).await.unwrap();

    let get = async |project, at| kept.interactions.get(number(project), "one", at).await.unwrap();
    assert_eq!(get(7, day(9)).await, Some(one));
    assert_eq!(get(8, day(9)).await, None);
    assert_eq!(get(7, day(10)).await, None);
    assert!(!kept.interactions.delete(number(8), "one", day(2)).await.unwrap());
    assert!(kept.interactions.delete(number(7), "one", day(2)).await.unwrap());
    assert_eq!(get(7, day(2)).await, None);
}

#[tokio::test]
async fn a_chain_goes_back_to_its_beginning_or_to_what_is_gone() {
    let kept = Kept::with(10).await;
    for (id, previous) in [("one", None), ("two", Some("one")), ("three", Some("two"))] {
        kept.interactions.add(&record(id, previous)).await.unwrap();
    }

    assert_eq!(kept.ids(7, "three", 9).await, ["three", "two", "one"]);
    assert_eq!(kept.ids(7, "three", 2).await, ["three", "two"]);
    assert_eq!(kept.ids(8, "three", 9).await, [""; 0]);
    assert_eq!(kept.ids(7, "none", 9).await, [""; 0]);
    kept.interactions.delete(number(7), "two", day(1)).await.unwrap();
    assert_eq!(kept.ids(7, "three", 9).await, ["three"]);
}

#[tokio::test]
async fn of_too_many_the_oldest_goes_unless_it_is_still_being_answered() {
    let kept = Kept::with(2).await;
    let at = |id: &str, day_of: i64| InteractionRecord { created_at: day(day_of), ..record(id, None) };
    kept.interactions.add(&InteractionRecord { in_progress: true, ..at("busy", 1) }).await.unwrap();
    for (id, day_of) in [("old", 2), ("new", 3), ("newest", 4)] {
        kept.interactions.add(&at(id, day_of)).await.unwrap();
    }

    for (id, is_there) in [("busy", true), ("old", false), ("new", true), ("newest", true)] {
        assert_eq!(kept.interactions.get(number(7), id, day(5)).await.unwrap().is_some(), is_there, "{id}");
    }
}

/// An interaction of some day in which so many bytes were said.
fn of_bytes(id: &str, day_of: i64, bytes: usize) -> InteractionRecord {
    InteractionRecord { created_at: day(day_of), said: Sealed::from_bytes(vec![7; bytes]), ..record(id, None) }
}

#[tokio::test]
async fn of_too_many_bytes_the_oldest_go_and_the_newest_stays_however_large() {
    let kept = Kept::of_bytes(100).await;
    let ids = ["a", "b", "c", "d", "e"];
    let check = async |record: InteractionRecord, expected: &[&str]| {
        kept.interactions.add(&record).await.unwrap();
        assert_eq!(kept.there(&ids).await, expected);
    };
    check(of_bytes("a", 1, 40), &["a"]).await;
    check(of_bytes("b", 2, 40), &["a", "b"]).await;
    check(InteractionRecord { project: number(8), ..of_bytes("theirs", 2, 90) }, &["a", "b"]).await;
    check(of_bytes("c", 3, 30), &["b", "c"]).await;
    kept.interactions.delete(number(7), "b", day(4)).await.unwrap();
    check(of_bytes("d", 4, 70), &["c", "d"]).await;
    check(of_bytes("e", 4, 1000), &["e"]).await;
}

#[tokio::test]
async fn what_is_being_answered_takes_room_when_it_is_over() {
    let kept = Kept::of_bytes(100).await;
    let begun = InteractionRecord { in_progress: true, ..of_bytes("busy", 1, 60) };
    kept.interactions.add(&begun).await.unwrap();
    kept.interactions.add(&of_bytes("old", 2, 30)).await.unwrap();
    kept.interactions.add(&of_bytes("new", 3, 30)).await.unwrap();
    assert_eq!(kept.there(&["busy", "old", "new"]).await, ["busy", "old", "new"]);

    assert!(kept.interactions.finish(&of_bytes("busy", 1, 70)).await.unwrap());

    assert_eq!(kept.there(&["busy", "old", "new"]).await, ["busy", "new"], "it is the newest that was written");
    assert!(!kept.interactions.finish(&of_bytes("busy", 1, 900)).await.unwrap());
    assert_eq!(kept.there(&["busy", "old", "new"]).await, ["busy", "new"]);
}

#[tokio::test]
async fn what_was_kept_before_bytes_were_counted_counts() {
    let kept = Kept::of_bytes(100).await;
    kept.interactions.add(&of_bytes("a", 1, 60)).await.unwrap();
    kept.interactions.close().await;
    let file = kept.folder.path().join("interactions.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    for undo in [
        "DROP TRIGGER interactions_come",
        "DROP TRIGGER interactions_end",
        "DROP TRIGGER interactions_go",
        "DROP TABLE kept",
        "DELETE FROM _sqlx_migrations WHERE version = 3",
    ] {
        sqlx::query(undo).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let options = InteractionsOptions { per_project_bytes_max: 100, ..InteractionsOptions::default() };
    let again = Kept { interactions: Interactions::open(&file, options).await.unwrap(), ..kept };
    again.interactions.add(&of_bytes("b", 2, 60)).await.unwrap();

    assert_eq!(again.there(&["a", "b"]).await, ["b"]);
}

#[tokio::test]
async fn what_was_in_progress_is_finished_once_and_what_was_deleted_stays_so() {
    let kept = Kept::with(10).await;
    let begun = InteractionRecord { in_progress: true, ..record("one", None) };
    kept.interactions.add(&begun).await.unwrap();
    assert_eq!(kept.interactions.in_progress().await.unwrap(), std::slice::from_ref(&begun));

    assert!(kept.interactions.finish(&begun).await.unwrap());
    assert!(!kept.interactions.finish(&begun).await.unwrap());
    assert_eq!(kept.interactions.in_progress().await.unwrap(), []);

    kept.interactions.delete(number(7), "one", day(1)).await.unwrap();
    assert!(!kept.interactions.finish(&begun).await.unwrap());
    assert_eq!(kept.interactions.get(number(7), "one", day(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_purge_takes_out_what_is_over_and_all_is_there_after_opening_again() {
    let kept = Kept::with(10).await;
    kept.interactions.add(&record("one", None)).await.unwrap();
    kept.interactions.add(&InteractionRecord { expires_at: day(20), ..record("two", None) }).await.unwrap();

    assert_eq!(kept.interactions.purge(day(10)).await.unwrap(), 1);
    kept.interactions.close().await;
    let file = kept.folder.path().join("interactions.db");
    let again = Interactions::open(&file, InteractionsOptions::default()).await.unwrap();

    assert!(again.get(number(7), "two", day(11)).await.unwrap().is_some());
    assert_eq!(again.purge(day(10)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_file_of_a_newer_keylodge_is_left_alone() {
    let kept = Kept::with(10).await;
    kept.interactions.close().await;
    let file = kept.folder.path().join("interactions.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9, 'newer', 1, x'00', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    pool.close().await;

    let refused = Interactions::open(&file, InteractionsOptions::default()).await.unwrap_err();

    assert!(matches!(refused, OpenFileError::Newer { schema: 9 }), "{refused:?}");
}

/// One that an upstream keeps, from the first day to the tenth.
fn relayed(id: &str) -> RelayedRecord {
    RelayedRecord {
        id: id.to_owned(),
        upstream: "google".to_owned(),
        project: number(7),
        account: Member { id: "key_file".to_owned(), quota_project: "team".to_owned() },
        model: "gemini-3-flash-preview".to_owned(),
        tokens: None,
        is_counted: true,
        created_at: day(1),
        expires_at: day(10),
    }
}

#[tokio::test]
async fn whose_a_relayed_interaction_is_stays_known_until_its_time_is_over() {
    let kept = Kept::with(10).await;
    let one = relayed("v1_one");

    assert!(kept.interactions.add_relayed(&one).await.unwrap());

    let get = async |project, at| kept.interactions.get_relayed(number(project), "v1_one", at).await.unwrap();
    assert_eq!(get(7, day(9)).await, Some(one.clone()));
    assert_eq!(get(8, day(9)).await, None);
    assert_eq!(get(7, day(10)).await, None);
    assert_eq!(kept.interactions.get(number(7), "v1_one", day(2)).await.unwrap(), None, "what was said is not here");
    kept.interactions.forget_relayed(&RelayedRecord { project: number(8), ..one.clone() }).await.unwrap();
    assert_eq!(get(7, day(2)).await, Some(one.clone()), "others cannot make it be forgotten");
    kept.interactions.forget_relayed(&one).await.unwrap();
    assert_eq!(get(7, day(2)).await, None);
}

#[tokio::test]
async fn an_id_that_an_upstream_gives_twice_stays_with_whom_it_was_given_to_first() {
    let kept = Kept::with(10).await;
    kept.interactions.add_relayed(&relayed("v1_one")).await.unwrap();
    let theirs = RelayedRecord { project: number(8), created_at: day(2), ..relayed("v1_one") };

    assert!(!kept.interactions.add_relayed(&theirs).await.unwrap());
    assert!(kept.interactions.get_relayed(number(7), "v1_one", day(2)).await.unwrap().is_some());
    assert_eq!(kept.interactions.get_relayed(number(8), "v1_one", day(2)).await.unwrap(), None);

    let elsewhere = RelayedRecord { upstream: "another".to_owned(), ..theirs.clone() };
    assert!(kept.interactions.add_relayed(&elsewhere).await.unwrap(), "another upstream has ids of its own");
    let later = RelayedRecord { created_at: day(10), expires_at: day(20), ..theirs };
    assert!(kept.interactions.add_relayed(&later).await.unwrap(), "the time of the first is over");
}

#[tokio::test]
async fn what_a_relayed_interaction_took_is_charged_once() {
    let kept = Kept::with(10).await;
    let one = RelayedRecord { is_counted: false, ..relayed("v1_one") };
    kept.interactions.add_relayed(&one).await.unwrap();

    assert!(kept.interactions.count_relayed(&one, 5).await.unwrap());
    assert!(!kept.interactions.count_relayed(&one, 12).await.unwrap());

    let found = kept.interactions.get_relayed(number(7), "v1_one", day(2)).await.unwrap().unwrap();
    assert_eq!((found.tokens, found.is_counted), (Some(12), true));
}

#[tokio::test]
async fn of_too_many_relayed_ones_the_oldest_is_forgotten_and_all_are_in_time() {
    let kept = Kept::with(2).await;
    for (id, day_of) in [("old", 1), ("new", 2), ("newest", 3)] {
        kept.interactions.add_relayed(&RelayedRecord { created_at: day(day_of), ..relayed(id) }).await.unwrap();
    }

    for (id, is_there) in [("old", false), ("new", true), ("newest", true)] {
        assert_eq!(kept.interactions.get_relayed(number(7), id, day(4)).await.unwrap().is_some(), is_there, "{id}");
    }
    assert_eq!(kept.interactions.purge(day(10)).await.unwrap(), 2);
}
