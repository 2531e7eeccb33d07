//! The promise of a schema, tried on a thousand random ones: whatever a model would like to say, the answer parses and is
//! what the caller's schema allows, or the schema was refused with the place in it.
//!
//! Each schema goes the way of a request: from the words of the wire to the grammar and to the chain that production
//! samples with. Only the scores are not a model's but dice, which try odder things than any model. Another validator,
//! which knows nothing of that way, then holds the answer against the schema as it was given.

mod dice;
mod maker;
mod validator;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use keylodge_api::gemini::schema::to_json_schema;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use serde_json::Value;

use super::sampler::Chooser;
use super::spelling::Spelling;
use crate::worker::Task;
use crate::{Generate, Grammar, ModelFile, Prompt, Sampling, Shape, ShapeMistake, fetch};
use dice::Dice;
use maker::{Made, Maker};

/// The cases, each with a schema and an answer of its own. To repeat one, leave only its number.
const CASES: std::ops::Range<u64> = 0..1000;
/// After so many tokens, what closes is likelier.
const TOKENS_FREE: usize = 60;
/// As long as an answer may be where a window is 2048 tokens.
const TOKENS_MAX: usize = 1500;

#[test]
fn every_answer_parses_and_is_what_the_schema_allows() {
    let mut backend = LlamaBackend::init().expect("llama.cpp starts once");
    backend.void_logs();
    // The dice need no more than the words.
    let params = LlamaModelParams::default().with_vocab_only(true);
    let model = LlamaModel::load_from_file(&backend, model_file(), &params).expect("a vocabulary");
    let speaker = Speaker::new(&model);
    let mut told = Told::default();

    for case in CASES {
        let made = Maker::new(case).schema();
        if let Err(why) = try_schema(case, &made, &speaker, &mut told) {
            told.broken.push(format!("case {case}: {why}\nschema {}", made.schema));
        }
    }

    let broken = &told.broken[..told.broken.len().min(10)];
    assert!(broken.is_empty(), "{} answers break the promise: {}", told.broken.len(), broken.join("\n"));
    if CASES.end - CASES.start < 1000 {
        return;
    }
    for kind in words::KINDS {
        assert!(told.kinds.get(kind).is_some_and(|count| *count >= 5), "too few schemas have {kind}: {told:?}");
    }
    assert!(told.refused >= 30, "too few were to be refused: {told:?}");
    assert!(told.cut_off <= 5, "too many answers had no end: {told:?}");
    assert!(told.answered >= 900, "{told:?}");
}

#[derive(Debug, Default)]
struct Told {
    answered: u64,
    refused: u64,
    cut_off: u64,
    tokens: usize,
    kinds: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
}

fn try_schema(case: u64, made: &Made, speaker: &Speaker<'_>, told: &mut Told) -> Result<(), String> {
    made.kinds.iter().for_each(|kind| *told.kinds.entry(kind).or_default() += 1);
    let grammar = match (grammar(made), made.planted) {
        (Ok(grammar), None) => grammar,
        (Err(mistakes), Some(planted)) if mistakes.iter().any(|mistake| mistake.place.ends_with(planted)) => {
            told.refused += 1;
            return Ok(());
        }
        (Ok(_), Some(planted)) => return Err(format!("{planted} is not refused")),
        (Err(mistakes), planted) => return Err(format!("it is refused, not for {planted:?}: {mistakes:?}")),
    };
    let Some(answer) = speaker.answer(case, &grammar, &mut told.tokens)? else {
        told.cut_off += 1;
        return Ok(());
    };
    let answer = String::from_utf8(answer).map_err(|error| format!("{error}: {:?}", error.as_bytes()))?;
    let value: Value = serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
    validator::check(&made.schema, &value).map_err(|why| format!("{why}: {answer}"))?;
    told.answered += 1;
    Ok(())
}

fn grammar(made: &Made) -> Result<Grammar, Vec<ShapeMistake>> {
    let schema = if made.is_googles { to_json_schema(&made.schema) } else { made.schema.clone() };
    Shape::of_json_schema(&schema)?.grammar().map_err(|mistake| vec![mistake])
}

