//! Which bytes an entry or item takes, and what stands there without it.

use std::ops::Range;

use super::edit::{Edit, Found, Layout};
use crate::config::edit::spans::{Shape, SpanEntry, SpanNode};

/// A change that takes something out of a document. Each place is a JSON Pointer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Removal {
    /// An entry of a mapping, or an item of a list.
    Take(String),
    /// All entries or items of a mapping or list: this stood there before.
    Empty(String, String),
    /// A value: this stood there before.
    Replace(String, String),
}

impl Layout<'_> {
    /// The edits that take things out. `None` if the text has a form in which they share their bytes with others.
    pub(super) fn removals(&self, removals: &[Removal]) -> Option<Vec<Edit>> {
        let mut edits = Vec::new();
        let mut taken = Vec::new();
        for removal in removals {
            match removal {
                Removal::Take(at) => taken.push(self.bytes_of(self.find(at)?)?),
                Removal::Replace(at, text) => {
                    edits.push(Edit {
                        range: self.find(at)?.node.range.clone(),
                        text: text.clone(),
                        rank: 0,
                    });
                }
                Removal::Empty(at, text) => match self.find(at)?.node {
                    node if is_flow(node) => {
                        edits.push(Edit { range: self.padded(node, text), text: text.clone(), rank: 0 });
                    }
                    node if text.is_empty() => taken.push(self.lines_below(node)?),
                    _ => return None,
                },
            }
        }
        edits.extend(self.joined(taken).into_iter().map(|range| Edit {
            range,
            text: String::new(),
            rank: 0,
        }));
        Some(edits)
    }

    /// The bytes of a node between brackets, with the space before it if there was nothing instead of it.
    fn padded(&self, node: &SpanNode, text: &str) -> Range<usize> {
        let has_space = text.is_empty() && self.text[..node.range.start].ends_with(' ');
        node.range.start - usize::from(has_space)..node.range.end
    }

    /// The bytes of an entry or item, in the style of what it is in.
    fn bytes_of(&self, found: Found<'_>) -> Option<Range<usize>> {
        match (&found.parent?.shape, found.entry, found.index) {
            (Shape::Map { is_flow: true, entries }, Some(entry), _) => {
                let index = entries.iter().position(|other| other.start == entry.start)?;
                let spans: Vec<_> = entries.iter().map(|entry| entry.start..entry.value.range.end).collect();
                in_flow(&spans, index)
            }
            (Shape::List { is_flow: true, items }, _, Some(index)) => {
                let spans: Vec<_> = items.iter().map(|item| item.range.clone()).collect();
                in_flow(&spans, index)
            }
            (Shape::Map { .. }, Some(entry), _) => self.whole_lines(entry.start, end_of(entry)),
            (Shape::List { .. }, _, Some(_)) => {
                self.whole_lines(self.dash(found.node)?, found.node.content_end())
            }
            _ => None,
        }
    }

    /// The lines from a byte that is the first of its line, to the end of that of another.
    fn whole_lines(&self, start: usize, end: usize) -> Option<Range<usize>> {
        self.is_first(start).then(|| self.line_start(start)..self.line_end(end.max(start)))
    }

    /// The lines of all entries or items in block style.
    fn lines_below(&self, node: &SpanNode) -> Option<Range<usize>> {
        let first = match &node.shape {
            Shape::Map { entries, .. } => entries.first()?.start,
            Shape::List { items, .. } => self.dash(items.first()?)?,
            Shape::Other => return None,
        };
        self.whole_lines(first, node.content_end())
    }

    /// Ranges without those that follow each other. At the end of a text without a line feed, the line before it ends there.
    fn joined(&self, mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
        ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match joined.last_mut().filter(|last| last.end >= range.start) {
                Some(last) => last.end = last.end.max(range.end),
                None => joined.push(range),
            }
        }
        if let Some(last) = joined.last_mut().filter(|last| last.end == self.text.len()) {
            let is_line = last.start > 0 && self.text[..last.start].ends_with('\n');
            if is_line && !self.text.ends_with('\n') {
                last.start -= if self.text[..last.start].ends_with("\r\n") { 2 } else { 1 };
            }
        }
        joined
    }
}

fn is_flow(node: &SpanNode) -> bool {
    matches!(node.shape, Shape::Map { is_flow: true, .. } | Shape::List { is_flow: true, .. })
}

fn end_of(entry: &SpanEntry) -> usize {
    entry.value.content_end().max(entry.start)
}

/// The bytes of one of several between brackets, with a comma.
fn in_flow(spans: &[Range<usize>], index: usize) -> Option<Range<usize>> {
    match (index.checked_sub(1), spans.get(index + 1)) {
        (_, Some(next)) => Some(spans[index].start..next.start),
        (Some(before), None) => Some(spans[before].end..spans[index].end),
        (None, None) => None,
    }
}
