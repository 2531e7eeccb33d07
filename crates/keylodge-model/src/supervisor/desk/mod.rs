//! The desk: every call in flight, what waits to be written to the worker, and the phase the model is in.
//!
//! Callers and the watching task meet here under one lock that is never held across an await. The phase changes only
//! under it, so a call is either refused or in the table, where the end of a worker finds it: none can fall between.

mod hear;
mod stuck;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::answer::{Answer, CallGuard};
use super::phase::Phase;
use crate::protocol::{self, FrameError, ToWorker};
use crate::shape::GrammarDigest;
use crate::{Embedding, Event, Gauges, Generate, Grammar, ModelError, Prompt};
use stuck::Stuck;

/// Counts that may be in flight at once; each is quick.
const COUNTS_MAX: usize = 64;

pub(super) struct Desk {
    /// Generations or embeddings; a desk has one kind.
    works_max: usize,
    next_id: AtomicU64,
    phase: watch::Sender<Phase>,
    table: Mutex<Table>,
    /// Something was put into the outbox.
    outgoing: Notify,
    /// Somebody asked for a model that is asleep.
    woken: Notify,
}

struct Table {
    open: HashMap<u64, Call>,
    outbox: VecDeque<Outgoing>,
    /// When the worker last gave a sign of life, or was first given work to do.
    heard: Instant,
    /// The grammar that the worker is in the middle of.
    following: Option<GrammarDigest>,
    stuck: Stuck,
    /// This worker has answered at least one call.
    answered: bool,
    worker_starts: u64,
    window_tokens: u32,
    dimensions: u32,
}

/// A call in flight, by what it waits for.
enum Call {
    Count { counted: Reply<u64> },
    Embed { begun: oneshot::Sender<u64>, embedded: Reply<Embedding> },
    Embedding { tokens: u64, embedded: Reply<Embedding> },
    Waiting { started: Reply<u64>, running: Running },
    Running(Running),
}

/// A generation.
struct Running {
    events: Events,
    pieces_left: u32,
    grammar: Option<GrammarDigest>,
}

struct Outgoing {
    id: u64,
    frame: Vec<u8>,
}

type OpenEmbedding = (CallGuard, oneshot::Receiver<u64>, oneshot::Receiver<Result<Embedding, ModelError>>);
type Reply<T> = oneshot::Sender<Result<T, ModelError>>;
type Events = mpsc::Sender<Result<Event, ModelError>>;

/// The calls: opened and taken back.
impl Desk {
    pub(super) fn new(works_max: usize, window_tokens: u32, dimensions: u32, phase: Phase) -> Self {
        let table = Table {
            open: HashMap::new(),
            outbox: VecDeque::new(),
            heard: Instant::now(),
            following: None,
            stuck: Stuck::default(),
            answered: false,
            worker_starts: 0,
            window_tokens,
            dimensions,
        };
        Self {
            works_max,
            next_id: AtomicU64::new(0),
            phase: watch::Sender::new(phase),
            woken: Notify::new(),
            table: Mutex::new(table),
            outgoing: Notify::new(),
        }
    }

    pub(super) fn open_generation(
        self: &Arc<Self>,
        request: Generate,
    ) -> Result<(Answer, oneshot::Receiver<Result<u64, ModelError>>), ModelError> {
        // Enough for every token, the end, and one error: a slow reader never makes the worker wait, and never needs more.
        let capacity = usize::try_from(request.output_tokens_max).unwrap_or(usize::MAX).saturating_add(2);
        let (events, receiver) = mpsc::channel(capacity.min(mpsc_capacity_max()));
        let (started, when_started) = oneshot::channel();

        let grammar = request.grammar.as_ref().and_then(Grammar::digest);
        if let Some(why) = grammar.and_then(|grammar| self.table().stuck.why_not(grammar)) {
            return Err(why);
        }
        let running = Running { events, pieces_left: request.output_tokens_max, grammar };
        let call = Call::Waiting { started, running };
        let guard = self.open(call, |id| ToWorker::Generate { id, request })?;
        Ok((Answer { events: receiver, _guard: guard }, when_started))
    }

    pub(super) fn open_count(
        self: &Arc<Self>,
        prompt: Prompt,
    ) -> Result<(CallGuard, oneshot::Receiver<Result<u64, ModelError>>), ModelError> {
        let (counted, when_counted) = oneshot::channel();
        let guard = self.open(Call::Count { counted }, |id| ToWorker::Count { id, prompt })?;
        Ok((guard, when_counted))
    }

    /// First comes how many tokens of the text are being read; nothing, if it does not come to that.
    pub(super) fn open_embedding(self: &Arc<Self>, text: String) -> Result<OpenEmbedding, ModelError> {
        let (begun, when_begun) = oneshot::channel();
        let (embedded, when_embedded) = oneshot::channel();
        let guard = self.open(Call::Embed { begun, embedded }, |id| ToWorker::Embed { id, text })?;
        Ok((guard, when_begun, when_embedded))
    }

    /// Takes a call back, when it is not over. What the worker was never told about, it need not forget.
    pub(super) fn cancel(&self, id: u64) {
        let mut table = self.table();
        if table.open.remove(&id).is_none() {
            return;
        }
        let unsent = table.outbox.iter().position(|outgoing| outgoing.id == id);
        if let Some(index) = unsent {
            table.outbox.remove(index);
        } else if let Ok(frame) = protocol::encode(&ToWorker::Cancel { id }) {
            table.outbox.push_back(Outgoing { id, frame });
            self.outgoing.notify_one();
        }
    }

