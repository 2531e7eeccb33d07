//! How fast the library is by itself: llama.cpp in this process, greedy, one caller. One JSON line on stdout.
//!
//! `cargo run --release -p keylodge-model --features llama --example library_speed -- MODEL.gguf PROMPT TOKENS THREADS`
//!
//! The prompt is put in ChatML, as SmolLM2 wants it; the answer ends at the end of turn or after TOKENS. The rate is over
//! the whole call, prompt included, as an HTTP caller would see it; `generated_per_second` is after the first token.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::num::NonZeroU32;
use std::time::Instant;

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::sampling::LlamaSampler;

const WINDOW_TOKENS: u32 = 2048;
const SYSTEM: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, prompt, tokens, threads] = args.as_slice() else {
        return Err("usage: library_speed MODEL.gguf PROMPT TOKENS THREADS".into());
    };
    let (tokens_max, threads): (usize, i32) = (tokens.parse()?, threads.parse()?);

    let mut backend = LlamaBackend::init()?;
    backend.void_logs();
    let model = LlamaModel::load_from_file(&backend, model, &LlamaModelParams::default())?;
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(WINDOW_TOKENS))
        .with_n_batch(WINDOW_TOKENS)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    let mut context = model.new_context(&backend, params)?;

    let text = format!(
        "<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    );
    let prompt = model.vocab().tokenize(text.as_bytes(), false, true);
    if prompt.len() + tokens_max > WINDOW_TOKENS as usize {
        return Err("prompt and answer do not fit into the window".into());
    }
    let mut batch = LlamaBatch::new(prompt.len(), 1);
    let mut greedy = LlamaSampler::greedy();

    let start = Instant::now();
    batch.add_sequence(&prompt, 0, false)?;
    context.decode(&mut batch)?;
    let mut token = greedy.sample(&context, batch.n_tokens() - 1);
    let first = start.elapsed();
    let mut output_tokens = 0;
    while !model.vocab().is_eog(token) {
        output_tokens += 1;
        if output_tokens == tokens_max {
            break;
        }
        batch.clear();
        batch.add(token, i32::try_from(prompt.len() + output_tokens - 1)?, &[0], true)?;
        context.decode(&mut batch)?;
        token = greedy.sample(&context, 0);
    }
    let whole = start.elapsed();

    let figures = serde_json::json!({
        "engine": "llama.cpp",
        "threads": threads,
        "prompt_tokens": prompt.len(),
        "output_tokens": output_tokens,
        "first_token_ms": first.as_secs_f64() * 1000.0,
        "whole_ms": whole.as_secs_f64() * 1000.0,
        "tokens_per_second": output_tokens as f64 / whole.as_secs_f64(),
        "generated_per_second": (output_tokens as f64 - 1.0) / (whole - first).as_secs_f64(),
    });
    writeln!(stdout(), "{figures}")?;
    Ok(())
}
