//! The name of a model in a body, where callers know it by another than the upstream does.

use std::ops::Range;

use bytes::Bytes;

use super::clamp::edited;
use super::json::{Cursor, Unreadable};

/// Why a body is not one for its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misnamed {
    /// It is no JSON object.
    Unreadable,
    /// It names another model; the field, as in `requests[].model`.
    Other(&'static str),
}

impl From<Unreadable> for Misnamed {
    fn from(Unreadable: Unreadable) -> Self {
        Self::Unreadable
    }
}

/// Puts the upstream's name for a model wherever a body names it as callers do: in `model`, `requests[].model` and
/// `generateContentRequest.model`. Every other byte stays; a body without a name is given back without a copy.
///
/// # Errors
/// Where it names another model: what is allowed and counted is what the path says.
pub fn rename_model(body: &Bytes, asked: &str, there: &str) -> Result<Bytes, Misnamed> {
    let mut renaming = Renaming { body, asked, there, edits: Vec::new(), other: None };
    Cursor::new(body)?.object(|value, name| match name {
        b"model" => renaming.model(value, "model"),
        b"requests" => value.elements(|request| renaming.inside(request, "requests[].model")),
        b"generateContentRequest" | b"generate_content_request" => {
            renaming.inside(value, "generateContentRequest.model");
        }
        _ => {}
    });
    match renaming.other {
        Some(field) => Err(Misnamed::Other(field)),
        None => Ok(edited(body, &renaming.edits)),
    }
}

struct Renaming<'body> {
    body: &'body [u8],
    asked: &'body str,
    there: &'body str,
    edits: Vec<(Range<usize>, String)>,
    other: Option<&'static str>,
}

impl Renaming<'_> {
    fn inside(&mut self, value: &mut Cursor<'_>, field: &'static str) {
        if value.is_object() {
            value.object(|value, name| {
                if name == b"model" {
                    self.model(value, field);
                }
            });
        }
    }

    fn model(&mut self, value: &mut Cursor<'_>, field: &'static str) {
        if value.is_nothing() {
            return;
        }
        let place = value.skip();
        let given = serde_json::from_slice::<String>(&self.body[place.clone()]).unwrap_or_default();
        if given.strip_prefix("models/").unwrap_or(&given) != self.asked {
            self.other = Some(field);
        } else if self.asked != self.there {
            self.edits.push((place, serde_json::Value::from(format!("models/{}", self.there)).to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_the_model_as_the_upstream_does() {
        let check = |body: &str, expected: Result<&str, Misnamed>| {
            let renamed = rename_model(&Bytes::from(body.to_owned()), "mine", "theirs");
            assert_eq!(renamed, expected.map(|text| Bytes::from(text.to_owned())), "{body}");
        };
        check(r#"{"contents": [ ]}"#, Ok(r#"{"contents": [ ]}"#));
        check(r#"{"model": "mine", "a":1}"#, Ok(r#"{"model": "models/theirs", "a":1}"#));
        check(
            r#"{"requests": [{"model" :"models/mine"}, {"content": {"model": "x"}}]}"#,
            Ok(r#"{"requests": [{"model" :"models/theirs"}, {"content": {"model": "x"}}]}"#),
        );
        check(
            r#"{"generateContentRequest": {"model":"models\/mine"}}"#,
            Ok(r#"{"generateContentRequest": {"model":"models/theirs"}}"#),
        );
        check(r#"{"model": ""}"#, Ok(r#"{"model": ""}"#));
        check(r#"{"model": "models/theirs"}"#, Err(Misnamed::Other("model")));
        check(r#"{"model": 5}"#, Err(Misnamed::Other("model")));
        check(r#"{"requests": [{"model": "dear"}]}"#, Err(Misnamed::Other("requests[].model")));
        check("[]", Err(Misnamed::Unreadable));
    }
}
