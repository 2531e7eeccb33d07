//! Calls, added up in memory: as they are appended, or as blobs of them are read.
//!
//! Here texts and keys have provisional numbers below 0; 0 is the empty text and no key. The dictionaries give them their
//! numbers above 0 when the sums are written.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::blob::{self, Blob};
use super::row::project_number;
use super::table::Table;
use super::{CallKind, CallRow, Counts};

/// What of a call makes a row of `usage`, in the order of its primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct UsageKey {
    pub(super) minute: i64,
    pub(super) project: i64,
    pub(super) key: i64,
    /// Service, method, model, outcome, shadow, upstream.
    pub(super) words: [i64; 6],
}

/// What of a call makes a row of `shapes`, in the order of its primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ShapeKey {
    pub(super) hour: i64,
    pub(super) project: i64,
    pub(super) key: i64,
    pub(super) generation: i64,
    /// Service, method, model, outcome, shadow.
    pub(super) words: [i64; 5],
    pub(super) address: Option<IpAddr>,
    /// Referrer, Android package, Android certificate, iOS bundle, client.
    pub(super) caller: [i64; 5],
}

/// How often a shape was seen, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) calls: u64,
    pub(super) first_minute: i64,
    pub(super) last_minute: i64,
}

/// A key in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyOf {
    pub(super) uid: [u8; 16],
    pub(super) project: i64,
}

/// The sums.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// The text of number -1, -2 and so on.
    pub(super) texts: Vec<Box<str>>,
    /// The key of number -1, -2 and so on, and the last minute in which it was presented.
    pub(super) keys: Table<KeyOf, i64>,
    pub(super) usage: Table<UsageKey, Counts>,
    pub(super) shapes: Table<ShapeKey, Seen>,
    /// How many rows went into the sums.
    pub(super) rows: u64,
    /// The latest minute among them.
    pub(super) last_minute: i64,
    text_numbers: HashMap<Box<str>, i64>,
}

/// Calls that were alike, with provisional numbers.
struct Alike<'counts> {
    minute: i64,
    project: i64,
    key: i64,
    generation: u32,
    /// Service, method, model, outcome, shadow, upstream.
    words: [i64; 6],
    address: Option<IpAddr>,
    /// Referrer, Android package, Android certificate, iOS bundle, client.
    caller: [i64; 5],
    counts: &'counts Counts,
}

