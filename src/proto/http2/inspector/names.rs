//! The names of HPACK's tables (RFC 7541 §2.3), as far as they must be known: whether one is `:path`, and how long it is,
//! because the lengths decide which fields the dynamic table keeps.

use std::collections::VecDeque;

/// The lengths of the names of the static table (RFC 7541, appendix A).
const STATIC_LENGTHS: [usize; 61] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16, 13,
    12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4, 3,
    16,
];
/// The entries of the static table with the name `:path`.
const STATIC_PATHS: std::ops::RangeInclusive<usize> = 4..=5;
/// What an entry takes beside its name and its value (RFC 7541 §4.1).
const ENTRY_OVERHEAD: usize = 32;
/// The size of the dynamic table that callers may use: the default (RFC 9113 §6.5.2), which is not changed.
const MAX_SIZE: usize = 4096;

/// A name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) length: usize,
    pub(super) is_path: bool,
}

/// The names of both tables, and the sizes of the fields in the dynamic one.
pub(super) struct Names {
    /// The fields of the dynamic table with their sizes, the newest first.
    dynamic: VecDeque<(Name, usize)>,
    size: usize,
    max_size: usize,
}

impl Default for Names {
    fn default() -> Self {
        Self { dynamic: VecDeque::new(), size: 0, max_size: MAX_SIZE }
    }
}

impl Names {
    /// The name at an index, which is not 0; `None` if there is none.
    pub(super) fn get(&self, index: usize) -> Option<Name> {
        match STATIC_LENGTHS.get(index - 1) {
            Some(length) => Some(Name { length: *length, is_path: STATIC_PATHS.contains(&index) }),
            None => self.dynamic.get(index - 1 - STATIC_LENGTHS.len()).map(|(name, _)| *name),
        }
    }

    /// Adds a field to the dynamic table. One that is larger than the table empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: Name, value_length: usize) {
        let size = name.length + value_length + ENTRY_OVERHEAD;
        self.evict(self.max_size.saturating_sub(size));
        if size <= self.max_size {
            self.dynamic.push_front((name, size));
            self.size += size;
        }
    }

    /// Changes the size of the dynamic table; `None` if it may not be that large.
    pub(super) fn resize(&mut self, max_size: usize) -> Option<()> {
        if max_size > MAX_SIZE {
            return None;
        }
        self.max_size = max_size;
        self.evict(max_size);
        Some(())
    }

    /// Removes the oldest fields until the others take `limit` at most.
    fn evict(&mut self, limit: usize) {
        while self.size > limit {
            let Some((_, size)) = self.dynamic.pop_back() else { return };
            self.size -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: Name = Name { length: 5, is_path: true };
    const OTHER: Name = Name { length: 1, is_path: false };

    fn is_path(names: &Names, index: usize) -> Option<bool> {
        names.get(index).map(|name| name.is_path)
    }

    #[test]
    fn newest_field_comes_first_behind_the_static_table() {
        let mut names = Names::default();
        assert_eq!(
            (is_path(&names, 4), is_path(&names, 61), is_path(&names, 62)),
            (Some(true), Some(false), None)
        );
        names.insert(PATH, 2);
        names.insert(OTHER, 2);
        assert_eq!([62, 63, 64].map(|index| is_path(&names, index)), [Some(false), Some(true), None]);
    }

    #[test]
    fn oldest_fields_are_removed_by_size() {
        let mut names = Names::default();
        names.insert(PATH, MAX_SIZE - ENTRY_OVERHEAD - 5);
        assert_eq!(is_path(&names, 62), Some(true), "it fills the table");
        names.insert(OTHER, 0);
        assert_eq!((is_path(&names, 62), is_path(&names, 63)), (Some(false), None));
        names.insert(PATH, MAX_SIZE);
        assert_eq!(is_path(&names, 62), None, "larger than the table");
        names.insert(PATH, 0);
        assert_eq!(names.resize(MAX_SIZE + 1), None);
        names.resize(ENTRY_OVERHEAD + 4).unwrap();
        assert_eq!(is_path(&names, 62), None);
        names.insert(PATH, 0);
        assert_eq!(is_path(&names, 62), None);
    }
}
