//! How the next token is chosen.

use llama_cpp_2::json_schema_to_grammar;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;

use crate::{Generate, Sampling};

/// The chain for one generation: a grammar if there is a schema, then penalties, then the choice.
///
/// # Errors
/// What is wrong with the schema.
pub(super) fn chain(model: &LlamaModel, request: &Generate, window_tokens: u32) -> Result<LlamaSampler, String> {
    let mut chain = Vec::new();
    if let Some(schema) = &request.json_schema {
        chain.push(grammar(model, schema)?);
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
    Ok(LlamaSampler::chain(chain, true))
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

fn grammar(model: &LlamaModel, schema: &str) -> Result<LlamaSampler, String> {
    // Rust reads it first, for the sake of a clear message and of the depth it allows.
    let _: serde_json::Value = serde_json::from_str(schema).map_err(|error| format!("it is not JSON: {error}"))?;
    let grammar = json_schema_to_grammar(schema).map_err(|_| "it has something that is not supported".to_owned())?;
    // llama.cpp says no more than that it did not work; repetition in the thousands is the usual cause.
    LlamaSampler::grammar(model, &grammar, "root").map_err(|_| "it asks for too much; are its lengths huge?".to_owned())
}
