//! What is asked of an engine.
//!
//! These types cross the socket to the worker as they are. Both ends are the same program, so their serde form is
//! nobody's interface: keep them out of HTTP bodies.

use serde::{Deserialize, Serialize};

use crate::Grammar;

/// One generation: the prompt and how to answer it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// The name the caller asked for. The script matches on it; the embedded model answers whatever the name.
    pub model: String,
    /// What to answer.
    pub prompt: Prompt,
    /// How to choose each token. The script ignores it.
    pub sampling: Sampling,
    /// The most tokens to answer with, already clamped to what the caller may have. Taken as 1 when it is 0.
    pub output_tokens_max: u32,
    /// The answer ends before the first of these that it would contain. Empty ones are ignored.
    pub stop: Vec<String>,
    /// What the answer must follow: JSON of a [`Shape`](crate::Shape). The script ignores it.
    pub grammar: Option<Grammar>,
}

/// What to answer: a system instruction and the turns so far, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// How the model should behave. Without one, some models put in a sentence of their own.
    pub system: Option<String>,
    /// The conversation; as a rule it ends with a turn of the user.
    pub turns: Vec<Turn>,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said: always plain text, never control tokens, whatever it spells.
    pub text: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The person or program that asks.
    User,
    /// The model, in an earlier answer.
    Model,
}

/// How each token is chosen. The penalties look at the answer so far, not at the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 always takes the likeliest token; higher is wilder.
    pub temperature: f32,
    /// Choose among the likeliest tokens that together have this probability; 1 switches it off.
    pub top_p: f32,
    /// Choose among this many likeliest tokens; 0 switches it off.
    pub top_k: u32,
    /// Taken off the score of every token that was used; 0 switches it off.
    pub presence_penalty: f32,
    /// Taken off the score of a token for each time it was used; 0 switches it off.
    pub frequency_penalty: f32,
    /// The same seed gives the same answer as long as the engine answers nobody else meanwhile.
    pub seed: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 0.95, top_k: 64, presence_penalty: 0.0, frequency_penalty: 0.0, seed: 0 }
    }
}

impl Sampling {
    /// The same with every number finite and in a range the model's arithmetic survives. JSON has no word for NaN.
    pub(crate) fn tamed(self) -> Self {
        let tame = |value: f32, low, high, fallback| if value.is_nan() { fallback } else { value.clamp(low, high) };
        Self {
            temperature: tame(self.temperature, 0.0, 100.0, 1.0),
            top_p: tame(self.top_p, 0.0, 1.0, 1.0),
            presence_penalty: tame(self.presence_penalty, -100.0, 100.0, 0.0),
            frequency_penalty: tame(self.frequency_penalty, -100.0, 100.0, 0.0),
            ..self
        }
    }
}
