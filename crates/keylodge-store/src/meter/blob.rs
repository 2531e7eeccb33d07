//! A batch of calls as the bytes that `pending` keeps: small, quick to write, and safe to read whatever is in it.
//!
//! A second's calls share most of their texts and keys, so these stand once at the front and rows name them by number.
//! Numbers are written in seven-bit groups, the lowest first. The layout: the first [`CHECK_BYTES`] of the SHA-256 of all
//! that follows, the version, the texts, the keys, the first minute, the number of rows, the rows. Another layout needs
//! another version and a migration.
//!
//! A row takes about 50 bytes; ten thousand take some milliseconds.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use keylodge_rules::{KeyUid, ProjectNumber};
use sha2::{Digest, Sha256};

use super::cut::{CLIENT_CHARS_MAX, NAME_CHARS_MAX, REFERRER_CHARS_MAX, WORD_CHARS_MAX, cut};
use super::{CallKind, CallRow, Counts, Latency, MINUTE_MAX};

const VERSION: u64 = 1;
const CHECK_BYTES: usize = 8;

/// What a blob holds. Texts and keys are numbered from 1; 0 is the empty text, and no key.
#[derive(Debug, PartialEq)]
pub(super) struct Blob<'bytes> {
    pub(super) texts: Vec<&'bytes str>,
    pub(super) keys: Vec<[u8; 16]>,
    pub(super) rows: Vec<Row>,
}

/// A row of it. Texts and keys are their numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) minute: i64,
    /// 0 for none.
    pub(super) project: i64,
    pub(super) key: u32,
    pub(super) generation: u32,
    /// Service, method, model, outcome, shadow, upstream.
    pub(super) words: [u32; 6],
    pub(super) address: Option<IpAddr>,
    /// Referrer, Android package, Android certificate, iOS bundle, client.
    pub(super) caller: [u32; 5],
    pub(super) counts: Counts,
}

/// Writes calls. The minutes they lie in are the caller's to note.
pub(super) fn encode(calls: &[&CallRow]) -> Vec<u8> {
    let first_minute = calls.iter().map(|call| clamped(call.minute)).min().unwrap_or(0);
    let mut texts = Numbers::default();
    let mut keys = Numbers::<&KeyUid>::default();
    let mut rows = Writer(Vec::with_capacity(calls.len() * 64));
    // Rows share their kinds, and kinds their texts: mostly it is that of the row before, whose number is known.
    let mut kind_before: Option<&Arc<CallKind>> = None;
    let mut before: [(&str, u64); 11] = [("", 0); 11];
    for call in calls {
        rows.number(clamped(call.minute).abs_diff(first_minute));
        rows.number(call.kind.project.map_or(0, ProjectNumber::get));
        rows.number(call.key.as_ref().map_or(0, |key| keys.of(key)));
        rows.number(call.generation.into());
        if !kind_before.is_some_and(|before| Arc::ptr_eq(before, &call.kind)) {
            for (text, before) in texts_of(&call.kind).into_iter().zip(&mut before) {
                if !std::ptr::eq(text, before.0) {
                    *before = (text, if text.is_empty() { 0 } else { texts.of(text) });
                }
            }
            kind_before = Some(&call.kind);
        }
        before.iter().for_each(|(_, number)| rows.number(*number));
        match call.kind.caller.address {
            None => rows.bytes(&[]),
            Some(IpAddr::V4(address)) => rows.bytes(&address.octets()),
            Some(IpAddr::V6(address)) => rows.bytes(&address.octets()),
        }
        rows.counts(&call.counts);
    }

    let mut blob = Writer(vec![0; CHECK_BYTES]);
    blob.number(VERSION);
    blob.length(texts.order.len());
    texts.order.iter().for_each(|text| blob.bytes(text.as_bytes()));
    blob.length(keys.order.len());
    keys.order.iter().for_each(|key| blob.0.extend_from_slice(key.as_bytes()));
    blob.number(first_minute.unsigned_abs());
    blob.length(calls.len());
    blob.0.append(&mut rows.0);
    let check = check(&blob.0[CHECK_BYTES..]);
    blob.0[..CHECK_BYTES].copy_from_slice(&check);
    blob.0
}

/// The texts of a kind as they are kept, in the order of a row.
pub(super) fn texts_of(kind: &CallKind) -> [&str; 11] {
    let caller = &kind.caller;
    [
        cut(&kind.service, NAME_CHARS_MAX),
        cut(&kind.method, NAME_CHARS_MAX),
        cut(&kind.model, NAME_CHARS_MAX),
        cut(&kind.outcome, WORD_CHARS_MAX),
        cut(&kind.shadow, WORD_CHARS_MAX),
        cut(&kind.upstream, WORD_CHARS_MAX),
        cut(&caller.referrer, REFERRER_CHARS_MAX),
        cut(&caller.android_package, REFERRER_CHARS_MAX),
        cut(&caller.android_cert, CLIENT_CHARS_MAX),
        cut(&caller.ios_bundle, REFERRER_CHARS_MAX),
        cut(&caller.client, CLIENT_CHARS_MAX),
    ]
}

