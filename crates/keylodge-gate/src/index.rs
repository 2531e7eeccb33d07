//! The gate's keys in memory: one writer, many readers.
//!
//! A read holds a lock for a look-up and never across an await; each reading thread has one to itself, so that readers
//! do not pass a cache line around. The only [`IndexWriter`] of a
//! [`channel`] cannot be cloned, so nothing but the follower of the change feed can alter what the gate knows.

use std::sync::{Arc, PoisonError};

use crossbeam_utils::sync::ShardedLock;
use keylodge_rules::{Change, KeyIndex, Revision, Subject};

/// Makes an empty index: the writer for the follower of the change feed, the reader for gates.
#[must_use]
pub fn channel() -> (IndexWriter, IndexReader) {
    let index = Arc::new(ShardedLock::new(KeyIndex::default()));
    (IndexWriter { index: Arc::clone(&index) }, IndexReader { index })
}

/// The one who writes.
#[derive(Debug)]
pub struct IndexWriter {
    index: Arc<ShardedLock<KeyIndex>>,
}

impl IndexWriter {
    /// Takes over changes. Readers see all of them or none.
    pub fn apply(&mut self, changes: Vec<Change>) {
        // A panic while writing would mean a broken rule; what is there is still the newest that is known.
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            index.apply(change);
        }
    }

    /// Takes over subjects as they are now, each as a change of the next revision: for a program without a change feed,
    /// which decides by itself what comes after what. Readers see all of them or none; a call that is judged after this
    /// has returned is judged by them. Answers the last revision.
    pub fn tell(&mut self, subjects: impl IntoIterator<Item = Subject>) -> Revision {
        // There is no other writer, so nothing comes between.
        let Revision(known) = self.index.read().unwrap_or_else(PoisonError::into_inner).revision();
        let changes = (known + 1..).zip(subjects);
        let changes = changes.map(|(revision, subject)| Change { revision: Revision(revision), subject });
        let changes: Vec<Change> = changes.collect();
        let last = changes.last().map_or(Revision(known), |change| change.revision);
        self.apply(changes);
        last
    }
}

/// One who reads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct IndexReader {
    index: Arc<ShardedLock<KeyIndex>>,
}

impl IndexReader {
    /// Looks into the index. Keep what is done inside short: a writer waits meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&KeyIndex) -> T) -> T {
        look(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest revision that calls are judged by.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.read(KeyIndex::revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keylodge_rules::KeyUid;

    #[test]
    fn what_is_told_has_the_revisions_after_those_that_are_known() {
        let gone = |which| Subject::KeyPurged(KeyUid::from_random([which; 16]));
        let (mut writer, reader) = channel();
        writer.apply(vec![Change { revision: Revision(7), subject: gone(1) }]);

        assert_eq!(writer.tell([gone(2), gone(3)]), Revision(9));
        assert_eq!(writer.tell([]), Revision(9));
        assert_eq!(reader.revision(), Revision(9));
    }
}
