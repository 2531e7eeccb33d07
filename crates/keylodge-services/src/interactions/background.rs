//! Answers that are made while nobody waits for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use keylodge_rules::ProjectNumber;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::fault::{Fault, Word};
use super::interaction::Interaction;
use super::keep::Keeping;
use crate::Lodge;
use crate::gemini::inside::Pieces;
use crate::observe::chain;

/// How many answers are made in the background at a time, in all.
const AT_ONCE_MAX: usize = 64;

/// The interactions that are being answered in the background now.
#[derive(Debug, Default)]
pub struct Background(Mutex<HashMap<String, Arc<Live>>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Live {
    project: ProjectNumber,
    pub(super) input: Vec<Value>,
    previous: Option<String>,
    state: watch::Sender<Interaction>,
    cancelled: Notify,
}

impl Background {
    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more may begin.
    pub(super) fn has_room(&self) -> Result<(), Fault> {
        if self.table().len() < AT_ONCE_MAX {
            return Ok(());
        }
        let message =
            format!("{AT_ONCE_MAX} interactions are being answered in the background. Try again when one is done.");
        Err(Fault::new(Word::RateLimitExceeded, message))
    }

    /// One that belongs to this project.
    pub(super) fn find(&self, project: ProjectNumber, id: &str) -> Option<Arc<Live>> {
        self.table().get(id).filter(|live| live.project == project).cloned()
    }

    /// Answers an interaction, which is kept already, apart from the call that asked for it.
    pub(super) fn begin(
        lodge: &Lodge,
        project: ProjectNumber,
        interaction: Interaction,
        input: Vec<Value>,
        previous: Option<String>,
        pieces: Pieces,
    ) -> Arc<Live> {
        let id = interaction.id.clone();
        let live = Live { project, input, previous, state: watch::Sender::new(interaction), cancelled: Notify::new() };
        let live = Arc::new(live);
        lodge.background.table().insert(id.clone(), Arc::clone(&live));
        let (lodge, working) = (lodge.clone(), Arc::clone(&live));
        tokio::spawn(async move {
            working.answer(&lodge, pieces).await;
            lodge.background.table().remove(&id);
        });
        live
    }
}

impl Live {
    /// What is known of it, and whatever comes to be known.
    pub(super) fn follow(&self) -> watch::Receiver<Interaction> {
        self.state.subscribe()
    }

    /// Ends it, and gives how it ended: it may have been done a moment before.
    pub(super) async fn cancel(&self) -> Interaction {
        self.cancelled.notify_one();
        let mut state = self.follow();
        let ended = state.wait_for(Interaction::is_over).await.map(|interaction| interaction.clone());
        ended.unwrap_or_else(|_| self.state.borrow().clone())
    }

    async fn answer(&self, lodge: &Lodge, mut pieces: Pieces) {
        let mut broken = None;
        let is_cancelled = loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                () = self.cancelled.notified() => break true,
            };
            match piece {
                Some(Ok(piece)) => self.state.send_modify(|interaction| interaction.take(&piece)),
                Some(Err(fault)) => {
                    broken = Some(Fault::of_gemini(fault));
                    break false;
                }
                None => break false,
            }
        };
        drop(pieces);
        let mut ended = self.state.borrow().clone();
        let now = lodge.now();
        match broken {
            _ if is_cancelled => ended.cancel(now),
            Some(fault) => ended.fail(&fault, now),
            None => ended.finish(now),
        }
        // Whoever sees that it is over finds it so in the store.
        let Self { project, input, previous, .. } = self;
        let keeping = Keeping { lodge, project: *project, input, previous: previous.as_deref() };
        if let Err(error) = keeping.finish(&ended).await {
            tracing::error!(error = chain(&error), "what was answered in the background could not be kept");
            ended.fail(&Fault::of_status(&crate::failure::store(&error)), now);
        }
        self.state.send_replace(ended);
    }
}
