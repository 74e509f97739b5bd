//! The changed lines of the services file, as they are shown.

use std::collections::HashSet;
use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::config::edit::lines_of_values;

/// The lines that differ, each with its number and a sign. Lines that hold a secret in plain text are not shown.
pub(super) fn changed_lines(old: &str, new: &str, hidden: &Hidden) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut out = String::new();
    for change in diff.iter_all_changes() {
        let (sign, number, is_hidden) = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => ('-', change.old_index(), hidden.old.contains(&line(change.old_index()))),
            ChangeTag::Insert => ('+', change.new_index(), hidden.new.contains(&line(change.new_index()))),
        };
        let text = if is_hidden {
            "(a secret in plain text)"
        } else {
            change.value().trim_end_matches(['\r', '\n'])
        };
        let _ = writeln!(out, "{:>5} {sign} {text}", line(number));
    }
    out
}

/// The lines of either text that hold a secret in plain text, counted from 1.
#[derive(Default)]
pub struct Hidden {
    /// Those of the old text.
    pub old: HashSet<usize>,
    /// Those of the new text.
    pub new: HashSet<usize>,
}

impl Hidden {
    /// The lines of a text that belong to the entries on these lines: those of the whole values, and those that are indented deeper below
    /// them.
    pub fn lines(text: &str, entries: impl Iterator<Item = usize>) -> HashSet<usize> {
        let lines: Vec<_> = text.lines().collect();
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut hidden = HashSet::new();
        for first in entries {
            let Some(entry) = lines.get(first.saturating_sub(1)) else { continue };
            let below = lines[first..].iter();
            let below =
                below.take_while(|line| line.trim().is_empty() || indent(line) > indent(entry)).count();
            hidden.extend(first..=first + below);
        }
        if hidden.is_empty() { hidden } else { lines_of_values(text, &hidden) }
    }
}

fn line(index: Option<usize>) -> usize {
    index.map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_have_numbers_and_hide_secrets() {
        let hidden = Hidden { old: HashSet::from([3]), new: HashSet::new() };
        let shown = changed_lines("a\nb\ntoken: CANARY\nd\n", "a\nB\nd\ne\n", &hidden);
        let text = "a:\n  key: |\n    x\n\n    y\n  b: c\n";
        assert_eq!(Hidden::lines(text, std::iter::once(2)), HashSet::from([2, 3, 4, 5]));
        assert_eq!(shown, "    2 - b\n    3 - (a secret in plain text)\n    2 + B\n    4 + e\n");
    }
}
