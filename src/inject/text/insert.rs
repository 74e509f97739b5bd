//! Where the bytes of an operation go.

use serde_json::Value;

use super::super::operation::{Operation, tokens};
use super::edit::{Edit, Found, Layout};
use crate::config::edit::emit;
use crate::config::edit::spans::{Shape, SpanEntry, SpanNode};

/// Which of the places is taken that an entry or item in block style may have.
#[derive(Clone, Copy)]
pub(super) enum Position {
    /// Below the key of its mapping or list, above comments about the first entry or item.
    AfterKey,
    /// Directly before the first entry or item.
    BeforeFirst,
}

impl Layout<'_> {
    /// The edits that do what operations say. `at` is where their object is in the document. `None` if the text has a form in
    /// which there is no place for them.
    pub(super) fn edits(&self, at: &str, operations: &[Operation], position: Position) -> Option<Vec<Edit>> {
        let edit = |(rank, operation): (usize, &Operation)| {
            let mut edit = self.edit(at, operation, position)?;
            let rank = isize::try_from(rank).ok()?;
            // Of two items that are inserted before the same one, the second is the first then.
            edit.rank = if edit.rank < 0 { -rank } else { rank };
            Some(edit)
        };
        operations.iter().enumerate().map(edit).collect()
    }

    fn edit(&self, at: &str, operation: &Operation, position: Position) -> Option<Edit> {
        let path = format!("{at}{}", operation.path());
        let value = ordered(operation.value());
        let (parent, key) = path.rsplit_once('/')?;
        let key = tokens(&format!("/{key}")).next()?;
        let parent = self.find(parent)?;
        match (&parent.node.shape, operation) {
            (Shape::List { items, .. }, Operation::Add { .. }) => {
                self.add_item(parent, items, &value, position)
            }
            (Shape::Map { is_flow, entries }, Operation::Add { .. }) => match parent.node.entry(&key) {
                Some(entry) => self.fill(entry, &key, *is_flow, &value),
                None if *is_flow => {
                    Some(self.add_to_flow(entries.first()?.start, &self.flow_entry(&key, &value)))
                }
                None => {
                    let indent = self.column(entries.first()?.start);
                    let place = self.place_of_entry(parent, entries, position)?;
                    Some(self.lines(place, &emit::block_entry(&key, &value, indent)))
                }
            },
            (_, Operation::Replace { .. }) => {
                let node = self.find(&path)?.node;
                Some(Edit { range: node.range.clone(), text: self.flow(&value), rank: 0 })
            }
            _ => None,
        }
    }

    /// Gives a value to an entry that is empty: `[]`, `{}`, `null`, or nothing.
    fn fill(&self, entry: &SpanEntry, key: &str, is_flow: bool, value: &serde_yaml::Value) -> Option<Edit> {
        let range = entry.value.range.clone();
        if is_flow || !range.is_empty() {
            let space = if range.is_empty() { " " } else { "" };
            return Some(Edit { range, text: format!("{space}{}", self.flow(value)), rank: 0 });
        }
        let lines = emit::block_entry(key, value, self.column(entry.start));
        let below = lines.split_once('\n')?.1;
        Some(self.lines(self.line_end(entry.start), below))
    }

    fn add_item(
        &self,
        list: Found<'_>,
        items: &[SpanNode],
        value: &serde_yaml::Value,
        position: Position,
    ) -> Option<Edit> {
        let first = items.first()?;
        let edit = if matches!(list.node.shape, Shape::List { is_flow: true, .. }) {
            self.add_to_flow(first.range.start, &self.flow(value))
        } else {
            // A list that is indented begins with its first dash.
            let start = list.node.range.start;
            let is_dash = self.text[start..].starts_with("- ") && start < first.range.start;
            let dash = if is_dash { start } else { self.dash(first)? };
            let place = match (position, list.entry) {
                (Position::AfterKey, Some(entry)) => self.below_key(entry, dash)?,
                _ if self.is_first(dash) => self.line_start(dash),
                _ => return None,
            };
            self.lines(place, &emit::block_item(value, self.column(dash)))
        };
        Some(Edit { rank: -1, ..edit })
    }

    /// Where a new entry of a mapping in block style goes.
    fn place_of_entry(&self, mapping: Found<'_>, entries: &[SpanEntry], position: Position) -> Option<usize> {
        let first = entries.first()?.start;
        if !self.is_first(first) {
            // The first entry shares its line with the dash of an item.
            let is_on_one_line = |entry: &&SpanEntry| {
                let end = entry.value.content_end().max(entry.start);
                matches!(entry.value.shape, Shape::Other)
                    && !entry.value.range.is_empty()
                    && !self.text[entry.start..end].contains('\n')
            };
            let entry = entries.iter().find(is_on_one_line)?;
            return Some(self.line_end(entry.value.range.end));
        }
        match (position, mapping.entry) {
            (Position::AfterKey, Some(entry)) => self.below_key(entry, first),
            _ => Some(self.line_start(first)),
        }
    }

    /// The line below a key, if its value begins on a later line.
    fn below_key(&self, entry: &SpanEntry, first: usize) -> Option<usize> {
        let end = self.line_end(entry.start);
        (end <= first).then_some(end)
    }

    /// An entry or item before the first one between brackets.
    fn add_to_flow(&self, first: usize, text: &str) -> Edit {
        let before = &self.text[..first];
        let space = &before[before.trim_end().len()..];
        // The first one keeps the line that it has.
        let space = if space.contains('\n') { space } else { " " };
        Edit { range: first..first, text: format!("{text},{space}"), rank: 0 }
    }

    /// Whole lines.
    fn lines(&self, at: usize, lines: &str) -> Edit {
        let ending = self.line_ending();
        let lines = lines.replace('\n', ending);
        let text = if at == 0 || self.text[..at].ends_with('\n') {
            lines
        } else {
            format!("{ending}{}", lines.trim_end_matches(ending))
        };
        Edit { range: at..at, text, rank: 0 }
    }

    /// A value on one line. In a text that begins as JSON it is JSON.
    fn flow(&self, value: &serde_yaml::Value) -> String {
        if self.is_json() { serde_json::to_string(value).unwrap_or_default() } else { emit::flow(value) }
    }

    fn flow_entry(&self, key: &str, value: &serde_yaml::Value) -> String {
        if self.is_json() {
            format!("{}: {}", Value::from(key), self.flow(value))
        } else {
            emit::flow_entry(key, value)
        }
    }

    fn is_json(&self) -> bool {
        let text = self.text.trim_start();
        text.starts_with('{') && text[1..].trim_start().starts_with('"')
    }
}

/// Keys in the order in which people write them; others follow by the alphabet.
const ORDER: [&str; 22] = [
    "name",
    "image",
    "imagePullPolicy",
    "restartPolicy",
    "lifecycle",
    "env",
    "value",
    "ports",
    "containerPort",
    "startupProbe",
    "livenessProbe",
    "readinessProbe",
    "httpGet",
    "path",
    "port",
    "periodSeconds",
    "resources",
    "requests",
    "limits",
    "securityContext",
    "volumeMounts",
    "mountPath",
];

fn ordered(value: &Value) -> serde_yaml::Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members
                .sort_by_key(|(key, _)| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
            let entries = members.into_iter().map(|(key, value)| (key.as_str().into(), ordered(value)));
            serde_yaml::Value::Mapping(entries.collect())
        }
        Value::Array(items) => items.iter().map(ordered).collect(),
        Value::String(text) => text.as_str().into(),
        other => serde_yaml::to_value(other).unwrap_or_default(),
    }
}
