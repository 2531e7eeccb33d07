//! A Gemini request as a prompt for an engine: what is honoured, and what is refused by name.
//!
//! Nothing is dropped in silence. What the engines cannot do (tools besides functions, images, log probabilities, more than one answer)
//! is INVALID_ARGUMENT with the field's path, and all such mistakes come together. What changes nothing for a model of
//! text without a safety filter (labels, service tier, safety thresholds, an upper limit on thinking) is taken: a model
//! that never thinks keeps every thinking budget, and one that rates nothing blocks nothing.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use keylodge_api::Status;
use keylodge_api::gemini::schema::to_json_schema;
use keylodge_api::gemini::{Content, GenerateContentRequest, GenerationConfig, PartData};
use keylodge_api::proto_json::MISTAKES_MAX;
use keylodge_api::status::FieldViolation;
use keylodge_model::{Engine, Generate, Grammar, Prompt, Role, Sampling, Shape, ShapeMistake, Turn};
use serde_json::Value;

use super::functions::Functions;
use super::models::default;
use crate::Lodge;

/// Mistakes found so far; more than [`MISTAKES_MAX`] are not told.
#[derive(Default)]
pub(super) struct Mistakes(Vec<FieldViolation>);

/// What messages about a generation begin with.
const GENERATE: &str = "GenerateContentRequest";

/// What a request asks for.
pub(super) struct Wanted {
    pub(super) generate: Generate,
    /// The functions that the answer may be a call of.
    pub(super) functions: Option<Functions>,
    /// The path of the field with the schema that the answer is held to; empty if it is held to none.
    pub(super) schema: String,
}

/// The generation that a request asks for.
pub(super) fn of_generation(
    request: &GenerateContentRequest,
    name: &str,
    engine: &Engine,
    lodge: &Lodge,
) -> Result<Wanted, Status> {
    let mut mistakes = Mistakes::default();
    let functions = Functions::read(request, &mut mistakes);
    let prompt = prompt(request, functions.as_ref(), &mut mistakes);
    let config = &request.generation_config;
    refuse_what_is_not_served(request, &mut mistakes);
    check_model(request.model.as_deref(), "model", name, &mut mistakes);
    check_ranges(config, &mut mistakes);
    let (schema, grammar) = grammar(config, functions.as_ref(), &mut mistakes).unzip();
    mistakes.none()?;

    let cap = u32::try_from(engine.info().output_tokens_max).unwrap_or(u32::MAX);
    let asked = config.max_output_tokens.and_then(|tokens| u32::try_from(tokens).ok());
    let generate = Generate {
        model: name.to_owned(),
        prompt,
        sampling: sampling(config, u32::from_le_bytes(lodge.random())),
        output_tokens_max: asked.unwrap_or(cap).min(cap),
        stop: config.stop_sequences.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
        grammar,
    };
    Ok(Wanted { generate, functions, schema: schema.unwrap_or_default() })
}

/// The prompt whose tokens are to be counted.
pub(super) fn of_count(request: &GenerateContentRequest, name: &str) -> Result<Prompt, Status> {
    let mut mistakes = Mistakes::default();
    let functions = Functions::read(request, &mut mistakes);
    let prompt = prompt(request, functions.as_ref(), &mut mistakes);
    check_model(request.model.as_deref(), "model", name, &mut mistakes);
    refuse_what_is_not_served(request, &mut mistakes);
    mistakes.none()?;
    Ok(prompt)
}

/// When the answer must be there: after the longest time a generation may take, or sooner if the client says so.
pub(super) fn deadline(lodge: &Lodge, headers: &HeaderMap) -> tokio::time::Instant {
    let asked =
        headers.get("x-server-timeout").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let asked = asked.filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0);
    let longest = lodge.limits.generation_time_max;
    let time = asked.map_or(longest, |seconds| Duration::from_secs_f64(seconds.min(longest.as_secs_f64())));
    tokio::time::Instant::now() + time
}

fn prompt(request: &GenerateContentRequest, functions: Option<&Functions>, mistakes: &mut Mistakes) -> Prompt {
    if request.contents.is_empty() {
        mistakes.add("contents", "* GenerateContentRequest.contents: contents is not specified\n");
    }
    let system =
        request.system_instruction.as_ref().map(|content| text(content, GENERATE, "system_instruction", mistakes));
    let mut turns = Vec::with_capacity(request.contents.len());
    for (at, content) in request.contents.iter().enumerate() {
        let path = format!("contents[{at}]");
        let role = match content.role.as_deref() {
            None | Some("user" | "function") => Role::User,
            Some("model") => Role::Model,
            Some(_) => {
                mistakes.add(&format!("{path}.role"), "Please use a valid role: user, model.");
                Role::User
            }
        };
        turns.push(Turn { role, text: text(content, GENERATE, &path, mistakes) });
    }
    let told = system.filter(|system| !system.is_empty()).into_iter().chain(functions.map(Functions::instructions));
    let system = told.collect::<Vec<_>>().join("\n\n");
    Prompt { system: Some(system).filter(|system| !system.is_empty()), turns }
}

