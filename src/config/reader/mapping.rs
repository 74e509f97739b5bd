//! A mapping that is read one key at a time, by its tables.

use super::renamed;
use super::renamed::RENAMED_KEYS;
use super::report::child;
use super::suggest::{ask, list, nearest};
use super::table::{Format, Key, Keys, Presence};
use super::tree::{Kind, Node};
use super::value::Value;

pub use super::value::Mapping;

impl<'a> Value<'a> {
    /// A mapping with the keys of its tables.
    pub fn mapping(&self) -> Option<Mapping<'a>> {
        self.check_format("a mapping", |format| {
            matches!(format, Format::Keys(_) | Format::Credential | Format::Secret | Format::SecretStore)
        });
        let Kind::Map(entries) = &self.node.kind else {
            self.expected("a mapping (`key: value`)");
            return None;
        };
        Some(Mapping::new(self.clone(), entries))
    }
}

impl<'a> Mapping<'a> {
    fn new(value: Value<'a>, entries: &'a [(String, Node)]) -> Self {
        let tables = value.format.tables();
        let mut mapping = Self { value, entries, allowed: Vec::new(), asked: Vec::new() };
        for keys in tables {
            mapping.allow(keys);
        }
        mapping
    }

    /// The mapping itself, for errors that do not belong to one key.
    pub fn value(&self) -> &Value<'a> {
        &self.value
    }

    /// Whether the file has a key.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// Allows the keys of a further table, which is known only while the mapping is read.
    pub fn allow(&mut self, keys: Keys) {
        for key in keys {
            if !self.is_allowed(key.name) {
                self.allowed.push(key);
            }
        }
    }

    /// Allows keys that are not read, because another key is missing or invalid.
    pub fn allow_unread(&mut self, keys: Keys) {
        self.allow(keys);
        for key in keys.iter().filter(|key| !self.asked.contains(&key.name)).collect::<Vec<_>>() {
            self.find(key);
        }
    }

    /// Reports a key of another table that has no place here, if it is there.
    pub fn forbid(&mut self, key: &'static Key, message: impl Into<String>) {
        if self.has(key.name)
            && !self.asked.contains(&key.name)
            && let Some(value) = self.find(key)
        {
            value.error(message);
        }
    }

    /// The value of an optional key.
    pub fn optional(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.ask(key, Presence::Required)
    }

    /// The value of a required key.
    pub fn required(&mut self, key: &'static str) -> Option<Value<'a>> {
        if !self.has(key) && !self.has_old_name_of(key) {
            self.value.error(format!("`{key}` is required"));
        }
        self.ask(key, Presence::Optional)
    }

    /// The value of a key that the table does not have as `other`.
    fn ask(&mut self, name: &'static str, other: Presence) -> Option<Value<'a>> {
        let key = self.allowed.iter().copied().find(|key| key.name == name);
        debug_assert!(
            key.is_some(),
            "{}: a reader asks for `{name}`, which its table lacks",
            self.value.path()
        );
        let key = key?;
        debug_assert!(
            key.presence != other,
            "{}: is `{name}` required? Reader and table differ",
            self.value.path()
        );
        self.find(key)
    }

    fn find(&mut self, key: &'static Key) -> Option<Value<'a>> {
        self.asked.push(key.name);
        #[cfg(test)]
        crate::config::tests::asked(self.value.path(), key.name);
        let found = self.entries.iter().find(|(name, _)| name == key.name);
        let above = (self.value.path(), self.value.format);
        self.value.report().record(above, key, found.map(|(_, node)| node));
        let (_, node) = found?;
        let value = self.value.entry(key.name, node, key.format);
        match node.kind {
            Kind::Null => {
                value.error("no value; set one, or remove the key");
                None
            }
            Kind::Invalid => None,
            _ => Some(value),
        }
    }

    fn is_allowed(&self, name: &str) -> bool {
        self.allowed.iter().any(|key| key.name == name)
    }

    /// Whether the file has the key under an old name, which [`Self::reject_unknown_keys`] reports.
    fn has_old_name_of(&self, key: &str) -> bool {
        RENAMED_KEYS.iter().any(|row| row.new == key && self.has(row.old))
    }

    /// Reports every key that no reader asked for.
    pub fn reject_unknown_keys(self) {
        let allowed: Vec<_> = self.allowed.iter().map(|key| key.name).collect();
        for (key, node) in self.entries {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            debug_assert!(
                !self.is_allowed(key),
                "{}: no reader asks for `{key}` of its table",
                self.value.path()
            );
            if let Some(row) = renamed::find(&allowed, key) {
                let path = child(self.value.path(), row.old);
                self.value.report().error(node.location, &path, row.message());
                continue;
            }
            let is_service = matches!(&node.kind, Kind::Map(entries) if entries.iter().any(|(name, _)| name == "upstream"));
            if is_service && self.is_allowed("services") {
                let path = child(self.value.path(), key);
                self.value.report().error(node.location, &path, "a service is indented below `services`");
                continue;
            }
            let allowed = || allowed.iter().copied();
            let like_a_key = key.len() >= 4 && nearest(key, allowed()).is_some();
            let (path, hidden) = if self.value.is_in_secret_section() && !like_a_key {
                (
                    self.value.path().to_owned(),
                    " (not shown because it may be part of a secret; put a value that contains a comma in quotes)",
                )
            } else if self.value.path().is_empty() && !is_word(key) {
                // A file of another kind, such as one with the hashes of passwords, has whole lines that YAML reads as keys.
                (
                    String::new(),
                    " (not shown because no key has such characters; is this a file of services?)",
                )
            } else {
                (child(self.value.path(), key), "")
            };
            let message =
                format!("unknown key{hidden}{} Allowed here: {}", ask(key, allowed()), list(allowed()));
            self.value.report().error(node.location, &path, message);
        }
    }
}

/// Whether a text could be a key, or a key that is misspelled.
fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use crate::config::reader::interpolate::Environment;
    use crate::config::reader::location::FileId;
    use crate::config::reader::report::Report;
    use crate::config::reader::resolve::resolve;
    use crate::config::reader::table::{Format, Key, Keys};
    use crate::config::reader::value::Value;
    use crate::config::reader::{document, mapping};
    use crate::secret::SecretCache;

    const KEYS: Keys = &[
        Key::required("name", Format::Text, "A name."),
        Key::optional("limit", Format::Number(1, 9), "A limit."),
    ];

    /// Reads a text with the table; returns what a reader read, and the errors.
    fn read<T>(text: &str, reader: impl FnOnce(mapping::Mapping<'_>) -> T) -> (T, Vec<String>) {
        let mut root = document::parse(text, FileId::MAIN, "").ok().unwrap();
        let (environment, secrets): (&Environment<'_>, _) = (&|_| None, SecretCache::default());
        let report = Report::new(environment, &secrets);
        resolve(&mut root, "", false, &report);
        let read = reader(Value::root(&root, &report, Format::Keys(&[KEYS]), &[]).mapping().unwrap());
        let (errors, ..) = report.into_parts();
        (read, errors.into_iter().map(|error| error.message).collect())
    }

    #[test]
    fn mapping_is_read_by_its_table() {
        let (read, errors) = read("{ name: a, limit: 10, other: 1 }", |mut mapping| {
            let name = mapping.required("name").and_then(|value| value.text());
            let limit = mapping.optional("limit").and_then(|value| value.number());
            mapping.reject_unknown_keys();
            (name.map(str::to_owned), limit)
        });
        assert_eq!(read, (Some("a".into()), None));
        assert_eq!(errors, ["expected a whole number from 1 to 9", "unknown key. Allowed here: name, limit"]);
    }

    #[test]
    #[should_panic(expected = "a reader asks for `colour`, which its table lacks")]
    fn reader_that_asks_for_a_key_without_a_row_fails() {
        read("{ name: a }", |mut mapping| drop(mapping.optional("colour")));
    }

    #[test]
    #[should_panic(expected = "no reader asks for `limit` of its table")]
    fn row_that_no_reader_reads_fails() {
        read("{ name: a, limit: 1 }", |mut mapping| {
            mapping.required("name");
            mapping.reject_unknown_keys();
        });
    }

    #[test]
    #[should_panic(expected = "is `name` required?")]
    fn reader_that_does_without_a_required_key_fails() {
        read("{ name: a }", |mut mapping| drop(mapping.optional("name")));
    }

    #[test]
    #[should_panic(expected = "limit: read as text")]
    fn reader_that_reads_another_format_fails() {
        read("{ limit: 1 }", |mut mapping| mapping.optional("limit").map(|value| value.text().is_some()));
    }
}
