//! Being told to stop, and telling the connections.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, oneshot};

/// What the system tells a process that should stop: SIGTERM, or SIGINT from a terminal.
pub(crate) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
    /// Something else that ends the server, once.
    ended: Option<oneshot::Receiver<()>>,
}

impl StopSignal {
    /// Begins to listen. From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, ended: None })
    }

    /// The same is given when this rings.
    pub(crate) fn or_when(&mut self, ended: oneshot::Receiver<()>) {
        self.ended = Some(ended);
    }

    /// Waits until one is given.
    pub(crate) async fn given(&mut self) {
        let ended = async {
            match &mut self.ended {
                Some(ended) => {
                    let _ = ended.await;
                }
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = ended => {}
        }
        // It is no second signal when the first was given by somebody else.
        self.ended = None;
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