/// A minute as it is kept: within [`MINUTE_MAX`], whatever a clock says.
pub(super) fn clamped(minute: i64) -> i64 {
    minute.clamp(0, MINUTE_MAX)
}

/// Reads a blob; nothing where it is damaged.
pub(super) fn decode(bytes: &[u8]) -> Option<Blob<'_>> {
    let (expected, rest) = bytes.split_at_checked(CHECK_BYTES)?;
    if check(rest) != *expected {
        return None;
    }
    let mut reader = Reader(rest);
    if reader.number()? != VERSION {
        return None;
    }
    let texts = reader.list(|reader| std::str::from_utf8(reader.bytes()?).ok())?;
    let keys = reader.list(|reader| reader.take(16)?.try_into().ok())?;
    let first_minute = i64::try_from(reader.number()?).ok()?;
    let rows = reader.list(|reader| {
        let row = reader.row(first_minute)?;
        let known = |number: u32, count: usize| usize::try_from(number).is_ok_and(|number| number <= count);
        let all_known = row.words.iter().chain(&row.caller).all(|text| known(*text, texts.len()));
        (all_known && known(row.key, keys.len())).then_some(row)
    })?;
    reader.0.is_empty().then_some(Blob { texts, keys, rows })
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    std::array::from_fn(|at| digest[at])
}

/// Numbers things from 1 in the order in which they come.
struct Numbers<T> {
    numbers: HashMap<T, u64>,
    order: Vec<T>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), order: Vec::new() }
    }
}

impl<T: Copy + Eq + Hash> Numbers<T> {
    fn of(&mut self, thing: T) -> u64 {
        let next = self.order.len() as u64 + 1;
        *self.numbers.entry(thing).or_insert_with(|| {
            self.order.push(thing);
            next
        })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Most buckets of a row are empty, so a bit for each says which are not.
    fn counts(&mut self, counts: &Counts) {
        let Counts { calls, input_tokens, output_tokens, cached_tokens, cost_nanos, latency } = counts;
        for number in [calls, input_tokens, output_tokens, cached_tokens, cost_nanos, &latency.total_micros] {
            self.number(*number);
        }
        let filled = || latency.buckets.iter().enumerate().filter(|(_, calls)| **calls > 0);
        self.number(filled().fold(0, |bits, (bucket, _)| bits | 1 << bucket));
        filled().for_each(|(_, calls)| self.number(*calls));
    }
}

struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let group = u64::from(byte & 0x7f);
            // The tenth group has room for one bit.
            if shift == 63 && group > 1 {
                return None;
            }
            number |= group << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn take(&mut self, length: usize) -> Option<&'bytes [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn bytes(&mut self) -> Option<&'bytes [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// A length, then so many things. Each takes a byte at least, so a length that cannot be true makes no room.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= self.0.len())?;
        (0..length).map(|_| one(self)).collect()
    }

    fn row(&mut self, first_minute: i64) -> Option<Row> {
        let minute = first_minute.checked_add_unsigned(self.number()?).filter(|minute| *minute <= MINUTE_MAX)?;
        let project = i64::try_from(self.number()?).ok()?;
        let (key, generation) = (self.small()?, self.small()?);
        let (mut words, mut caller) = ([0; 6], [0; 5]);
        for text in words.iter_mut().chain(&mut caller) {
            *text = self.small()?;
        }
        let address = match self.bytes()? {
            [] => None,
            bytes => Some(address(bytes)?),
        };
        Some(Row { minute, project, key, generation, words, address, caller, counts: self.counts()? })
    }

    fn counts(&mut self) -> Option<Counts> {
        let mut numbers = [0; 6];
        for number in &mut numbers {
            *number = self.number()?;
        }
        let [calls, input_tokens, output_tokens, cached_tokens, cost_nanos, total_micros] = numbers;
        let filled = self.number()?;
        let mut latency = Latency { total_micros, ..Latency::default() };
        for (bucket, calls) in latency.buckets.iter_mut().enumerate() {
            if filled & 1 << bucket != 0 {
                *calls = self.number()?;
            }
        }
        Some(Counts { calls, input_tokens, output_tokens, cached_tokens, cost_nanos, latency })
    }
}

