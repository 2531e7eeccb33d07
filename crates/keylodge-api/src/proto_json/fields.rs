//! The fields of one JSON object, taken by name.

use std::borrow::Cow;
use std::fmt::Display;

use serde_json::{Map, Value};

use super::MISTAKES_MAX;
use crate::status::FieldViolation;

/// A message that can be read from its fields. It asks for every field it knows; what it did not ask for is unknown.
pub trait Message: Sized {
    /// Its full name, for messages about values of another type. Google's servers name the version that stores have;
    /// for the Gemini API that is v1beta, whatever the path says.
    const NAME: &'static str;

    /// Reads the message. Mistakes go to the fields' list, and the value returned then is of no use.
    fn read(fields: &mut Fields<'_, '_>) -> Self;
}

/// The fields of one object while it is read.
#[derive(Debug)]
pub struct Fields<'value, 'list> {
    object: &'value Map<String, Value>,
    path: String,
    asked: Vec<&'value str>,
    is_heeded: bool,
    mistakes: &'list mut Vec<FieldViolation>,
}

impl<'value, 'list> Fields<'value, 'list> {
    /// Reads a whole message and notes the fields it does not know.
    pub(super) fn read<T>(
        object: &'value Map<String, Value>,
        path: String,
        is_heeded: bool,
        mistakes: &'list mut Vec<FieldViolation>,
        read: impl FnOnce(&mut Fields<'value, '_>) -> T,
    ) -> T {
        let mut fields = Fields { object, path, asked: Vec::new(), is_heeded, mistakes };
        let message = read(&mut fields);
        fields.note_unknown();
        message
    }

    /// Says whether what is read from here on will be used. Where it will not, as outside a field mask, it must still be
    /// of the right form, but [`Fields::refuse`] and [`Fields::parsed`] note nothing.
    pub fn heed(&mut self, is_heeded: bool) {
        self.is_heeded = is_heeded;
    }

    /// A string.
    pub fn string(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;
        match value {
            Value::String(text) => Some(text.clone()),
            _ => self.wrong(name, "TYPE_STRING", value),
        }
    }

