//! Sessions that can go on after their connection is gone: kept in memory for two hours, found by a handle.
//!
//! They are not written down: a node that is started again knows none, and a client that comes with an old handle is told
//! so and begins anew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use keylodge_rules::upstream::Member;
use keylodge_rules::{KeyHash, KeyUid, Timestamp};

use super::conversation::Conversation;
use super::history::History;

/// How long a handle is good, in microseconds.
const KEPT: i64 = 2 * 60 * 60 * 1_000_000;

/// How many handles are kept, and how many bytes of what was said. Beyond either the key that has the most gives up its
/// oldest, so that no key pushes out those of others: a fixed share for each would leave most of it empty where there are
/// few keys.
const HANDLES_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Who has a session, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) key: KeyUid,
    /// The token that it was begun with, or gone on with last.
    pub(super) token: Option<KeyHash>,
    /// The upstream that has it, by its name; none where what was said is kept here. A handle means nothing anywhere else,
    /// and nobody else need see it.
    pub(super) upstream: Option<Arc<str>>,
}

impl Owner {
    /// Whether a client of this description may go on with a session of this owner: one with the same key, or with a token
    /// of it where a token began. Tokens end sooner than sessions, so a client has another one by then; whether Google
    /// takes it is UNCONFIRMED.
    fn shares_with(&self, client: &Self) -> bool {
        let of = |owner: &Self| (owner.key, owner.token.is_some(), owner.upstream.clone());
        of(self) == of(client)
    }
}

/// A session that can go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Resumed {
    /// What was said. Nothing where an upstream has it.
    pub(super) history: History,
    pub(super) conversation: Arc<Conversation>,
    /// The account of ours at the upstream that has it, which no other knows of.
    pub(super) account: Option<Member>,
}

/// All sessions that can go on.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_handle: HashMap<Arc<str>, Session>,
    /// By their numbers, so the oldest first.
    by_age: BTreeMap<u64, Arc<str>>,
    of_key: HashMap<KeyUid, Share>,
    bytes: usize,
    newest: u64,
}

/// What is kept for one key.
#[derive(Debug, Default)]
struct Share {
    numbers: BTreeSet<u64>,
    bytes: usize,
}

#[derive(Debug)]
struct Session {
    number: u64,
    owner: Owner,
    resumed: Resumed,
    until: Timestamp,
}

impl Memory {
    /// Keeps what was said so far, to be found by this handle.
    pub(super) fn keep(&self, handle: Arc<str>, owner: Owner, resumed: Resumed, now: Timestamp) {
        let until = Timestamp::from_micros(now.micros().saturating_add(KEPT));
        let mut kept = self.lock();
        kept.forget(&handle);
        kept.forget_old(now);
        kept.make_room(owner.key, resumed.history.bytes());
        kept.insert(handle, owner, resumed, until);
    }

    /// The session with this handle and the token that it is of, if somebody asks in time who may go on with it.
    pub(super) fn find(&self, handle: &str, client: &Owner, now: Timestamp) -> Option<(Resumed, Option<KeyHash>)> {
        let kept = self.lock();
        let session = kept.by_handle.get(handle)?;
        let is_theirs = session.owner.shares_with(client) && session.until > now;
        is_theirs.then(|| (session.resumed.clone(), session.owner.token))
    }