/// The text of a content of this message. What a model only thought is no part of the conversation.
pub(super) fn text(content: &Content, message: &str, path: &str, mistakes: &mut Mistakes) -> String {
    if content.parts.is_empty() {
        mistakes
            .add(&format!("{path}.parts"), format!("* {message}.{path}.parts: contents.parts must not be empty.\n"));
    }
    let mut text = String::new();
    for (at, part) in content.parts.iter().enumerate() {
        let path = format!("{path}.parts[{at}]");
        match &part.data {
            Some(PartData::Text(_)) if part.thought => {}
            Some(PartData::Text(piece)) => text.push_str(piece),
            // As the model is told to write a call, and as somebody would tell it what came of one.
            Some(PartData::FunctionCall(call)) => {
                text.push_str(&serde_json::json!({"name": call["name"], "args": call["args"]}).to_string());
            }
            Some(PartData::FunctionResponse(result)) => {
                let name = result["name"].as_str().unwrap_or("the function");
                text.push_str(&format!("{name} gave back: {}", result["response"]));
            }
            Some(PartData::Other(field)) => {
                mistakes.refuse(&format!("{path}.{field}"), "the model behind this name reads text only");
            }
            None => mistakes.add(
                &path,
                format!("* {message}.{path}.data: required oneof field 'data' must have one initialized field\n"),
            ),
        }
    }
    text
}

fn refuse_what_is_not_served(request: &GenerateContentRequest, mistakes: &mut Mistakes) {
    let config = &request.generation_config;
    if request.cached_content.is_some() {
        mistakes.refuse("cached_content", "cached contents are not served");
    }
    if request.continuation_token.is_some() {
        mistakes.refuse("continuation_token", "no answer of this server can be continued");
    }
    let mut categories: Vec<&str> = request.safety_settings.iter().filter_map(|setting| setting.category).collect();
    categories.sort_unstable();
    if categories.windows(2).any(|pair| pair[0] == pair[1]) {
        mistakes.add(
            "safety_settings",
            "* GenerateContentRequest.safety_settings: at most one setting for each category\n",
        );
    }
    if config.candidate_count.is_some_and(|count| !(0..=1).contains(&count)) {
        mistakes.refuse("generation_config.candidate_count", "only one candidate can be generated");
    }
    if config.response_logprobs || config.logprobs.is_some() {
        let field = if config.response_logprobs { "response_logprobs" } else { "logprobs" };
        mistakes.refuse(&format!("generation_config.{field}"), "log probabilities are not served");
    }
    if config.response_modalities.iter().any(|modality| !modality.eq_ignore_ascii_case("TEXT")) {
        mistakes.refuse("generation_config.response_modalities", "only TEXT can be generated");
    }
    for field in &config.other {
        mistakes.refuse(&format!("generation_config.{field}"), "the model behind this name reads and writes text only");
    }
}

/// A model that a body names once more must be the one of the path.
pub(super) fn check_model(model: Option<&str>, path: &str, name: &str, mistakes: &mut Mistakes) {
    if model.is_some_and(|model| model.rsplit('/').next() != Some(name)) {
        mistakes.add(path, format!("Invalid value at '{path}': the body names another model than the path."));
    }
}

fn check_ranges(config: &GenerationConfig, mistakes: &mut Mistakes) {
    let range = |mistakes: &mut Mistakes, field: &str, value: Option<f64>, from: f64, to: f64| {
        if value.is_some_and(|value| !(from..=to).contains(&value)) {
            mistakes.add(
                &format!("generation_config.{field}"),
                format!(
                    "* GenerateContentRequest.generation_config.{field}: {field} must be in the range [{from}, {to}].\n"
                ),
            );
        }
    };
    range(mistakes, "temperature", config.temperature, 0.0, default::TEMPERATURE_MAX);
    range(mistakes, "top_p", config.top_p, 0.0, 1.0);
    range(mistakes, "top_k", config.top_k.map(f64::from), 1.0, f64::from(i32::MAX));
    range(mistakes, "max_output_tokens", config.max_output_tokens.map(f64::from), 1.0, f64::from(i32::MAX));
    range(mistakes, "presence_penalty", config.presence_penalty, -2.0, 2.0);
    range(mistakes, "frequency_penalty", config.frequency_penalty, -2.0, 2.0);
    if config.stop_sequences.len() > 5 {
        mistakes.add(
            "generation_config.stop_sequences",
            "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences.\n",
        );
    }
}

/// What the answer must follow, if it must follow anything, after the path of the field that says so.
fn grammar(
    config: &GenerationConfig,
    functions: Option<&Functions>,
    mistakes: &mut Mistakes,
) -> Option<(String, Grammar)> {
    let of_call = functions.and_then(|functions| Some((functions.place(), functions.shape()?)));
    let of_answer = shape_of_answer(config, mistakes);
    let (field, shape) = match (of_call, of_answer) {
        (Some(_), Some(_)) => {
            // Google's sentence.
            mistakes.add(
                "generation_config.response_mime_type",
                "Function calling with a response mime type: 'application/json' is unsupported",
            );
            return None;
        }
        (Some(of_call), None) => of_call,
        (None, Some((field, shape))) => (field.to_owned(), shape),
        (None, None) => return None,
    };
    match shape.grammar() {
        Ok(grammar) => Some((field, grammar)),
        Err(mistake) => {
            mistakes.refuse(&format!("{field}{}", mistake.place), &mistake.why);
            None
        }
    }
}

