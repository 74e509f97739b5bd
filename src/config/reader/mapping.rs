//! A mapping that is read one key at a time: the keys it was asked for are the keys it knows, and
//! [`Table::finish`] reports the others with the nearest known one.

use super::report::child;
use super::suggest::{ask, list, nearest};
use super::tree::{Kind, Node};
use super::value::Item;

/// A mapping that is read key by key.
pub(crate) struct Table<'a> {
    item: Item<'a>,
    entries: &'a [(String, Node)],
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(item: Item<'a>, entries: &'a [(String, Node)]) -> Self {
        Self { item, entries, known: Vec::new() }
    }

    /// The mapping itself, for mistakes that belong to no one key.
    pub(crate) fn item(&self) -> &Item<'a> {
        &self.item
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        #[cfg(test)]
        crate::config::tests::asked(self.item.path(), key);
        let (_, node) = self.entries.iter().find(|(name, _)| name == key)?;
        let item = self.item.entry(key, node);
        match node.kind {
            Kind::Null => {
                item.mistake("no value; give it one, or leave the key out");
                None
            }
            Kind::Refused => None,
            _ => Some(item),
        }
    }

    /// The value of a key that may not be left out.
    pub(crate) fn required(&mut self, key: &'static str) -> Option<Item<'a>> {
        if !self.has(key) {
            self.item.mistake(format!("`{key}` is required and is not there"));
        }
        self.optional(key)
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, node) in self.entries {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let known = || self.known.iter().copied();
            let like_a_key = key.len() >= 4 && nearest(key, known()).is_some();
            let (path, hidden) = if self.item.is_private() && !like_a_key {
                (
                    self.item.path().to_owned(),
                    " (not shown, it may be part of a secret; a comma in a value needs quotes)",
                )
            } else {
                (child(self.item.path(), key), "")
            };
            let message = format!("unknown key{hidden}{} Allowed here: {}", ask(key, known()), list(known()));
            self.item.report().mistake(node.mark, &path, message);
        }
    }
}
