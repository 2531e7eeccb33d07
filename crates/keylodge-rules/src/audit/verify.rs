//! Checking a log from its first line to its signed end.

use std::fmt;

use super::{Chain, ChainHash, Checkpoint, Entry, PublicKey, Signed};

/// Checks a log entry by entry, in constant memory.
///
/// It finds every change, gap, addition and exchange of entries. That the end is the end, only the signed checkpoint
/// says: what comes before [`finish`](Self::finish) is a log up to somewhere. Whoever has the signing key can write
/// another log from any entry on; that is found by whoever kept a checkpoint of a later entry.
#[derive(Clone, Debug)]
pub struct Verifier {
    chain: Chain,
    entries: u64,
    earlier: Option<Checkpoint>,
}

/// A log that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The sequence of the first entry that was checked: 1, or the one after the earlier checkpoint. One more than the
    /// checkpoint's when there was no entry.
    pub first: u64,
    /// How many entries were checked.
    pub entries: u64,
    /// The end of the log. Worth keeping elsewhere, as the earlier checkpoint of the next check.
    pub checkpoint: Checkpoint,
    /// Whose signature the end has. Says something only to those who know the node's key from elsewhere.
    pub signed_by: PublicKey,
}

/// Where a log is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first entry that is not as it should be. For a breach of the end, the entry that the end is about.
    pub sequence: u64,
    /// What is wrong there.
    pub breach: Breach,
}

/// What can be wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Entries were taken out: the next one is `found`.
    Missing {
        /// The entry that stands in its place.
        found: u64,
    },
    /// An entry that belongs further up stands here: one was repeated, moved or put in.
    OutOfPlace {
        /// The entry that stands here.
        found: u64,
    },
    /// The entry and its hash do not fit together, or do not fit what is before them.
    Altered,
    /// The line that should hold the entry is none, with the reason.
    Unreadable(String),
    /// The log says something else here than when the earlier checkpoint was signed.
    Rewritten,
    /// The log ended later when the earlier checkpoint was signed.
    Shorter {
        /// Where it ended then.
        earlier: u64,
    },
    /// There is no checkpoint at the end.
    NoCheckpoint,
    /// Entries are missing between the last one and the checkpoint.
    EndMissing {
        /// Where the checkpoint says that the log ends.
        end: u64,
    },
    /// There are more entries than the checkpoint speaks of.
    PastEnd {
        /// Where the checkpoint says that the log ends.
        end: u64,
    },
    /// The checkpoint is of another log of the same length.
    OtherEnd,
    /// The checkpoint's signature is not of its key.
    BadSignature,
    /// The checkpoint is signed with another key than the expected one.
    OtherKey {
        /// The key it is signed with.
        found: PublicKey,
    },
}

