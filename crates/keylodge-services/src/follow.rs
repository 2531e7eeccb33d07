//! Brings the store's change feed into the gate's index, in order, by the one writer there is.
//!
//! A handler that changed something waits with [`Feed::caught_up_with`] until the index has it before it answers: that
//! is why a deleted key is refused by the very next request. Nudges only save time; without one the follower looks
//! every [`LOOK_EVERY`], so a change made by another process is seen too.

use std::sync::Arc;
use std::time::Duration;

use keylodge_gate::{IndexReader, IndexWriter, index};
use keylodge_rules::Revision;
use keylodge_store::{Store, StoreError};
use tokio::sync::{Notify, watch};

use crate::observe::chain;

/// How often the follower looks without being nudged.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a handler waits for the index before it says that it cannot confirm its change.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// The handlers' end: nudge the follower and wait for it.
#[derive(Clone, Debug)]
pub struct Feed {
    nudge: Arc<Notify>,
    applied: watch::Receiver<Revision>,
}

/// The change is on disk, but this node's gate may not act on it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCaughtUp;

impl Feed {
    /// The newest revision that this node's gate acts on, for whoever must act on changes, too.
    pub(crate) fn revisions(&self) -> watch::Receiver<Revision> {
        self.applied.clone()
    }

    /// Waits until this node's gate acts on everything up to a revision.
    ///
    /// # Errors
    /// When that takes longer than ten seconds, because the database stopped answering in between.
    pub async fn caught_up_with(&self, revision: Revision) -> Result<(), NotCaughtUp> {
        self.nudge.notify_one();
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|applied| *applied >= revision);
        match tokio::time::timeout(CATCH_UP_MAX, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotCaughtUp),
        }
    }
}

/// The one who follows the feed and writes the index.
#[derive(Debug)]
pub struct Follower {
    store: Store,
    writer: IndexWriter,
    nudge: Arc<Notify>,
    applied: watch::Sender<Revision>,
    /// Where the snapshot of the start ended: of keys that were gone before, nothing needs to be forgotten.
    snapshot: Revision,
}

impl Follower {
    /// Loads the snapshot: when this returns, the index is complete as of now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(store: Store) -> Result<(Self, Feed, IndexReader), StoreError> {
        let (writer, reader) = index::channel();
        let nudge = Arc::new(Notify::new());
        let (applied, receiver) = watch::channel(Revision(0));
        let feed = Feed { nudge: Arc::clone(&nudge), applied: receiver };
        let snapshot = store.newest_revision().await?;
        let mut follower = Self { store, writer, nudge, applied, snapshot };
        follower.look().await?;
        Ok((follower, feed, reader))
    }

    /// Follows the feed until `stop` turns true or is dropped.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.nudge.notified() => {}
                _ = tick.tick() => {}
            }
            // One line when it begins to fail and one when it is over, not one a second.
            let looked = self.look().await;
            match &looked {
                Ok(()) if failing => tracing::info!("following the change feed again"),
                Err(error) if !failing => {
                    tracing::warn!(error = chain(error), "cannot read the change feed; calls go on with what is known");
                }
                Ok(()) | Err(_) => {}
            }
            failing = looked.is_err();
        }
    }

    /// Takes over what is new, a bounded part at a time.
    async fn look(&mut self) -> Result<(), StoreError> {
        loop {
            let known = *self.applied.borrow();
            let new = self.store.changes_after(known, self.snapshot).await?;
            if new.up_to > known {
                self.writer.apply(new.changes);
                self.applied.send_replace(new.up_to);
            }
            if new.up_to >= new.newest {
                return Ok(());
            }
        }
    }
}
