//! Paths into a setup, as the masks of tokens name fields of it.

use keylodge_api::gemini::camel_case;
use serde_json::{Map, Value};

/// What says which session is meant, and not how it is: a client brings it along whatever is fixed.
pub(super) const RESUMPTION: &str = "sessionResumption";

/// A path as far as it leads through fields of fields in both setups. Where one of them has something else, such as a list,
/// all of that is meant: nothing in it has a path of its own.
pub(super) fn reach<'path>(path: &'path [String], setups: [&Map<String, Value>; 2]) -> &'path [String] {
    let reached = setups.map(|setup| {
        let mut inner = setup;
        for (at, name) in path.iter().enumerate() {
            match entry(inner, name) {
                Some((_, Value::Object(value))) => inner = value,
                None | Some((_, Value::Null)) => break,
                Some(_) => return at + 1,
            }
        }
        path.len()
    });
    &path[..reached[0].min(reached[1])]
}

/// The value at a path, in whichever spelling the names below the first ones were written.
pub(super) fn find<'setup>(setup: &'setup Map<String, Value>, path: &[String]) -> Option<&'setup Value> {
    let (first, rest) = path.split_first()?;
    let (_, value) = entry(setup, first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_object()?, rest) }
}

/// The field of this name, and how it is spelled.
pub(super) fn entry<'map>(map: &'map Map<String, Value>, name: &str) -> Option<(&'map String, &'map Value)> {
    map.iter().find(|(spelled, _)| camel_case(spelled) == name)
}

/// Puts a value at a path, or nothing: then what is there goes.
pub(super) fn put(setup: &mut Map<String, Value>, path: &[String], value: Option<&Value>) {
    let Some((first, rest)) = path.split_first() else { return };
    let spelled = entry(setup, first).map_or_else(|| first.clone(), |(spelled, _)| spelled.clone());
    if rest.is_empty() {
        setup.remove(&spelled);
        if let Some(value) = value {
            setup.insert(first.clone(), value.clone());
        }
        return;
    }
    if !setup.get(&spelled).is_some_and(Value::is_object) {
        if value.is_none() {
            return;
        }
        setup.insert(spelled.clone(), Value::Object(Map::new()));
    }
    if let Some(Value::Object(inner)) = setup.get_mut(&spelled) {
        put(inner, rest, value);
    }
}
