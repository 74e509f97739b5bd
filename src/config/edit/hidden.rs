//! Lines of a text that are not shown to somebody who changes it, because of values in them: which lines these are, and whether a
//! change leaves them where they were.

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};

use serde_yaml::Value;

use super::spans::{Shape, SpanNode};
use super::{meaning, spans};

/// A scalar with its key, or the key of a mapping or a list.
struct Leaf {
    /// The keys and the places in lists that lead to it.
    path: Vec<String>,
    /// Its bytes, from the key on.
    range: Range<usize>,
    /// Those of the scalar or alias, if it has one.
    value: Option<Range<usize>>,
}

/// The lines of the values that have a part on one of `lines`, counted from 1. All lines, if a text cannot be scanned, or if one of these
/// values stands elsewhere (an alias).
pub(crate) fn lines_of_values(text: &str, lines: &HashSet<usize>) -> HashSet<usize> {
    let all = || (1..=text.lines().count()).collect();
    let Some(leaves) = leaves(text) else { return all() };
    let starts = line_starts(text);
    let mut found = lines.clone();
    for leaf in leaves {
        let own = leaf.lines(&starts);
        if !own.clone().any(|line| lines.contains(&line)) {
            continue;
        }
        if leaf.value.is_some_and(|value| text[value].starts_with('*')) {
            return all();
        }
        found.extend(own);
    }
    found
}

/// Whether values of an old text are in a new one unchanged, and at the same keys. `lines` has the numbers of their lines in both.
pub(crate) fn are_unmoved(old: &str, new: &str, lines: &[(usize, usize)]) -> bool {
    let (Some(before), Some(after)) = (leaves(old), leaves(new)) else { return false };
    let starts = (line_starts(old), line_starts(new));
    let mut values = Vec::new();
    for (old_line, new_line) in lines {
        let on_line = |leaves: &'_ [Leaf], starts: &[usize], line: &usize| {
            (0..leaves.len()).filter(|at| leaves[*at].lines(starts).contains(line)).collect::<Vec<_>>()
        };
        let (was, is) = (on_line(&before, &starts.0, old_line), on_line(&after, &starts.1, new_line));
        let is_same = |(was, is): (&usize, &usize)| {
            let (was, is) = (&before[*was], &after[*is]);
            was.path == is.path && old[was.range.clone()] == new[is.range.clone()]
        };
        if was.len() != is.len() || !was.iter().zip(&is).all(is_same) {
            return false;
        }
        values.extend(is);
    }
    values.sort_unstable();
    values.dedup();
    are_values(new, values.into_iter().map(|at| &after[at]))
}

/// Whether the parser that decides what a text means finds these values, and nothing else, where the scan has found them.
fn are_values<'l>(text: &str, leaves: impl Iterator<Item = &'l Leaf>) -> bool {
    const OTHER: &str = "another value";
    let Ok(mut expected) = serde_yaml::from_str::<Value>(text) else { return false };
    let (mut changed, mut at) = (String::with_capacity(text.len()), 0);
    for leaf in leaves {
        let Some(value) = &leaf.value else { continue };
        let path: Vec<_> = leaf.path.iter().map(String::as_str).collect();
        if value.start < at
            || meaning::get(&expected, &path).is_none()
            || meaning::set(&mut expected, &path, OTHER.into()).is_none()
        {
            return false;
        }
        changed.extend([&text[at..value.start], OTHER]);
        at = value.end;
    }
    changed.push_str(&text[at..]);
    serde_yaml::from_str::<Value>(&changed).is_ok_and(|value| value == expected)
}