impl Verifier {
    /// Begins a log. With a checkpoint that the caller kept and trusts, the log must have been this long and say the same
    /// up to there, and it may also begin with the entry after it. Without one, it must begin with entry 1.
    #[must_use]
    pub fn new(earlier: Option<Checkpoint>) -> Self {
        let chain = earlier.as_ref().map_or(Chain::start(), |earlier| Chain::at(earlier.sequence, earlier.hash));
        Self { chain, entries: 0, earlier }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// When it does not follow from what came before. A verifier that has found a breach is of no further use.
    pub fn entry(&mut self, sequence: u64, entry: &Entry, hash: &ChainHash) -> Result<(), Broken> {
        if self.entries == 0 && sequence == 1 {
            self.chain = Chain::start();
        }
        let expected = self.chain.next();
        if sequence > expected {
            return Err(self.broken(Breach::Missing { found: sequence }));
        }
        if sequence < expected {
            return Err(self.broken(Breach::OutOfPlace { found: sequence }));
        }
        let mut chain = self.chain.clone();
        if chain.extend(entry).hash != *hash {
            return Err(self.broken(Breach::Altered));
        }
        if self.earlier.as_ref().is_some_and(|earlier| earlier.sequence == sequence && earlier.hash != *hash) {
            return Err(self.broken(Breach::Rewritten));
        }
        self.chain = chain;
        self.entries += 1;
        Ok(())
    }

    /// Ends the log with its checkpoint, and tells that it is whole. Without an expected key, a log that somebody wrote
    /// and signed from first to last with a key of their own passes; [`Verified::signed_by`] names that key.
    ///
    /// # Errors
    /// When the checkpoint is not of this log, or not signed as it should be, or an earlier one reached further.
    pub fn finish(self, end: &Signed<Checkpoint>, expected: Option<&PublicKey>) -> Result<Verified, Broken> {
        let Signed { statement: checkpoint, public_key, .. } = end;
        let (sequence, end_at) = (self.chain.sequence(), checkpoint.sequence);
        let at = |sequence, breach| Err(Broken { sequence, breach });
        if expected.is_some_and(|expected| expected != public_key) {
            return at(end_at, Breach::OtherKey { found: *public_key });
        }
        if end.verify().is_err() {
            return at(end_at, Breach::BadSignature);
        }
        if end_at > sequence {
            return Err(self.broken(Breach::EndMissing { end: end_at }));
        }
        if end_at < sequence {
            return at(end_at.saturating_add(1), Breach::PastEnd { end: end_at });
        }
        if checkpoint.hash != self.chain.head() {
            return at(end_at, Breach::OtherEnd);
        }
        if let Some(earlier) = self.earlier.as_ref().filter(|earlier| earlier.sequence > sequence) {
            return Err(self.broken(Breach::Shorter { earlier: earlier.sequence }));
        }
        Ok(Verified {
            first: self.chain.next() - self.entries,
            entries: self.entries,
            checkpoint: checkpoint.clone(),
            signed_by: *public_key,
        })
    }

    /// A breach in the place of the next entry, for a reader of lines that found it first.
    #[must_use]
    pub fn broken(&self, breach: Breach) -> Broken {
        Broken { sequence: self.chain.next(), breach }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, breach } = self;
        match breach {
            Breach::Missing { found } if *found == sequence.saturating_add(1) => {
                write!(f, "entry {sequence} is missing")
            }
            Breach::Missing { found } => write!(f, "entries {sequence} to {} are missing", found.saturating_sub(1)),
            Breach::OutOfPlace { found } => write!(f, "entry {found} stands where entry {sequence} should"),
            Breach::Altered => {
                write!(f, "entry {sequence} was changed or put in: its hash does not follow from the log")
            }
            Breach::Unreadable(why) => write!(f, "the line of entry {sequence} is not as it was written: {why}"),
            Breach::Rewritten => {
                write!(f, "entry {sequence} or one before it was rewritten since the earlier checkpoint was signed")
            }
            Breach::Shorter { earlier } => {
                write!(f, "the log ends before entry {sequence}, but the earlier checkpoint had seen entry {earlier}")
            }
            Breach::NoCheckpoint => {
                write!(
                    f,
                    "the log stops before entry {sequence} without a signed checkpoint, so its end may be missing"
                )
            }
            Breach::EndMissing { end } => {
                write!(f, "the log stops before entry {sequence}, but its checkpoint speaks of entries up to {end}")
            }
            Breach::PastEnd { end } => {
                write!(f, "the log goes on with entry {sequence}, but its checkpoint ends it at entry {end}")
            }
            Breach::OtherEnd => write!(f, "the checkpoint is of another log that also ends with entry {sequence}"),
            Breach::BadSignature => {
                write!(f, "the checkpoint of entry {sequence} was changed: its signature does not fit it")
            }
            Breach::OtherKey { found } => {
                write!(f, "the checkpoint of entry {sequence} is signed with another key than expected: {found}")
            }
        }
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::audit::{AuditKey, Link};

    /// A log of so many entries, and how it ends. The tag makes logs differ from the first entry on.
    fn log(tag: &str, length: u64) -> (Vec<(Link, Entry)>, Chain) {
        let mut chain = Chain::start();
        let entries = (1..=length).map(|number| {
            let entry = Entry { method: format!("{tag}{number}"), ..Entry::at(Timestamp::from_micros(0)) };
            (chain.extend(&entry), entry)
        });
        (entries.collect(), chain)
    }

    fn checkpoint(chain: &Chain) -> Checkpoint {
        Checkpoint::of(chain, Timestamp::from_micros(9), "node-1")
    }

    fn key() -> AuditKey {
        AuditKey::new(&[7; 32])
    }

    /// Verifies entries that end as the chain does, with an earlier checkpoint.
    fn verify(entries: &[(Link, Entry)], chain: &Chain, earlier: Option<Checkpoint>) -> Result<Verified, Broken> {
        let mut verifier = Verifier::new(earlier);
        for (link, entry) in entries {
            verifier.entry(link.sequence, entry, &link.hash)?;
        }
        verifier.finish(&Signed::by(&key(), checkpoint(chain)), Some(&key().public_key()))
    }

    fn check(result: Result<Verified, Broken>, words: &str) {
        assert_eq!(result.unwrap_err().to_string(), words);
    }

    #[test]
    fn a_whole_log_is_whole() {
        let (entries, chain) = log("a", 5);

        let verified = verify(&entries, &chain, None).unwrap();

        assert_eq!((verified.first, verified.entries), (1, 5));
        assert_eq!(verified.checkpoint, checkpoint(&chain));
        assert_eq!(verified.signed_by, key().public_key());
        assert_eq!(verify(&[], &Chain::start(), None).unwrap().entries, 0, "an empty log is whole, too");
    }

    #[test]
    fn a_log_says_where_it_is_broken() {
        let (entries, chain) = log("a", 5);
        let without = |cut: std::ops::Range<usize>| [&entries[..cut.start], &entries[cut.end..]].concat();
        let verify = |entries: &[(Link, Entry)]| verify(entries, &chain, None);

        check(verify(&without(2..3)), "entry 3 is missing");
        check(verify(&without(0..3)), "entries 1 to 3 are missing");
        check(verify(&without(3..5)), "the log stops before entry 4, but its checkpoint speaks of entries up to 5");
        check(verify(&[&entries[..2], &entries[1..]].concat()), "entry 2 stands where entry 3 should");
        let mut altered = entries.clone();
        altered[3].1.principal = "user:mallory".to_owned();
        let changed = "entry 4 was changed or put in: its hash does not follow from the log";
        check(verify(&altered), changed);
        let mut forged = Chain::at(3, entries[2].0.hash);
        altered[3].0 = forged.extend(&altered[3].1);
        check(verify(&altered), &changed.replace('4', "5"));
    }

    #[test]
    fn a_checkpoint_must_be_of_this_log_and_of_its_end() {
        let (entries, chain) = log("a", 5);

        check(
            verify(&entries, &Chain::at(4, entries[3].0.hash), None),
            "the log goes on with entry 5, but its checkpoint ends it at entry 4",
        );
        check(
            verify(&entries, &Chain::at(6, chain.head()), None),
            "the log stops before entry 6, but its checkpoint speaks of entries up to 6",
        );
        check(
            verify(&entries, &Chain::at(5, entries[3].0.hash), None),
            "the checkpoint is of another log that also ends with entry 5",
        );
    }

    #[test]
    fn a_log_that_was_rewritten_and_signed_anew_contradicts_an_earlier_checkpoint() {
        let (_, before) = log("a", 3);
        let earlier = Some(checkpoint(&before));

        let (honest, end) = log("a", 5);
        assert_eq!(verify(&honest, &end, earlier.clone()).unwrap().first, 1);

        let (rewritten, end) = log("b", 5);
        check(
            verify(&rewritten, &end, earlier.clone()),
            "entry 3 or one before it was rewritten since the earlier checkpoint was signed",
        );
        let (shorter, end) = log("a", 2);
        check(
            verify(&shorter, &end, earlier),
            "the log ends before entry 3, but the earlier checkpoint had seen entry 3",
        );
    }

    #[test]
    fn a_log_may_begin_after_an_earlier_checkpoint_and_nowhere_else() {
        let (_, before) = log("a", 3);
        let (entries, end) = log("a", 5);
        let verify = |entries, chain| verify(entries, chain, Some(checkpoint(&before)));

        let verified = verify(&entries[3..], &end).unwrap();
        assert_eq!((verified.first, verified.entries), (4, 2));
        assert_eq!(verify(&[], &before).unwrap().first, 4, "nothing happened since");

        check(verify(&entries[4..], &end), "entry 4 is missing");
        check(verify(&entries[2..], &end), "entry 3 stands where entry 4 should");
        let (other, other_end) = log("b", 5);
        check(verify(&other[3..], &other_end), "entry 4 was changed or put in: its hash does not follow from the log");
    }

    #[test]
    fn a_checkpoint_counts_only_with_the_expected_signature() {
        let mallory = AuditKey::new(&[8; 32]);
        let expected = key().public_key();
        let finish = |end: &Signed<Checkpoint>, expected| Verifier::new(None).finish(end, expected);
        let forged = Signed::by(&mallory, checkpoint(&Chain::start()));

        let verified = finish(&forged, None).unwrap();
        assert_eq!(verified.signed_by, mallory.public_key(), "without an expected key, any key will do");
        let other = Breach::OtherKey { found: mallory.public_key() };
        assert_eq!(finish(&forged, Some(&expected)).unwrap_err().breach, other);
        let claimed = Signed { public_key: expected, ..forged };
        assert_eq!(finish(&claimed, Some(&expected)).unwrap_err().breach, Breach::BadSignature);
        assert_eq!(finish(&claimed, None).unwrap_err().breach, Breach::BadSignature);
    }

    #[test]
    fn a_sequence_at_the_end_of_numbers_stops_nothing() {
        let last = Chain::at(u64::MAX, ChainHash::START);
        let mut verifier = Verifier::new(Some(checkpoint(&last)));

        let entry = Entry::at(Timestamp::from_micros(0));
        assert!(verifier.entry(u64::MAX, &entry, &ChainHash::START).is_err());
        assert!(verifier.finish(&Signed::by(&key(), checkpoint(&last)), None).is_ok());
    }
}
