//! Which bytes of a text each node takes.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::config::reader::location::MAX_DEPTH;

/// A node and the bytes that it takes. Those of a mapping or list in block style may end after comments that follow it.
pub(crate) struct SpanNode {
    pub(crate) range: Range<usize>,
    pub(crate) shape: Shape,
}

/// What a node is, as far as an edit must know it.
pub(crate) enum Shape {
    /// A scalar or an alias.
    Other,
    List {
        is_flow: bool,
        items: Vec<SpanNode>,
    },
    Map {
        is_flow: bool,
        entries: Vec<SpanEntry>,
    },
}

/// An entry of a mapping.
pub(crate) struct SpanEntry {
    pub(crate) key: String,
    /// The first byte of the key.
    pub(crate) start: usize,
    pub(crate) value: SpanNode,
}

impl SpanNode {
    /// The entry of a mapping that has this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&SpanEntry> {
        match &self.shape {
            Shape::Map { entries, .. } => entries.iter().find(|entry| entry.key == key),
            Shape::Other | Shape::List { .. } => None,
        }
    }

    /// The node at a place of a list.
    pub(super) fn item(&self, step: &str) -> Option<&Self> {
        match &self.shape {
            Shape::List { items, .. } => items.get(step.parse::<usize>().ok()?),
            Shape::Other | Shape::Map { .. } => None,
        }
    }

    /// Where the last scalar, alias or bracket of the node ends. Comments after it are not counted.
    pub(crate) fn content_end(&self) -> usize {
        match &self.shape {
            Shape::List { is_flow: false, items } => items.last().map_or(self.range.end, Self::content_end),
            Shape::Map { is_flow: false, entries } => {
                // A key without a value ends after its colon at least.
                let end = |entry: &SpanEntry| entry.value.content_end().max(entry.start + entry.key.len());
                entries.last().map_or(self.range.end, end)
            }
            _ => self.range.end,
        }
    }
}

/// The root node of a text; `None` if the text has none, cannot be parsed, or is nested deeper than a configuration may be.
pub(super) fn scan(text: &str) -> Option<SpanNode> {
    scan_to_depth(text, MAX_DEPTH)
}

/// The root node of a text; `None` if the text has none, cannot be parsed, or is nested deeper than `max_depth`.
pub(crate) fn scan_to_depth(text: &str, max_depth: usize) -> Option<SpanNode> {
    // The parser counts characters.
    let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    offsets.push(text.len());
    let bytes = |span: &Span| {
        let offset = |index: usize| offsets.get(index).copied().unwrap_or(text.len());
        let start = offset(span.start.index());
        // The parser has read spaces after a bracket when it reports its end.
        let node = text.get(start..offset(span.end.index())).unwrap_or_default();
        start..start + node.trim_end().len()
    };
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.ok()?;
        let range = bytes(&span);
        let (scalar, node) = match event {
            Event::Scalar(value, style, ..) => {
                let end = quoted_end(&text[range.clone()]).map_or(range.end, |length| range.start + length);
                let start = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => block_start(text, range.start)?,
                    _ => range.start,
                };
                (value.into_owned(), SpanNode { range: start..end.max(start), shape: Shape::Other })
            }
            Event::Alias(_) => (String::new(), SpanNode { range, shape: Shape::Other }),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == max_depth {
                    return None;
                }
                let is_flow = matches!(text.as_bytes().get(range.start), Some(b'{' | b'['));
                let shape = match event {
                    Event::MappingStart(..) => Shape::Map { is_flow, entries: Vec::new() },
                    _ => Shape::List { is_flow, items: Vec::new() },
                };
                open.push(Open { start: range.start, shape, key: None });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { start, shape, .. } = open.pop()?;
                // The parser may have read a comment after a bracket, too.
                let is_bracket = matches!(text.as_bytes().get(range.start), Some(b']' | b'}'));
                let end = if is_bracket && is_flow(&shape) { range.start + 1 } else { range.end };
                (String::new(), SpanNode { range: start..end, shape })
            }
            _ => continue,
        };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open { shape: Shape::Map { entries, .. }, key, .. }) => match key.take() {
                None => *key = Some((scalar, node.range.start)),
                Some((key, start)) => entries.push(SpanEntry { key, start, value: node }),
            },
            Some(Open { shape: Shape::List { items, .. }, .. }) => items.push(node),
            Some(Open { shape: Shape::Other, .. }) => {}
        }
    }
    root
}

