//! A BERT that was published as safetensors, made into the GGUF file that llama.cpp reads.
//!
//! The same input gives the same bytes, so the result is known by its SHA-256 as well. Large matrices are packed to Q8_0,
//! which costs a quarter of the space and next to no quality; what is small stays as it is.

mod gguf;
mod safetensors;
#[cfg(test)]
mod tests;

use std::fmt;

use gguf::{Form, Gguf};
use safetensors::Safetensors;

/// What the file of the weights does not say of a model.
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) license: &'static str,
    pub(super) attention_heads: u32,
    pub(super) layer_norm_epsilon: f32,
}

/// What in the files is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) String);

/// Tokens that have a meaning of their own, and what GGUF calls those of them that it names. It does spell one of them so.
const SPECIAL: [(&str, &str); 5] =
    [("[UNK]", "unknown"), ("[SEP]", "seperator"), ("[PAD]", "padding"), ("[CLS]", "cls"), ("[MASK]", "mask")];

/// Kinds of tokens in a vocabulary.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

/// All vectors of a text's tokens become one by their mean.
const POOLING_MEAN: u32 = 1;

/// Most of the tensors are Q8_0.
const FILE_TYPE_Q8_0: u32 = 7;

/// Parts of a layer: what they are called there and here.
const LAYER: [(&str, &str); 8] = [
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

const WORDS: &str = "embeddings.word_embeddings.weight";
const POSITIONS: &str = "embeddings.position_embeddings.weight";
const TYPES: &str = "embeddings.token_type_embeddings.weight";

/// Makes the GGUF file of these weights and this vocabulary, which has a token on each line.
///
/// # Errors
/// A tensor is missing, damaged or of another form than a BERT's, or the vocabulary is of another model.
pub(super) fn convert(weights: &[u8], vocabulary: &str, about: &About) -> Result<Vec<u8>, Misfit> {
    let weights = Safetensors::read(weights)?;
    let [tokens, width] = weights.matrix(WORDS)?;
    let [positions, _] = weights.matrix(POSITIONS)?;
    let [types, _] = weights.matrix(TYPES)?;
    let [inner_width, _] = weights.matrix("encoder.layer.0.intermediate.dense.weight")?;
    let layers = (0..).take_while(|layer| weights.has(&format!("encoder.layer.{layer}.output.dense.weight"))).count();
    let layers = u32::try_from(layers).map_err(|_| Misfit("it has too many layers".to_owned()))?;

    let mut file = Gguf::default();
    file.text("general.architecture", "bert");
    file.text("general.name", about.name);
    file.text("general.license", about.license);
    file.number("general.file_type", FILE_TYPE_Q8_0);
    file.number("bert.block_count", layers);
    file.number("bert.context_length", positions);
    file.number("bert.embedding_length", width);
    file.number("bert.feed_forward_length", inner_width);
    file.number("bert.attention.head_count", about.attention_heads);
    file.float("bert.attention.layer_norm_epsilon", about.layer_norm_epsilon);
    file.flag("bert.attention.causal", false);
    file.number("bert.pooling_type", POOLING_MEAN);
    file.text("tokenizer.ggml.model", "bert");
    file.number("tokenizer.ggml.token_type_count", types);
    add_vocabulary(&mut file, vocabulary, tokens)?;
    for (theirs, ours) in names(layers) {
        let tensor = weights.tensor(&theirs)?;
        let is_small = tensor.shape.len() < 2 || theirs == POSITIONS || theirs == TYPES;
        file.tensor(&ours, &tensor, if is_small { Form::F32 } else { Form::Q8_0 })?;
    }
    Ok(file.into_bytes())
}

/// The tokens as llama.cpp marks them: beginnings of words, not their ends.
fn add_vocabulary(file: &mut Gguf, vocabulary: &str, tokens_expected: u32) -> Result<(), Misfit> {
    let lines: Vec<&str> = vocabulary.lines().collect();
    if u32::try_from(lines.len()) != Ok(tokens_expected) {
        return Err(Misfit(format!("there are {} tokens and weights for {tokens_expected}", lines.len())));
    }
    let marked = |line: &&str| match line.strip_prefix("##") {
        _ if SPECIAL.iter().any(|(special, _)| special == line) => ((*line).to_owned(), CONTROL),
        Some(rest) => (rest.to_owned(), NORMAL),
        None => (format!("\u{2581}{line}"), NORMAL),
    };
    let (tokens, kinds): (Vec<String>, Vec<i32>) = lines.iter().map(marked).unzip();
    file.texts("tokenizer.ggml.tokens", &tokens);
    file.integers("tokenizer.ggml.token_type", &kinds);
    for (token, name) in SPECIAL {
        let at = lines.iter().position(|line| *line == token).and_then(|at| u32::try_from(at).ok());
        let at = at.ok_or_else(|| Misfit(format!("the token {token} is missing")))?;
        file.number(&format!("tokenizer.ggml.{name}_token_id"), at);
    }
    Ok(())
}

/// What each tensor is called there and here, in the order of the file. A pooler that may be there is not needed.
fn names(layers: u32) -> Vec<(String, String)> {
    let tables = [(WORDS, "token_embd.weight"), (POSITIONS, "position_embd.weight"), (TYPES, "token_types.weight")];
    let mut names: Vec<_> = tables.iter().map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).to_owned())).collect();
    let parts = ["weight", "bias"];
    for part in parts {
        names.push((format!("embeddings.LayerNorm.{part}"), format!("token_embd_norm.{part}")));
    }
    for layer in 0..layers {
        for (theirs, ours) in LAYER {
            for part in parts {
                names.push((format!("encoder.layer.{layer}.{theirs}.{part}"), format!("blk.{layer}.{ours}.{part}")));
            }
        }
    }
    names
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
