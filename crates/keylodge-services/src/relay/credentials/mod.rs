//! Our own credentials at an upstream: each call is given one, and what the upstream answers decides who goes next.
//!
//! The rules are in [`keylodge_rules::upstream`]; here they get the time, a lock and the secrets. A call asks once when
//! it begins and tells once when it ends; nobody ever waits. The lock is held for some tens of nanoseconds, and not at
//! all where an upstream has no credential.

mod carry;
mod ended;
mod kept;
mod said;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use keylodge_gate::Clock;
use keylodge_rules::upstream::{Answered, Choice, Member, Pool, Standing, Ticket, Why};
use zeroize::Zeroizing;

pub(super) use carry::Carried;
pub(crate) use ended::Ended;
pub(crate) use kept::Opened;
pub use kept::read as read_credentials;
pub(super) use said::is_encoded;

/// The id of the credential that an upstream has in its settings. Those that are kept have other ids.
pub(crate) const KEY_FILE: &str = "key_file";

/// Our credentials at one upstream.
pub(crate) struct Credentials {
    upstream: Arc<str>,
    /// The one of the settings.
    key_file: Option<HeaderValue>,
    is_empty: AtomicBool,
    held: Mutex<Held>,
    clock: Clock,
}

#[derive(Default)]
struct Held {
    pool: Pool,
    /// By id.
    secrets: Vec<(String, HeaderValue)>,
}

/// The credential that a call goes with. It counts as in flight until this is dropped.
pub(crate) struct Chosen {
    of: Arc<Credentials>,
    ticket: Ticket,
    model: Option<Arc<str>>,
    secret: HeaderValue,
}

/// No credential can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoneFree {
    /// How long until the first can.
    pub(crate) wait: Duration,
    /// Why it cannot yet.
    pub(crate) why: Why,
}

impl Credentials {
    /// The credentials of an upstream: the one of the settings, and such as are put in later.
    pub(super) fn new(upstream: Arc<str>, key_file: Option<HeaderValue>, clock: Clock) -> Self {
        let (is_empty, held) = (AtomicBool::new(true), Mutex::default());
        let credentials = Self { upstream, key_file, is_empty, held, clock };
        credentials.replace(Vec::new());
        credentials
    }

    /// Puts these in place of those that were put in before. The one of the settings stays.
    pub(super) fn replace(&self, kept: Vec<(Member, HeaderValue)>) {
        let own = Member { id: KEY_FILE.to_owned(), quota_project: String::new() };
        let (members, secrets): (Vec<_>, Vec<_>) =
            self.key_file.clone().map(|secret| (own, secret)).into_iter().chain(kept).unzip();
        let ids = members.iter().map(|member: &Member| member.id.clone());
        let secrets = ids.zip(secrets).collect();
        let mut held = self.held();
        self.is_empty.store(members.is_empty(), Ordering::Release);
        held.pool.replace(members);
        held.secrets = secrets;
    }

    /// The credential that a call for this model goes with now; none where there is none. What was made with an account
    /// goes with that account. Where it has no credential here any more, it goes with any: the key may have been replaced,
    /// and whether it is another account's is the upstream's to say.
    pub(super) fn choose(
        self: &Arc<Self>,
        model: Option<&Arc<str>>,
        account: Option<&Member>,
    ) -> Result<Option<Chosen>, NoneFree> {
        if self.is_empty.load(Ordering::Acquire) {
            return Ok(None);
        }
        let now = (self.clock)();
        let mut held = self.held();
        let of_account = account.and_then(|account| held.pool.choose_of(account, now));
        let choice = of_account.map_or_else(|| held.pool.choose(model.map(|model| &**model), now), Choice::Take);
        let ticket = match choice {
            Choice::Take(ticket) => ticket,
            Choice::Without => return Ok(None),
            Choice::Wait(wait, why) => return Err(NoneFree { wait, why }),
        };
        // The only way out without a secret is a pool and secrets that contradict each other; then the call goes without.
        let secret = held.pool.member(ticket).and_then(|member| held.secrets.iter().find(|(id, _)| *id == member.id));
        let secret = secret.map(|(_, secret)| secret.clone());
        Ok(secret.map(|secret| Chosen { of: Arc::clone(self), ticket, model: model.cloned(), secret }))
    }

    /// Whether a call that one of them did not get through could go with another.
    pub(crate) fn are_several(&self) -> bool {
        !self.is_empty.load(Ordering::Acquire) && self.held().secrets.len() > 1
    }

    /// All of them, without what stands before them in a header.
    pub(crate) fn secrets(&self) -> Vec<Zeroizing<String>> {
        let text = |(_, secret): &(String, HeaderValue)| {
            let text = secret.to_str().ok()?;
            Some(Zeroizing::new(text.strip_prefix("Bearer ").unwrap_or(text).to_owned()))
        };
        self.held().secrets.iter().filter_map(text).collect()
    }

    /// How each of them fares now.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let now = (self.clock)();
        self.held().pool.standings(now)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chosen {
    /// Which one it is; none where it was taken away meanwhile.
    pub(crate) fn member(&self) -> Option<Member> {
        self.of.held().pool.member(self.ticket).cloned()
    }

    /// The credential, as the header that carries it has it.
    fn secret(&self) -> HeaderValue {
        self.secret.clone()
    }

    /// Whether a text has the credential in it.
    fn is_named_in(&self, text: &[u8]) -> bool {
        memchr::memmem::find(text, self.token()).is_some()
    }

    /// The same of a text that may have been cut in the middle of it: so much of its beginning is more than chance.
    fn is_named_or_begun_in(&self, text: &[u8]) -> bool {
        const CHANCE_MAX: usize = 6;
        let token = self.token();
        self.is_named_in(text) || (CHANCE_MAX..token.len()).any(|length| text.ends_with(&token[..length]))
    }

    fn token(&self) -> &[u8] {
        let secret = self.secret.as_bytes();
        secret.strip_prefix(b"Bearer ").unwrap_or(secret)
    }

    /// The upstream has taken it, where that is not said in the head of an answer.
    pub(crate) fn taken(&self) {
        self.answered(Answered::Good);
    }

    /// Takes in what the upstream answered.
    fn answered(&self, answered: Answered) {
        let credentials = &self.of;
        let now = (credentials.clock)();
        let member = {
            let mut held = credentials.held();
            let is_news = held.pool.answered(self.ticket, self.model.as_deref(), answered, now);
            held.pool.member(self.ticket).filter(|_| is_news).cloned()
        };
        let (Some(Member { id, quota_project }), upstream) = (member, &*credentials.upstream) else { return };
        match answered {
            Answered::Refused => tracing::warn!(
                upstream,
                credential = id,
                quota_project,
                "an upstream refused one of our credentials; unless it is the only one, it is set aside for some minutes"
            ),
            Answered::TooMany(retry_after) => tracing::info!(
                upstream,
                credential = id,
                quota_project,
                model = self.model.as_deref(),
                retry_after_seconds = retry_after.map(|wait| wait.as_secs()),
                "an upstream lets no more calls through for now; unless it is the only one, the quota project cools down"
            ),
            Answered::Good | Answered::Other => {}
        }
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.of.held().pool.give_back(self.ticket);
    }
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chosen(hidden)")
    }
}
