//! Ids, numbers and names, parsed once where text enters and trusted from there on.
//!
//! The shapes are Google's: API Keys v2 for key ids, Resource Manager for projects. A digits-only path segment is a
//! project number, never an id, because an id begins with a letter.

use std::fmt;
use std::sync::Arc;

/// Text was not the kind of name it should be. The message says what such a name looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError {
    /// The rule that was broken, as a sentence for the caller.
    pub rule: &'static str,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule)
    }
}

impl std::error::Error for NameError {}

/// A project's id: 6 to 30 of lower-case letters, digits and hyphens, as `default-project`. Never reused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(String);

impl ProjectId {
    /// Reads an id.
    ///
    /// # Errors
    /// When the text breaks the shape `[a-z][a-z0-9-]{4,28}[a-z0-9]`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if (6..=30).contains(&text.len()) && is_label(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError {
            rule: "a project id has 6 to 30 lower-case letters, digits and hyphens, starts with a letter and does not end with a hyphen",
        })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A project's number: 12 digits, assigned at creation. Answers name projects by number, as Google's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectNumber(u64);

impl ProjectNumber {
    const SMALLEST: u64 = 100_000_000_000;
    const COUNT: u64 = 900_000_000_000;

    /// The number that eight random bytes stand for; always 12 digits.
    #[must_use]
    pub const fn from_random(bytes: [u8; 8]) -> Self {
        Self(Self::SMALLEST + u64::from_le_bytes(bytes) % Self::COUNT)
    }

    /// Reads a positive decimal number of at most 18 digits.
    ///
    /// # Errors
    /// When the text is not such a number.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let wrong = NameError { rule: "a project number has 1 to 18 digits and is not zero" };
        if text.is_empty() || text.len() > 18 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong);
        }
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(wrong),
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A key's id within its project: chosen by the caller, or the key's [`KeyUid`] when none was chosen. Clones share
/// their text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Reads an id that a caller chose for a new key (API Keys v2, `keyId`).
    ///
    /// # Errors
    /// When the text breaks `[a-z]([a-z0-9-]{0,61}[a-z0-9])?` or looks like a UUID, which is reserved for keys without
    /// a chosen id.
    pub fn choose(text: &str) -> Result<Self, NameError> {
        if KeyUid::parse(text).is_ok() {
            return Err(NameError { rule: "a key id must not look like a UUID; leave it out to get one" });
        }
        if (1..=63).contains(&text.len()) && is_label(text) {
            return Ok(Self(text.into()));
        }
        Err(NameError {
            rule: "a key id has 1 to 63 lower-case letters, digits and hyphens, starts with a letter and does not end with a hyphen",
        })
    }

    /// Reads an id that refers to an existing key: a chosen one or a UUID.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn refer(text: &str) -> Result<Self, NameError> {
        KeyUid::parse(text).map(Self::from).or_else(|_| Self::choose(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<KeyUid> for KeyId {
    fn from(uid: KeyUid) -> Self {
        Self(uid.to_string().into())
    }
}

/// A key's identity for ever: a UUID, never reused. Safe to log. Sixteen bytes; prints as lower-case hexadecimal with
/// hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyUid([u8; 16]);

impl KeyUid {
    /// The version 4 UUID that 16 random bytes stand for (RFC 9562, 5.4).
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Reads a UUID in lower-case hexadecimal with hyphens.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::read(text.as_bytes()).ok_or(NameError { rule: "a uid is a lower-case UUID with hyphens" })
    }

    fn read(text: &[u8]) -> Option<Self> {
        if text.len() != 36 {
            return None;
        }
        let mut digits = text.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at)).map(|(_, byte)| byte);
        let mut digit = || {
            let byte = digits.next()?;
            HEX.iter().position(|known| known == byte).and_then(|at| u8::try_from(at).ok())
        };
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            *byte = digit()? << 4 | digit()?;
        }
        HYPHENS.iter().all(|at| text[*at] == b'-').then_some(Self(bytes))
    }

    /// The UUID of these sixteen bytes, as [`KeyUid::as_bytes`] gives them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The UUID as its sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for KeyUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; 36];
        let places = (0..36).filter(|at| !HYPHENS.contains(at));
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        for (place, digit) in places.zip(digits) {
            text[place] = HEX[usize::from(digit)];
        }
        f.pad(str::from_utf8(&text).unwrap_or_default())
    }
}

/// Where a UUID has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The name of a gated service, as `generativelanguage.googleapis.com`. Clones share their text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// Reads a service name: a DNS name with at least two labels, lower case.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= 253 && text.contains('.') && text.split('.').all(label) {
            return Ok(Self(text.into()));
        }
        Err(NameError { rule: "a service name is a lower-case DNS name, as generativelanguage.googleapis.com" })
    }

    /// The name as text that is shared with it.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text is a lower-case letter, then letters, digits and hyphens, with no hyphen at the end: the form that ids
/// and labels share. Length is the caller's concern.
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

macro_rules! display {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}
display!(ProjectId, ProjectNumber, KeyId, ServiceName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_id_is_a_label_and_not_a_uuid() {
        for good in ["a", "web-1", &"a".repeat(63)] {
            assert!(KeyId::choose(good).is_ok(), "{good}");
        }
        let uuid = KeyUid::from_random([3; 16]);
        for bad in ["", "1a", "a-", "A", "a_b", &"a".repeat(64), &uuid.to_string()] {
            assert!(KeyId::choose(bad).is_err(), "{bad}");
        }
        assert!(KeyId::refer(&uuid.to_string()).is_ok());
    }

    #[test]
    fn digits_alone_are_never_a_project_id() {
        assert!(ProjectId::parse("123456789012").is_err());
        assert!(ProjectNumber::parse("123456789012").is_ok());
        assert!(ProjectNumber::parse("0").is_err());
    }

    proptest! {
        #[test]
        fn what_a_name_prints_it_also_reads(bytes: [u8; 16], number: [u8; 8], id in "[a-z][a-z0-9-]{4,28}[a-z0-9]") {
            let uid = KeyUid::from_random(bytes);
            prop_assert_eq!(KeyUid::parse(&uid.to_string()), Ok(uid));
            prop_assert_eq!(KeyId::refer(&uid.to_string()).unwrap().to_string(), uid.to_string());

            let number = ProjectNumber::from_random(number);
            prop_assert_eq!(number.to_string().len(), 12);
            prop_assert_eq!(ProjectNumber::parse(&number.to_string()), Ok(number));

            prop_assert_eq!(ProjectId::parse(&id).unwrap().to_string(), id);
        }
    }
}
