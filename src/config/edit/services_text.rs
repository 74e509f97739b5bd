//! The text of a services file, and the changes to a service in it.

use serde_yaml::Value;

use super::spans::{Shape, SpanEntry, SpanNode};
use super::{emit, meaning, spans};
use crate::config::reader::document;

/// The text of a services file.
pub struct ServicesText<'t> {
    /// Without the byte order mark.
    text: &'t str,
    has_byte_order_mark: bool,
    /// What it means; aliases are replaced.
    value: Value,
}

/// Why a change is not made. No text has a value of the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is no YAML mapping, or larger than a configuration may be once its aliases are replaced.
    #[error("it is not a YAML mapping, or too large with its aliases replaced")]
    NotYaml,
    /// The service to insert is there.
    #[error("it has a service `{0}` already")]
    Exists(String),
    /// The service to change is not there.
    #[error("it has no service `{0}`")]
    NoService(String),
    /// The key to remove is not there.
    #[error("the service has no `{0}`")]
    NoKey(String),
    /// The text has a form that cannot be changed by place: an anchor, an alias, a merge key, or a style that is seldom used.
    #[error(
        "its text cannot be changed here without changing more than that (an anchor, an alias or `<<`); change it by hand"
    )]
    NotEditable,
}

const SERVICES: &str = "services";

const BYTE_ORDER_MARK: char = '\u{feff}';

impl<'t> ServicesText<'t> {
    /// Reads a text. An empty one has no service yet.
    pub fn parse(text: &'t str) -> Result<Self, EditError> {
        let without_mark = text.strip_prefix(BYTE_ORDER_MARK);
        let (text, has_byte_order_mark) = (without_mark.unwrap_or(text), without_mark.is_some());
        let value = read(text)?;
        let is_empty = value.is_null() && spans::scan(text).is_none_or(|root| root.range.is_empty());
        let is_services_text = is_empty || value.is_mapping();
        is_services_text.then_some(Self { text, has_byte_order_mark, value }).ok_or(EditError::NotYaml)
    }

    /// What it means.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The names of its services.
    pub fn names(&self) -> Vec<&str> {
        let services = self.value.get(SERVICES).and_then(Value::as_mapping);
        services.into_iter().flat_map(|services| services.keys().filter_map(Value::as_str)).collect()
    }

    /// What a key of a service means, or the service itself if the path is empty.
    pub fn get(&self, name: &str, path: &[&str]) -> Option<&Value> {
        self.get_at(&full_path(name, path))
    }

    /// What is at a path from the root.
    pub fn get_at(&self, path: &[&str]) -> Option<&Value> {
        meaning::get(&self.value, path)
    }

    /// The text with one more service, at the end of `services`.
    pub fn insert(&self, name: &str, service: &Value) -> Result<String, EditError> {
        if self.get(name, &[]).is_some() {
            return Err(EditError::Exists(name.to_owned()));
        }
        self.set_at(&[SERVICES, name], service)
    }

    /// The text without a service, and without the comment directly above it.
    pub fn remove(&self, name: &str) -> Result<String, EditError> {
        self.get(name, &[]).ok_or_else(|| EditError::NoService(name.to_owned()))?;
        self.remove_at(&[SERVICES, name])
    }

    /// The text with another value of a key of a service. The key may be new.
    pub fn set(&self, name: &str, path: &[&str], value: &Value) -> Result<String, EditError> {
        self.get(name, &[]).ok_or_else(|| EditError::NoService(name.to_owned()))?;
        self.set_at(&full_path(name, path), value)
    }

    /// The text without a key of a service. A mapping that becomes empty is removed as well.
    pub fn unset(&self, name: &str, path: &[&str]) -> Result<String, EditError> {
        self.get(name, &[]).ok_or_else(|| EditError::NoService(name.to_owned()))?;
        self.get(name, path).ok_or_else(|| EditError::NoKey(path.join(".")))?;
        let mut path = full_path(name, path);
        let is_alone = |above: &[&str]| {
            meaning::get(&self.value, above).and_then(Value::as_mapping).is_some_and(|above| above.len() == 1)
        };
        while path.len() > 3 && is_alone(&path[..path.len() - 1]) {
            path.pop();
        }
        self.remove_at(&path)
    }

