//! What embedContent and batchEmbedContents are asked and answer.

use serde::Serialize;

use super::Content;
use crate::proto_json::{Fields, Message};

/// The body of `:embedContent`, and one of the requests of `:batchEmbedContents`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedContentRequest {
    /// The model once more.
    pub model: Option<String>,
    /// What is to be embedded.
    pub content: Option<Content>,
    /// What the vector is for; `TASK_TYPE_UNSPECIFIED` reads as absent.
    pub task_type: Option<&'static str>,
    /// The title of the document that the content is.
    pub title: Option<String>,
    /// How many numbers the vector is to have.
    pub output_dimensionality: Option<i32>,
}

// In the order of their numbers in the proto, so that a number finds its name.
const TASK_TYPES: &[&str] = &[
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
];

impl Message for EmbedContentRequest {
    const NAME: &str = "google.ai.generativelanguage.v1beta.EmbedContentRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        const TASK_TYPE: &str = "type.googleapis.com/google.ai.generativelanguage.v1beta.TaskType";
        Self {
            model: fields.string("model").filter(|model| !model.is_empty()),
            content: fields.message("content"),
            task_type: fields.enumeration("taskType", TASK_TYPE, TASK_TYPES).filter(|word| *word != TASK_TYPES[0]),
            title: fields.string("title").filter(|title| !title.is_empty()),
            output_dimensionality: fields.int32("outputDimensionality"),
        }
    }
}

/// The body of `:batchEmbedContents`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchEmbedContentsRequest {
    /// The model once more.
    pub model: Option<String>,
    /// What is asked, in the order of the answer.
    pub requests: Vec<EmbedContentRequest>,
}

impl Message for BatchEmbedContentsRequest {
    const NAME: &str = "google.ai.generativelanguage.v1beta.BatchEmbedContentsRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { model: fields.string("model").filter(|model| !model.is_empty()), requests: fields.messages("requests") }
    }
}

/// The answer of `:embedContent`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedContentResponse {
    /// The vector.
    pub embedding: ContentEmbedding,
    /// What it cost.
    pub usage_metadata: EmbeddingUsageMetadata,
}

/// The answer of `:batchEmbedContents`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchEmbedContentsResponse {
    /// A vector for each request, in the same order.
    pub embeddings: Vec<ContentEmbedding>,
    /// What all of them cost.
    pub usage_metadata: EmbeddingUsageMetadata,
}

/// A vector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContentEmbedding {
    /// Its numbers.
    pub values: Vec<f32>,
}

/// True token counts of a call that embeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddingUsageMetadata {
    /// Tokens that the model read.
    pub prompt_token_count: u64,
}

impl EmbeddingUsageMetadata {
    /// The usage of a call that read so many tokens of text.
    #[must_use]
    pub fn text(tokens: u64) -> Self {
        Self { prompt_token_count: tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto_json::parse;

    #[test]
    fn both_spellings_are_read_and_numbers_in_every_form() {
        for body in [
            r#"{"requests": [{"taskType": "CLUSTERING", "outputDimensionality": 128.0, "content": {"parts": {"text": "a"}}}]}"#,
            r#"{"requests": [{"task_type": 5, "output_dimensionality": "128", "content": {"parts": [{"text": "a"}]}, "title": ""}]}"#,
        ] {
            let read: BatchEmbedContentsRequest = parse(body.as_bytes()).unwrap();
            let request = &read.requests[0];
            assert_eq!(
                (request.task_type, request.output_dimensionality, &request.title),
                (Some("CLUSTERING"), Some(128), &None),
                "{body}"
            );
            assert_eq!(request.content.as_ref().map(|content| content.parts.len()), Some(1), "{body}");
        }
    }

    #[test]
    fn another_task_is_named_with_its_path() {
        let status =
            parse::<BatchEmbedContentsRequest>(br#"{"requests": [{}, {"task_type": "GUESSING"}]}"#).unwrap_err();

        assert_eq!(
            status.message,
            r#"Invalid value at 'requests[1].task_type' (type.googleapis.com/google.ai.generativelanguage.v1beta.TaskType), "GUESSING""#
        );
    }
}
