//! One value of the file with its path and its format, and the types of a mapping and of a source of secrets, which
//! are made of values.
//!
//! A method that returns `None` has added an error to the report. The caller continues with the next key, so
//! that every error is reported at once.

use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;

use super::interpolate::Environment;
use super::report::{Report, Spot, child};
use super::sections;
use super::suggest::{ask, list};
use super::table::{Format, Key, Keys};
use super::tree::{Kind, Node};
use crate::config::exposure;
use crate::config::watched_files::FileKind;
use crate::secret::{Character, SecretCache, Source, SourceError};

/// A value of the file with its path.
#[derive(Clone)]
pub struct Value<'a> {
    pub(super) node: &'a Node,
    path: String,
    /// Whether it is in a section that holds a secret (`sections::SECRET_SECTIONS`): no unknown key in it is
    /// shown.
    in_secret_section: bool,
    /// What its row in a table says.
    pub(super) format: Format,
    report: &'a Report<'a>,
    sources: SourceKinds,
}

/// A mapping that is read key by key. Its tables are the keys that are allowed; [`Mapping::reject_unknown_keys`]
/// reports all others, each with the most similar key that is allowed.
pub struct Mapping<'a> {
    pub(super) value: Value<'a>,
    pub(super) entries: &'a [(String, Node)],
    pub(super) allowed: Vec<&'static Key>,
    /// The keys that the reader asked for. Only these are accepted: a row that no reader reads is no key.
    pub(super) asked: Vec<&'static str>,
}

