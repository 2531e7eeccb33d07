//! An answer while it is being made.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::script::Playback;
use crate::supervisor::Answer;

/// A running generation. Dropping it stops the generation and frees its slot.
///
/// It ends with [`Event::Finished`] or with an error; after either there is only `None`. A reader may be as slow as it
/// likes: what the model has said meanwhile waits here and is never more than the tokens that were asked for.
#[derive(Debug)]
pub struct Generation {
    /// How long the prompt is, the words the chat template adds included.
    pub prompt_tokens: u64,
    source: Source,
}

/// What happens while a model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// More text; never empty, always whole characters.
    Piece {
        /// The text to add to what came before.
        text: String,
        /// The tokens made so far, these included.
        output_tokens: u64,
    },
    /// The end.
    Finished {
        /// Why it ended.
        reason: Finish,
        /// All tokens that were made.
        output_tokens: u64,
    },
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// The model had said it all, or came to a stop sequence.
    Stop,
    /// The cap of the call was reached, or the model's window is full.
    MaxTokens,
}

enum Source {
    Script(Box<Playback>),
    Worker(Answer),
    Over,
}

impl Generation {
    pub(crate) fn scripted(prompt_tokens: u64, playback: Playback) -> Self {
        Self { prompt_tokens, source: Source::Script(Box::new(playback)) }
    }

    pub(crate) fn embedded(prompt_tokens: u64, answer: Answer) -> Self {
        Self { prompt_tokens, source: Source::Worker(answer) }
    }

    /// The next event; `None` after the last. Nothing is lost when the future is dropped half-way.
    pub async fn next(&mut self) -> Option<Result<Event, ModelError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same as [`next`](Self::next) for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, ModelError>>> {
        let event = match &mut self.source {
            Source::Script(playback) => ready!(playback.poll_next(cx)),
            Source::Worker(answer) => ready!(answer.poll_next(cx)),
            Source::Over => return Poll::Ready(None),
        };
        if !matches!(event, Ok(Event::Piece { .. })) {
            self.source = Source::Over;
        }
        Poll::Ready(Some(event))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Script(_) => "Script",
            Self::Worker(_) => "Worker",
            Self::Over => "Over",
        })
    }
}
