//! Sessions that can go on after their connection is gone: kept in memory for two hours, found by a handle.
//!
//! They are not written down: a node that is started again knows none, and a client that comes with an old handle is told
//! so and begins anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use keylodge_rules::{KeyUid, Timestamp};

use super::history::History;

/// How long a handle is good, in microseconds.
const KEPT: i64 = 2 * 60 * 60 * 1_000_000;

/// How many handles are kept, and how many bytes of what was said; beyond either, the oldest go.
const HANDLES_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Who may go on with a session: whoever has the key, or tokens of the same key where a token began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) key: KeyUid,
    pub(super) by_token: bool,
}

/// All sessions that can go on.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_handle: HashMap<Arc<str>, Session>,
    /// The oldest first. Some of these are gone already.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

#[derive(Debug)]
struct Session {
    owner: Owner,
    history: History,
    until: Timestamp,
}

impl Memory {
    /// Keeps what was said so far, to be found by this handle.
    pub(super) fn keep(&self, handle: Arc<str>, owner: Owner, history: History, now: Timestamp) {
        let mut kept = self.lock();
        kept.bytes += history.bytes();
        let until = Timestamp::from_micros(now.micros().saturating_add(KEPT));
        kept.by_handle.insert(Arc::clone(&handle), Session { owner, history, until });
        kept.order.push_back(handle);
        while let Some(oldest) = kept.order.front().cloned() {
            let is_over = kept.by_handle.get(&oldest).is_none_or(|session| session.until <= now);
            if !is_over && kept.by_handle.len() <= HANDLES_MAX && kept.bytes <= BYTES_MAX {
                break;
            }
            kept.order.pop_front();
            kept.forget(&oldest);
        }
    }

    /// What was said under this handle, if its owner asks in time.
    pub(super) fn find(&self, handle: &str, owner: Owner, now: Timestamp) -> Option<History> {
        let kept = self.lock();
        let session = kept.by_handle.get(handle)?;
        (session.owner == owner && session.until > now).then(|| session.history.clone())
    }

    /// Forgets a handle that another has taken the place of.
    pub(super) fn forget(&self, handle: &str) {
        self.lock().forget(handle);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, handle: &str) {
        if let Some(session) = self.by_handle.remove(handle) {
            self.bytes -= session.history.bytes();
        }
        // Most of those that go were replaced, so the list must not grow by them.
        if self.order.len() > 2 * self.by_handle.len() + 16 {
            let Self { by_handle, order, .. } = self;
            order.retain(|handle| by_handle.contains_key(handle));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn owner(which: u8) -> Owner {
        Owner { key: KeyUid::from_random([which; 16]), by_token: false }
    }

    fn said(bytes: usize) -> History {
        let mut history = History::default();
        history.push(json!({"role": "user", "parts": [{"text": "x".repeat(bytes)}]}));
        history
    }

    #[test]
    fn a_session_is_found_for_two_hours_and_by_its_owner_alone() {
        let memory = Memory::default();
        memory.keep("h".into(), owner(1), said(10), NOW);

        assert!(memory.find("h", owner(1), Timestamp::from_micros(KEPT - 1)).is_some());
        assert!(memory.find("h", owner(1), Timestamp::from_micros(KEPT)).is_none());
        assert!(memory.find("h", owner(2), NOW).is_none());
        assert!(memory.find("h", Owner { by_token: true, ..owner(1) }, NOW).is_none());
        memory.forget("h");
        assert!(memory.find("h", owner(1), NOW).is_none());
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_or_too_much_was_said() {
        let memory = Memory::default();
        for which in 0..=HANDLES_MAX {
            memory.keep(which.to_string().into(), owner(1), said(1), NOW);
        }
        assert!(memory.find("0", owner(1), NOW).is_none());
        assert!(memory.find("1", owner(1), NOW).is_some());

        memory.keep("large".into(), owner(1), said(BYTES_MAX - 100), NOW);
        assert!(memory.find("large", owner(1), NOW).is_some());
        assert!(memory.find(&(HANDLES_MAX - 2).to_string(), owner(1), NOW).is_none());
    }

    #[test]
    fn a_handle_that_is_replaced_again_and_again_leaves_nothing_behind() {
        let memory = Memory::default();
        for which in 0..1000 {
            memory.keep(which.to_string().into(), owner(1), said(1), NOW);
            memory.forget(&which.to_string());
        }
        let kept = memory.lock();
        assert!(kept.order.len() < 64 && kept.bytes == 0 && kept.by_handle.is_empty());
    }
}