/// The address that 4 or 16 bytes stand for.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(which: u64) -> CallRow {
        let mut counts = Counts { calls: which, cost_nanos: u64::MAX - which, ..Counts::default() };
        counts.latency.add(which * 977);
        let mut kind = CallKind {
            project: Some(ProjectNumber::from_random(which.to_le_bytes())),
            service: "generativelanguage.googleapis.com".into(),
            outcome: ["ok", "limit"][(which % 2) as usize].into(),
            ..CallKind::default()
        };
        kind.caller.address = Some(if which.is_multiple_of(2) { [192, 0, 2, 7].into() } else { [7; 16].into() });
        kind.caller.client = "ä".repeat(which as usize).into();
        CallRow {
            minute: 28_000_000 + (which % 2) as i64,
            key: which.is_multiple_of(3).then(|| KeyUid::from_random([which as u8; 16])),
            kind: kind.into(),
            counts,
            ..CallRow::default()
        }
    }

    fn all(calls: &[CallRow]) -> Vec<&CallRow> {
        calls.iter().collect()
    }

    fn text<'blob>(blob: &Blob<'blob>, number: u32) -> &'blob str {
        if number == 0 { "" } else { blob.texts[number as usize - 1] }
    }

    #[test]
    fn what_was_written_is_read() {
        let calls: Vec<CallRow> = (0..200).map(call).collect();
        let bytes = encode(&all(&calls));
        let blob = decode(&bytes).unwrap();

        assert_eq!(blob.rows.len(), calls.len());
        for (row, call) in blob.rows.iter().zip(&calls) {
            let kind = &call.kind;
            assert_eq!((row.minute, row.address, row.counts), (call.minute, kind.caller.address, call.counts));
            assert_eq!(row.project.unsigned_abs(), kind.project.unwrap().get());
            let key = (row.key > 0).then(|| KeyUid::from_bytes(blob.keys[row.key as usize - 1]));
            assert_eq!(key, call.key);
            assert_eq!(text(&blob, row.words[0]), &*kind.service);
            assert_eq!(text(&blob, row.words[3]), &*kind.outcome);
            assert_eq!(text(&blob, row.words[5]), "");
            assert_eq!(text(&blob, row.caller[4]), cut(&kind.caller.client, CLIENT_CHARS_MAX));
        }
    }

    #[test]
    fn what_is_written_stays_the_same_from_version_to_version() {
        let calls: Vec<CallRow> = (0..200).map(call).collect();
        let bytes = encode(&all(&calls));
        assert_eq!(bytes.len(), 28_156);
        assert_eq!(bytes[..CHECK_BYTES], [166, 238, 21, 142, 110, 228, 205, 75], "the check is over all the rest");
    }

    #[test]
    fn a_kind_that_rows_share_is_written_as_if_each_had_its_own() {
        let kinds = [call(3).kind, call(4).kind, call(3).kind];
        // Alike rows in a row, kinds that come back, and a kind that is alike but not the same.
        let of_kinds = [0, 0, 1, 0, 2, 2, 1, 1].into_iter().zip(0..);
        let shared: Vec<CallRow> =
            of_kinds.map(|(kind, which)| CallRow { kind: Arc::clone(&kinds[kind]), ..call(which) }).collect();
        let own = |row: &CallRow| CallRow { kind: Arc::new(CallKind::clone(&row.kind)), ..row.clone() };

        let own: Vec<CallRow> = shared.iter().map(own).collect();
        assert_eq!(encode(&all(&shared)), encode(&all(&own)));
    }

    #[test]
    fn any_changed_byte_and_any_missing_end_is_damage() {
        let bytes = encode(&[&call(3), &call(4)]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_eq!(decode(&changed), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_minute_that_no_clock_shows_is_kept_as_the_nearest_that_one_does() {
        for (minute, kept) in [(i64::MIN, 0), (-1, 0), (i64::MAX, MINUTE_MAX)] {
            let bytes = encode(&[&CallRow { minute, ..call(1) }]);
            assert_eq!(decode(&bytes).unwrap().rows[0].minute, kept);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body: Vec<u8>) {
            // With a good check, so that the reader gets to see them.
            let mut bytes = check(&body).to_vec();
            bytes.extend(body);
            let _ = decode(&bytes);
        }

        #[test]
        fn no_altered_bytes_make_the_reader_panic(at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&[&call(3), &call(4)]);
            let at = CHECK_BYTES + at.index(bytes.len() - CHECK_BYTES);
            bytes[at] = byte;
            let check = check(&bytes[CHECK_BYTES..]);
            bytes[..CHECK_BYTES].copy_from_slice(&check);
            let _ = decode(&bytes);
        }
    }
}
