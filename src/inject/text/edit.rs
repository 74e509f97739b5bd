//! Edits of bytes, and where the nodes of a document are.

use std::ops::Range;

use super::super::operation::tokens;
use crate::config::edit::spans::{Shape, SpanEntry, SpanNode, scan_to_depth};

/// How deep a document may be nested. Schemas in CustomResourceDefinitions are nested deeply; serde_yaml reads no more than this.
const MAX_DEPTH: usize = 128;

/// A change of bytes.
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: String,
    /// The order of edits at one place.
    pub(super) rank: isize,
}

/// The bytes of a document, and where its nodes are.
pub(super) struct Layout<'t> {
    pub(super) text: &'t str,
    pub(super) root: SpanNode,
}

/// A node, with the mapping or list that it is in.
#[derive(Clone, Copy)]
pub(super) struct Found<'n> {
    pub(super) node: &'n SpanNode,
    pub(super) parent: Option<&'n SpanNode>,
    /// The entry whose value the node is.
    pub(super) entry: Option<&'n SpanEntry>,
    /// The place in the list that the node is an item of.
    pub(super) index: Option<usize>,
}

impl<'t> Layout<'t> {
    pub(super) fn new(text: &'t str) -> Option<Self> {
        let root = scan_to_depth(text, MAX_DEPTH).or_else(|| scan_to_depth(&joined(text), MAX_DEPTH))?;
        Some(Self { text, root })
    }

    /// The node at a JSON Pointer.
    pub(super) fn find(&self, pointer: &str) -> Option<Found<'_>> {
        let root = Found { node: &self.root, parent: None, entry: None, index: None };
        tokens(pointer).try_fold(root, |found, token| {
            let parent = Some(found.node);
            match &found.node.shape {
                Shape::Map { .. } => {
                    let entry = found.node.entry(&token)?;
                    Some(Found { node: &entry.value, parent, entry: Some(entry), index: None })
                }
                Shape::List { items, .. } => {
                    let index = token.parse().ok()?;
                    Some(Found { node: items.get(index)?, parent, entry: None, index: Some(index) })
                }
                Shape::Other => None,
            }
        })
    }

    /// Where the line of a byte begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// Where the line of a byte ends, with its line feed.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |end| at + end + 1)
    }

    /// The number of characters that stand before a byte in its line.
    pub(super) fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    /// Whether a byte is the first of its line that is no space.
    pub(super) fn is_first(&self, at: usize) -> bool {
        self.text[self.line_start(at)..at].bytes().all(|byte| byte == b' ')
    }

    /// The dash of an item in a list in block style.
    pub(super) fn dash(&self, item: &SpanNode) -> Option<usize> {
        let before = self.text[..item.range.start].trim_end();
        before.ends_with('-').then(|| before.len() - 1)
    }

    /// The line ending of the document.
    pub(super) fn line_ending(&self) -> &'static str {
        match self.text.find('\n') {
            Some(end) if self.text[..end].ends_with('\r') => "\r\n",
            _ => "\n",
        }
    }
}

/// A text of the same length, in which a closing bracket that begins its line stands in the line before.
///
/// YAML (1.2, 8.2) has it indented by more than its key. Kubernetes accepts it below its key, where many write it; the parser that
/// finds the places does not. Places are only found with this text: what the result means is compared afterwards.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut before = "";
    for line in text.split_inclusive('\n') {
        let is_bracket = line.trim_start_matches(' ').starts_with([']', '}']);
        // A comment would take the bracket in.
        if is_bracket && !before.contains('#') {
            let end = joined.trim_end_matches(['\r', '\n']).len();
            let spaces = " ".repeat(joined.len() - end);
            joined.truncate(end);
            joined.push_str(&spaces);
        }
        joined.push_str(line);
        before = line;
    }
    joined
}

/// A text with edits. `None` if two of them touch the same bytes.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.range.start, edit.rank));
    let mut result =
        String::with_capacity(text.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut at = 0;
    for edit in edits {
        result.push_str(text.get(at..edit.range.start)?);
        result.push_str(&edit.text);
        at = edit.range.end;
    }
    result.push_str(text.get(at..)?);
    Some(result)
}