    /// A boolean; the strings `true` and `false` count.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        match value {
            Value::Bool(yes) => Some(*yes),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => self.wrong(name, "TYPE_BOOL", value),
        }
    }

    /// A finite number; decimal strings count.
    pub fn float(&mut self, name: &str) -> Option<f64> {
        let value = self.take(name)?;
        number(value).or_else(|| self.wrong(name, "TYPE_FLOAT", value))
    }

    /// A 32-bit integer; integral floats and decimal strings count.
    pub fn int32(&mut self, name: &str) -> Option<i32> {
        let value = self.take(name)?;
        let whole = number(value).filter(|number| number.fract() == 0.0);
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
        match whole.filter(|whole| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(whole)) {
            Some(whole) => Some(whole as i32),
            None => self.wrong(name, "TYPE_INT32", value),
        }
    }

    /// An enum value by name, or by number where `names` has it at that index. Case matters, as at Google.
    pub fn enumeration(&mut self, name: &str, full_name: &str, names: &'static [&'static str]) -> Option<&'static str> {
        let value = self.take(name)?;
        let found = match value {
            Value::String(text) => names.iter().find(|known| *known == text),
            Value::Number(number) => {
                number.as_u64().and_then(|number| usize::try_from(number).ok()).and_then(|at| names.get(at))
            }
            _ => None,
        };
        match found {
            Some(known) => Some(known),
            None => self.wrong(name, full_name, value),
        }
    }

    /// A message.
    pub fn message<T: Message>(&mut self, name: &str) -> Option<T> {
        self.message_with(name, T::NAME, |fields| T::read(fields))
    }

    /// A message of the type `full_name` that depends on more than its own fields.
    pub fn message_with<T>(
        &mut self,
        name: &str,
        full_name: &str,
        read: impl FnOnce(&mut Fields<'value, '_>) -> T,
    ) -> Option<T> {
        let value = self.take(name)?;
        let path = self.path_of(name);
        match value {
            Value::Object(object) => Some(Fields::read(object, path, self.is_heeded, self.mistakes, read)),
            _ => self.wrong(name, &type_url(full_name), value),
        }
    }

    /// A list of messages; absent reads as empty. A single object counts as a list of one, as Google's servers take it.
    pub fn messages<T: Message>(&mut self, name: &str) -> Vec<T> {
        let path = self.path_of(name);
        let mut messages = Vec::new();
        for (at, value) in self.elements(name).into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            match value {
                Value::Object(object) => {
                    messages.push(Fields::read(object, path, self.is_heeded, self.mistakes, |fields| T::read(fields)));
                }
                _ => self.note(&path, wrong_value(&path, &type_url(T::NAME), value)),
            }
        }
        messages
    }

    /// A list of strings; absent reads as empty.
    pub fn strings(&mut self, name: &str) -> Vec<String> {
        let path = self.path_of(name);
        let mut strings = Vec::new();
        for (at, value) in self.elements(name).into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            match value {
                Value::String(text) => strings.push(text.clone()),
                _ => self.note(&path, wrong_value(&path, "TYPE_STRING", value)),
            }
        }
        strings
    }

    /// A list of strings that are each parsed: an entry for each element, nothing in place of one that was refused. The
    /// mistakes are noted on the list, with the index in the description.
    pub fn parsed<T, E: Display>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<Option<T>> {
        let path = self.path_of(name);
        let mut parsed = Vec::new();
        for (at, value) in self.elements(name).into_iter().enumerate() {
            let element = format!("{path}[{at}]");
            parsed.push(match value.as_str().map(&parse) {
                Some(Ok(entry)) => Some(entry),
                Some(Err(rule)) => {
                    if self.is_heeded {
                        self.note(
                            &path,
                            format!("Invalid value at '{element}', {}: {rule}.", excerpt(&value.to_string())),
                        );
                    }
                    None
                }
                None => {
                    self.note(&element, wrong_value(&element, "TYPE_STRING", value));
                    None
                }
            });
        }
        parsed
    }

    /// A map from string to string, in the order of its keys; absent reads as empty.
    pub fn string_map(&mut self, name: &str) -> std::collections::BTreeMap<String, String> {
        let path = self.path_of(name);
        let mut map = std::collections::BTreeMap::new();
        match self.take(name) {
            None => {}
            Some(Value::Object(object)) => {
                for (key, value) in object {
                    match value {
                        Value::String(text) => {
                            map.insert(key.clone(), text.clone());
                        }
                        _ => self.note(&path, wrong_value(&format!("{path}[{}]", excerpt(key)), "TYPE_STRING", value)),
                    }
                }
            }
            Some(value) => {
                self.wrong::<()>(name, "Map", value);
            }
        }
        map
    }

    /// A field of any form, as it is. What is inside is not checked.
    pub fn any(&mut self, name: &str) -> Option<&'value Value> {
        self.take(name)
    }

    /// Whether a field is given, in either spelling, and is not `null`.
    #[must_use]
    pub fn has(&mut self, name: &str) -> bool {
        let snake = snake_case(name);
        let mut given = false;
        for spelling in [name, &*snake] {
            match self.object.get_key_value(spelling) {
                // Known, and absent: nobody need take it.
                Some((key, Value::Null)) => self.asked.push(key),
                Some(_) => given = true,
                None => {}
            }
        }
        given
    }

    /// Notes a mistake about a field in words of the message's own.
    pub fn refuse(&mut self, name: &str, description: impl Into<String>) {
        if self.is_heeded {
            let path = self.path_of(name);
            self.note(&path, description.into());
        }
    }

    /// Notes that a field may not stand beside another one of the same oneof.
    pub fn refuse_second(&mut self, name: &str, oneof: &str) {
        let path = self.path.clone();
        self.note(
            &path,
            format!("Invalid value at '{path}' (oneof), oneof field '{oneof}' is already set. Cannot set '{name}'"),
        );
    }

    /// The value of a field in either spelling; `null` is absent.
    fn take(&mut self, name: &str) -> Option<&'value Value> {
        let snake = snake_case(name);
        let mut found = None;
        for spelling in [name, &snake] {
            let Some((key, value)) = self.object.get_key_value(spelling) else { continue };
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            self.asked.push(key);
            if found.is_some() {
                let path = self.path_of(name);
                self.note(&path, format!("Invalid value: '{snake}' is given in two spellings. Keep one."));
            }
            found = found.or(Some(value));
        }
        found.filter(|value| !value.is_null())
    }

    fn elements(&mut self, name: &str) -> Vec<&'value Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        }
    }

    fn wrong<T>(&mut self, name: &str, kind: &str, value: &Value) -> Option<T> {
        let path = self.path_of(name);
        self.note(&path, wrong_value(&path, kind, value));
        None
    }

    fn note_unknown(&mut self) {
        let unknown: Vec<&str> =
            self.object.keys().map(String::as_str).filter(|key| !self.asked.contains(key)).collect();
        for key in unknown {
            let place = if self.path.is_empty() { String::new() } else { format!(" at '{}'", self.path) };
            let key = excerpt(key);
            let field = self.path.clone();
            self.note(
                &field,
                format!("Invalid JSON payload received. Unknown name \"{key}\"{place}: Cannot find field."),
            );
        }
    }

    fn note(&mut self, field: &str, description: String) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(FieldViolation { field: field.to_owned(), description });
        }
    }

    fn path_of(&self, name: &str) -> String {
        let snake = snake_case(name);
        if self.path.is_empty() { snake.into_owned() } else { format!("{}.{snake}", self.path) }
    }
}

fn type_url(full_name: &str) -> String {
    format!("type.googleapis.com/{full_name}")
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

fn wrong_value(path: &str, kind: &str, value: &Value) -> String {
    format!("Invalid value at '{path}' ({kind}), {}", excerpt(&value.to_string()))
}

/// At most 64 characters of what the caller sent, so that an answer is never larger than its request.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(64) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// `topK` as `top_k`. A leading underscore stays.
pub(crate) fn snake_case(name: &str) -> Cow<'_, str> {
    if !name.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    Cow::Owned(snake)
}
