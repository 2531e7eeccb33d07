//! The keys a gate knows, complete and in memory, and what a change does to them.
//!
//! There is one writer, fed only by the change feed in the order of its revisions. A [`Change`] carries the whole new
//! state of its subject together with the revision that made it; what is not newer than all that is known changes
//! nothing, so applying a portion of the feed twice, or late, is harmless.

mod held;
mod shared;

use hashbrown::HashMap;

use crate::{Key, KeyHash, KeyUid, Lookup, Project, ProjectNumber, Terms, Timestamp};
use held::{Held, Strings};
use shared::{Lasting, Shared};

/// A position in the change feed. Gap-free: every committed change has the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// The state of one subject as of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When in the feed it happened.
    pub revision: Revision,
    /// What it is about, as it is now.
    pub subject: Subject,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A key was made or altered.
    Key(Key),
    /// A key is gone for good.
    KeyPurged(KeyUid),
    /// A project was made or altered.
    Project(Project),
}

/// Every key of the deployment, found by each of its strings.
///
/// A look-up costs two misses of the processor's cache at most: one for the table, one for what it points to. A string
/// takes 40 bytes and its share of two tables of four-byte places, 53 to 62 bytes together by how full the tables are;
/// what keys have in common (project and [`Terms`]) is kept once. Tables and places come in small pieces, so that no
/// growth ever copies more than a few thousand of them while callers wait.
#[derive(Debug, Default)]
pub struct KeyIndex {
    strings: Strings,
    terms: Shared,
    /// A key may be told of before its project, where the project changed later: until then there is nothing here.
    projects: Vec<Option<Project>>,
    places: HashMap<ProjectNumber, u32>,
    revision: Revision,
}

/// A key as it was found by one of its strings.
#[derive(Clone, Copy, Debug)]
pub struct Known<'index> {
    /// The key's identity.
    pub key: KeyUid,
    /// On what terms it may be used.
    pub terms: &'index Terms,
    /// Its project.
    pub project: &'index Project,
    /// Which string of the key was presented.
    pub generation: u32,
    /// The moment from which that string is refused, if it was rotated out.
    pub until: Option<Timestamp>,
    /// Whether the string came from another gateway and was found by its plain SHA-256.
    pub is_foreign: bool,
}

impl KeyIndex {
    /// The key that one string stands for, together with its project: found by the string's hash under our pepper, or,
    /// while keys of another gateway wait to be seen, by its SHA-256, which is asked for only then.
    #[must_use]
    pub fn find(&self, hash: &KeyHash, foreign: impl FnOnce() -> [u8; 32]) -> Option<Known<'_>> {
        let held = match self.strings.find(&Lookup::Hash(*hash)) {
            None if self.strings.foreign() > 0 => self.strings.find(&Lookup::Sha256(foreign())),
            held => held,
        }?;
        self.known(held)
    }

    /// The same where the hash under our pepper is all that is known of a string.
    #[must_use]
    pub fn find_hash(&self, hash: &KeyHash) -> Option<Known<'_>> {
        self.known(self.strings.find(&Lookup::Hash(*hash))?)
    }

    /// A key as each of its strings would find it, the newest first; nothing where there is no such key.
    pub fn key(&self, uid: KeyUid) -> impl Iterator<Item = Known<'_>> {
        let mut known: Vec<_> = self.strings.of_key(uid).filter_map(|held| self.known(held)).collect();
        known.sort_by_key(|known| std::cmp::Reverse(known.generation));
        known.into_iter()
    }

    fn known(&self, held: &Held) -> Option<Known<'_>> {
        let lasting = self.terms.at(held.terms);
        Some(Known {
            key: held.key,
            terms: &lasting.terms,
            project: self.projects[lasting.project as usize].as_ref()?,
            generation: held.generation(),
            until: lasting.until,
            is_foreign: held.is_foreign(),
        })
    }

    /// Takes over a change, unless it is no newer than what is known. A key's strings are replaced all together.
    pub fn apply(&mut self, change: Change) {
        if change.revision <= self.revision {
            return;
        }
        self.revision = change.revision;
        match change.subject {
            Subject::Key(key) => self.put(&key),
            Subject::KeyPurged(uid) => self.forget(uid),
            Subject::Project(project) => {
                let place = self.place(project.number);
                self.projects[place as usize] = Some(project);
            }
        }
    }

    /// The newest revision that was applied.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How many keys are known, deleted ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.strings.keys()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The project with this number.
    #[must_use]
    pub fn project(&self, number: ProjectNumber) -> Option<&Project> {
        self.projects[*self.places.get(&number)? as usize].as_ref()
    }

    fn put(&mut self, key: &Key) {
        self.forget(key.uid);
        let project = self.place(key.project);
        for credential in &key.strings {
            let lasting = Lasting { project, until: credential.until, terms: key.terms.clone() };
            let terms = self.terms.take(lasting);
            let held = Held::new(key.uid, credential, terms);
            if let Some(before) = self.strings.insert(held) {
                self.terms.give_back(before.terms);
            }
        }
    }

    fn place(&mut self, number: ProjectNumber) -> u32 {
        *self.places.entry(number).or_insert_with(|| {
            self.projects.push(None);
            place_of(self.projects.len() - 1)
        })
    }

    fn forget(&mut self, uid: KeyUid) {
        for held in self.strings.remove(uid) {
            self.terms.give_back(held.terms);
        }
    }
}

