//! A walk along a JSON text, once, without a copy: what is looked for is read, the rest is stepped over or weighed.
//!
//! The text is checked before the first step; after that every step may trust it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::IgnoredAny;

/// The body is not one JSON object, or a part that has to be understood is not what it must be. An upstream that reads
/// more than JSON could read it in another way than we do, so it must not be sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the body is not a JSON object that can be understood")
    }
}

impl std::error::Error for Unreadable {}

/// Stands before a value, and after it once the value is read.
pub(super) struct Cursor<'body> {
    body: &'body [u8],
    at: usize,
}

impl<'body> Cursor<'body> {
    /// Checks a body, and stands before the object that it is.
    pub(super) fn new(body: &'body [u8]) -> Result<Self, Unreadable> {
        let _: IgnoredAny = serde_json::from_slice(body).map_err(|_| Unreadable)?;
        let mut cursor = Self { body, at: 0 };
        cursor.skip_blanks();
        if cursor.is_object() { Ok(cursor) } else { Err(Unreadable) }
    }

    /// Where in the body it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_object(&self) -> bool {
        self.byte() == Some(b'{')
    }

    pub(super) fn is_array(&self) -> bool {
        self.byte() == Some(b'[')
    }

    pub(super) fn is_null(&self) -> bool {
        self.byte() == Some(b'n')
    }

    /// Whether the value says nothing: `null` or an empty text.
    pub(super) fn is_nothing(&self) -> bool {
        self.is_null() || self.body[self.at..].starts_with(b"\"\"")
    }

    /// Reads an object; each field gets its name, unescaped, and stands before its value. A value that `field` does not
    /// read is stepped over.
    pub(super) fn object(&mut self, mut field: impl FnMut(&mut Self, &[u8])) {
        self.items(|cursor| {
            let start = cursor.at;
            cursor.string();
            let name = unescaped(&cursor.body[start..cursor.at]);
            cursor.skip_blanks();
            // The colon.
            cursor.at += 1;
            cursor.skip_blanks();
            let start = cursor.at;
            field(cursor, &name);
            if cursor.at == start {
                cursor.skip();
            }
        });
    }

    /// Reads an array. What is none counts as an array of one, as Google's servers take it.
    pub(super) fn elements(&mut self, mut element: impl FnMut(&mut Self)) {
        let mut read = |cursor: &mut Self| {
            let start = cursor.at;
            element(cursor);
            if cursor.at == start {
                cursor.skip();
            }
        };
        if self.byte() == Some(b'[') { self.items(read) } else { read(self) }
    }

    /// Steps over a value and says where it stands.
    pub(super) fn skip(&mut self) -> Range<usize> {
        let start = self.at;
        self.value(|_| {});
        start..self.at
    }

    /// Steps over a value and says how many bytes it would have without blanks and with its escapes resolved, or a few
    /// more.
    pub(super) fn weigh(&mut self) -> u64 {
        let start = self.at;
        let mut less = 0;
        self.value(|spared| less += spared);
        (self.at - start).saturating_sub(less) as u64
    }

    /// Steps over a value; `spare` hears of bytes that only the spelling takes.
    fn value(&mut self, mut spare: impl FnMut(usize)) {
        let mut depth = 0usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => spare(self.string()),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                // A number or a word that stands alone ends with the first byte that cannot be of it.
                _ if depth == 0 => {
                    let is_of_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                    self.at += self.body[self.at..].iter().take_while(is_of_word).count();
                }
                _ => {
                    spare(usize::from(byte.is_ascii_whitespace()));
                    self.at += 1;
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Steps over a string and says how many bytes its escapes take more than what they stand for.
    fn string(&mut self) -> usize {
        let mut spared = 0;
        self.at += 1;
        while let Some(run) = memchr::memchr2(b'"', b'\\', &self.body[self.at..]) {
            self.at += run;
            if self.body[self.at] == b'"' {
                self.at += 1;
                return spared;
            }
            // `\u20ac` is three bytes of UTF-8, and one half of a pair is less; others stand for one byte.
            let is_unicode = self.body.get(self.at + 1) == Some(&b'u');
            spared += if is_unicode { 3 } else { 1 };
            self.at = self.body.len().min(self.at + 2);
        }
        self.at = self.body.len();
        spared
    }

    /// The items between brackets. Each must be read whole.
    fn items(&mut self, mut item: impl FnMut(&mut Self)) {
        self.at += 1;
        loop {
            self.skip_blanks();
            match self.byte() {
                Some(b'}' | b']') => {
                    self.at += 1;
                    return;
                }
                Some(b',') => self.at += 1,
                Some(_) => item(self),
                None => return,
            }
        }
    }

    fn skip_blanks(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }
}

/// What stands between the quotes. A name whose escapes are nonsense is no name that anybody knows.
fn unescaped(quoted: &[u8]) -> Cow<'_, [u8]> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    Cow::Owned(serde_json::from_slice::<String>(quoted).unwrap_or_default().into_bytes())
}
