//! The hash chain: every entry's hash covers the hash before it.

use std::fmt;

use sha2::{Digest, Sha256};

use super::layout::Layout;
use super::{Entry, NotHex, hex};
use crate::Revision;

/// The hash of an entry and of everything before it. Printed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before the first entry: 32 zero bytes.
    pub const START: Self = Self([0; 32]);

    /// A hash as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as it is stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads what Display prints.
    ///
    /// # Errors
    /// When the text is anything but 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, NotHex> {
        hex::parse(text).map(Self)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::print(&self.0, f)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// The end of a log: what the next entry is tied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    sequence: u64,
    head: ChainHash,
}

/// An entry's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number. The first entry has 1, and there are no gaps.
    pub sequence: u64,
    /// Its hash.
    pub hash: ChainHash,
}

impl Chain {
    /// A log without entries.
    #[must_use]
    pub const fn start() -> Self {
        Self::at(0, ChainHash::START)
    }

    /// A log whose last entry has this sequence and hash.
    #[must_use]
    pub const fn at(sequence: u64, head: ChainHash) -> Self {
        Self { sequence, head }
    }

    /// The sequence of the last entry; 0 when there is none.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The hash of the last entry; [`ChainHash::START`] when there is none.
    #[must_use]
    pub const fn head(&self) -> ChainHash {
        self.head
    }

    /// The sequence that the next entry gets.
    #[must_use]
    pub const fn next(&self) -> u64 {
        // A log that long exists only in a forged line, which must not stop the program that looks at it.
        self.sequence.saturating_add(1)
    }

    /// Adds an entry. The same entry in the same place always gets the same hash.
    pub fn extend(&mut self, entry: &Entry) -> Link {
        let sequence = self.next();
        let hash = ChainHash(Sha256::digest(lay_out(&self.head, sequence, entry)).into());
        *self = Self::at(sequence, hash);
        Link { sequence, hash }
    }
}

/// The bytes of an entry in its place. The module page of `audit` promises them to strangers: a change to them is a new
/// version of the label.
fn lay_out(before: &ChainHash, sequence: u64, entry: &Entry) -> Vec<u8> {
    // Taken apart without `..`, so that a field added to Entry does not compile until it is hashed.
    let Entry {
        time,
        principal,
        service,
        method,
        resource,
        request_id,
        caller_ip,
        user_agent,
        permission,
        project,
        operation,
        denied,
        request,
        revision,
    } = entry;
    let mut layout = Layout::of("keylodge audit entry v1");
    layout.raw(before.as_bytes());
    layout.number(sequence);
    layout.signed(time.micros());
    for text in [principal, service, method, resource, request_id, caller_ip, user_agent, permission] {
        layout.text(text);
    }
    layout.maybe(project.as_ref(), |layout, (number, id)| {
        layout.number(number.get());
        layout.text(id);
    });
    layout.text(operation);
    layout.maybe(denied.as_ref(), |layout, message| layout.text(message));
    layout.number(request.len() as u64);
    for (field, value) in request {
        layout.text(field);
        layout.text(value);
    }
    layout.maybe(*revision, |layout, Revision(number)| layout.number(number));
    layout.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProjectNumber, Timestamp};
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            principal: "user:ana@example.com".to_owned(),
            service: "apikeys.googleapis.com".to_owned(),
            method: "google.api.apikeys.v2.ApiKeys.CreateKey".to_owned(),
            project: Some((ProjectNumber::parse("123456789012").unwrap(), "default-project".to_owned())),
            request: [("display_name".to_owned(), "Schlüssel".to_owned())].into(),
            revision: Some(Revision(7)),
            ..Entry::at(Timestamp::from_micros(1_769_860_800_123_456))
        }
    }

    type Alter = fn(&mut Entry, String);

    fn hash(entry: &Entry) -> ChainHash {
        Chain::start().extend(entry).hash
    }

    /// The hashes were computed by a Python program written from the module page alone.
    #[test]
    fn a_hash_is_what_the_published_layout_says() {
        let mut chain = Chain::start();

        let first = chain.extend(&entry());
        let second = chain.extend(&Entry { denied: Some(String::new()), ..Entry::at(Timestamp::from_micros(-1)) });

        assert_eq!(first.hash.to_string(), "745c807dbc6ff189449d492c6bad170e3579131c343f427682b26502140d49cc");
        assert_eq!(second.hash.to_string(), "cc38c78e0cd08aac9b367a43653f04def07a028d8e66e7daa6678728ae8e414b");
        assert_eq!((first.sequence, second.sequence, chain.next()), (1, 2, 3));
    }

    #[test]
    fn every_field_is_in_the_hash() {
        let text = || "x".to_owned();
        let number = ProjectNumber::parse("9").unwrap();
        let altered: Vec<(&str, Alter)> = vec![
            ("time", |entry, _| entry.time = Timestamp::from_micros(0)),
            ("principal", |entry, text| entry.principal = text),
            ("service", |entry, text| entry.service = text),
            ("method", |entry, text| entry.method = text),
            ("resource", |entry, text| entry.resource = text),
            ("request_id", |entry, text| entry.request_id = text),
            ("caller_ip", |entry, text| entry.caller_ip = text),
            ("user_agent", |entry, text| entry.user_agent = text),
            ("permission", |entry, text| entry.permission = text),
            ("no project", |entry, _| entry.project = None),
            ("project id", |entry, text| entry.project.as_mut().unwrap().1 = text),
            ("operation", |entry, text| entry.operation = text),
            ("denied", |entry, text| entry.denied = Some(text)),
            ("denied without a word", |entry, _| entry.denied = Some(String::new())),
            ("request field", |entry, text| entry.request = [(text, "Schlüssel".to_owned())].into()),
            ("request value", |entry, text| entry.request = [("display_name".to_owned(), text)].into()),
            ("no revision", |entry, _| entry.revision = None),
            ("revision", |entry, _| entry.revision = Some(Revision(8))),
        ];
        let mut hashes = vec![hash(&entry())];
        for (what, alter) in altered {
            let mut other = entry();
            alter(&mut other, text());
            let hash = hash(&other);
            assert!(!hashes.contains(&hash), "{what}");
            hashes.push(hash);
        }
        let mut other = entry();
        other.project.as_mut().unwrap().0 = number;
        assert!(!hashes.contains(&hash(&other)), "project number");
        assert_ne!(Chain::at(0, ChainHash([1; 32])).extend(&entry()).hash, hashes[0], "the hash before");
        assert_ne!(Chain::at(1, ChainHash::START).extend(&entry()).hash, hashes[0], "the sequence");
    }

    proptest! {
        #[test]
        fn text_never_moves_from_one_field_to_the_next(before in "\\PC{0,9}", moved in "\\PC{1,3}", after in "\\PC{0,9}") {
            let left = Entry { caller_ip: format!("{before}{moved}"), user_agent: after.clone(), ..entry() };
            let right = Entry { caller_ip: before, user_agent: format!("{moved}{after}"), ..entry() };

            prop_assert_ne!(hash(&left), hash(&right));
        }

        #[test]
        fn a_hash_reads_back_in_one_spelling_only(bytes: [u8; 32]) {
            let text = ChainHash(bytes).to_string();

            prop_assert_eq!(ChainHash::parse(&text), Ok(ChainHash(bytes)));
            let upper = text.to_uppercase();
            prop_assert!(upper == text || ChainHash::parse(&upper).is_err());
            prop_assert!(ChainHash::parse(&text[1..]).is_err());
        }
    }
}
