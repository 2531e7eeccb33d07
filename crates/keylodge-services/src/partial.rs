//! Partial answers: the system parameter `fields`, as `models(name,version),nextPageToken` or `candidates.content`.
//!
//! A field that is not there is left out silently; the mask's own form must be right.

use std::collections::BTreeMap;

use serde_json::Value;

/// The longest mask that is read, in bytes, and so the deepest.
const BYTES_MAX: usize = 1024;

/// Which fields are wanted: by name, each with what is wanted inside; nothing inside means all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask(BTreeMap<String, Self>);

/// The text is no mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAMask;

impl Mask {
    pub(crate) fn parse(text: &str) -> Result<Self, NotAMask> {
        if text.len() > BYTES_MAX {
            return Err(NotAMask);
        }
        let mut rest = text;
        let mask = Self::list(&mut rest)?;
        if rest.is_empty() { Ok(mask) } else { Err(NotAMask) }
    }

    /// What of an answer is wanted. Lists are looked through.
    pub(crate) fn keep(&self, value: &mut Value) {
        if self.0.is_empty() || self.0.contains_key("*") {
            return;
        }
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.keep(element)),
            Value::Object(object) => {
                object.retain(|name, _| self.0.contains_key(name));
                for (name, value) in object {
                    self.0[name].keep(value);
                }
            }
            _ => {}
        }
    }

    /// `a,b(c,d),e.f`
    fn list(rest: &mut &str) -> Result<Self, NotAMask> {
        let mut mask = Self::default();
        loop {
            mask.path(rest)?;
            match rest.strip_prefix(',') {
                Some(more) => *rest = more,
                None => return Ok(mask),
            }
        }
    }

    /// `a`, `a.b`, `a/b`, `a(b,c)`
    fn path(&mut self, rest: &mut &str) -> Result<(), NotAMask> {
        let end = rest.find([',', '.', '/', '(', ')']).unwrap_or(rest.len());
        let (name, more) = rest.split_at(end);
        *rest = more;
        if name.is_empty() {
            return Err(NotAMask);
        }
        let inside = self.0.entry(name.to_owned()).or_default();
        if let Some(more) = rest.strip_prefix(['.', '/']) {
            *rest = more;
            return inside.path(rest);
        }
        if let Some(more) = rest.strip_prefix('(') {
            *rest = more;
            inside.0.extend(Self::list(rest)?.0);
            *rest = rest.strip_prefix(')').ok_or(NotAMask)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(mask: &str) -> Value {
        let mut value = json!({"models": [{"name": "a", "version": "1", "topK": 3}], "nextPageToken": "t"});
        Mask::parse(mask).unwrap().keep(&mut value);
        value
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        assert_eq!(check("nextPageToken"), json!({"nextPageToken": "t"}));
        assert_eq!(check("models.name"), json!({"models": [{"name": "a"}]}));
        assert_eq!(check("models(name,version)"), json!({"models": [{"name": "a", "version": "1"}]}));
        assert_eq!(check("models/topK,nextPageToken,none"), json!({"models": [{"topK": 3}], "nextPageToken": "t"}));
        assert_eq!(check("models(*)"), check("models"));
        assert_eq!(check("*")["nextPageToken"], "t");
    }

    #[test]
    fn what_is_no_mask_is_noticed() {
        for wrong in ["", ",", "a,", "a(", "a(b", "a)b", "a..b", "a()", &"a(".repeat(1000)] {
            assert_eq!(Mask::parse(wrong), Err(NotAMask), "{wrong}");
        }
    }
}
