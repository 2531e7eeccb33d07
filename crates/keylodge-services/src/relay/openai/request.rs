//! A Gemini request as the body of a chat completion.

use bytes::Bytes;
use keylodge_api::gemini::schema::to_json_schema;
use keylodge_api::gemini::{GenerationConfig, ThinkingConfig};
use keylodge_api::{Status, proto_json};
use serde_json::{Map, Value, json};

use super::answer::Answering;
use super::call::Call;
use super::mistakes::Mistakes;
use super::{conversation, tools};

/// Who is spoken to.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'settings> {
    /// The model's name in the caller's path, without `models/`.
    pub asked: &'settings str,
    /// The model's name at the upstream.
    pub model: &'settings str,
    /// Whether `top_k`, which OpenAI's API has not, may be sent. llama.cpp, vLLM and LM Studio take it, Ollama passes
    /// over it; OpenAI's own server refuses it. If it may not, a `topK` is refused.
    pub takes_top_k: bool,
    /// Whether `reasoning_effort` may be sent. If not, a model that never thinks is assumed: it keeps every limit on
    /// thinking.
    pub takes_effort: bool,
}

/// How the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As one JSON object.
    Whole,
    /// As server-sent events, with the usage at the end.
    Stream,
}

/// A call in the upstream's words.
#[derive(Clone, Debug)]
pub struct ChatCall {
    /// The body of `POST {base}/chat/completions`.
    pub body: Bytes,
    /// Turns the answer back.
    pub answering: Answering,
}

/// Translates the body of a generateContent or streamGenerateContent.
///
/// # Errors
/// INVALID_ARGUMENT with every mistake: what is no Gemini request, or else what cannot be said to such a server.
pub fn to_chat(body: &[u8], upstream: Upstream<'_>, framing: Framing) -> Result<ChatCall, Status> {
    let call: Call = proto_json::parse(body)?;
    let mut mistakes = Mistakes::default();
    let mut chat = Map::new();
    chat.insert("model".to_owned(), upstream.model.into());
    chat.insert("messages".to_owned(), conversation::messages(&call, &mut mistakes).into());
    let tools = tools::tools(&call, &mut mistakes);
    if !tools.tools.is_empty() {
        chat.insert("tools".to_owned(), tools.tools.into());
    }
    put(&mut chat, "tool_choice", tools.choice);
    configure(&mut chat, &call.generation_config, upstream, &mut mistakes);
    if framing == Framing::Stream {
        chat.insert("stream".to_owned(), true.into());
        chat.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    refuse_the_rest(&call, upstream, &mut mistakes);
    mistakes.none()?;

    let thinking = call.generation_config.thinking_config.as_ref();
    let shows_thoughts = thinking.and_then(|thinking| thinking.include_thoughts).unwrap_or(false);
    let body = Bytes::from(Value::Object(chat).to_string());
    Ok(ChatCall { body, answering: Answering::new(upstream.model, shows_thoughts) })
}

fn configure(
    chat: &mut Map<String, Value>,
    config: &GenerationConfig,
    upstream: Upstream<'_>,
    mistakes: &mut Mistakes,
) {
    put(chat, "temperature", config.temperature);
    put(chat, "top_p", config.top_p);
    put(chat, "top_k", at_least_one(config.top_k, "top_k", mistakes));
    if config.top_k.is_some() && !upstream.takes_top_k {
        mistakes.refuse("generation_config.top_k", "the server behind this model does not take it");
    }
    put(chat, "max_tokens", at_least_one(config.max_output_tokens, "max_output_tokens", mistakes));
    put(chat, "seed", config.seed);
    put(chat, "presence_penalty", config.presence_penalty);
    put(chat, "frequency_penalty", config.frequency_penalty);
    let stops: Vec<&str> = config.stop_sequences.iter().map(String::as_str).filter(|stop| !stop.is_empty()).collect();
    put(chat, "stop", (!stops.is_empty()).then_some(stops));
    match config.candidate_count {
        None | Some(0 | 1) => {}
        Some(count @ 2..=8) => put(chat, "n", Some(count)),
        Some(_) => mistakes.refuse("generation_config.candidate_count", "it must be in the range [1, 8]"),
    }
    put(chat, "response_format", response_format(config, mistakes));
    if config.response_logprobs {
        put(chat, "logprobs", Some(true));
        put(chat, "top_logprobs", config.logprobs.filter(|count| *count > 0));
    } else if config.logprobs.is_some() {
        mistakes.refuse("generation_config.logprobs", "it needs response_logprobs");
    }
    if let Some(thinking) = &config.thinking_config {
        let effort = effort(thinking, mistakes);
        put(chat, "reasoning_effort", effort.filter(|_| upstream.takes_effort));
    }
    if config.response_modalities.iter().any(|modality| !modality.eq_ignore_ascii_case("TEXT")) {
        mistakes.refuse("generation_config.response_modalities", "only TEXT can be generated");
    }
    for field in &config.other {
        mistakes.refuse(&format!("generation_config.{field}"), "the model behind this name writes text only");
    }
}

fn put(chat: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        chat.insert(name.to_owned(), value.into());
    }
}

