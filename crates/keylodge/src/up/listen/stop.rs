//! Being told to stop, and telling the connections.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc, oneshot};

/// What the system tells a process that should stop: SIGTERM, or SIGINT from a terminal.
pub(crate) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
    /// A program that is run beside the server, with which the server ends.
    beside: Option<Neighbour>,
}

/// What a stop has to do with a program that is run beside the server.
pub(crate) struct Neighbour {
    /// Rings when it has ended.
    pub(crate) ended: oneshot::Receiver<()>,
    /// Tells it what the server was told.
    pub(crate) tells: mpsc::Sender<SignalKind>,
    /// How long it may go on then.
    pub(crate) end_time_max: Duration,
}

impl StopSignal {
    /// Begins to listen. From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, beside: None })
    }

    /// The same is given when this program has ended.
    pub(crate) fn or_when(&mut self, beside: Neighbour) {
        self.beside = Some(beside);
    }

    /// Waits until one is given. A program beside the server is told, too, and ends first: for its end it may need answers.
    /// A second signal waits for nothing.
    pub(crate) async fn given(&mut self) {
        let Self { terminate, interrupt, beside } = self;
        let mut told = async || {
            tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
            }
        };
        let Some(Neighbour { ended, tells, end_time_max }) = beside else {
            told().await;
            return;
        };
        let signal = tokio::select! {
            signal = told() => Some(signal),
            _ = &mut *ended => None,
        };
        if let Some(signal) = signal {
            tracing::info!("told to stop; the command is told, too, and ends first");
            // Where it is full or closed, it was told or has ended.
            let _ = tells.try_send(signal);
            tokio::select! {
                _ = ended => {}
                _ = told() => {}
                () = tokio::time::sleep(*end_time_max) => {}
            }
        }
        self.beside = None;
    }
}

/// Tells everybody who asks that it is time to stop, once. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    told: AtomicBool,
    bell: Arc<Notify>,
}

impl Stop {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner { told: AtomicBool::new(false), bell: Arc::default() }))
    }

    pub(super) fn tell(&self) {
        self.0.told.store(true, Ordering::Release);
        self.0.bell.notify_waiters();
    }

    /// Ready once it was told.
    pub(super) fn told(&self) -> Told {
        Told { stop: self.clone(), rings: Box::pin(Arc::clone(&self.0.bell).notified_owned()), waits: None }
    }
}

/// See [`Stop::told`]. A connection polls it with each of its own wakes, so that must cost next to nothing: the bell,
/// which has a lock, is asked only by a waker that it does not know yet.
pub(super) struct Told {
    stop: Stop,
    rings: Pin<Box<OwnedNotified>>,
    waits: Option<Waker>,
}

impl Future for Told {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.stop.0.told.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if self.waits.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            return Poll::Pending;
        }
        // Told between the look above and this one, the bell has rung or rings.
        let rang = self.rings.as_mut().poll(context).is_ready() || self.stop.0.told.load(Ordering::Acquire);
        self.waits = Some(context.waker().clone());
        if rang { Poll::Ready(()) } else { Poll::Pending }
    }
}