impl Leaf {
    /// Its lines. `starts` has where each line of the text starts.
    fn lines(&self, starts: &[usize]) -> RangeInclusive<usize> {
        let line = |at: usize| starts.partition_point(|start| *start <= at);
        line(self.range.start)..=line(self.range.end.saturating_sub(1).max(self.range.start))
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect()
}

/// The leaves of a text in its order; `None` if it cannot be scanned.
fn leaves(text: &str) -> Option<Vec<Leaf>> {
    let mut found = Vec::new();
    let root = spans::scan(text)?;
    collect(text, &root, root.range.start, &mut Vec::new(), &mut found);
    Some(found)
}

/// Collects the leaves of a node. `start` is where its key begins, or the node itself.
fn collect(text: &str, node: &SpanNode, start: usize, path: &mut Vec<String>, found: &mut Vec<Leaf>) {
    let below: Vec<(String, &SpanNode, usize)> = match &node.shape {
        // A key without a value: what has no bytes may be found at what comes next.
        Shape::Other if node.range.is_empty() => Vec::new(),
        Shape::Other => {
            let range = start.min(node.range.start)..node.range.end;
            found.push(Leaf { path: path.clone(), range, value: Some(node.range.clone()) });
            return;
        }
        Shape::List { items, .. } => items
            .iter()
            .enumerate()
            .map(|(place, item)| (place.to_string(), item, item.range.start))
            .collect(),
        Shape::Map { entries, .. } => {
            entries.iter().map(|entry| (entry.key.clone(), &entry.value, entry.start)).collect()
        }
    };
    found.extend(key(text, start, node, path));
    for (step, node, start) in below {
        path.push(step);
        collect(text, node, start, path, found);
        path.pop();
    }
}

/// The key of a mapping or a list, to its colon.
fn key(text: &str, start: usize, node: &SpanNode, path: &[String]) -> Option<Leaf> {
    let end = start + text.get(start..node.range.start)?.rfind(':')? + 1;
    Some(Leaf { path: path.to_vec(), range: start..end, value: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, on: &[usize]) -> Vec<usize> {
        let mut lines: Vec<_> = lines_of_values(text, &on.iter().copied().collect()).into_iter().collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn lines_are_those_of_whole_values() {
        for (text, on, expected) in [
            ("a: 1\nb: 2\n", &[2][..], &[2][..]),
            ("a: { b: 1,\n  c:\n  d }\ne: 1\n", &[2], &[2, 3]),
            ("a: { b: 1,\n  c:\n  d }\ne: 1\n", &[3], &[2, 3]),
            ("a: { b: \"c\\\n d\" }\n", &[1], &[1, 2]),
            ("a:\n  ? b\n  : c\nd: e\n", &[2], &[2, 3]),
            ("a:\n  b: |\n    c\n\n    d\n  e: f\n", &[2], &[2, 3, 4, 5]),
            ("a:\n- b: c\n  d:\n   e\n- f\n", &[4], &[3, 4]),
            ("a:\n- b\n- 'c\n\n  d'\n", &[3], &[3, 4, 5]),
            // Elsewhere, or not known where.
            ("a: &x b\nc: *x\nd: e\n", &[2], &[1, 2, 3]),
            ("a: 'b\nc'\n d\n", &[1], &[1, 2, 3]),
        ] {
            assert_eq!(lines(text, on), expected, "{text}");
        }
    }

    #[test]
    fn value_is_unmoved_at_the_same_keys_only() {
        let old = "a:\n  b: { c: d, e: f }\n  g: h\n";
        for (new, line, expected) in [
            (old.to_owned(), 2, true),
            (old.replace("  g: h\n", ""), 2, true),
            (old.replace("a:\n", "a:\n  # x\n  i: j\n"), 4, true),
            (old.replace("a:\n", "a:\n  x:\n"), 3, true),
            (old.replace("a:\n", "a: \"\n").replace("  g: h\n", "  \"\n"), 2, false),
            (old.replace("a:\n", "a: { x: \"\n").replace("  g: h\n", "  \" }\n"), 2, false),
            (old.replace("a:\n", "? \"\n").replace("  g: h\n", "  \"\n: a\n"), 2, false),
            (old.replace("a:\n", "a: |\n"), 2, false),
            (old.replace("a:\n", "a: # |\n"), 2, true),
            (old.replace("  b:", "  x:"), 2, false),
            (old.replace("e: f", "e: g"), 2, false),
            (old.replace("a:\n", "x:\n"), 2, false),
        ] {
            assert_eq!(are_unmoved(old, &new, &[(2, line)]), expected, "{new}");
        }
        assert!(are_unmoved(old, old, &[]));
        assert!(!are_unmoved(old, "a: [", &[(2, 1)]));
    }
}
