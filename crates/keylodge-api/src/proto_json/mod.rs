//! Reading proto3 JSON as Google's servers do.
//!
//! Every field is taken in lowerCamelCase or snake_case, numbers also as strings and as integral floats, `null` as
//! absent. Mistakes do not stop the reading: they are collected with their paths (snake_case, as Google prints them) and
//! reported together. A field that nobody asked for is a mistake too, so a message type lists exactly what it knows.

mod fields;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use fields::{Fields, Message};
pub(crate) use fields::{excerpt, snake_case};

use crate::Status;
use crate::status::FieldViolation;

/// A message without fields, as `google.protobuf.Empty`: the body of a request that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

impl Message for Empty {
    const NAME: &str = "google.protobuf.Empty";

    fn read(_: &mut Fields<'_, '_>) -> Self {
        Self {}
    }
}

/// More mistakes than this are not reported; a body full of nonsense gets a bounded answer.
pub const MISTAKES_MAX: usize = 32;

/// Reads a message. An empty body reads as an empty message.
///
/// # Errors
/// INVALID_ARGUMENT with a `BadRequest` detail that names every mistake.
pub fn parse<T: Message>(body: &[u8]) -> Result<T, Status> {
    parse_at("", body)
}

/// Reads a message that is a field of its request: paths of mistakes begin with that field's name.
///
/// # Errors
/// As [`parse`].
pub fn parse_at<T: Message>(root: &str, body: &[u8]) -> Result<T, Status> {
    parse_with(root, body, |fields| T::read(fields))
}

/// Reads a message that depends on more than its body, as that of an update depends on its mask.
///
/// # Errors
/// As [`parse`].
pub fn parse_with<T>(root: &str, body: &[u8], read: impl FnOnce(&mut Fields<'_, '_>) -> T) -> Result<T, Status> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    let value: Value = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let Value::Object(object) = value else {
        return Err(Status::bad_request(vec![FieldViolation {
            field: String::new(),
            description: "Invalid JSON payload received. Unknown name \"\": Root element must be a message.".to_owned(),
        }]));
    };
    let mut mistakes = Vec::new();
    let message = Fields::read(&object, root.to_owned(), true, &mut mistakes, read);
    if mistakes.is_empty() { Ok(message) } else { Err(Status::bad_request(mistakes)) }
}

/// serde_json's message names a place and never repeats the text, so it is safe to send back.
fn malformed(error: &serde_json::Error) -> Status {
    let what = if error.is_eof() { "Unexpected end of string. " } else { "" };
    let description = format!("Invalid JSON payload received. {what}Expected a value: {error}.");
    Status::bad_request(vec![FieldViolation { field: String::new(), description }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::GenerateContentRequest;
    use crate::{Code, Detail};

    fn mistakes(body: &str) -> Vec<(String, String)> {
        let status = parse::<GenerateContentRequest>(body.as_bytes()).unwrap_err();
        assert_eq!(status.code, Code::InvalidArgument);
        let [Detail::BadRequest(violations)] = &status.details[..] else {
            panic!("one BadRequest expected: {status:?}");
        };
        violations.iter().map(|violation| (violation.field.clone(), violation.description.clone())).collect()
    }

    fn mistake(field: &str, description: &str) -> (String, String) {
        (field.to_owned(), description.to_owned())
    }

    #[test]
    fn unknown_fields_are_named_with_the_path_of_their_parent() {
        assert_eq!(
            mistakes(r#"{"foo": 1, "contents": [{"parts": [{"x": 1, "text": "a"}]}]}"#),
            [
                mistake(
                    "contents[0].parts[0]",
                    r#"Invalid JSON payload received. Unknown name "x" at 'contents[0].parts[0]': Cannot find field."#
                ),
                mistake("", r#"Invalid JSON payload received. Unknown name "foo": Cannot find field."#),
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path_type_and_value() {
        assert_eq!(
            mistakes(r#"{"generationConfig": {"temperature": "hot"}}"#),
            [mistake(
                "generation_config.temperature",
                r#"Invalid value at 'generation_config.temperature' (TYPE_FLOAT), "hot""#
            )]
        );
    }

    #[test]
    fn a_value_in_place_of_a_message_is_told_which_message() {
        let content = "type.googleapis.com/google.ai.generativelanguage.v1beta.Content";
        assert_eq!(
            mistakes(r#"{"contents": ["Hi"], "systemInstruction": 5}"#),
            [
                mistake("contents[0]", &format!(r#"Invalid value at 'contents[0]' ({content}), "Hi""#)),
                mistake("system_instruction", &format!("Invalid value at 'system_instruction' ({content}), 5")),
            ]
        );
    }

    #[test]
    fn both_spellings_and_every_form_of_number_are_read() {
        for body in [
            r#"{"generationConfig": {"topK": 3.0, "maxOutputTokens": "64", "thinkingConfig": {"thinking_budget": 0}}}"#,
            r#"{"generation_config": {"top_k": "3", "max_output_tokens": 64, "seed": null}}"#,
        ] {
            let config = parse::<GenerateContentRequest>(body.as_bytes()).unwrap().generation_config;
            assert_eq!((config.top_k, config.max_output_tokens, config.seed), (Some(3), Some(64), None), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_says_so_and_repeats_nothing_of_it() {
        let status = parse::<GenerateContentRequest>(br#"{"contents": [secret"#).unwrap_err();

        assert!(status.message.starts_with("Invalid JSON payload received. "), "{}", status.message);
        assert!(!status.message.contains("secret"));
    }

    #[test]
    fn a_name_without_end_is_cut_wherever_it_stands() {
        let long = "x".repeat(10_000);

        for body in [
            format!(r#"{{"{long}": 1}}"#),
            format!(r#"{{"labels": {{"{long}": 1}}}}"#),
            format!(r#"{{"safetySettings": [{{"category": "{long}"}}]}}"#),
        ] {
            assert!(mistakes(&body)[0].1.len() < 300);
        }
    }

    #[test]
    fn nonsense_without_end_gets_a_bounded_answer() {
        let body: String = (0..1000).map(|at| format!("\"f{at}\": 1,")).collect();

        assert_eq!(mistakes(&format!("{{{body} \"z\": 1}}")).len(), MISTAKES_MAX);
    }
}
