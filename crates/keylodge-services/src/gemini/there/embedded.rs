//! Calls that embed, translated for a server with OpenAI's embeddings, and its answers back.
//!
//! What such a server cannot be told is refused where it would be missed: one call has one number of dimensions. The tasks
//! are taken and have no word there, as with our own model; a title goes before its text.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use keylodge_api::Status;
use keylodge_api::gemini::{BatchEmbedContentsRequest, EmbedContentRequest};
use keylodge_api::proto_json;
use serde_json::{Value, json};

use super::super::embedding::Wish;
use super::super::identify::Verb;
use super::super::{Failure, with_upstream};
use super::{Call, translated};
use crate::query::invalid;
use crate::relay::openai;
use crate::wire;

pub(super) async fn answer(call: &mut Call<'_>, body: Body) -> Result<Response, Failure> {
    let upstream = Arc::clone(&call.elsewhere.upstream);
    let bytes = Bytes::from(wire::bytes(call.lodge, body).await?);
    // Mistakes are told before anything is taken for them.
    let wishes = wishes(call, &bytes)?;
    let request = request(&wishes, call.elsewhere.model(call.model))?;
    let reserved = call.reserve(bytes).await?.reserved;
    let is_one = call.verb == Verb::EmbedContent;
    let asked = match translated::ask(call, "/embeddings", request.to_string().into(), reserved).await {
        Ok(asked) => asked,
        Err(response) => return Ok(response),
    };
    let whole = asked.whole(call.deadline, |bytes| to_gemini(bytes, wishes.len(), is_one)).await?;
    Ok(with_upstream(wire::answer(&whole, call.query)?, &upstream))
}

fn wishes(call: &Call<'_>, bytes: &[u8]) -> Result<Vec<Wish>, Status> {
    match call.verb {
        Verb::EmbedContent => {
            let one: EmbedContentRequest = proto_json::parse(bytes)?;
            Ok(vec![Wish::of_one(&one, call.model)?])
        }
        _ => Wish::of_batch(&proto_json::parse::<BatchEmbedContentsRequest>(bytes)?, call.model),
    }
}

fn request(wishes: &[Wish], model: &str) -> Result<Value, Status> {
    let dimensions = wishes.first().and_then(|wish| wish.dimensions);
    if let Some(other) = wishes.iter().find(|wish| wish.dimensions != dimensions) {
        let path = other.path("output_dimensionality");
        let why = "the server behind this API takes one number for all requests of a batch";
        return Err(invalid(&path, format!("Invalid value at '{path}': {why}.")));
    }
    let texts: Vec<&str> = wishes.iter().map(|wish| wish.text.as_str()).collect();
    let mut request = json!({"model": model, "input": texts, "encoding_format": "float"});
    if let Some(dimensions) = dimensions {
        request["dimensions"] = dimensions.into();
    }
    Ok(request)
}

/// The answer in Gemini's words: a vector for each text, in the order that was asked.
fn to_gemini(bytes: &[u8], count: usize, is_one: bool) -> Result<Value, Status> {
    let answer: Value = serde_json::from_slice(bytes).map_err(|_| openai::not_understood())?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(openai::in_answer(error));
    }
    let entries = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
    let placed = entries.iter().enumerate().map(|(at, entry)| {
        let index = entry["index"].as_u64().unwrap_or(at as u64);
        (index, json!({"values": entry["embedding"]}))
    });
    let placed: BTreeMap<u64, Value> = placed.collect();
    let is_whole = placed.keys().copied().eq(0..count as u64)
        && placed.values().all(|entry| entry["values"].as_array().is_some_and(|values| !values.is_empty()));
    if !is_whole {
        return Err(openai::not_understood());
    }
    let mut embeddings: Vec<Value> = placed.into_values().collect();
    let mut whole = match embeddings.pop() {
        Some(embedding) if is_one => json!({"embedding": embedding}),
        last => {
            embeddings.extend(last);
            json!({"embeddings": embeddings})
        }
    };
    if let Some(tokens) = answer["usage"]["prompt_tokens"].as_u64() {
        whole["usageMetadata"] = json!({"promptTokenCount": tokens});
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_in_the_order_of_their_texts() {
        let said = json!({
            "data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        });

        let whole = to_gemini(said.to_string().as_bytes(), 2, false).unwrap();

        assert_eq!(
            whole,
            json!({"embeddings": [{"values": [1, 0]}, {"values": [0, 1]}], "usageMetadata": {"promptTokenCount": 7}})
        );
    }

    #[test]
    fn an_answer_with_too_few_or_too_many_vectors_is_none() {
        let entry = |index: u64| json!({"index": index, "embedding": [1.0]});
        for (data, is_good) in [
            (json!([entry(0)]), true),
            (json!([{"embedding": [1.0]}]), true),
            (json!([]), false),
            (json!([entry(1)]), false),
            (json!([entry(0), entry(1)]), false),
            (json!([{"index": 0, "embedding": "AACAPw=="}]), false),
            (json!([{"index": 0, "embedding": []}]), false),
        ] {
            let said = json!({"data": data}).to_string();
            assert_eq!(to_gemini(said.as_bytes(), 1, true).is_ok(), is_good, "{said}");
        }
        assert!(to_gemini(b"<html>", 1, true).is_err());
        assert!(to_gemini(br#"{"error": {"message": "no"}}"#, 1, true).is_err());
    }
}