    fn open(self: &Arc<Self>, call: Call, request: impl FnOnce(u64) -> ToWorker) -> Result<CallGuard, ModelError> {
        // Looked at twice, so that the long work of encoding is done neither in vain nor under the lock.
        self.admit(&self.table(), &call)?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = protocol::encode(&request(id)).map_err(|error| self.unsendable(&error))?;

        let mut table = self.table();
        self.admit(&table, &call)?;
        if table.open.is_empty() {
            table.heard = Instant::now();
        }
        table.open.insert(id, call);
        table.outbox.push_back(Outgoing { id, frame });
        self.outgoing.notify_one();
        Ok(CallGuard { desk: Arc::clone(self), id })
    }

    fn admit(&self, table: &Table, call: &Call) -> Result<(), ModelError> {
        if let Some(refusal) = self.phase.borrow().refusal() {
            return Err(refusal);
        }
        let counts = table.open.values().filter(|open| open.is_count()).count();
        let full = match call {
            Call::Count { .. } => counts >= COUNTS_MAX,
            Call::Embed { .. } | Call::Embedding { .. } | Call::Waiting { .. } | Call::Running(_) => {
                table.open.len() - counts >= self.works_max
            }
        };
        if full { Err(ModelError::Overloaded) } else { Ok(()) }
    }

    fn unsendable(&self, error: &FrameError) -> ModelError {
        let tokens_max = u64::from(self.window_tokens() - 1);
        match error {
            // Nobody counted them: four bytes to a token is the usual guess.
            FrameError::TooLong { bytes } => {
                ModelError::PromptTooLong { tokens: (*bytes as u64 / 4).max(tokens_max + 1), tokens_max }
            }
            other => ModelError::Unavailable { reason: other.to_string() },
        }
    }
}

/// What the worker is told.
impl Desk {
    /// The next frame to write, when there is one.
    pub(super) async fn next_outgoing(&self) -> Vec<u8> {
        loop {
            let next = self.table().outbox.pop_front();
            if let Some(outgoing) = next {
                return outgoing.frame;
            }
            self.outgoing.notified().await;
        }
    }
}

/// The life of the model.
impl Desk {
    /// Leaves the ready phase, or goes on from one that is not: all calls in flight are lost.
    pub(super) fn enter(&self, phase: Phase) {
        let mut table = self.table();
        // First the phase: whoever hears that a call was lost must not find the model ready.
        self.phase.send_replace(phase);
        table.outbox.clear();
        let Table { open, stuck, .. } = &mut *table;
        for (_, call) in open.drain() {
            let why = call.grammar().and_then(|grammar| stuck.why_not(grammar));
            call.end(why.unwrap_or(ModelError::Lost));
        }
    }

    /// The worker hung. Tells whether it did so in the middle of a grammar, which is not followed for ever.
    pub(super) fn note_stall(&self) -> bool {
        let mut table = self.table();
        let following = table.following.take();
        following.inspect(|grammar| table.stuck.add(*grammar)).is_some()
    }

    /// Starts a model that is asleep.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Returns once somebody has asked for the model.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// A worker process was started.
    pub(super) fn note_start(&self) {
        let mut table = self.table();
        table.worker_starts += 1;
        table.answered = false;
        table.following = None;
        table.heard = Instant::now();
    }

    /// Has this worker answered a call?
    pub(super) fn has_answered(&self) -> bool {
        self.table().answered
    }

    /// Since when a worker that has work, loading included, has said nothing.
    pub(super) fn silence(&self) -> Option<Duration> {
        let table = self.table();
        // A worker may still be in the grammar of a caller who has gone.
        let idle = table.open.is_empty() && table.following.is_none() && *self.phase.borrow() == Phase::Ready;
        (!idle).then(|| table.heard.elapsed())
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn window_tokens(&self) -> u32 {
        self.table().window_tokens
    }

    pub(super) fn dimensions(&self) -> u32 {
        self.table().dimensions
    }

    pub(super) fn gauges(&self) -> Gauges {
        let table = self.table();
        let count = |is: fn(&Call) -> bool| table.open.values().filter(|call| is(call)).count() as u64;
        Gauges {
            running: count(|call| !matches!(call, Call::Waiting { .. } | Call::Count { .. })),
            waiting: count(|call| matches!(call, Call::Waiting { .. })),
            worker_starts: table.worker_starts,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    fn is_count(&self) -> bool {
        matches!(self, Self::Count { .. })
    }

    /// What its answer is held to.
    fn grammar(&self) -> Option<GrammarDigest> {
        match self {
            Self::Waiting { running, .. } | Self::Running(running) => running.grammar,
            Self::Count { .. } | Self::Embed { .. } | Self::Embedding { .. } => None,
        }
    }

    /// Ends the call with an error. Whoever waited for it may have gone, or not have room: the closed channel says `Lost`.
    fn end(self, error: ModelError) {
        match self {
            Self::Count { counted: reply } | Self::Waiting { started: reply, .. } => {
                let _ = reply.send(Err(error));
            }
            Self::Embed { embedded, .. } | Self::Embedding { embedded, .. } => {
                let _ = embedded.send(Err(error));
            }
            Self::Running(Running { events, .. }) => {
                let _ = events.try_send(Err(error));
            }
        }
    }
}

/// tokio panics above this.
fn mpsc_capacity_max() -> usize {
    tokio::sync::Semaphore::MAX_PERMITS
}
