//! The scripted model: answers from a list, the same ones every time, with faults on demand.

mod parse;
mod playback;
mod tokens;
mod vector;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use parse::{ScriptError, ScriptMistake};
pub(crate) use playback::Playback;

use crate::{EmbedderInfo, Embedding, Finish, Generate, Generation, ModelError, ModelInfo, Prompt, Role};

/// The windows the scripted model claims to have.
const INPUT_TOKENS_MAX: u64 = 1_048_576;
const OUTPUT_TOKENS_MAX: u64 = 65_536;
const EMBEDDED_TOKENS_MAX: usize = 2048;

/// A list of replies, tried in order; the first that matches answers. When none does, a built-in reply says so kindly.
///
/// `Script::default()` has no replies at all, so everything gets the built-in one.
///
/// ```toml
/// [[reply]]
/// model = "gemini-2.5-*"    # only for this model; a `*` may stand at the end
/// contains = "weather"      # only when the last text of the user contains this, in any case of letters
/// text = "Sunny."           # the answer; or, piece by piece: tokens = ["Sun", "ny", "."]
/// delay_ms = 5              # wait before each piece, at most 60000
/// finish = "MAX_TOKENS"     # or "STOP", which is the default
/// prompt_tokens = 7         # how long the prompt is said to be; otherwise it is counted
///
/// [[reply]]
/// status = 503              # fail with this, 400 to 599, before any text
/// message = "overloaded"    # the message of the fault
/// fail_after = 2            # with `text`: fail only after so many pieces
/// ```
///
/// Everything but an answer or a status is optional. A token of the script is a word with the white space before it, or
/// one mark with the white space before it: "Sunny, today." has four. Text comes in pieces of one token, and the output
/// tokens are the pieces.
///
/// A text to embed is matched in the same way: a reply that fails before any text fails there, too. Every other text gets
/// a vector made of its hash, whatever the script says, after the delay of its reply.
#[derive(Debug, Default)]
pub struct Script {
    replies: Vec<Reply>,
    running: AtomicU64,
}

/// One reply of the script, checked.
#[derive(Clone, Debug, PartialEq)]
struct Reply {
    model: Option<ModelPattern>,
    /// In lower case.
    contains: Option<String>,
    pieces: Vec<String>,
    delay: Duration,
    fault: Option<Fault>,
    finish: Finish,
    prompt_tokens: Option<u64>,
}

/// The error a reply ends in, and when.
#[derive(Clone, Debug, PartialEq)]
struct Fault {
    status: u16,
    message: Option<String>,
    /// `None`: before any byte. `Some(n)`: after so many pieces.
    after: Option<usize>,
}

/// A model's name, or the beginning of one followed by `*`.
#[derive(Clone, Debug, PartialEq)]
enum ModelPattern {
    Exactly(String),
    StartsWith(String),
}

impl Script {
    /// Reads a script file.
    ///
    /// # Errors
    /// All mistakes at once, each with the number of the reply and the field.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let replies = parse::replies(text)?;
        Ok(Self { replies, running: AtomicU64::new(0) })
    }

    pub(crate) fn info() -> ModelInfo {
        ModelInfo {
            name: "script".to_owned(),
            input_tokens_max: INPUT_TOKENS_MAX,
            output_tokens_max: OUTPUT_TOKENS_MAX,
        }
    }

    pub(crate) fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, model: &str, prompt: &Prompt) -> u64 {
        let scripted = self.matching(model, last_user_text(prompt)).and_then(|reply| reply.prompt_tokens);
        scripted.unwrap_or_else(|| tokens::count_prompt(prompt))
    }

    pub(crate) fn play(self: &Arc<Self>, request: &Generate) -> Result<Generation, ModelError> {
        let reply = self.matching(&request.model, last_user_text(&request.prompt)).cloned();
        let reply = reply.unwrap_or_else(|| built_in(&request.prompt));
        if let Some(Fault { status, message, after: None }) = reply.fault {
            return Err(ModelError::Scripted { status, message });
        }
        let prompt_tokens = reply.prompt_tokens.unwrap_or_else(|| tokens::count_prompt(&request.prompt));
        Ok(Generation::scripted(prompt_tokens, Playback::new(Arc::clone(self), reply, request)))
    }

    pub(crate) fn embedder_info() -> EmbedderInfo {
        EmbedderInfo {
            name: "script".to_owned(),
            input_tokens_max: EMBEDDED_TOKENS_MAX as u64,
            dimensions: vector::DIMENSIONS,
        }
    }

    pub(crate) fn count_text(text: &str) -> u64 {
        tokens::count(text)
    }

    pub(crate) async fn embed(
        &self,
        model: &str,
        text: &str,
        mut begin: impl FnMut(u64),
    ) -> Result<Embedding, ModelError> {
        let reply = self.matching(model, text);
        if let Some(Fault { status, message, after: None }) = reply.and_then(|reply| reply.fault.clone()) {
            return Err(ModelError::Scripted { status, message });
        }
        let read = tokens::first(text, EMBEDDED_TOKENS_MAX);
        let tokens = tokens::count(read);
        begin(tokens);
        tokio::time::sleep(reply.map_or(Duration::ZERO, |reply| reply.delay)).await;
        Ok(Embedding { values: vector::of(read), tokens })
    }

    fn matching(&self, model: &str, asked: &str) -> Option<&Reply> {
        let asked = asked.to_lowercase();
        self.replies.iter().find(|reply| {
            reply.model.as_ref().is_none_or(|pattern| pattern.matches(model))
                && reply.contains.as_ref().is_none_or(|part| asked.contains(part.as_str()))
        })
    }
}

impl ModelPattern {
    fn matches(&self, model: &str) -> bool {
        match self {
            Self::Exactly(name) => model == name,
            Self::StartsWith(beginning) => model.starts_with(beginning.as_str()),
        }
    }
}

/// What to say when the script has nothing to say. It claims nothing but what is true.
fn built_in(prompt: &Prompt) -> Reply {
    const ECHO_CHARS_MAX: usize = 200;

    let asked: String = last_user_text(prompt).chars().take(ECHO_CHARS_MAX).collect();
    let text = format!(
        "Hello! This is Keylodge's scripted model, which gives the same answer to the same question every time. \
         You wrote: \"{asked}\" No language model has read it. \
         Load a script to choose the answers, or start the embedded model to have them written."
    );
    Reply {
        model: None,
        contains: None,
        pieces: tokens::split(&text),
        delay: Duration::ZERO,
        fault: None,
        finish: Finish::Stop,
        prompt_tokens: None,
    }
}

fn last_user_text(prompt: &Prompt) -> &str {
    let last = prompt.turns.iter().rev().find(|turn| turn.role == Role::User);
    last.map_or("", |turn| turn.text.as_str())
}

#[cfg(test)]
mod tests;
