//! The names of a record in the store.

use std::sync::Arc;

/// The names of one record: one for each key, in the order of the keys. A name is a keyed hash of everything that shapes
/// the request, so that it says nothing to whoever has no key.
///
/// While keys are rotated, processes with different first keys, and those with fewer keys, use one record: a record is
/// locked and written under all of its names at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Names(Arc<[String]>);

impl Names {
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        Self(names.collect())
    }

    /// All of them.
    pub(super) fn all(&self) -> &[String] {
        &self.0
    }

    /// The name for messages: that of the first key, shortened. An operator finds the record by it.
    pub(super) fn shown(&self) -> &str {
        let first = self.0.first().map_or("", String::as_str);
        first.get(..16).unwrap_or(first)
    }

    /// Whether one of them is this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}