    /// The lines of a service, with the comment directly above it.
    ///
    /// # Errors
    ///
    /// If there is no such service, or it has no lines of its own.
    pub fn lines(&self, name: &str) -> Result<&'t str, EditError> {
        self.get(name, &[]).ok_or_else(|| EditError::NoService(name.to_owned()))?;
        Ok(&self.text[self.range_of(name).ok_or(EditError::NotEditable)?])
    }

    /// The text with other lines for a service.
    ///
    /// # Errors
    ///
    /// If the lines are not this service and nothing else.
    pub fn replace_lines(&self, name: &str, lines: &str) -> Result<String, EditError> {
        let range = self.range_of(name).ok_or(EditError::NotEditable)?;
        let changed = self.spliced(range, &ended(lines));
        let value = read(&changed)?;
        let service =
            meaning::get(&value, &[SERVICES, name]).ok_or_else(|| EditError::NoService(name.to_owned()))?;
        let mut expected = self.value.clone();
        meaning::set(&mut expected, &[SERVICES, name], service.clone()).ok_or(EditError::NotEditable)?;
        self.verified(Some(changed), &expected)
    }

    fn range_of(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let root = spans::scan(self.text)?;
        let services = &root.entry(SERVICES)?.value;
        match &services.shape {
            Shape::Map { is_flow: false, .. } => {}
            _ => return None,
        }
        let lines = self.lines_of(services.entry(name)?, services);
        Some(self.with_comment_above(lines.start)..lines.end)
    }

    /// The text with another value at a path from the root.
    pub fn set_at(&self, path: &[&str], value: &Value) -> Result<String, EditError> {
        let mut expected = self.value.clone();
        meaning::set(&mut expected, path, value.clone()).ok_or(EditError::NotEditable)?;
        let changed = match spans::scan(self.text).filter(|root| matches!(root.shape, Shape::Map { .. })) {
            Some(root) => self.set_in(&root, path, value),
            None => {
                Some(format!("{}{}", ended(self.text), emit::entry(path[0], &nested(&path[1..], value), 0)))
            }
        };
        self.verified(changed, &expected)
    }

    /// Sets a value below a mapping: in an entry that is there, or in a new one.
    fn set_in(&self, mapping: &SpanNode, path: &[&str], value: &Value) -> Option<String> {
        let (key, rest) = path.split_first()?;
        if let Some(item) = mapping.item(key) {
            return self.set_in(item, rest, value);
        }
        let Shape::Map { is_flow, entries } = &mapping.shape else { return None };
        let Some(entry) = mapping.entry(key) else {
            return self.add_entry(mapping, *is_flow, entries, &(*key, nested(rest, value)));
        };
        let inner = &entry.value;
        let is_empty = matches!(&inner.shape, Shape::Map { entries, .. } if entries.is_empty())
            || inner.range.is_empty()
            || matches!(&self.text[inner.range.clone()], "~" | "null");
        if !rest.is_empty() && !is_empty {
            return self.set_in(inner, rest, value);
        }
        let value = nested(rest, value);
        let is_scalar =
            !matches!(inner.shape, Shape::Map { .. }) && !self.text[inner.range.clone()].contains('\n');
        let is_block = value.is_mapping() || value.is_sequence();
        // What stays on its line keeps the comment behind it.
        let text = &self.text[inner.range.clone()];
        let is_flow_line = !is_empty && !text.contains('\n') && text.starts_with(['{', '[']);
        if *is_flow || is_flow_line || (is_scalar && !inner.range.is_empty() && !is_block) {
            return Some(self.spliced(inner.range.clone(), emit::flow(&value).as_str()));
        }
        let lines = self.lines_of(entry, mapping);
        Some(self.spliced(lines, &emit::entry(key, &value, self.column(entry.start))))
    }

    fn add_entry(
        &self,
        mapping: &SpanNode,
        is_flow: bool,
        entries: &[SpanEntry],
        (key, value): &(&str, Value),
    ) -> Option<String> {
        match entries.last() {
            Some(last) if is_flow => {
                let end = last.value.range.end;
                Some(self.spliced(end..end, &format!(", {}", emit::flow_entry(key, value))))
            }
            None if is_flow => {
                Some(self.spliced(mapping.range.clone(), &format!("{{ {} }}", emit::flow_entry(key, value))))
            }
            Some(last) => {
                let end = self.lines_of(last, mapping).end;
                let before = ended(&self.text[..end]);
                let gap = self.gap(entries);
                Some(format!(
                    "{before}{gap}{}{}",
                    emit::entry(key, value, self.column(last.start)),
                    &self.text[end..]
                ))
            }
            None => None,
        }
    }

    /// A blank line, if the entries are separated by blank lines.
    fn gap(&self, entries: &[SpanEntry]) -> &'static str {
        let is_separated = |entry: &SpanEntry| {
            let above = self.text[..self.line_start(entry.start)].lines().rev();
            let mut above = above.skip_while(|line| line.trim_start().starts_with('#'));
            above.next().is_some_and(|line| line.trim().is_empty())
        };
        if entries.len() > 1 && entries[1..].iter().all(is_separated) { "\n" } else { "" }
    }

    /// The text without what is at a path from the root.
    pub fn remove_at(&self, path: &[&str]) -> Result<String, EditError> {
        let mut expected = self.value.clone();
        meaning::remove(&mut expected, path).ok_or(EditError::NotEditable)?;
        let changed = spans::scan(self.text).and_then(|root| self.remove_in(&root, path));
        self.verified(changed, &expected)
    }

    fn remove_in(&self, mapping: &SpanNode, path: &[&str]) -> Option<String> {
        let (key, rest) = path.split_first()?;
        if let Some(item) = mapping.item(key) {
            return self.remove_in(item, rest);
        }
        let Shape::Map { is_flow, entries } = &mapping.shape else { return None };
        let index = entries.iter().position(|entry| entry.key == *key)?;
        let entry = &entries[index];
        if !rest.is_empty() {
            return self.remove_in(&entry.value, rest);
        }
        if *is_flow {
            let range = match (index.checked_sub(1), entries.get(index + 1)) {
                (_, Some(next)) => entry.start..next.start,
                (Some(before), None) => entries[before].value.range.end..entry.value.range.end,
                (None, None) => return Some(self.spliced(mapping.range.clone(), "{}")),
            };
            return Some(self.spliced(range, ""));
        }
        let lines = self.lines_of(entry, mapping);
        let start = self.with_comment_above(lines.start);
        if entries.len() == 1 {
            // A key without a value would mean null.
            let margin = " ".repeat(self.column(entry.start));
            return Some(self.spliced(start..lines.end, &format!("{margin}{{}}\n")));
        }
        // One blank line is enough between its neighbours.
        let is_blank = |line: &str| line.trim().is_empty();
        let is_blank_before = index == 0 || self.text[..start].lines().next_back().is_none_or(is_blank);
        let after = &self.text[lines.end..];
        let blank = after.find('\n').filter(|end| is_blank_before && is_blank(&after[..*end]));
        Some(self.spliced(start..lines.end + blank.map_or(0, |end| end + 1), ""))
    }

    /// The lines of an entry of a mapping in block style: from its key to the last line of its value.
    fn lines_of(&self, entry: &SpanEntry, mapping: &SpanNode) -> std::ops::Range<usize> {
        let start = self.line_start(entry.start);
        let next = match &mapping.shape {
            Shape::Map { entries, .. } => {
                entries.iter().map(|other| other.start).find(|other| *other > entry.start)
            }
            Shape::Other | Shape::List { .. } => None,
        };
        let limit = next.unwrap_or(mapping.range.end).max(entry.value.range.end);
        // The end of a mapping in block style may lie at the start of what comes next.
        let limit = match self.text[..limit].rfind('\n') {
            Some(line_end) if self.text[line_end + 1..limit].trim().is_empty() => line_end + 1,
            _ => self.text[limit..].find('\n').map_or(self.text.len(), |end| limit + end + 1),
        };
        let column = self.column(entry.start);
        let mut end = start;
        let mut at = start;
        for line in self.text[start..limit].split_inclusive('\n') {
            at += line.len();
            let content = line.trim_start();
            let is_inside = line.len() - content.len() > column;
            let is_content = !content.trim_end().is_empty() && (!content.starts_with('#') || is_inside);
            if is_content && !matches!(content.trim_end(), "..." | "---") {
                end = at;
            }
        }
        start..end
    }

    /// Where the comment begins that stands directly above a line, at the same indentation.
    fn with_comment_above(&self, start: usize) -> usize {
        let indent = self.text[start..].len() - self.text[start..].trim_start_matches(' ').len();
        let mut first = start;
        for line in self.text[..start].split_inclusive('\n').rev() {
            let content = line.trim_start_matches(' ');
            if line.len() - content.len() != indent || !content.starts_with('#') {
                break;
            }
            first -= line.len();
        }
        // The head of the file is about more than its first service.
        if first == 0 { start } else { first }
    }

    /// The result of a change, if it means what it must. It has the line ends and the byte order mark of the text.
    fn verified(&self, changed: Option<String>, expected: &Value) -> Result<String, EditError> {
        let means = |text: &str| serde_yaml::from_str::<Value>(text).is_ok_and(|value| value == *expected);
        let lines = changed.ok_or(EditError::NotEditable)?;
        let line_ends = |text: &str| (text.matches("\r\n").count(), text.matches('\n').count());
        let (with_return, all) = line_ends(self.text);
        let mut changed = if self.has_byte_order_mark { BYTE_ORDER_MARK.to_string() } else { String::new() };
        if all > 0 && with_return == all {
            changed.push_str(&lines.replace("\r\n", "\n").replace('\n', "\r\n"));
        } else {
            changed.push_str(&lines);
        }
        if means(&changed) { Ok(changed) } else { Err(EditError::NotEditable) }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    fn spliced(&self, range: std::ops::Range<usize>, with: &str) -> String {
        [&self.text[..range.start], with, &self.text[range.end..]].concat()
    }
}

fn full_path<'p>(name: &'p str, path: &[&'p str]) -> Vec<&'p str> {
    [&[SERVICES, name], path].concat()
}

/// A mapping with one entry, such as `{ file: PATH }`.
pub fn entry(key: &str, value: impl Into<Value>) -> Value {
    Value::Mapping(std::iter::once((Value::from(key), value.into())).collect())
}

/// A value in the mappings that lead to it.
fn nested(path: &[&str], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |value, key| entry(key, value))
}

/// A text whose last line is ended.
fn ended(text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}")
}

/// What a text means. Its aliases are replaced, so that it must be within the limits of a configuration.
fn read(text: &str) -> Result<Value, EditError> {
    if !document::is_within_limits(text) {
        return Err(EditError::NotYaml);
    }
    serde_yaml::from_str(text).map_err(|_| EditError::NotYaml)
}

#[cfg(test)]
mod tests;