impl Sums {
    /// Counts calls as they would be read from their blob.
    pub(super) fn add_calls<'calls>(&mut self, calls: impl IntoIterator<Item = &'calls CallRow>) {
        let mut kind_before: Option<(&Arc<CallKind>, [i64; 11])> = None;
        for call in calls {
            let kind = &call.kind;
            let texts = match kind_before {
                Some((before, texts)) if Arc::ptr_eq(before, kind) => texts,
                _ => blob::texts_of(kind).map(|text| self.text_number(text)),
            };
            kind_before = Some((kind, texts));
            let [service, method, model, outcome, shadow, upstream, caller @ ..] = texts;
            let minute = blob::clamped(call.minute);
            let project = project_number(kind.project);
            let key = call.key.as_ref().map_or(0, |key| self.key_number(*key.as_bytes(), project, minute));
            self.count(&Alike {
                minute,
                project,
                key,
                generation: call.generation,
                words: [service, method, model, outcome, shadow, upstream],
                address: kind.caller.address,
                caller,
                counts: &call.counts,
            });
        }
    }

    /// Counts what a blob holds.
    pub(super) fn add_blob(&mut self, blob: &Blob<'_>) {
        let mut texts = vec![0; blob.texts.len() + 1];
        for (number, text) in texts[1..].iter_mut().zip(&blob.texts) {
            *number = self.text_number(text);
        }
        // The reader of blobs lets no number pass that the blob has no text or key for.
        let text = |number: u32| texts[number as usize];
        for row in &blob.rows {
            let key = match row.key.checked_sub(1) {
                None => 0,
                Some(at) => self.key_number(blob.keys[at as usize], row.project, row.minute),
            };
            self.count(&Alike {
                minute: row.minute,
                project: row.project,
                key,
                generation: row.generation,
                words: row.words.map(text),
                address: row.address,
                caller: row.caller.map(text),
                counts: &row.counts,
            });
        }
    }

    fn count(&mut self, calls: &Alike<'_>) {
        let Alike { minute, project, key, generation, words, address, caller, counts } = *calls;
        self.usage.of(UsageKey { minute, project, key, words }, Counts::default).merge(counts);
        self.rows += 1;
        self.last_minute = self.last_minute.max(minute);
        // A rehearsal is of one key or one project, so it never asks for calls of nobody; and nobody is who could make up
        // as many callers as he likes.
        if (key, project) == (0, 0) {
            return;
        }
        let [service, method, model, outcome, shadow, _] = words;
        let shape = ShapeKey {
            hour: minute / 60,
            project,
            key,
            generation: generation.into(),
            words: [service, method, model, outcome, shadow],
            address,
            caller,
        };
        let seen = self.shapes.of(shape, || Seen { calls: 0, first_minute: minute, last_minute: minute });
        seen.calls = seen.calls.saturating_add(counts.calls);
        seen.first_minute = seen.first_minute.min(minute);
        seen.last_minute = seen.last_minute.max(minute);
    }

    /// How much there is to write.
    pub(super) fn size(&self) -> usize {
        self.usage.len() + self.shapes.len()
    }

    /// Forgets all, and keeps room for about as many rows.
    pub(super) fn clear(&mut self) {
        (self.rows, self.last_minute) = (0, 0);
        (self.texts, self.text_numbers) = (Vec::new(), HashMap::new());
        self.keys.clear();
        self.usage.clear();
        self.shapes.clear();
    }

    fn text_number(&mut self, text: &str) -> i64 {
        if text.is_empty() {
            return 0;
        }
        if let Some(number) = self.text_numbers.get(text) {
            return *number;
        }
        self.texts.push(text.into());
        let number = -(self.texts.len() as i64);
        self.text_numbers.insert(text.into(), number);
        number
    }

    fn key_number(&mut self, uid: [u8; 16], project: i64, minute: i64) -> i64 {
        let place = self.keys.place(KeyOf { uid, project }, || minute);
        let last = self.keys.at(place);
        *last = minute.max(*last);
        -(place as i64) - 1
    }
}

/// The place in a list of what has this provisional number.
pub(super) fn place(number: i64) -> usize {
    (-1 - number) as usize
}

#[cfg(test)]
mod tests {
    use keylodge_rules::{KeyUid, ProjectNumber};

    use super::*;

    /// Few kinds, some shared, and texts that are cut; few keys, and nobody.
    fn calls() -> Vec<CallRow> {
        let kind = |which: u8| CallKind {
            project: (which > 0).then(|| ProjectNumber::from_random([which; 8])),
            service: "generativelanguage.googleapis.com".into(),
            model: "m".repeat(usize::from(which) * 200).into(),
            outcome: ["ok", "http_503"][usize::from(which % 2)].into(),
            ..CallKind::default()
        };
        let kinds: Vec<Arc<CallKind>> = (0..4).map(|which| kind(which).into()).collect();
        let call = |at: u8| CallRow {
            minute: [-1, 28_333_320, 28_333_321][usize::from(at % 3)],
            key: (!at.is_multiple_of(5)).then(|| KeyUid::from_random([at % 7; 16])),
            generation: u32::from(at % 2),
            kind: Arc::clone(&kinds[usize::from(at / 2 % 4)]),
            counts: Counts { calls: at.into(), ..Counts::default() },
        };
        (0..200).map(call).collect()
    }

    #[test]
    fn calls_are_added_up_as_their_blob_would_be() {
        let calls: Vec<CallRow> = calls();
        let bytes = blob::encode(&calls.iter().collect::<Vec<_>>());
        let (mut of_calls, mut of_blob) = (Sums::default(), Sums::default());
        of_calls.add_calls(&calls);
        of_blob.add_blob(&blob::decode(&bytes).unwrap());

        assert!(of_calls.usage.len() > 10 && of_calls.shapes.len() > 10 && of_calls.keys.len() > 5);
        assert_eq!(of_calls.texts, of_blob.texts);
        assert_eq!(of_calls.keys.rows(), of_blob.keys.rows());
        assert_eq!(of_calls.usage.rows(), of_blob.usage.rows());
        assert_eq!(of_calls.shapes.rows(), of_blob.shapes.rows());
        assert_eq!((of_calls.rows, of_calls.last_minute), (of_blob.rows, of_blob.last_minute));
    }
}
