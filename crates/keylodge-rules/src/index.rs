//! The keys a gate knows, complete and in memory, and what a change does to them.
//!
//! There is one writer, fed only by the change feed. A [`Change`] carries the whole new state of its subject together
//! with the revision that made it, so applying one twice, or an older one late, changes nothing: any order of delivery
//! ends in the same index.

use std::collections::HashMap;

use crate::{Key, KeyHash, KeyUid, Project, ProjectNumber};

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

/// Every key of the deployment, found by hash. A look-up is one hash-map access each for key and project.
#[derive(Debug, Default)]
pub struct KeyIndex {
    keys: HashMap<KeyHash, Key>,
    hashes: HashMap<KeyUid, (Revision, Option<KeyHash>)>,
    projects: HashMap<ProjectNumber, (Revision, Project)>,
    revision: Revision,
}

/// A key and its project, found in the index.
#[derive(Clone, Copy, Debug)]
pub struct Known<'index> {
    /// The key.
    pub key: &'index Key,
    /// Its project.
    pub project: &'index Project,
}

impl KeyIndex {
    /// The key with this hash, together with its project.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<Known<'_>> {
        let key = self.keys.get(hash)?;
        let (_, project) = self.projects.get(&key.project)?;
        Some(Known { key, project })
    }

    /// Takes over a change, unless something newer is known of its subject.
    pub fn apply(&mut self, change: Change) {
        let Change { revision, subject } = change;
        match subject {
            Subject::Key(key) => {
                let hash = key.hash;
                if self.move_key(revision, &key.uid, Some(hash)) {
                    self.keys.insert(hash, key);
                }
            }
            Subject::KeyPurged(uid) => {
                self.move_key(revision, &uid, None);
            }
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

    /// Notes where a key is found from now on and forgets where it was. False if something newer is known.
    fn move_key(&mut self, revision: Revision, uid: &KeyUid, hash: Option<KeyHash>) -> bool {
        if self.hashes.get(uid).is_some_and(|(known, _)| *known >= revision) {
            return false;
        }
        if let Some((_, Some(old))) = self.hashes.insert(uid.clone(), (revision, hash)) {
            self.keys.remove(&old);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyId, ProjectId, ProjectState, Stage, Timestamp};
    use proptest::prelude::*;

    fn project(revision: u64, state: ProjectState) -> Change {
        let project = Project {
            number: ProjectNumber::from_random([0; 8]),
            id: ProjectId::parse("default-project").unwrap(),
            state,
            services: [].into(),
        };
        Change { revision: Revision(revision), subject: Subject::Project(project) }
    }

    fn key(revision: u64, which: u8, stage: Stage) -> Change {
        let uid = KeyUid::from_random([which; 16]);
        let key = Key {
            id: KeyId::from(uid.clone()),
            uid,
            project: ProjectNumber::from_random([0; 8]),
            hash: KeyHash::from_bytes([which; 32]),
            stage,
        };
        Change { revision: Revision(revision), subject: Subject::Key(key) }
    }

    fn history() -> Vec<Change> {
        let deleted = Stage::Deleted { at: Timestamp::from_micros(9) };
        vec![
            project(1, ProjectState::Active),
            key(2, 1, Stage::Live),
            key(3, 2, Stage::Live),
            key(4, 1, deleted),
            project(5, ProjectState::DeleteRequested),
            project(6, ProjectState::Active),
            Change { revision: Revision(7), subject: Subject::KeyPurged(KeyUid::from_random([2; 16])) },
            key(8, 3, Stage::Live),
            key(9, 1, Stage::Live),
        ]
    }

    proptest! {
        #[test]
        fn any_order_of_delivery_ends_in_the_same_index(
            order in Just(history()).prop_shuffle(),
            twice in proptest::sample::subsequence(history(), 0..9),
        ) {
            let mut index = KeyIndex::default();

            for change in order.into_iter().chain(twice) {
                index.apply(change);
            }

            let live = |which| index.find(&KeyHash::from_bytes([which; 32])).map(|known| known.key.stage);
            prop_assert_eq!(live(1), Some(Stage::Live));
            prop_assert_eq!(live(2), None);
            prop_assert_eq!(live(3), Some(Stage::Live));
            prop_assert_eq!(index.revision(), Revision(9));
            prop_assert_eq!(index.len(), 2);
        }
    }
}
