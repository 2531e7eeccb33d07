//! How the next token is chosen.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::spelling::{Begun, Spelling};
use crate::{Generate, Grammar, Sampling};

/// Chooses the tokens of one generation.
pub(super) struct Chooser {
    /// A grammar if there is one, then penalties, then the choice.
    chain: LlamaSampler,
    /// Where there is a grammar.
    begun: Option<Begun>,
}

impl Chooser {
    /// # Errors
    /// What is wrong with the grammar.
    pub(super) fn new(model: &LlamaModel, request: &Generate, window_tokens: u32) -> Result<Self, String> {
        let mut chain = Vec::new();
        if let Some(given) = &request.grammar {
            chain.push(grammar(model, given)?);
        }
        let sampling = &request.sampling;
        if sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0 {
            let window = i32::try_from(window_tokens).unwrap_or(i32::MAX);
            let (frequency, presence) = (sampling.frequency_penalty, sampling.presence_penalty);
            chain.push(LlamaSampler::penalties(model.n_vocab(), window, 1.0, frequency, presence));
        }
        if sampling.temperature > 0.0 {
            chain.extend(dice(sampling));
        } else {
            chain.push(LlamaSampler::greedy());
        }
        let begun = request.grammar.as_ref().map(|_| Begun::default());
        Ok(Self { chain: LlamaSampler::chain(chain, true), begun })
    }

    /// Whether it is held to a grammar.
    pub(super) const fn follows_grammar(&self) -> bool {
        self.begun.is_some()
    }

    /// The next token, after which the chooser is one further. `None` if the model has no token that the grammar allows.
    pub(super) fn choose(
        &mut self,
        spelling: &Spelling<'_>,
        context: &LlamaContext<'_>,
        at: i32,
    ) -> Option<LlamaToken> {
        if self.begun.is_some() {
            return self.choose_among(spelling, context.candidates_ith(at));
        }
        // This accepts the token as well.
        Some(self.chain.sample(context, at))
    }

    /// The same, among these tokens.
    pub(super) fn choose_among(
        &mut self,
        spelling: &Spelling<'_>,
        tokens: impl Iterator<Item = LlamaTokenData>,
    ) -> Option<LlamaToken> {
        let begun = self.begun.get_or_insert_default();
        let mut tokens =
            LlamaTokenDataArray::from_iter(tokens.filter(|token| spelling.follows(begun, token.id())), false);
        if tokens.data.is_empty() {
            return None;
        }
        self.chain.apply(&mut tokens);
        let chosen = tokens.data.get(tokens.selected?)?;
        // A grammar that is shown a token it forbids throws or aborts.
        if chosen.logit() == f32::NEG_INFINITY {
            return None;
        }
        self.chain.try_accept(chosen.id()).ok()?;
        spelling.follow(begun, chosen.id());
        Some(chosen.id())
    }
}

fn dice(sampling: &Sampling) -> [LlamaSampler; 4] {
    // llama.cpp takes the highest seed for "any"; ours is always a seed.
    let seed = sampling.seed.min(u32::MAX - 1);
    [
        LlamaSampler::top_k(i32::try_from(sampling.top_k).unwrap_or(i32::MAX)),
        LlamaSampler::top_p(sampling.top_p, 1),
        LlamaSampler::temp(sampling.temperature),
        LlamaSampler::dist(seed),
    ]
}

fn grammar(model: &LlamaModel, grammar: &Grammar) -> Result<LlamaSampler, String> {
    // llama.cpp says no more than that it did not work; repetition of repetition is the usual cause.
    LlamaSampler::grammar(model, grammar.gbnf(), "root")
        .map_err(|_| "it repeats too much; are its lengths huge?".to_owned())
}
