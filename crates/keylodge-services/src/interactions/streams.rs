//! Answers as streams of events.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use keylodge_rules::ProjectNumber;
use serde_json::Value;
use tokio::sync::watch;

use super::events::{self, Told};
use super::fault::Fault;
use super::interaction::Interaction;
use super::keep::Keeping;
use crate::Lodge;
use crate::gemini::inside::Pieces;
use crate::wire::{self, EVENTS};

/// What keeps an interaction once it is over.
pub(super) struct Keep {
    pub(super) lodge: Lodge,
    pub(super) project: ProjectNumber,
    pub(super) input: Vec<Value>,
    pub(super) previous: Option<String>,
}

/// A stream that is made of the pieces of an answer. It is kept before its end is said; when its caller leaves, the call
/// ends, and nothing of it is kept.
pub(super) fn answer(lodge: &Lodge, interaction: Interaction, pieces: Pieces, keep: Option<Keep>) -> Response {
    let telling = Telling {
        lodge: lodge.clone(),
        interaction,
        pieces: Some(pieces),
        keep,
        told: Told::default(),
        ready: VecDeque::new(),
    };
    wire::streamed(Body::from_stream(stream::unfold(telling, Telling::next)), EVENTS)
}

struct Telling {
    lodge: Lodge,
    interaction: Interaction,
    /// None when all have come.
    pieces: Option<Pieces>,
    keep: Option<Keep>,
    told: Told,
    ready: VecDeque<Bytes>,
}

impl Telling {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            let is_new = self.told == Told::default();
            let pieces = self.pieces.as_mut()?;
            let piece = if is_new { None } else { Some(pieces.next().await) };
            match piece {
                // The beginning is said at once.
                None => {}
                Some(Some(Ok(piece))) => self.interaction.take(&piece),
                Some(Some(Err(fault))) => self.end(Some(Fault::of_gemini(fault))).await,
                Some(None) => self.end(None).await,
            }
            self.ready.extend(self.told.look(&self.interaction));
            if self.pieces.is_none() {
                self.ready.push_back(events::done());
            }
        }
    }

    async fn end(&mut self, broken: Option<Fault>) {
        self.pieces = None;
        let now = self.lodge.now();
        match &broken {
            None => self.interaction.finish(now),
            Some(fault) => {
                self.interaction.fail(fault, now);
                self.ready.push_back(events::error(fault));
            }
        }
        let Some(Keep { lodge, project, input, previous }) = &self.keep else { return };
        let keeping = Keeping { lodge, project: *project, input, previous: previous.as_deref() };
        if let Err(fault) = keeping.add(&self.interaction).await {
            self.interaction.fail(&fault, now);
            self.ready.push_back(events::error(&fault));
        }
    }
}

/// A stream that tells an interaction which is answered in the background, from a place on.
pub(super) fn follow(state: watch::Receiver<Interaction>, told: Told) -> Response {
    let following = Following { state, told, is_new: true, is_over: false, ready: VecDeque::new() };
    wire::streamed(Body::from_stream(stream::unfold(following, Following::next)), EVENTS)
}

struct Following {
    state: watch::Receiver<Interaction>,
    told: Told,
    is_new: bool,
    is_over: bool,
    ready: VecDeque<Bytes>,
}

impl Following {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.is_over {
                return None;
            }
            if !std::mem::take(&mut self.is_new) && self.state.changed().await.is_err() {
                return None;
            }
            let interaction = self.state.borrow_and_update();
            self.ready.extend(self.told.look(&interaction));
            self.is_over = interaction.is_over();
            if self.is_over {
                self.ready.push_back(events::done());
            }
        }
    }
}

/// A stream that tells an interaction which is over, from a place on.
pub(super) fn again(interaction: &Interaction, mut told: Told) -> Response {
    let said: Vec<Bytes> = told.look(interaction).into_iter().chain([events::done()]).collect();
    wire::streamed(Body::from(said.concat()), EVENTS)
}
