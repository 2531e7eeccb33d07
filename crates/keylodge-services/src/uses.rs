//! Who used which key and token, gathered in memory and written in batches, apart from everything that must be durable.
//!
//! When the process is killed, what was gathered since the last batch is lost: at most [`WRITE_USES_EVERY`] of who used
//! keys, [`WRITE_EVERY`] of the rest. What was called is written each second apart from this ([`crate::metering`]).

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use keylodge_gate::Pass;
use keylodge_rules::secret::mask;
use keylodge_rules::{KeyHash, KeyUid, Timestamp};
use keylodge_store::meter::CallRow;
use keylodge_store::{StoreError, Use};
use tokio::sync::watch;

use crate::observe::chain;
use crate::{Lodge, metering};

/// How often what was gathered is written.
pub const WRITE_EVERY: Duration = Duration::from_secs(5);

/// How often users of keys are written among it, unless there are many: writing them takes time of the processor that
/// calls wait for. It is done in the middle of a minute by the clock, since usage is folded when one is over, and both
/// take memory.
pub const WRITE_USES_EVERY: Duration = Duration::from_secs(60);

/// How many different users of keys are written before their time.
const MANY: usize = 40_000;

/// How many different users of keys are gathered at most between two batches; of more, nothing is noted.
const GATHERED_MAX: usize = 80_000;

/// How much larger than what it held a table may be to be kept for the next users.
const SPARE_PER_HELD_MAX: usize = 4;

/// How many users of keys one transaction writes.
const AT_ONCE: usize = 2_000;

/// How much of what a program calls itself is kept.
const CLIENT_CHARS_MAX: usize = 128;

/// Who used what since the last batch.
#[derive(Debug, Default)]
pub struct Uses(Mutex<Gathered>);

/// Which string of which key, from where, by what client.
type User = (KeyUid, u32, Option<IpAddr>, Arc<str>);

/// How many calls, the first and the last of them.
type Counted = (u64, Timestamp, Timestamp);

#[derive(Debug, Default)]
struct Gathered {
    keys: HashMap<User, Counted>,
    /// Where the next users are gathered while these are written, so that a table is not made anew each minute.
    spare: HashMap<User, Counted>,
    tokens: HashMap<String, Timestamp>,
    foreign: HashMap<(KeyUid, u32), KeyHash>,
}

impl Uses {
    /// Notes that a call went through the gate. A hash-map access under a lock that is held for nothing else.
    pub(crate) fn note_key(&self, pass: &Pass, address: Option<IpAddr>, client: &str, now: Timestamp) {
        let client: String = mask(client).chars().take(CLIENT_CHARS_MAX).collect();
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hash) = pass.foreign() {
            gathered.foreign.insert((pass.key(), pass.generation()), hash);
        }
        if gathered.keys.len() < GATHERED_MAX {
            let who = (pass.key(), pass.generation(), address, client.into());
            let (calls, _, last) = gathered.keys.entry(who).or_insert((0, now, now));
            *calls += 1;
            *last = now.max(*last);
        }
    }

    /// Notes the calls of rows that went to upstreams. The minute is all that is known of their time. Those of our own
    /// surfaces are noted one by one.
    pub(crate) fn note_rows(&self, rows: &[CallRow]) {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows.iter().filter(|row| row.generation > 0 && !row.kind.upstream.is_empty()) {
            let Some(key) = row.key else { continue };
            if gathered.keys.len() < GATHERED_MAX {
                let caller = &row.kind.caller;
                let client = &caller.client;
                let client = match client.char_indices().nth(CLIENT_CHARS_MAX) {
                    None => Arc::clone(client),
                    Some((end, _)) => client[..end].into(),
                };
                let minute = Timestamp::from_micros(row.minute.saturating_mul(60_000_000));
                let who = (key, row.generation, caller.address, client);
                let (calls, first, last) = gathered.keys.entry(who).or_insert((0, minute, minute));
                *calls += row.counts.calls;
                (*first, *last) = (minute.min(*first), minute.max(*last));
            }
        }
    }

    /// Notes a string of another gateway that was seen for the first time.
    pub(crate) fn note_foreign(&self, pass: &Pass) {
        if let Some(hash) = pass.foreign() {
            let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.foreign.insert((pass.key(), pass.generation()), hash);
        }
    }

    /// Notes that a token proved its operator.
    pub(crate) fn note_token(&self, id: &str, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tokens.insert(id.to_owned(), now);
    }

    /// Takes all that was gathered, of users of keys only if it is time for them or there are many.
    fn take(&self, is_time_for_keys: bool) -> Gathered {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = is_time_for_keys || gathered.keys.len() >= MANY;
        let spare = if keys { std::mem::take(&mut gathered.spare) } else { HashMap::new() };
        Gathered {
            keys: if keys { std::mem::replace(&mut gathered.keys, spare) } else { spare },
            spare: HashMap::new(),
            tokens: std::mem::take(&mut gathered.tokens),
            foreign: std::mem::take(&mut gathered.foreign),
        }
    }

    /// Keeps an emptied table for the users after the next ones, unless it is much larger than what it held.
    fn give_back(&self, table: HashMap<User, Counted>, held: usize) {
        if table.capacity() <= held.saturating_mul(SPARE_PER_HELD_MAX) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).spare = table;
        }
    }
}