/// The length of the scalar in quotes that a text begins with. The parser may have read a comment after it, too.
fn quoted_end(text: &str) -> Option<usize> {
    let quote = text.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let mut bytes = text.bytes().enumerate().skip(1).peekable();
    while let Some((at, byte)) = bytes.next() {
        let is_pair = bytes.peek().is_some_and(|(_, next)| {
            if quote == b'"' { byte == b'\\' } else { byte == b'\'' && *next == b'\'' }
        });
        if is_pair {
            bytes.next();
        } else if byte == quote {
            return Some(at + 1);
        }
    }
    None
}

/// Where a scalar in block style begins whose content is at `content`: its indicator, `|` or `>`.
fn block_start(text: &str, content: usize) -> Option<usize> {
    let before = text[..content].trim_end();
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let is_header = |header: &str| {
        let rest = header[1..].trim_start_matches(|c: char| "+-".contains(c) || c.is_ascii_digit());
        rest.is_empty() || rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')
    };
    let mut indicators = before[line..].match_indices(['|', '>']);
    indicators.find(|(at, _)| is_header(&before[line + at..])).map(|(at, _)| line + at)
}

fn is_flow(shape: &Shape) -> bool {
    matches!(shape, Shape::List { is_flow: true, .. } | Shape::Map { is_flow: true, .. })
}

/// A node whose end was not read yet.
struct Open {
    start: usize,
    shape: Shape,
    key: Option<(String, usize)>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn scan_finds_bytes_of_keys_and_values() {
        let text = "# é\na: 1 # one\nb: { c: 'd', e: [f] }\n";
        let root = scan(text).unwrap();
        let a = root.entry("a").unwrap();
        assert_eq!(
            (&text[a.start..], &text[a.value.range.clone()]),
            ("a: 1 # one\nb: { c: 'd', e: [f] }\n", "1")
        );
        let b = root.entry("b").unwrap();
        assert_eq!(&text[b.value.range.clone()], "{ c: 'd', e: [f] }");
        assert_eq!(&text[b.value.entry("c").unwrap().value.range.clone()], "'d'");
        assert_eq!(&text[b.value.entry("e").unwrap().value.range.clone()], "[f]");
        let list = &b.value.entry("e").unwrap().value;
        let Shape::List { is_flow: true, items } = &list.shape else { panic!("a list in brackets") };
        assert_eq!(&text[items[0].range.clone()], "f");
        assert!(list.item("0").is_some() && list.item("1").is_none() && b.value.item("0").is_none());
        assert!(matches!(b.value.shape, Shape::Map { is_flow: true, .. }));
        assert!(matches!(root.shape, Shape::Map { is_flow: false, .. }));
    }

    #[test]
    fn content_ends_before_comments() {
        for (text, content) in [
            ("a:\n  - b: 1 # one\n    c: |\n      d\n\n    # two\n", "a:\n  - b: 1 # one\n    c: |\n      d"),
            ("a:\n- b\n- c:\n# one\n", "a:\n- b\n- c"),
            ("a: [b,\n  c] # one\n", "a: [b,\n  c]"),
            (r#"a: "b\"c"  # one"#, r#"a: "b\"c""#),
            ("a: 'b''c'  # one\n", "a: 'b''c'"),
            ("a: {b: c}  # one\nd:\n", "a: {b: c}  # one\nd"),
            ("a: [{b: [c]} ] # one\n# two\n", "a: [{b: [c]} ]"),
        ] {
            assert_eq!(&text[..scan(text).unwrap().content_end()], content);
        }
    }

    #[test]
    fn scalar_in_block_style_begins_with_its_indicator() {
        for scalar in ["|\n    b\n\n    c", ">-\n    b", "|2+ # c | d\n    b\n", "|\n\n    b"] {
            let text = format!("'a|': 1\na:\n  k: {scalar}\n# e\n");
            let root = scan(&text).unwrap();
            let range = root.entry("a").unwrap().value.entry("k").unwrap().value.range.clone();
            assert_eq!(&text[range], scalar.trim_end());
        }
    }

    #[test]
    fn text_that_is_no_yaml_has_no_spans() {
        assert!(scan("").is_none());
        assert!(scan("a: [").is_none());
        assert!(scan(&"[".repeat(1000)).is_none());
    }
}