    /// Notes which token went on with a session.
    pub(super) fn pass_to(&self, handle: &str, token: KeyHash) {
        if let Some(session) = self.lock().by_handle.get_mut(handle) {
            session.owner.token = Some(token);
        }
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
    fn insert(&mut self, handle: Arc<str>, owner: Owner, resumed: Resumed, until: Timestamp) {
        self.newest += 1;
        let (number, bytes) = (self.newest, resumed.history.bytes());
        let share = self.of_key.entry(owner.key).or_default();
        share.numbers.insert(number);
        share.bytes += bytes;
        self.bytes += bytes;
        self.by_age.insert(number, Arc::clone(&handle));
        self.by_handle.insert(handle, Session { number, owner, resumed, until });
    }

    fn forget(&mut self, handle: &str) {
        let Some(Session { number, owner, resumed: Resumed { history, .. }, .. }) = self.by_handle.remove(handle)
        else {
            return;
        };
        self.by_age.remove(&number);
        self.bytes -= history.bytes();
        if let Some(share) = self.of_key.get_mut(&owner.key) {
            share.numbers.remove(&number);
            share.bytes -= history.bytes();
            if share.numbers.is_empty() {
                self.of_key.remove(&owner.key);
            }
        }
    }

    /// Forgets those whose time is over.
    fn forget_old(&mut self, now: Timestamp) {
        while let Some(oldest) = self.by_age.values().next().cloned()
            && self.by_handle.get(&oldest).is_some_and(|session| session.until <= now)
        {
            self.forget(&oldest);
        }
    }

    /// Forgets as much as one more of this key needs, which counts as its key's already.
    fn make_room(&mut self, of: KeyUid, bytes: usize) {
        let is_its = |key: &KeyUid| usize::from(*key == of);
        while self.by_handle.len() >= HANDLES_MAX {
            self.forget_oldest_of_most(|key, share| share.numbers.len() + is_its(key));
        }
        // What is longer than all that may be kept is kept alone.
        while self.bytes + bytes > BYTES_MAX && !self.by_handle.is_empty() {
            self.forget_oldest_of_most(|key, share| share.bytes + bytes * is_its(key));
        }
    }

    /// Forgets the oldest of the key that has the most; of equals the one whose oldest is the oldest. It looks at all keys
    /// that have any, at most as many as there are handles.
    fn forget_oldest_of_most(&mut self, much: impl Fn(&KeyUid, &Share) -> usize) {
        let shares = self.of_key.iter().filter_map(|(key, share)| Some((much(key, share), *share.numbers.first()?)));
        let most = shares.max_by_key(|(much, oldest)| (*much, Reverse(*oldest)));
        if let Some(handle) = most.and_then(|(_, oldest)| self.by_age.get(&oldest).cloned()) {
            self.forget(&handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn owner(which: u8) -> Owner {
        Owner { key: KeyUid::from_random([which; 16]), token: None, upstream: None }
    }

    fn said(bytes: usize) -> Resumed {
        let mut resumed = Resumed::default();
        resumed.history.push(json!({"role": "user", "parts": [{"text": "x".repeat(bytes)}]}));
        resumed
    }

    #[test]
    fn a_session_is_found_for_two_hours_and_by_its_owner_alone() {
        let memory = Memory::default();
        memory.keep("h".into(), owner(1), said(10), NOW);

        assert!(memory.find("h", &owner(1), Timestamp::from_micros(KEPT - 1)).is_some());
        assert!(memory.find("h", &owner(1), Timestamp::from_micros(KEPT)).is_none());
        assert!(memory.find("h", &owner(2), NOW).is_none());
        memory.forget("h");
        assert!(memory.find("h", &owner(1), NOW).is_none());
    }

    #[test]
    fn a_handle_is_good_for_the_key_or_its_tokens_and_at_the_upstream_that_it_came_from_alone() {
        let token = |which: u8| Owner { token: Some(KeyHash::from_bytes([which; 32])), ..owner(1) };
        let upstream = |name: &str| Owner { upstream: Some(name.into()), ..token(1) };
        let all = [owner(1), owner(2), token(1), upstream("a"), upstream("b")];
        for kept in &all {
            let memory = Memory::default();
            memory.keep("h".into(), kept.clone(), said(10), NOW);

            for asks in &all {
                assert_eq!(memory.find("h", asks, NOW).is_some(), asks == kept, "{asks:?} {kept:?}");
            }
        }

        let memory = Memory::default();
        memory.keep("h".into(), token(1), said(10), NOW);
        let of = |client| memory.find("h", &client, NOW).and_then(|(_, token)| token);
        assert_eq!((of(token(1)), of(token(2))), (token(1).token, token(1).token));
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_or_too_much_was_said() {
        let memory = Memory::default();
        for which in 0..=HANDLES_MAX {
            memory.keep(which.to_string().into(), owner(1), said(1), NOW);
        }
        assert!(memory.find("0", &owner(1), NOW).is_none());
        assert!(memory.find("1", &owner(1), NOW).is_some());

        memory.keep("large".into(), owner(1), said(BYTES_MAX - 100), NOW);
        assert!(memory.find("large", &owner(1), NOW).is_some());
        assert!(memory.find(&(HANDLES_MAX - 2).to_string(), &owner(1), NOW).is_none());
    }

    #[test]
    fn a_key_with_many_handles_pushes_out_its_own_alone() {
        let memory = Memory::default();
        memory.keep("another's".into(), owner(2), said(1), NOW);
        for which in 0..=HANDLES_MAX {
            memory.keep(which.to_string().into(), owner(1), said(1), NOW);
        }

        assert!(memory.find("another's", &owner(2), NOW).is_some());
        assert!(memory.find("1", &owner(1), NOW).is_none(), "its oldest");
        assert!(memory.find("2", &owner(1), NOW).is_some());
    }

    #[test]
    fn a_key_under_which_much_is_said_pushes_out_its_own_alone() {
        let memory = Memory::default();
        memory.keep("another's".into(), owner(2), said(BYTES_MAX / 8), NOW);
        for which in 0..9 {
            memory.keep(which.to_string().into(), owner(1), said(BYTES_MAX / 8), NOW);
        }

        assert!(memory.find("another's", &owner(2), NOW).is_some());
        assert!(memory.find("8", &owner(1), NOW).is_some(), "the newest stays");
        assert!(memory.find("2", &owner(1), NOW).is_none());
    }

    #[test]
    fn a_handle_that_is_replaced_again_and_again_leaves_nothing_behind() {
        let memory = Memory::default();
        for which in 0..1000 {
            memory.keep(which.to_string().into(), owner(1), said(1), NOW);
            memory.forget(&which.to_string());
        }
        let kept = memory.lock();
        assert!(kept.by_age.is_empty() && kept.bytes == 0 && kept.by_handle.is_empty() && kept.of_key.is_empty());
    }

    #[test]
    fn what_is_over_is_forgotten_whosever_it_was() {
        let memory = Memory::default();
        memory.keep("old".into(), owner(1), said(1), NOW);

        memory.keep("new".into(), owner(2), said(1), Timestamp::from_micros(KEPT));

        assert_eq!(memory.lock().by_handle.len(), 1);
    }
}