/// Whether a text looks like a key and a value without a space after the colon: `type:bearer`.
fn is_key_without_space(text: &str) -> bool {
    text.split_once(':').is_some_and(|(key, value)| {
        !value.is_empty()
            && !value.starts_with("//")
            && !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

/// A source of secrets, as far as the configuration must know it.
#[derive(Clone, Copy)]
pub struct SourceKind {
    /// How it is written, for messages.
    pub form: &'static str,
    /// Its keys. The first one names it, and is required.
    pub keys: Keys,
    /// Reads its keys. Returns `None` only with an error on the report.
    pub read: fn(&mut Mapping<'_>) -> Option<Source>,
}

/// All sources of secrets.
pub type SourceKinds = &'static [SourceKind];

impl SourceKind {
    /// The key that names it.
    pub const fn name(&self) -> &'static str {
        self.keys[0].name
    }
}

impl<'a> Value<'a> {
    /// A file as a whole.
    pub(crate) fn root(node: &'a Node, report: &'a Report<'a>, format: Format, sources: SourceKinds) -> Self {
        Self { node, path: String::new(), in_secret_section: false, format, report, sources }
    }

    /// A part of a file that is read by itself. `path` is its path, and is that of no secret.
    pub(crate) fn part(
        node: &'a Node,
        path: &str,
        report: &'a Report<'a>,
        format: Format,
        sources: SourceKinds,
    ) -> Self {
        Self { path: path.to_owned(), ..Self::root(node, report, format, sources) }
    }

    /// Its path, such as `services.billing.upstream`; empty for the file as a whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its line, counted from 1.
    pub fn line(&self) -> usize {
        self.node.location.line
    }

    /// The name of its file, in messages.
    pub fn file(&self) -> Rc<str> {
        self.report.name(self.node.location.file)
    }

    /// Where it is, for a later error.
    pub(crate) fn spot(&self) -> Spot {
        Spot { location: self.node.location, path: self.path.clone() }
    }

    /// Looks up an environment variable.
    pub fn environment(&self) -> &'a Environment<'a> {
        self.report.environment()
    }

    /// The report of the file.
    pub(crate) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// What polled sources gave, and the connections to stores.
    pub fn secrets(&self) -> &'a SecretCache {
        self.report.secrets()
    }

    /// Whether files that are named here are read: not if the configuration is checked where its secrets are not.
    pub(crate) fn reads_files(&self) -> bool {
        !self.report.secrets().has_placeholders()
    }

    /// The sources that a secret may have.
    pub(super) fn sources(&self) -> SourceKinds {
        self.sources
    }

    /// Whether it is in a section that holds a secret.
    pub(crate) fn is_in_secret_section(&self) -> bool {
        self.in_secret_section
    }

    /// Reports an error; the message never repeats the value.
    pub fn error(&self, message: impl Into<String>) {
        self.report.error(self.node.location, &self.path, message);
    }

    /// Reports the error of a source of secrets.
    pub(super) fn source_error(&self, error: &SourceError) {
        self.report.source_error(self.node.location, &self.path, error);
    }

    /// Reports a warning; the message never repeats the value.
    pub fn warn(&self, message: impl Into<String>) {
        self.report.warn(self.node.location, &self.path, message);
    }

    /// Warns if other users of the machine can read or change a file that is named here.
    pub(crate) fn warn_if_exposed(&self, path: &Path, content: exposure::Content) {
        for warning in exposure::of_file(path, content, self.report.known_folders()) {
            self.report.warn_once(self.node.location, &self.path, warning);
        }
    }

    /// Warns if other users of the machine can replace a folder that is named here.
    pub(crate) fn warn_of_folders_to(&self, dir: &Path) {
        for warning in exposure::of_folders_to(dir) {
            self.report.warn_once(self.node.location, &self.path, warning);
        }
    }

    /// Adds a file that is about to be read to the watched files.
    pub fn watch(&self, path: &Path, kind: FileKind) {
        self.report.watch(path, kind);
    }

    /// Panics in debug builds, and so in every test, if the value has another format than its reader reads.
    pub(super) fn check_format(&self, what: &str, is_it: impl Fn(&Format) -> bool) {
        debug_assert!(
            self.format.alternatives().iter().any(is_it),
            "{}: read as {what}, and its row in the table says something else",
            self.path
        );
    }

    /// Reports that the value has another type.
    pub(super) fn expected(&self, what: &str) {
        let found = match &self.node.kind {
            Kind::Invalid => return,
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) | Kind::Fraction(_) => "a number",
            Kind::Text { .. } => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        };
        let hint = match &self.node.kind {
            Kind::Text { value, .. } if what.starts_with("a mapping") && is_key_without_space(value) => {
                "; a colon is followed by a space"
            }
            _ => "",
        };
        self.error(format!("expected {what}, found {found}{hint}"));
    }

    /// Whether it is a mapping.
    pub fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_))
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// Whether it is an entry of a list.
    pub fn is_item(&self) -> bool {
        self.path.ends_with(']')
    }

    /// Whether a key has nothing after it.
    pub fn is_empty(&self) -> bool {
        matches!(self.node.kind, Kind::Null)
    }

    /// Whether it is `''`.
    pub fn is_empty_text(&self) -> bool {
        matches!(&self.node.kind, Kind::Text { value, .. } if value.is_empty())
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self.node.kind, Kind::Number(_) | Kind::Fraction(_))
    }

    /// Text. A number or bool is an error: it needs quotes, because YAML may have changed how it is written.
    pub fn text(&self) -> Option<&'a str> {
        self.check_format("text", Format::is_text);
        self.any_text()
    }

    /// Text of any format. It has no invisible character: whatever it is for, a server would find another text than the
    /// operator sees.
    fn any_text(&self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Text { value, .. } => return self.without_invisible(value),
            Kind::Number(_) | Kind::Fraction(_) | Kind::Bool(_) => {
                self.expected("text (put the value in quotes)");
            }
            _ => self.expected("text"),
        }
        None
    }

    fn without_invisible<'t>(&self, text: &'t str) -> Option<&'t str> {
        match Character::first_invisible(text) {
            None => Some(text),
            Some(found) => {
                self.error(format!("contains {found}"));
                None
            }
        }
    }

    /// Text, converted by a function; its error message must not repeat the text.
    pub fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        parse(self.text()?).map_err(|message| self.error(message)).ok()
    }

    /// One of the allowed words.
    pub fn one_of<T: Copy>(&self, allowed: &[(&'static str, T)]) -> Option<T> {
        self.check_format("one of other words", |format| match format {
            Format::Words(words) => {
                let words = words.words();
                allowed.iter().all(|(word, _)| words.contains(word))
            }
            _ => matches!(format, Format::CredentialKind),
        });
        let text = self.any_text()?;
        let found = allowed.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words = || allowed.iter().map(|(word, _)| *word);
            self.error(format!("unknown value{} Allowed: {}", ask(text, words()), list(words())));
        }
        found
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        self.check_format("true or false", |format| matches!(format, Format::Bool));
        match &self.node.kind {
            Kind::Bool(value) => return Some(*value),
            Kind::Text { value, expanded: true } if value.as_str() == "true" => return Some(true),
            Kind::Text { value, expanded: true } if value.as_str() == "false" => return Some(false),
            _ => self.expected("true or false"),
        }
        None
    }

    /// Any value as JSON. Numbers are whole numbers, 0 or more.
    pub fn json(&self) -> Option<serde_json::Value> {
        self.check_format("JSON", |format| matches!(format, Format::Json));
        self.report.note_plain_value(self.node.location);
        match &self.node.kind {
            Kind::Bool(value) => Some((*value).into()),
            Kind::Number(_) | Kind::Fraction(_) => self.number_in(0..=u64::MAX).map(Into::into),
            Kind::List(_) => self.list()?.iter().map(Self::json).collect(),
            Kind::Map(_) => {
                let entries = self.entries()?;
                let member = |(name, value): &(&str, Self)| Some(((*name).to_owned(), value.json()?));
                entries.iter().map(member).collect()
            }
            _ => self.any_text().map(Into::into),
        }
    }

    /// A whole number in the range of its format.
    pub fn number(&self) -> Option<u64> {
        self.check_format("a number", |format| matches!(format, Format::Number(..)));
        self.number_in(self.format.range())
    }

    fn number_in(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match &self.node.kind {
            Kind::Number(number) => *number,
            Kind::Fraction(_) => None,
            Kind::Text { value, expanded: true } => value.parse().ok(),
            _ => {
                self.expected("a number");
                return None;
            }
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.error(format!("expected a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A number from 0 to 1.
    pub fn fraction(&self) -> Option<f64> {
        self.check_format("a fraction", |format| matches!(format, Format::Fraction));
        let number = match &self.node.kind {
            Kind::Number(number) => number.and_then(|number| u32::try_from(number).ok()).map(f64::from),
            Kind::Fraction(number) => Some(*number),
            Kind::Text { value, expanded: true } => value.parse().ok(),
            _ => {
                self.expected("a number");
                return None;
            }
        };
        let number = number.filter(|number| (0.0..=1.0).contains(number));
        if number.is_none() {
            self.error("expected a number from 0 to 1, such as 0.1");
        }
        number
    }

    /// The entries of a mapping whose keys are names the operator chose. A name without a value may be part of a secret that was cut at
    /// a comma, if the section holds one: its errors are those of the mapping.
    pub fn entries(&self) -> Option<Vec<(&'a str, Value<'a>)>> {
        self.check_format("names and values", |format| matches!(format, Format::Names(_) | Format::Json));
        let Kind::Map(entries) = &self.node.kind else {
            self.expected("a mapping (`name: …`)");
            return None;
        };
        let format = self.format.of_names();
        let entry = |(key, node): &'a (String, Node)| {
            let mut value = self.entry(key, node, format);
            if self.in_secret_section && value.is_empty() {
                value.path.clone_from(&self.path);
            }
            self.without_invisible(key).map(|key| (key, value))
        };
        // All keys are read, so that every error is reported.
        Some(entries.iter().filter_map(entry).collect())
    }

    /// The entries of a list.
    pub fn list(&self) -> Option<Vec<Value<'a>>> {
        self.check_format("a list", Format::is_list);
        let Kind::List(nodes) = &self.node.kind else {
            self.expected("a list (`[a, b]`)");
            return None;
        };
        let format = self.format.of_items();
        let value = |(index, node)| {
            let path = format!("{}[{index}]", self.path);
            Value { node, path, format, ..self.clone() }
        };
        Some(nodes.iter().enumerate().map(value).collect())
    }

    /// The entries of a list, or the one value that stands for a list of one.
    pub fn one_or_more(&self) -> Vec<Value<'a>> {
        let only = || vec![Value { format: self.format.of_items(), ..self.clone() }];
        let items = if self.is_list() { self.list().unwrap_or_default() } else { only() };
        if items.is_empty() {
            self.error("the list is empty; give at least one entry, or remove the key");
        }
        items
    }

    /// One or more of these words, none of them twice.
    pub fn distinct_of<T: Copy + PartialEq>(&self, words: &'static [(&'static str, T)]) -> Option<Vec<T>> {
        let values = self.one_or_more();
        let read: Vec<_> = values.iter().map(|value| value.one_of(words)).collect::<Option<_>>()?;
        for (index, word) in read.iter().enumerate() {
            if read[..index].contains(word) {
                values[index].error("the same word is used twice");
                return None;
            }
        }
        Some(read).filter(|read| !read.is_empty())
    }

    /// The value of a key in this mapping.
    pub(super) fn entry(&self, key: &str, node: &'a Node, format: Format) -> Value<'a> {
        let in_secret_section = self.in_secret_section || sections::holds_secret(&self.path, key);
        let path = node.path.as_deref().map_or_else(|| child(&self.path, key), str::to_owned);
        let (report, sources) = (self.report, self.sources);
        Value { node, path, in_secret_section, format, report, sources }
    }
}