/// The place of the next thing in a list. Four thousand million of them fit.
fn place_of(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 2^32 things fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credential, ProjectId, ProjectState, Stage};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn project(revision: u64, state: ProjectState) -> Change {
        let project = Project {
            number: ProjectNumber::from_random([0; 8]),
            id: ProjectId::parse("default-project").unwrap(),
            state,
            services: [].into(),
            standard_keys_must_be_restricted: false,
            limits: Arc::default(),
        };
        Change { revision: Revision(revision), subject: Subject::Project(project) }
    }

    fn hash(byte: u8) -> Lookup {
        Lookup::Hash(KeyHash::from_bytes([byte; 32]))
    }

    fn sha256(byte: u8) -> Lookup {
        Lookup::Sha256([byte; 32])
    }

    /// A key whose strings have the generations 1, 2, …
    fn key(revision: u64, which: u8, stage: Stage, strings: &[Lookup]) -> Change {
        let strings = (1..).zip(strings);
        let strings = strings.map(|(generation, lookup)| Credential { lookup: *lookup, generation, until: None });
        let key = Key {
            uid: uid(which),
            project: ProjectNumber::from_random([0; 8]),
            strings: strings.collect(),
            terms: Terms { stage, ..Terms::default() },
        };
        Change { revision: Revision(revision), subject: Subject::Key(key) }
    }

    fn purged(revision: u64, which: u8) -> Change {
        Change { revision: Revision(revision), subject: Subject::KeyPurged(uid(which)) }
    }

    fn index(changes: impl IntoIterator<Item = Change>) -> KeyIndex {
        let mut index = KeyIndex::default();
        changes.into_iter().for_each(|change| index.apply(change));
        index
    }

    /// Which key a string leads to (its SHA-256 is made of the same byte as its hash), and its generation.
    fn found(index: &KeyIndex, byte: u8) -> Option<(KeyUid, Stage, u32)> {
        let known = index.find(&KeyHash::from_bytes([byte; 32]), || [byte; 32])?;
        Some((known.key, known.terms.stage, known.generation))
    }

    fn uid(which: u8) -> KeyUid {
        KeyUid::from_random([which; 16])
    }

    fn history() -> Vec<Change> {
        let deleted = Stage::Deleted { at: Timestamp::from_micros(9) };
        vec![
            project(1, ProjectState::Active),
            key(2, 1, Stage::Live, &[hash(1)]),
            key(3, 2, Stage::Live, &[hash(2), sha256(20)]),
            key(4, 1, deleted, &[hash(1)]),
            project(5, ProjectState::DeleteRequested),
            project(6, ProjectState::Active),
            // A string of a purged key is imported anew for another one.
            purged(7, 2),
            key(8, 3, Stage::Live, &[sha256(20)]),
            // Rotation: a second string, then the first one is gone.
            key(9, 1, Stage::Live, &[hash(1)]),
            key(10, 1, Stage::Live, &[hash(1), hash(11)]),
            key(11, 1, Stage::Live, &[hash(12), hash(11)]),
            // Key 4 is seen for the first time and hashed anew; key 5 is purged with both of its strings.
            key(12, 4, Stage::Live, &[sha256(40)]),
            key(13, 4, Stage::Live, &[hash(40)]),
            key(14, 5, Stage::Live, &[hash(50), hash(51)]),
            purged(15, 5),
        ]
    }

    proptest! {
        /// The feed may be told again from any place on, and what was told before may come late.
        #[test]
        fn a_feed_told_again_ends_in_the_same_index(again in proptest::collection::vec((1usize..=15, 0usize..15), 0..20)) {
            let mut told = KeyIndex::default();
            for (up_to, from) in again.into_iter().chain([(15, 0)]) {
                let known = told.revision();
                for change in history().into_iter().take(up_to).skip(from.min(up_to)) {
                    // The feed leaves no gap: what comes is old, or the next.
                    if change.revision.0 <= told.revision().0 + 1 {
                        told.apply(change);
                    }
                }
                prop_assert!(told.revision() >= known);
            }

            let live = |which, generation| Some((uid(which), Stage::Live, generation));
            prop_assert_eq!(found(&told, 12), live(1, 1));
            prop_assert_eq!(found(&told, 11), live(1, 2));
            prop_assert_eq!(found(&told, 20), live(3, 1));
            prop_assert_eq!(found(&told, 40), live(4, 1));
            for gone in [1, 2, 50, 51] {
                prop_assert_eq!(found(&told, gone), None);
            }
            prop_assert_eq!((told.strings.foreign(), told.terms.len()), (1, 1));
            prop_assert_eq!((told.revision(), told.len()), (Revision(15), 3));
        }

        /// Against the simplest thing that could be right: a list.
        #[test]
        fn an_index_finds_what_a_list_would(steps in proptest::collection::vec((0u8..6, 0u8..12, 0u8..12, any::<bool>()), 1..60)) {
            let mut index = index([project(1, ProjectState::Active)]);
            let mut list: Vec<(u8, Vec<u8>, bool)> = Vec::new();
            for (revision, (which, one, two, is_live)) in (2..).zip(steps) {
                list.retain(|(known, ..)| *known != which);
                if one == two {
                    index.apply(purged(revision, which));
                    continue;
                }
                // A string has one key; the store sees to that.
                let strings: Vec<u8> = [one, two].into_iter().filter(|string| !list.iter().any(|(_, has, _)| has.contains(string))).collect();
                let stage = if is_live { Stage::Live } else { Stage::Deleted { at: Timestamp::from_micros(1) } };
                index.apply(key(revision, which, stage, &strings.iter().map(|byte| hash(*byte)).collect::<Vec<_>>()));
                if !strings.is_empty() {
                    list.push((which, strings, is_live));
                }
            }

            for string in 0..12 {
                let known = list.iter().find(|(_, has, _)| has.contains(&string));
                let there = found(&index, string).map(|(key, stage, _)| (key, stage == Stage::Live));
                prop_assert_eq!(there, known.map(|(which, _, is_live)| (uid(*which), *is_live)));
            }
            prop_assert_eq!(index.len(), list.len());
        }
    }

    #[test]
    fn a_key_is_found_by_its_uid_with_the_newest_string_first() {
        let index = index(history());
        let generations = |which| index.key(uid(which)).map(|known| known.generation).collect::<Vec<_>>();

        assert_eq!((generations(1), generations(3), generations(2)), (vec![2, 1], vec![1], vec![]));
        assert!(index.key(uid(1)).all(|known| known.key == uid(1)));
    }

    #[test]
    fn the_sha256_of_a_string_is_asked_for_only_while_keys_of_another_gateway_wait() {
        let never = || -> [u8; 32] { panic!("nobody waits") };
        let start = [project(1, ProjectState::Active), key(2, 1, Stage::Live, &[hash(1), sha256(2)])];
        let mut index = index(start);

        assert_eq!(found(&index, 2), Some((uid(1), Stage::Live, 2)));
        assert!(index.find(&KeyHash::from_bytes([1; 32]), never).is_some(), "the pepper's hash comes first");

        index.apply(key(3, 1, Stage::Live, &[hash(1), hash(2)]));
        assert!(index.find(&KeyHash::from_bytes([9; 32]), never).is_none());
        assert_eq!(found(&index, 2), Some((uid(1), Stage::Live, 2)));
    }

    #[test]
    fn a_string_stays_small() {
        assert_eq!(size_of::<Held>(), 40);
    }
}
