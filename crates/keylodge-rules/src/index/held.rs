//! The strings of all keys, found by hash and by key.

use hashbrown::HashTable;

use super::place_of;
use crate::{Credential, KeyUid, Lookup};

/// One string of a key: what it is told by, whose it is, and on what terms.
///
/// Sixteen bytes of the hash are kept. It is a keyed hash, so nobody can look for strings that collide; that a guess
/// meets one of a million keys has a chance of 2^-108.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    hash: [u8; 16],
    pub(super) key: KeyUid,
    /// The place of its terms.
    pub(super) terms: u32,
    marks: u32,
}

/// Set in the marks of a string of another gateway. No key is rotated 2^31 times.
const FOREIGN: u32 = 1 << 31;

impl Held {
    pub(super) fn new(key: KeyUid, credential: &Credential, terms: u32) -> Self {
        let (hash, kind) = split(&credential.lookup);
        Self { hash, key, terms, marks: (credential.generation & !FOREIGN) | kind }
    }

    pub(super) const fn generation(&self) -> u32 {
        self.marks & !FOREIGN
    }

    pub(super) const fn is_foreign(&self) -> bool {
        self.marks & FOREIGN != 0
    }

    fn is(&self, hash: &[u8; 16], kind: u32) -> bool {
        self.hash == *hash && self.marks & FOREIGN == kind
    }
}

fn split(lookup: &Lookup) -> ([u8; 16], u32) {
    let (whole, kind) = match lookup {
        Lookup::Hash(hash) => (hash.as_bytes(), 0),
        Lookup::Sha256(hash) => (hash, FOREIGN),
    };
    (*whole.first_chunk().expect("a hash has 32 bytes"), kind)
}

/// How many tables there are of each kind. No power of two, so that with a round number of keys the tables do not all
/// stand just after doubling.
const TABLES: usize = 192;

/// How many strings one piece of memory holds.
const PIECE: usize = 4096;

/// All strings. Tables hold their places only; a place is a piece's number and one within it.
#[derive(Debug)]
pub(super) struct Strings {
    pieces: Vec<Vec<Held>>,
    free: Vec<u32>,
    by_hash: Vec<HashTable<u32>>,
    by_key: Vec<HashTable<u32>>,
    foreign: usize,
    keys: usize,
}

impl Default for Strings {
    fn default() -> Self {
        let tables = || (0..TABLES).map(|_| HashTable::new()).collect();
        Self { pieces: Vec::new(), free: Vec::new(), by_hash: tables(), by_key: tables(), foreign: 0, keys: 0 }
    }
}

impl Strings {
    pub(super) fn find(&self, lookup: &Lookup) -> Option<&Held> {
        let (hash, kind) = split(lookup);
        let (table, mark) = spread(&hash);
        let place = self.by_hash[table].find(mark, |place| at(&self.pieces, *place).is(&hash, kind))?;
        Some(at(&self.pieces, *place))
    }

    /// How many strings of another gateway wait to be seen.
    pub(super) const fn foreign(&self) -> usize {
        self.foreign
    }

    /// How many keys have a string.
    pub(super) const fn keys(&self) -> usize {
        self.keys
    }

    /// Puts a string in. One that is there already, of whatever key, gives way to it and is returned.
    pub(super) fn insert(&mut self, held: Held) -> Option<Held> {
        let before = self.take(&held.hash, held.marks & FOREIGN);
        let place = match self.free.pop() {
            Some(place) => {
                *at_mut(&mut self.pieces, place) = held;
                place
            }
            None => self.append(held),
        };
        let pieces = &self.pieces;
        let (table, mark) = spread(&held.hash);
        self.by_hash[table].insert_unique(mark, place, |place| spread(&at(pieces, *place).hash).1);
        let (table, mark) = spread(held.key.as_bytes());
        self.keys += usize::from(!self.by_key[table].iter_hash(mark).any(|other| at(pieces, *other).key == held.key));
        self.by_key[table].insert_unique(mark, place, |place| spread(at(pieces, *place).key.as_bytes()).1);
        self.foreign += usize::from(held.is_foreign());
        before
    }

    /// The strings of a key.
    pub(super) fn of_key(&self, key: KeyUid) -> impl Iterator<Item = &Held> {
        let (table, mark) = spread(key.as_bytes());
        let of_key = self.by_key[table].iter_hash(mark).map(|place| at(&self.pieces, *place));
        of_key.filter(move |held| held.key == key)
    }

    /// Takes out all strings of a key.
    pub(super) fn remove(&mut self, key: KeyUid) -> Vec<Held> {
        let all: Vec<Held> = self.of_key(key).copied().collect();
        for held in &all {
            self.take(&held.hash, held.marks & FOREIGN);
        }
        all
    }

    fn take(&mut self, hash: &[u8; 16], kind: u32) -> Option<Held> {
        let pieces = &self.pieces;
        let (table, mark) = spread(hash);
        let found = self.by_hash[table].find_entry(mark, |place| at(pieces, *place).is(hash, kind)).ok()?;
        let (place, _) = found.remove();
        let held = *at(pieces, place);
        let (table, mark) = spread(held.key.as_bytes());
        if let Ok(found) = self.by_key[table].find_entry(mark, |other| *other == place) {
            found.remove();
        }
        self.keys -= usize::from(!self.by_key[table].iter_hash(mark).any(|other| at(pieces, *other).key == held.key));
        self.foreign -= usize::from(held.is_foreign());
        self.free.push(place);
        Some(held)
    }

    fn append(&mut self, held: Held) -> u32 {
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        let pieces = self.pieces.len() - 1;
        let piece = &mut self.pieces[pieces];
        piece.push(held);
        place_of(pieces * PIECE + piece.len() - 1)
    }
}

fn at(pieces: &[Vec<Held>], place: u32) -> &Held {
    &pieces[place as usize / PIECE][place as usize % PIECE]
}

fn at_mut(pieces: &mut [Vec<Held>], place: u32) -> &mut Held {
    &mut pieces[place as usize / PIECE][place as usize % PIECE]
}

/// The table of sixteen bytes that are random already, and their mark in it. UUIDs have fixed bits in the middle, so
/// the table comes from the end and the mark from the beginning.
fn spread(bytes: &[u8; 16]) -> (usize, u64) {
    let mark = u64::from_le_bytes(*bytes.first_chunk().expect("there are sixteen"));
    let end = u32::from_le_bytes(*bytes.last_chunk().expect("there are sixteen"));
    (((u64::from(end) * TABLES as u64) >> 32) as usize, mark)
}
