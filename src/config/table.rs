//! Reading nodes one key at a time, with every mistake noted and none of them final.
//!
//! A [`Table`] wraps a mapping and hands out its fields; the keys it was asked for are the keys it knows, and
//! [`Table::finish`] reports the others. An [`Item`] is one value with its path; its readers note what does not fit
//! and return `None`. A reader that got `None` goes on with the next field: the mistake is already on the report.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use super::Warning;
use super::document::{Kind, Node};
use super::error::Mistake;
use super::interpolate::Environment;
use super::nearest::{did_you_mean, nearest};
use super::place::Mark;
use super::settle::child;

/// Everything noted while the file is read.
pub(super) struct Report<'e> {
    environment: &'e Environment<'e>,
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Warning>>,
}

impl<'e> Report<'e> {
    pub(super) fn new(environment: &'e Environment<'e>) -> Self {
        Self { environment, mistakes: RefCell::default(), warnings: RefCell::default() }
    }

    pub(super) fn environment(&self) -> &'e Environment<'e> {
        self.environment
    }

    pub(super) fn mistake(&self, mark: Mark, path: &str, message: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake {
            line: mark.line,
            column: mark.column,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    pub(super) fn into_parts(self) -> (Vec<Mistake>, Vec<Warning>) {
        (self.mistakes.into_inner(), self.warnings.into_inner())
    }
}

/// A key as it is shown: no control characters, no page of text.
pub(super) fn shown(key: &str) -> String {
    let mut shown = String::new();
    for c in key.chars().take(64) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if key.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

/// One value with its path.
#[derive(Clone)]
pub(super) struct Item<'a> {
    node: &'a Node,
    path: String,
    /// Under `auth` or `credentials`: even a key may be a piece of a secret (`{ password: a,b }`).
    private: bool,
    report: &'a Report<'a>,
}

impl<'a> Item<'a> {
    pub(super) fn root(node: &'a Node, report: &'a Report<'a>) -> Self {
        Self { node, path: String::new(), private: false, report }
    }

    /// The same value, in which keys are not shown unless they are known.
    pub(super) fn private(self) -> Self {
        Self { private: true, ..self }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn line(&self) -> usize {
        self.node.mark.line
    }

    pub(super) fn environment(&self) -> &'a Environment<'a> {
        self.report.environment
    }

    pub(super) fn mistake(&self, message: impl Into<String>) {
        self.report.mistake(self.node.mark, &self.path, message);
    }

    pub(super) fn warn(&self, message: impl Into<String>) {
        self.report.warnings.borrow_mut().push(Warning {
            line: self.line(),
            path: self.path.clone(),
            message: message.into(),
        });
    }

    /// Notes that something else should stand here.
    fn expected(&self, what: &str) {
        let found = match &self.node.kind {
            Kind::Refused => return,
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text { .. } => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        };
        self.mistake(format!("expected {what}, found {found}"));
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.node.kind, Kind::Null)
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.node.kind, Kind::Number(_))
    }

    /// Text; a number or bool is to be put in quotes, because YAML may have changed how it is written.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Text { value, .. } => return Some(value.as_str()),
            Kind::Number(_) | Kind::Bool(_) => self.expected("text (put the value in quotes)"),
            _ => self.expected("text"),
        }
        None
    }

    /// Text that a function turns into something, or says why not (without repeating the text).
    pub(super) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        parse(self.text()?).map_err(|message| self.mistake(message)).ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, allowed: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = allowed.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words = || allowed.iter().map(|(word, _)| *word);
            self.mistake(format!("unknown value{} Allowed: {}", ask(text, words()), list(words())));
        }
        found
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.node.kind {
            Kind::Bool(value) => return Some(*value),
            Kind::Text { value, expanded: true } if value.as_str() == "true" => return Some(true),
            Kind::Text { value, expanded: true } if value.as_str() == "false" => return Some(false),
            _ => self.expected("true or false"),
        }
        None
    }

    pub(super) fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match &self.node.kind {
            Kind::Number(number) => *number,
            Kind::Text { value, expanded: true } => value.parse().ok(),
            _ => {
                self.expected("a number");
                return None;
            }
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.mistake(format!("expected a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        let Kind::Map(entries) = &self.node.kind else {
            self.expected("a mapping (`key: value`)");
            return None;
        };
        Some(Table { item: self.clone(), entries, known: Vec::new(), planned: Vec::new() })
    }

    /// The entries of a mapping whose keys are names the operator chose.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Item<'a>)>> {
        let Kind::Map(entries) = &self.node.kind else {
            self.expected("a mapping (`name: …`)");
            return None;
        };
        Some(entries.iter().map(|(key, node)| (key.as_str(), self.entry(key, node))).collect())
    }

    /// The entries of a list.
    pub(super) fn list(&self) -> Option<Vec<Item<'a>>> {
        let Kind::List(nodes) = &self.node.kind else {
            self.expected("a list (`[a, b]`)");
            return None;
        };
        let item = |(index, node)| Item { node, path: format!("{}[{index}]", self.path), ..self.clone() };
        Some(nodes.iter().enumerate().map(item).collect())
    }

    /// The entries of a list, or the one value that stands for a list of one.
    pub(super) fn one_or_more(&self) -> Vec<Item<'a>> {
        let items = if self.is_list() { self.list().unwrap_or_default() } else { vec![self.clone()] };
        if items.is_empty() {
            self.mistake("an empty list; give at least one, or leave the key out");
        }
        items
    }

    fn entry(&self, key: &str, node: &'a Node) -> Item<'a> {
        Item { node, path: child(&self.path, key), ..self.clone() }
    }
}

/// A mapping that is read key by key.
pub(super) struct Table<'a> {
    item: Item<'a>,
    entries: &'a [(String, Node)],
    known: Vec<&'static str>,
    planned: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The mapping itself, for mistakes that belong to no one key.
    pub(super) fn item(&self) -> &Item<'a> {
        &self.item
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// The value of a key that may be left out.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
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
    pub(super) fn required(&mut self, key: &'static str) -> Option<Item<'a>> {
        if !self.has(key) {
            self.item.mistake(format!("`{key}` is required and is not there"));
        }
        self.optional(key)
    }

    /// Keys that are part of the design but not of this version: refused with those words.
    pub(super) fn planned(&mut self, keys: &[&'static str]) {
        self.planned.extend_from_slice(keys);
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for (key, node) in self.entries {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            if self.planned.contains(&key.as_str()) {
                self.item.entry(key, node).mistake("not supported by this version");
                continue;
            }
            let known = || self.known.iter().copied();
            let like_a_key = key.len() >= 4 && nearest(key, known()).is_some();
            let (path, hidden) = if self.item.private && !like_a_key {
                (
                    self.item.path.clone(),
                    " (not shown, it may be part of a secret; a comma in a value needs quotes)",
                )
            } else {
                (child(&self.item.path, key), "")
            };
            let message = format!("unknown key{hidden}{} Allowed here: {}", ask(key, known()), list(known()));
            self.item.report.mistake(node.mark, &path, message);
        }
    }
}

/// `; did you mean …?` or the full stop in its place.
fn ask<'c>(word: &str, known: impl Iterator<Item = &'c str>) -> String {
    let question = did_you_mean(word, known);
    if question.is_empty() { ".".into() } else { question }
}

/// Words with commas between them.
pub(super) fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}
