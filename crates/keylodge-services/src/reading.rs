//! Reads the JSON of a request that will be said in other words: every mistake is noted with its place, none ends the
//! reading.

use keylodge_api::Status;
use keylodge_api::proto_json::MISTAKES_MAX;
use keylodge_api::status::FieldViolation;
use serde_json::{Map, Value};

use crate::gemini::identify::MODEL_CHARS_MAX;

/// A request's fields, and what is wrong with them so far.
pub(crate) struct Reading {
    request: Map<String, Value>,
    mistakes: Vec<FieldViolation>,
}

/// What begins the message about a field that there is not.
pub(crate) const UNKNOWN_NAME: &str = "Invalid JSON payload received. Unknown name ";

impl Reading {
    /// # Errors
    /// INVALID_ARGUMENT where the bytes are not one JSON object.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, Status> {
        let mistake =
            |description: String| Status::bad_request(vec![FieldViolation { field: String::new(), description }]);
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(request)) => Ok(Self { request, mistakes: Vec::new() }),
            Ok(_) => Err(mistake("Invalid JSON payload received. The body must be one JSON object.".to_owned())),
            Err(error) => Err(mistake(format!("Invalid JSON payload received. {error}"))),
        }
    }

    /// Notes every field besides these.
    pub(crate) fn refuse_unknown(&mut self, known: &[&[&str]]) {
        let is_known = |name: &str| known.iter().any(|names| names.contains(&name));
        let unknown: Vec<String> = self.request.keys().filter(|name| !is_known(name)).cloned().collect();
        unknown.iter().for_each(|name| self.refuse_name("", name));
    }

    /// Notes a field that there is not, in Google's sentence.
    pub(crate) fn refuse_name(&mut self, path: &str, name: &str) {
        let name: String = name.chars().take(64).collect();
        let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
        self.add(path, format!("{UNKNOWN_NAME}\"{name}\"{place}: Cannot find field."));
    }

    /// Notes that the value of a field is not what it must be.
    pub(crate) fn refuse(&mut self, field: &str, why: &str) {
        self.add(field, format!("Invalid value at '{field}': {why}."));
    }

    pub(crate) fn add(&mut self, field: &str, description: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(FieldViolation { field: field.to_owned(), description: description.into() });
        }
    }

    /// A field that is there and not null.
    pub(crate) fn given(&self, name: &str) -> Option<&Value> {
        self.request.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.given(name)?;
        if let Some(text) = value.as_str() {
            return Some(text.to_owned());
        }
        self.refuse(name, "it is a string");
        None
    }

    /// The model, as the caller wrote it and as the gate, limits and prices know it: without one `models/`.
    pub(crate) fn model(&mut self) -> (String, String) {
        let asked = self.text("model").unwrap_or_default();
        let name = asked.strip_prefix("models/").unwrap_or(&asked).to_owned();
        if asked.is_empty() {
            self.refuse("model", "model is not specified");
        } else if name.len() > MODEL_CHARS_MAX || name.contains('/') || matches!(name.as_str(), "" | "." | "..") {
            self.refuse(
                "model",
                &format!("it is the name of a model, at most {MODEL_CHARS_MAX} characters, without '/'"),
            );
            return (String::new(), String::new());
        }
        (asked, name)
    }

    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.given(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.refuse(name, "it is true or false");
                default
            }
        }
    }

    pub(crate) fn is_good(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// # Errors
    /// INVALID_ARGUMENT with every mistake that was noted.
    pub(crate) fn done<T>(self, read: T) -> Result<T, Status> {
        if self.mistakes.is_empty() { Ok(read) } else { Err(Status::bad_request(self.mistakes)) }
    }
}
