//! The keys a gate knows, complete and in memory, and what a change does to them.
//!
//! There is one writer, fed only by the change feed. A [`Change`] carries the whole new state of its subject together
//! with the revision that made it, so applying one twice, or an older one late, changes nothing: any order of delivery
//! ends in the same index.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::{Credential, Key, KeyHash, KeyId, KeyUid, Lookup, Project, ProjectNumber};

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

/// Every key of the deployment, found by each of its strings. A look-up is one hash-map access each for key and project,
/// and one more for strings of another gateway as long as any is left.
///
/// An unrestricted key with one string takes about 440 bytes: 184 for the [`Key`], some 150 on the heap (its uid, which
/// the id shares unless it was chosen, and its string), the rest in the two tables, which hold nothing but pointers.
#[derive(Debug, Default)]
pub struct KeyIndex {
    strings: HashSet<Held>,
    /// How many of the strings are of another gateway.
    foreign: usize,
    keys: HashMap<KeyUid, (Revision, Arc<Key>)>,
    purged: HashMap<KeyUid, Revision>,
    projects: HashMap<ProjectNumber, (Revision, Project)>,
    revision: Revision,
}

/// A key, its project, and the string by which they were found in the index.
#[derive(Clone, Copy, Debug)]
pub struct Known<'index> {
    /// The key.
    pub key: &'index Key,
    /// Its project.
    pub project: &'index Project,
    /// Which of the key's strings was presented.
    pub credential: &'index Credential,
}

impl KeyIndex {
    /// The key that one string stands for, together with its project: found by the string's hash under our pepper, or,
    /// while keys of another gateway wait to be seen, by its SHA-256, which is asked for only then.
    #[must_use]
    pub fn find(&self, hash: &KeyHash, foreign: impl FnOnce() -> [u8; 32]) -> Option<Known<'_>> {
        let held = match self.strings.get(&Lookup::Hash(*hash)) {
            None if self.foreign > 0 => self.strings.get(&Lookup::Sha256(foreign())),
            held => held,
        }?;
        let (_, project) = self.projects.get(&held.key.project)?;
        Some(Known { key: &held.key, project, credential: held.credential() })
    }

    /// Takes over a change, unless something newer is known of its subject. A key's strings are replaced all together.
    pub fn apply(&mut self, change: Change) {
        let Change { revision, subject } = change;
        match subject {
            Subject::Key(key) if self.is_news(revision, &key.uid) => self.put(revision, key),
            Subject::KeyPurged(uid) if self.is_news(revision, &uid) => {
                self.forget(&uid);
                self.purged.insert(uid, revision);
            }
            Subject::Key(_) | Subject::KeyPurged(_) => {}
            Subject::Project(project) => {
                let known = self.projects.get(&project.number).map(|(revision, _)| *revision);
                if known.is_none_or(|known| known < revision) {
                    self.projects.insert(project.number, (revision, project));
                }
            }
        }
        self.revision = self.revision.max(revision);
    }

    /// The newest revision that was applied.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How many keys are known, deleted ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn is_news(&self, revision: Revision, uid: &KeyUid) -> bool {
        let known = self.keys.get(uid).map(|(known, _)| known).or_else(|| self.purged.get(uid));
        known.is_none_or(|known| *known < revision)
    }

    fn put(&mut self, revision: Revision, mut key: Key) {
        self.forget(&key.uid);
        self.purged.remove(&key.uid);
        if key.id.as_str() == key.uid.as_str() {
            key.id = KeyId::from(key.uid.clone());
        }
        key.strings.shrink_to_fit();
        let key = Arc::new(key);
        for at in 0..key.strings.len() {
            let held = Held { key: Arc::clone(&key), at };
            // A string can pass from a purged key to a new one, and news of the two may come in any order.
            let holder = self.strings.get::<Lookup>(held.borrow()).and_then(|held| self.keys.get(&held.key.uid));
            if holder.is_none_or(|(known, _)| *known < revision) {
                self.foreign += usize::from(held.is_foreign());
                if let Some(before) = self.strings.replace(held) {
                    self.foreign -= usize::from(before.is_foreign());
                }
            }
        }
        self.keys.insert(key.uid.clone(), (revision, key));
    }

    /// Lets go of a key and of all strings that still lead to it.
    fn forget(&mut self, uid: &KeyUid) {
        let Some((_, key)) = self.keys.remove(uid) else { return };
        for credential in &key.strings {
            if self.strings.get(&credential.lookup).is_some_and(|held| Arc::ptr_eq(&held.key, &key)) {
                self.strings.remove(&credential.lookup);
                self.foreign -= usize::from(matches!(credential.lookup, Lookup::Sha256(_)));
            }
        }
    }
}