/// Writes what was gathered, so that an answer about uses is fresh; if that fails, the answer is some seconds old.
pub(crate) async fn freshen(lodge: &Lodge) {
    tell(write(lodge).await);
}

fn tell(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(error = chain(&error), "cannot note who used which key; some uses are lost");
    }
}

/// Writes what was gathered, and takes imported keys that were used for the first time under our pepper.
///
/// # Errors
/// When the database does not answer; what was gathered and is not written yet is lost then.
pub async fn write(lodge: &Lodge) -> Result<(), StoreError> {
    let lodge = lodge.clone();
    metering::to_the_end(async move { write_some(&lodge, true).await }).await
}

async fn write_some(lodge: &Lodge, is_time_for_keys: bool) -> Result<(), StoreError> {
    let Gathered { mut keys, tokens, foreign, .. } = lodge.uses.take(is_time_for_keys);
    let held = keys.len();
    if held > 0 {
        let mut uses = keys.drain().map(|((uid, generation, address, client), (calls, first_time, last_time))| {
            let caller_ip = address.map(|address| address.to_string()).unwrap_or_default();
            Use { uid, generation, caller_ip, client: client.to_string(), calls, first_time, last_time }
        });
        loop {
            let some: Vec<Use> = uses.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            lodge.store.note_uses(&some).await?;
        }
        drop(uses);
        lodge.uses.give_back(keys, held);
    }
    if !tokens.is_empty() {
        lodge.store.note_token_uses(&tokens.into_iter().collect::<Vec<_>>()).await?;
    }
    for ((uid, generation), hash) in foreign {
        let act = lodge.own_act("keylodge.AdoptKeyString");
        let adopted = lodge.store.adopt_string(&uid, generation, &hash, &act).await;
        if let Some(adopted) = adopted? {
            // Until the gate has it, the key is found by its SHA-256 as before.
            let _ = lodge.feed.caught_up_with(adopted.revision).await;
        }
    }
    Ok(())
}

/// Writes until `stop` turns true or is dropped, and once more then.
pub async fn run(lodge: Lodge, mut stop: watch::Receiver<bool>) {
    let mut written = period(lodge.now());
    loop {
        let stopping = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = tokio::time::sleep(WRITE_EVERY) => false,
        };
        let now = period(lodge.now());
        let is_time = std::mem::replace(&mut written, now) != now;
        tell(write_some(&lodge, stopping || is_time).await);
        if stopping {
            return;
        }
    }
}

/// Which of the periods it is, each from one middle of a minute to the next.
fn period(now: Timestamp) -> i64 {
    let every = i64::try_from(WRITE_USES_EVERY.as_micros()).unwrap_or(i64::MAX);
    (now.micros() + every / 2).div_euclid(every)
}
