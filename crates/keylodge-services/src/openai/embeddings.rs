//! `POST /v1beta/openai/embeddings`: OpenAI's request as batchEmbedContents, and the answer back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keylodge_api::Status;
use serde_json::{Value, json};

use crate::gemini::REQUESTS_MAX;
use crate::origins::Origins;
use crate::reading::Reading;

/// What vectors are asked for, in Gemini's words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Embeddings {
    /// Without `models/`.
    pub(super) model: String,
    /// As the caller wrote it.
    asked_model: String,
    /// Whether vectors are wanted as bytes: single-precision numbers, little-endian, in base64.
    is_base64: bool,
    /// The body of batchEmbedContents.
    pub(super) body: Value,
    /// Where it was written.
    pub(super) origins: Origins,
}

/// What has a place in a request; `user` changes nothing.
const KNOWN: [&str; 5] = ["model", "input", "dimensions", "encoding_format", "user"];

impl Embeddings {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every mistake that was found.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Status> {
        let mut asked = Reading::new(bytes)?;
        asked.refuse_unknown(&[&KNOWN]);
        let (asked_model, model) = asked.model();
        let is_base64 = match asked.text("encoding_format").as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => {
                asked.refuse("encoding_format", "it is float or base64");
                false
            }
        };
        let dimensions = asked.given("dimensions").cloned();
        if dimensions.as_ref().is_some_and(|dimensions| dimensions.as_u64().is_none()) {
            asked.refuse("dimensions", "it is a whole number");
        }
        let request = |text: String| {
            let mut request = json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}});
            if let Some(dimensions) = &dimensions {
                request["outputDimensionality"] = dimensions.clone();
            }
            request
        };
        let is_list = asked.given("input").is_some_and(Value::is_array);
        let requests: Vec<Value> = texts(&mut asked).into_iter().map(request).collect();
        let mut origins = Origins::default();
        origins.made_of("requests", "input");
        for at in 0..requests.len() {
            let input = if is_list { format!("input[{at}]") } else { "input".to_owned() };
            origins.made_of(format!("requests[{at}]"), input);
            origins.made_of(format!("requests[{at}].output_dimensionality"), "dimensions");
        }
        asked.done(Self { model, asked_model, is_base64, body: json!({"requests": requests}), origins })
    }

    /// The answer in OpenAI's form.
    pub(super) fn answer(&self, said: &Value) -> Value {
        let embeddings = said["embeddings"].as_array().map_or(&[][..], Vec::as_slice);
        let entry = |(index, embedding): (usize, &Value)| {
            let values = &embedding["values"];
            let embedding = if self.is_base64 { base64(values).into() } else { values.clone() };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        };
        let data: Vec<Value> = embeddings.iter().enumerate().map(entry).collect();
        let mut answer = json!({"object": "list", "data": data, "model": self.asked_model});
        if let Some(tokens) = said["usageMetadata"]["promptTokenCount"].as_u64() {
            answer["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
        }
        answer
    }
}

/// One text or several.
fn texts(asked: &mut Reading) -> Vec<String> {
    let entries = match asked.given("input") {
        Some(Value::String(text)) => return vec![text.clone()],
        Some(Value::Array(entries)) if !entries.is_empty() => entries.clone(),
        _ => {
            asked.refuse("input", "it is a string or a list of strings");
            return Vec::new();
        }
    };
    if entries.len() > REQUESTS_MAX {
        asked.refuse("input", &format!("at most {REQUESTS_MAX} texts can be embedded at a time"));
        return Vec::new();
    }
    if entries.iter().all(Value::is_number) {
        asked.refuse("input", "tokens are not taken, since every model has others; send the text");
        return Vec::new();
    }
    let mut texts = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        match entry {
            Value::String(text) => texts.push(text),
            Value::Array(_) => {
                let why = "tokens are not taken, since every model has others; send the text";
                asked.refuse(&format!("input[{at}]"), why);
            }
            _ => asked.refuse(&format!("input[{at}]"), "it is a string"),
        }
    }
    texts
}

fn base64(values: &Value) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "vectors have single precision")]
    let numbers = values.as_array().into_iter().flatten().map(|value| value.as_f64().unwrap_or_default() as f32);
    STANDARD.encode(numbers.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(body: &Value) -> Vec<String> {
        let message = Embeddings::read(body.to_string().as_bytes()).unwrap_err().message;
        message.lines().map(str::to_owned).collect()
    }

    #[test]
    fn one_text_and_a_list_of_texts_are_a_batch() {
        let request = |text: &str| json!({"model": "models/m", "content": {"parts": [{"text": text}]}});
        for (input, requests) in
            [(json!("a"), vec![request("a")]), (json!(["a", "b"]), vec![request("a"), request("b")])]
        {
            let read = Embeddings::read(json!({"model": "models/m", "input": input}).to_string().as_bytes()).unwrap();
            assert_eq!((read.model.as_str(), read.body), ("m", json!({"requests": requests})));
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let refused = |more: Value| {
            let mut body = json!({"model": "m", "input": "a"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            mistakes(&body)
        };
        let tokens = "tokens are not taken, since every model has others; send the text.";

        assert_eq!(refused(json!({"input": [1, 2]})), [format!("Invalid value at 'input': {tokens}")]);
        assert_eq!(refused(json!({"input": ["a", [1, 2]]})), [format!("Invalid value at 'input[1]': {tokens}")]);
        assert_eq!(refused(json!({"input": ["a", {}]})), ["Invalid value at 'input[1]': it is a string."]);
        let input = "Invalid value at 'input': it is a string or a list of strings.";
        assert_eq!(refused(json!({"input": []})), [input]);
        assert_eq!(refused(json!({"input": null})), [input]);
        assert_eq!(
            refused(json!({"input": vec!["a"; 101]})),
            ["Invalid value at 'input': at most 100 texts can be embedded at a time."]
        );
        assert_eq!(
            refused(json!({"model": "", "dimensions": 1.5, "encoding_format": "hex", "task": 1})),
            [
                "Invalid JSON payload received. Unknown name \"task\": Cannot find field.",
                "Invalid value at 'model': model is not specified.",
                "Invalid value at 'encoding_format': it is float or base64.",
                "Invalid value at 'dimensions': it is a whole number.",
            ]
        );
    }

    #[test]
    fn bytes_are_little_endian() {
        assert_eq!(base64(&json!([1.0, -2.5])), "AACAPwAAIMA=");
    }
}