/// One string of a key, in the place where it is looked for. It points at its credential instead of repeating it.
#[derive(Debug)]
struct Held {
    key: Arc<Key>,
    at: usize,
}

impl Held {
    fn credential(&self) -> &Credential {
        &self.key.strings[self.at]
    }

    fn is_foreign(&self) -> bool {
        matches!(self.credential().lookup, Lookup::Sha256(_))
    }
}

impl Borrow<Lookup> for Held {
    fn borrow(&self) -> &Lookup {
        &self.credential().lookup
    }
}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.credential().lookup.hash(state);
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.credential().lookup == other.credential().lookup
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProjectId, ProjectState, Restrictions, Stage, Timestamp};
    use proptest::prelude::*;

    fn project(revision: u64, state: ProjectState) -> Change {
        let project = Project {
            number: ProjectNumber::from_random([0; 8]),
            id: ProjectId::parse("default-project").unwrap(),
            state,
            services: [].into(),
            standard_keys_must_be_restricted: false,
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
        let uid = KeyUid::from_random([which; 16]);
        let strings = (1..).zip(strings);
        let strings = strings.map(|(generation, lookup)| Credential { lookup: *lookup, generation, until: None });
        let key = Key {
            id: KeyId::from(uid.clone()),
            uid,
            project: ProjectNumber::from_random([0; 8]),
            strings: strings.collect(),
            stage,
            enabled: true,
            expires: None,
            restrictions: Restrictions::default(),
            service_account: None,
        };
        Change { revision: Revision(revision), subject: Subject::Key(key) }
    }

    fn purged(revision: u64, which: u8) -> Change {
        Change { revision: Revision(revision), subject: Subject::KeyPurged(KeyUid::from_random([which; 16])) }
    }

    fn index(changes: impl IntoIterator<Item = Change>) -> KeyIndex {
        let mut index = KeyIndex::default();
        changes.into_iter().for_each(|change| index.apply(change));
        index
    }

    /// Which key a string leads to (its SHA-256 is made of the same byte as its hash), and its generation.
    fn found(index: &KeyIndex, byte: u8) -> Option<(KeyUid, Stage, u32)> {
        let known = index.find(&KeyHash::from_bytes([byte; 32]), || [byte; 32])?;
        Some((known.key.uid.clone(), known.key.stage, known.credential.generation))
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
        #[test]
        fn any_order_of_delivery_ends_in_the_same_index(
            order in Just(history()).prop_shuffle(),
            twice in proptest::sample::subsequence(history(), 0..15),
        ) {
            let index = index(order.into_iter().chain(twice));

            let live = |which, generation| Some((uid(which), Stage::Live, generation));
            prop_assert_eq!(found(&index, 12), live(1, 1));
            prop_assert_eq!(found(&index, 11), live(1, 2));
            prop_assert_eq!(found(&index, 20), live(3, 1));
            prop_assert_eq!(found(&index, 40), live(4, 1));
            for gone in [1, 2, 50, 51] {
                prop_assert_eq!(found(&index, gone), None);
            }
            prop_assert_eq!((index.strings.len(), index.foreign), (4, 1));
            prop_assert_eq!((index.revision(), index.len()), (Revision(15), 3));
        }
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
    fn a_key_stays_small() {
        assert!(size_of::<Key>() <= 184, "{}", size_of::<Key>());
        assert!(size_of::<Credential>() <= 56, "{}", size_of::<Credential>());
        assert_eq!(size_of::<Held>(), 16);
    }
}
