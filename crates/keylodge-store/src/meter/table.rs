//! A table in memory that is filled, sorted, written and emptied again and again, in the same room each time.
//!
//! What is metered comes and goes once a minute. To take megabytes from the allocator and give them back each time would
//! scatter what others hold in between, and memory would grow for many minutes.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

/// How much more room than rows it held is kept for the next time. A busy hour is not kept for ever.
const ROOM_PER_HELD_MAX: usize = 4;

/// Rows by their keys, in the order in which they came.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    rows: Vec<(K, V)>,
    /// Where in `rows`, by the hash of the key.
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: Vec::new(), places: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    /// The place of a row, which is put behind the others if there is none yet.
    pub(super) fn place(&mut self, key: K, new: impl FnOnce() -> V) -> usize {
        let Self { rows, places, hasher } = self;
        let hash = hasher.hash_one(&key);
        let of_place = |place: &usize| hasher.hash_one(&rows[*place].0);
        let place = *places.entry(hash, |place| rows[*place].0 == key, of_place).or_insert(rows.len()).get();
        if place == rows.len() {
            rows.push((key, new()));
        }
        place
    }

    /// The row of a key, a new one if there is none yet.
    pub(super) fn of(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        let place = self.place(key, new);
        self.at(place)
    }

    pub(super) fn at(&mut self, place: usize) -> &mut V {
        &mut self.rows[place].1
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows, in the order in which they came.
    pub(super) fn rows(&self) -> &[(K, V)] {
        &self.rows
    }

    /// The rows, to be changed and sorted at will: nothing can be found by its key from now on, until all is cleared.
    pub(super) fn rows_mut(&mut self) -> &mut Vec<(K, V)> {
        self.places.clear();
        &mut self.rows
    }

    /// Forgets all rows, and keeps room for about as many.
    pub(super) fn clear(&mut self) {
        let room = self.rows.len().saturating_mul(ROOM_PER_HELD_MAX);
        self.rows.clear();
        self.rows.shrink_to(room);
        self.places.clear();
        self.places.shrink_to(room, |_| 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(rows: usize) -> Table<usize, usize> {
        let mut table = Table::default();
        fill(&mut table, rows);
        table
    }

    fn fill(table: &mut Table<usize, usize>, rows: usize) {
        (0..2).for_each(|_| (0..rows).for_each(|key| *table.of(key, || 0) += key));
    }

    #[test]
    fn a_key_has_one_row_in_the_order_of_their_coming() {
        let mut table = filled(1_000);
        assert_eq!(table.rows(), (0..1_000).map(|key| (key, 2 * key)).collect::<Vec<_>>());
        assert_eq!((table.place(7, || 0), table.place(1_000, || 3)), (7, 1_000));
    }

    #[test]
    fn room_is_used_again_but_not_what_a_busy_moment_needed() {
        let mut table = filled(1_000);
        table.clear();
        let room = table.rows.as_ptr();
        fill(&mut table, 900);
        assert_eq!((table.len(), table.rows.as_ptr()), (900, room));

        table.clear();
        fill(&mut table, 3);
        table.clear();
        assert!(table.rows.capacity() < 100 && table.places.capacity() < 100);
    }

    #[test]
    fn what_was_changed_is_forgotten_with_the_rest() {
        let mut table = filled(10);
        table.rows_mut().retain(|(key, _)| key % 2 == 0);
        assert_eq!(table.len(), 5);
        table.clear();
        fill(&mut table, 2);
        assert_eq!(table.rows(), [(0, 0), (1, 2)]);
    }
}