fn shape_of_answer(config: &GenerationConfig, mistakes: &mut Mistakes) -> Option<(&'static str, Shape)> {
    let given = match (&config.response_schema, &config.response_json_schema) {
        (Some(_), Some(_)) => {
            mistakes.add(
                "generation_config.response_json_schema",
                "* GenerateContentRequest.generation_config: give either response_schema or response_json_schema.\n",
            );
            return None;
        }
        (Some(schema), None) => Some(("generation_config.response_schema", Cow::Owned(to_json_schema(schema)))),
        (None, Some(schema)) => Some(("generation_config.response_json_schema", Cow::Borrowed(schema))),
        (None, None) => None,
    };
    match config.response_mime_type.as_deref() {
        None | Some("text/plain") if given.is_none() => return None,
        Some("application/json") => {}
        None | Some("text/plain") => {
            mistakes.add(
                "generation_config.response_mime_type",
                "* GenerateContentRequest.generation_config.response_mime_type: a schema needs application/json.\n",
            );
            return None;
        }
        Some(_) => {
            mistakes.refuse("generation_config.response_mime_type", "served are text/plain and application/json");
            return None;
        }
    }
    let Some((field, schema)) = given else { return Some(("generation_config", Shape::any_object())) };
    Some((field, shape(&schema, field, mistakes)?))
}

/// The largest schema that is taken, in bytes of JSON, with the words that only describe.
const SCHEMA_BYTES_MAX: usize = 32 * 1024;

/// A JSON Schema that this field has, unless it cannot be followed.
pub(super) fn shape(schema: &Value, field: &str, mistakes: &mut Mistakes) -> Option<Shape> {
    if schema.to_string().len() > SCHEMA_BYTES_MAX {
        mistakes.refuse(field, "the schema is too large");
        return None;
    }
    match Shape::of_json_schema(schema) {
        Ok(shape) => Some(shape),
        Err(found) => {
            for ShapeMistake { place, why } in found {
                mistakes.refuse(&format!("{field}{place}"), &why);
            }
            None
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sampling needs no more than single precision")]
fn sampling(config: &GenerationConfig, random_seed: u32) -> Sampling {
    Sampling {
        temperature: config.temperature.unwrap_or(default::TEMPERATURE) as f32,
        top_p: config.top_p.unwrap_or(default::TOP_P) as f32,
        top_k: config.top_k.and_then(|top_k| u32::try_from(top_k).ok()).unwrap_or(default::TOP_K),
        presence_penalty: config.presence_penalty.unwrap_or(0.0) as f32,
        frequency_penalty: config.frequency_penalty.unwrap_or(0.0) as f32,
        seed: config.seed.map_or(random_seed, i32::cast_unsigned),
    }
}

impl Mistakes {
    pub(super) fn add(&mut self, field: &str, description: impl Into<String>) {
        if self.0.len() < MISTAKES_MAX {
            self.0.push(FieldViolation { field: field.to_owned(), description: description.into() });
        }
    }

    /// A field that Google knows and this server does not honour.
    pub(super) fn refuse(&mut self, field: &str, why: &str) {
        self.add(field, format!("Invalid value at '{field}': {why}."));
    }

    pub(super) fn none(self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(Status::bad_request(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::failure;

    #[test]
    fn a_schema_that_the_model_cannot_follow_is_named_by_its_own_field() {
        let schema = Some(json!({"type": "string"}));
        let json = GenerationConfig { response_mime_type: Some("application/json".to_owned()), ..Default::default() };
        let googles = GenerationConfig { response_schema: schema.clone(), ..json.clone() };
        let json_schema = GenerationConfig { response_json_schema: schema, ..json.clone() };
        let call = GenerateContentRequest {
            tools: Some(json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}])),
            tool_config: Some(json!({"functionCallingConfig": {"mode": "ANY"}})),
            ..Default::default()
        };
        let functions = Functions::read(&call, &mut Mistakes::default());
        for (config, functions, field) in [
            (&googles, None, "generation_config.response_schema"),
            (&json_schema, None, "generation_config.response_json_schema"),
            (&json, None, "generation_config"),
            (
                &GenerationConfig::default(),
                functions.as_ref(),
                "tools[0].function_declarations[0].parameters_json_schema",
            ),
        ] {
            let (schema, _) = grammar(config, functions, &mut Mistakes::default()).unwrap();
            let status = failure::model(&keylodge_model::ModelError::BadSchema { reason: "no".to_owned() }, &schema);
            assert_eq!(status.message, format!("Invalid value at '{field}': the schema cannot be followed: no."));
        }
    }
}
