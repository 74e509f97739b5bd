//! The dynamic table (RFC 7541 §2.3.2): the fields that the blocks of a connection have added.
//!
//! The bytes of all fields are in one vector, the oldest first. So a connection that adds fields all the time allocates no
//! more than one that does not.
//!
//! A field with the name of another one has no copy of it. Otherwise two bytes of a block could cause as many to be copied as the table
//! has.

use std::collections::VecDeque;
use std::ops::Range;

/// What an entry takes beside its name and its value (RFC 7541 §4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// The table, and what it may take.
pub(super) struct DynamicTable {
    /// The names and values of all entries, behind those of entries that were removed.
    bytes: Vec<u8>,
    /// The entries, the newest first.
    entries: VecDeque<Entry>,
    /// The size of all entries.
    size: usize,
    max_size: usize,
    /// The size that the other side may choose at most.
    limit: usize,
}

/// The places of an entry in the bytes. Its name may be that of an older entry, which may be removed.
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
}

impl Entry {
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

impl DynamicTable {
    /// A table of this size, which it may get again after it was made smaller.
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), entries: VecDeque::new(), size: 0, max_size: limit, limit }
    }

    /// The name and the value of an entry; the newest has the index 0.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(index)?;
        Some((&self.bytes[entry.name.clone()], &self.bytes[entry.value.clone()]))
    }

    /// Adds a field, and removes the oldest ones for which there is no room. A field that is larger than the table empties it
    /// (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        if self.make_room(name.len() + value.len()) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(name);
            self.push(start..self.bytes.len(), value);
        }
    }

    /// Adds a field with the name of an entry that is there.
    pub(super) fn insert_with_name_of(&mut self, index: usize, value: &[u8]) {
        let Some(name) = self.entries.get(index).map(|entry| entry.name.clone()) else { return };
        // The bytes stay if the entry is removed.
        if self.make_room(name.len() + value.len()) {
            self.push(name, value);
        }
    }

    fn push(&mut self, name: Range<usize>, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let entry = Entry { name, value: start..self.bytes.len() };
        self.size += entry.size();
        self.entries.push_front(entry);
        self.compact();
    }

    /// Changes the size of the table; `None` if it may not be that large.
    pub(super) fn resize(&mut self, max_size: usize) -> Option<()> {
        if max_size > self.limit {
            return None;
        }
        self.max_size = max_size;
        self.evict(max_size);
        Some(())
    }

    /// Makes room for a field of this length; returns whether there is some.
    fn make_room(&mut self, length: usize) -> bool {
        let size = length + ENTRY_OVERHEAD;
        self.evict(self.max_size.saturating_sub(size));
        size <= self.max_size
    }

    /// Removes the oldest entries until the others take `limit` at most.
    fn evict(&mut self, limit: usize) {
        while self.size > limit {
            let Some(entry) = self.entries.pop_back() else { return };
            self.size -= entry.size();
        }
    }

    /// Drops the bytes that no entry has any more, when there are more than the table may have.
    fn compact(&mut self) {
        if self.bytes.len() <= 2 * self.limit {
            return;
        }
        let unused = self.bytes.len();
        for entry in self.entries.iter_mut().rev() {
            for place in [&mut entry.name, &mut entry.value] {
                let start = self.bytes.len() - unused;
                self.bytes.extend_from_within(place.clone());
                *place = start..self.bytes.len() - unused;
            }
        }
        self.bytes.drain(..unused);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 4096;

    fn fields(table: &DynamicTable) -> Vec<(Vec<u8>, Vec<u8>)> {
        (0..)
            .map_while(|index| table.get(index))
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    }

    fn field(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
        (name.into(), value.into())
    }

    #[test]
    fn newest_field_is_first() {
        let mut table = DynamicTable::new(LIMIT);
        table.insert(b"a", b"1");
        table.insert(b"b", b"2");
        table.insert_with_name_of(1, b"3");
        table.insert_with_name_of(7, b"none has this index");
        assert_eq!(fields(&table), [field("a", "3"), field("b", "2"), field("a", "1")]);
    }

    #[test]
    fn oldest_fields_are_removed_by_size() {
        let mut table = DynamicTable::new(2 * (ENTRY_OVERHEAD + 2));
        table.insert(b"a", b"1");
        table.insert(b"b", b"2");
        // The name of the entry that is removed for it.
        table.insert_with_name_of(1, b"3");
        assert_eq!(fields(&table), [field("a", "3"), field("b", "2")]);
        table.resize(ENTRY_OVERHEAD + 2).unwrap();
        assert_eq!(fields(&table), [field("a", "3")]);
        table.insert(b"larger", b"than the table");
        assert_eq!(fields(&table), []);
        assert_eq!(table.resize(2 * (ENTRY_OVERHEAD + 2) + 1), None);
        table.resize(0).unwrap();
        table.insert(b"", b"");
        assert_eq!(fields(&table), []);
    }

    #[test]
    fn name_of_another_entry_is_not_copied() {
        let mut table = DynamicTable::new(LIMIT);
        table.insert(&[b'n'; 3900], b"");
        let length = table.bytes.len();
        for _ in 0..100_000 {
            table.insert_with_name_of(0, b"");
        }
        assert_eq!((table.bytes.len(), table.entries.len()), (length, 1));
        assert_eq!(fields(&table), [(vec![b'n'; 3900], Vec::new())]);
    }

    proptest! {
        #[test]
        fn table_is_what_a_plain_list_is_and_bytes_are_bounded(
            steps in proptest::collection::vec((0_usize..3, 0_usize..40, 0_usize..600), 0..200),
        ) {
            let mut table = DynamicTable::new(LIMIT);
            let mut plain: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let mut max = LIMIT;
            for (step, (what, number, length)) in steps.into_iter().enumerate() {
                let value = vec![step.to_le_bytes()[0]; length];
                match what {
                    0 => {
                        let name = vec![b'n'; number];
                        table.insert(&name, &value);
                        plain.insert(0, (name, value));
                    }
                    1 => {
                        table.insert_with_name_of(number, &value);
                        if let Some((name, _)) = plain.get(number).cloned() {
                            plain.insert(0, (name, value));
                        }
                    }
                    _ => {
                        max = length * 7;
                        prop_assert_eq!(table.resize(max).is_some(), max <= LIMIT);
                        max = table.max_size;
                    }
                }
                let size = |fields: &[(Vec<u8>, Vec<u8>)]| {
                    fields.iter().map(|(name, value)| name.len() + value.len() + ENTRY_OVERHEAD).sum::<usize>()
                };
                while size(&plain) > max {
                    plain.pop();
                }
                prop_assert_eq!(fields(&table), &plain[..]);
                prop_assert!(table.bytes.len() <= 2 * LIMIT);
            }
        }
    }
}
