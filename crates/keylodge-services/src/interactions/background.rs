//! Answers that are made while nobody waits for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use keylodge_api::Status;
use keylodge_rules::ProjectNumber;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::fault::{Fault, Word};
use super::interaction::Interaction;
use super::keep::Keeping;
use crate::Lodge;
use crate::gemini::inside::Pieces;
use crate::observe::chain;

/// How many answers are made in the background at a time, in all and for one project.
const AT_ONCE_MAX: usize = 64;
const OF_PROJECT_MAX: usize = 16;

/// The interactions that are being answered in the background now.
#[derive(Debug, Default)]
pub struct Background(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    live: HashMap<String, Arc<Live>>,
    /// How many places each project has taken, those included whose answer has not begun.
    taken: HashMap<ProjectNumber, usize>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Live {
    project: ProjectNumber,
    pub(super) input: Vec<Value>,
    previous: Option<String>,
    state: watch::Sender<Interaction>,
    /// Rung to end it.
    bell: Notify,
}

/// Room for one more. Given back when it is dropped.
pub(super) struct Place {
    table: Arc<Mutex<Table>>,
    project: ProjectNumber,
}

/// What is begun in the background.
pub(super) struct Begun {
    pub(super) project: ProjectNumber,
    pub(super) interaction: Interaction,
    pub(super) input: Vec<Value>,
    pub(super) previous: Option<String>,
    pub(super) pieces: Pieces,
    pub(super) place: Place,
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Background {
    /// Takes room for one more of this project.
    pub(super) fn place(&self, project: ProjectNumber) -> Result<Place, Fault> {
        let mut table = locked(&self.0);
        let of_project = table.taken.get(&project).copied().unwrap_or(0);
        if of_project >= OF_PROJECT_MAX || table.taken.values().sum::<usize>() >= AT_ONCE_MAX {
            let message = format!(
                "At most {OF_PROJECT_MAX} interactions of a project, and {AT_ONCE_MAX} in all, are answered in the background. Try again when one is done."
            );
            return Err(Fault::new(Word::RateLimitExceeded, message));
        }
        table.taken.insert(project, of_project + 1);
        Ok(Place { table: Arc::clone(&self.0), project })
    }

    /// One that belongs to this project.
    pub(super) fn find(&self, project: ProjectNumber, id: &str) -> Option<Arc<Live>> {
        locked(&self.0).live.get(id).filter(|live| live.project == project).cloned()
    }

    /// Keeps an interaction and answers it apart from the call that asked for it, which may go away at any time.
    pub(super) async fn begin(lodge: &Lodge, begun: Begun) -> Result<Arc<Live>, Fault> {
        let lodge = lodge.clone();
        let begun = tokio::spawn(async move {
            let Begun { project, interaction, input, previous, pieces, place } = begun;
            let keeping = Keeping { lodge: &lodge, project, input: &input, previous: previous.as_deref() };
            keeping.add(&interaction).await?;
            let id = interaction.id.clone();
            let live = Live { project, input, previous, state: watch::Sender::new(interaction), bell: Notify::new() };
            let live = Arc::new(live);
            locked(&place.table).live.insert(id.clone(), Arc::clone(&live));
            let working = Working { lodge, id, live: Arc::clone(&live), place };
            tokio::spawn(working.answer(pieces));
            Ok(live)
        });
        begun.await.unwrap_or_else(|_| Err(Fault::of_status(&Status::internal())))
    }

    /// Ends all that is being answered, and waits until that is written down.
    pub async fn stop(&self) {
        let all: Vec<Arc<Live>> = locked(&self.0).live.values().cloned().collect();
        for live in all {
            live.cancel().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = locked(&self.table);
        if let Some(taken) = table.taken.get_mut(&self.project) {
            *taken -= 1;
            if *taken == 0 {
                table.taken.remove(&self.project);
            }
        }
    }
}

impl Live {
    /// What is known of it, and whatever comes to be known.
    pub(super) fn follow(&self) -> watch::Receiver<Interaction> {
        self.state.subscribe()
    }

    /// Ends it, and gives how it ended: it may have been done a moment before.
    pub(super) async fn cancel(&self) -> Interaction {
        self.bell.notify_one();
        let mut state = self.follow();
        let ended = state.wait_for(Interaction::is_over).await.map(|interaction| interaction.clone());
        ended.unwrap_or_else(|_| self.state.borrow().clone())
    }
}

/// An answer that is being made. However it ends, it is no longer found, and whoever follows it hears of an end.
struct Working {
    lodge: Lodge,
    id: String,
    live: Arc<Live>,
    place: Place,
}

impl Working {
    async fn answer(self, mut pieces: Pieces) {
        let Live { project, input, previous, state, bell } = &*self.live;
        let mut broken = None;
        let is_cancelled = loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                () = bell.notified() => break true,
            };
            match piece {
                Some(Ok(piece)) => state.send_modify(|interaction| interaction.take(&piece)),
                Some(Err(fault)) => {
                    broken = Some(Fault::of_gemini(fault));
                    break false;
                }
                None => break false,
            }
        };
        drop(pieces);
        let (mut ended, now) = (state.borrow().clone(), self.lodge.now());
        match broken {
            _ if is_cancelled => ended.cancel(now),
            Some(fault) => ended.fail(&fault, now),
            None => ended.finish(now),
        }
        // Whoever sees that it is over finds it so in the store.
        let keeping = Keeping { lodge: &self.lodge, project: *project, input, previous: previous.as_deref() };
        if let Err(error) = keeping.finish(&ended).await {
            tracing::error!(error = chain(&error), "what was answered in the background could not be kept");
            ended.fail(&Fault::of_status(&crate::failure::store(&error)), now);
        }
        state.send_replace(ended);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        locked(&self.place.table).live.remove(&self.id);
        self.live.state.send_if_modified(|interaction| {
            let is_lost = !interaction.is_over();
            if is_lost {
                interaction.fail(&Fault::stopped(), interaction.updated);
            }
            is_lost
        });
    }
}