fn at_least_one(value: Option<i32>, name: &str, mistakes: &mut Mistakes) -> Option<i32> {
    if value.is_some_and(|value| value < 1) {
        mistakes.refuse(&format!("generation_config.{name}"), "it must be at least 1");
    }
    value
}

/// The form that the answer must have, if it must have one.
fn response_format(config: &GenerationConfig, mistakes: &mut Mistakes) -> Option<Value> {
    let (field, schema) = match (&config.response_schema, &config.response_json_schema) {
        (None, None) => ("", None),
        (Some(schema), None) => ("response_schema", Some(to_json_schema(schema))),
        (None, Some(schema)) => ("response_json_schema", Some(schema.clone())),
        (Some(_), Some(_)) => {
            mistakes.refuse("generation_config.response_json_schema", "give either it or response_schema");
            return None;
        }
    };
    match (config.response_mime_type.as_deref(), schema) {
        (None | Some("text/plain"), None) => None,
        (Some("application/json"), None) => Some(json!({"type": "json_object"})),
        (Some("application/json"), Some(schema)) if schema.is_object() => {
            Some(json!({"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}))
        }
        (Some("application/json"), Some(_)) => {
            mistakes.refuse(&format!("generation_config.{field}"), "it is no schema");
            None
        }
        (None | Some("text/plain"), Some(_)) => {
            mistakes.refuse("generation_config.response_mime_type", "a schema needs application/json");
            None
        }
        (Some(_), _) => {
            mistakes.refuse("generation_config.response_mime_type", "served are text/plain and application/json");
            None
        }
    }
}

/// A limit on thinking in the words that servers know. The budgets are those that Google's own OpenAI surface takes the
/// words for.
fn effort(thinking: &ThinkingConfig, mistakes: &mut Mistakes) -> Option<&'static str> {
    const LEVEL: &str = "generation_config.thinking_config.thinking_level";
    let level = thinking.thinking_level.as_deref().filter(|level| *level != "THINKING_LEVEL_UNSPECIFIED");
    match (level, thinking.thinking_budget) {
        (Some(_), Some(_)) => {
            mistakes.refuse(LEVEL, "give either it or thinking_budget");
            None
        }
        (Some(level), None) => match level.to_ascii_uppercase().as_str() {
            "MINIMAL" => Some("minimal"),
            "LOW" => Some("low"),
            "MEDIUM" => Some("medium"),
            "HIGH" => Some("high"),
            "XHIGH" => Some("xhigh"),
            _ => {
                mistakes.refuse(LEVEL, "the levels are MINIMAL, LOW, MEDIUM, HIGH and XHIGH");
                None
            }
        },
        (None, Some(0)) => Some("none"),
        (None, Some(1..=1024)) => Some("low"),
        (None, Some(1025..=8192)) => Some("medium"),
        (None, Some(8193..)) => Some("high"),
        // Less than 0 leaves it to the model.
        (None, Some(_) | None) => None,
    }
}

fn refuse_the_rest(call: &Call, upstream: Upstream<'_>, mistakes: &mut Mistakes) {
    for field in &call.refused {
        mistakes.refuse(field, "the server behind this model keeps nothing between calls");
    }
    let named = call.model.as_deref().map(|model| model.rsplit('/').next().unwrap_or(model));
    if named.is_some_and(|named| Some(named) != upstream.asked.rsplit('/').next()) {
        mistakes.refuse("model", "the body names another model than the path");
    }
    let mut categories: Vec<&str> = call.safety_settings.iter().filter_map(|setting| setting.category).collect();
    categories.sort_unstable();
    if categories.windows(2).any(|pair| pair[0] == pair[1]) {
        let description = "* GenerateContentRequest.safety_settings: at most one setting for each category\n";
        mistakes.add("safety_settings", description);
    }
}
