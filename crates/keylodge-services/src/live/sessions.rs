//! All sessions of a node: how many there are, and their end when the program stops.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::resumption::Memory;

/// How long sessions may take to end when the program stops.
const HANG_UP_MAX: Duration = Duration::from_secs(5);

/// How many websockets may be open whose first message is not here yet; each has some seconds for it.
const WAITING_MAX: usize = 1000;

/// Bounds on sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveLimits {
    /// How long one may be, however busy it is.
    pub session_time_max: Duration,
    /// How many there may be at a time.
    pub sessions_max: usize,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self { session_time_max: Duration::from_secs(10 * 60), sessions_max: 1000 }
    }
}

/// The sessions of a node.
pub struct Sessions {
    tasks: Mutex<JoinSet<()>>,
    open: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    pub(super) memory: Memory,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            tasks: Mutex::default(),
            open: Arc::default(),
            waiting: Arc::default(),
            stop: watch::Sender::new(false),
            memory: Memory::default(),
        }
    }
}

impl Sessions {
    /// Runs a session in a task of its own, since the call's own ends with the answer's head.
    pub(super) fn spawn(&self, session: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        // Those that ended are let go of, so that the set holds only those that live.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(session);
    }

    /// A place for a session that was let in; none where there are so many already.
    pub(super) fn place(&self, sessions_max: usize) -> Option<Place> {
        take(&self.open, sessions_max)
    }

    /// A place for a websocket of which nobody knows yet whose it is.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        take(&self.waiting, WAITING_MAX)
    }

    /// Turns true when sessions are to end.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Does something that nobody needs any more when sessions are to end; then it gives nothing.
    pub(super) async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stopping = self.stopping();
        tokio::select! {
            biased;
            Ok(_) = stopping.wait_for(|stop| *stop) => None,
            done = work => Some(done),
        }
    }

    /// Ends all sessions, and waits until they are counted.
    pub async fn hang_up(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks());
        let all = async { while tasks.join_next().await.is_some() {} };
        if timeout(HANG_UP_MAX, all).await.is_err() {
            tasks.shutdown().await;
        }
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &self.open).finish_non_exhaustive()
    }
}

fn take(places: &Arc<AtomicUsize>, most: usize) -> Option<Place> {
    let one_more = |taken: usize| (taken < most).then_some(taken + 1);
    let taken = places.try_update(Ordering::AcqRel, Ordering::Acquire, one_more);
    taken.ok().map(|_| Place(Arc::clone(places)))
}

/// The same for one that has said nothing yet.
pub(super) type Waiting = Place;

/// The place of a session among those that there may be. Dropped, it is free again.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