fn model_file() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings")]
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache_dir = from("KEYLODGE_CACHE_DIR")
        .or_else(|| from("HOME").map(|home| home.join(".cache/keylodge/models")))
        .expect("a cache folder: set KEYLODGE_CACHE_DIR");
    let file = ModelFile::Default { cache_dir, may_fetch: true };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(fetch::prepare(Task::Generate, &file, &|_: &str| {})).expect("the model's file")
}

/// Says what dice like, out of a model's words.
struct Speaker<'m> {
    model: &'m LlamaModel,
    spelling: Spelling<'m>,
    all: Vec<LlamaToken>,
    /// Single bytes, of which everything can be spelled, and the ends.
    always: Vec<LlamaToken>,
    /// What brings an answer nearer to its end.
    closing: BTreeSet<i32>,
}

impl<'m> Speaker<'m> {
    fn new(model: &'m LlamaModel) -> Self {
        let vocab = model.vocab();
        let all: Vec<LlamaToken> = vocab.tokens().collect();
        let piece = |token: LlamaToken| vocab.token_to_piece(token, false, None);
        let always = all.iter().copied().filter(|token| vocab.is_eog(*token) || piece(*token).len() == 1).collect();
        let closes = |token: &LlamaToken| {
            let piece = piece(*token);
            vocab.is_eog(*token) || (!piece.is_empty() && piece.iter().all(|byte| b"\"]}".contains(byte)))
        };
        let closing = all.iter().filter(|token| closes(token)).map(|token| token.0).collect();
        Self { model, spelling: Spelling::new(model), all, always, closing }
    }

    /// An answer under the grammar; `None` if it does not come to an end.
    fn answer(&self, case: u64, grammar: &Grammar, tokens: &mut usize) -> Result<Option<Vec<u8>>, String> {
        let mut dice = Dice::new(!case);
        let sampling = Sampling {
            temperature: if dice.one_in(4) { 0.0 } else { 1.0 },
            top_p: if dice.one_in(2) { 0.95 } else { 1.0 },
            top_k: if dice.one_in(2) { 40 } else { 0 },
            presence_penalty: if dice.one_in(4) { 1.0 } else { 0.0 },
            frequency_penalty: 0.0,
            seed: u32::try_from(dice.below(1000)).expect("a small number"),
        };
        let request = Generate {
            model: String::new(),
            prompt: Prompt::default(),
            sampling,
            output_tokens_max: 1,
            stop: Vec::new(),
            grammar: Some(grammar.clone()),
        };
        let mut chooser = Chooser::new(self.model, &request, 2048)?;
        let vocab = self.model.vocab();
        let mut answer = Vec::new();
        for count in 0..TOKENS_MAX {
            let offered = self.offered(&mut dice, count > TOKENS_FREE);
            let Some(token) = chooser.choose_among(&self.spelling, offered.into_iter()) else {
                return Err(format!("nothing follows {}", String::from_utf8_lossy(&answer)));
            };
            *tokens += 1;
            if vocab.is_eog(token) {
                return Ok(Some(answer));
            }
            answer.extend(vocab.token_to_piece(token, false, None));
        }
        Ok(None)
    }

    /// Some tokens with random scores, among them enough to go on with whatever comes.
    fn offered(&self, dice: &mut Dice, is_closing: bool) -> Vec<LlamaTokenData> {
        let some: Vec<LlamaToken> = (0..150).map(|_| *dice.of(&self.all)).collect();
        let offered: BTreeSet<i32> = some.iter().chain(&self.always).map(|token| token.0).collect();
        let score = |dice: &mut Dice, token: i32| {
            let close = if is_closing && self.closing.contains(&token) { 20.0 } else { 0.0 };
            close + f32::from(u16::try_from(dice.below(1000)).expect("a small number")) / 100.0
        };
        offered.into_iter().map(|token| LlamaTokenData::new(LlamaToken(token), score(dice, token), 0.0)).collect()
    }
}
