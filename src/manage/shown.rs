//! The lines of a service for somebody who may change it and does not see its secrets.

use std::collections::HashSet;
use std::ops::Range;

use zeroize::Zeroizing;

use super::diff::Hidden;
use super::services_file::ServicesFile;
use crate::config::Config;
use crate::config::edit::{EditError, ServicesText, are_unmoved};
use crate::config::reader::secret::PLAIN_TEXT;

/// A text of a services file, and the lines of it that are not shown.
pub(super) struct Shown<'t> {
    text: &'t str,
    hidden: HashSet<usize>,
}

/// Lines of a service, with hidden lines in place of the comments that stand for them.
pub(super) struct Restored {
    pub(super) text: Zeroizing<String>,
    /// The numbers of the hidden lines, in the file as it was and as it would be.
    pub(super) numbers: Vec<(usize, usize)>,
}

impl<'t> Shown<'t> {
    /// A text without the lines of values that are secrets in plain text, or may be. Without a configuration no line is shown.
    pub(super) fn new(file: &ServicesFile, text: &'t str, config: Option<&Config>) -> Self {
        let name = file.path.display().to_string();
        let lines = match config {
            None => return Self { text, hidden: (1..=text.lines().count()).collect() },
            Some(config) => {
                let warned = config
                    .warnings
                    .iter()
                    .filter(|warning| warning.message == PLAIN_TEXT && warning.file == name)
                    .map(|warning| warning.line);
                let silent =
                    config.plain_values.iter().filter(|(file, _)| *file == name).map(|(_, line)| *line);
                warned.chain(silent).collect::<Vec<_>>()
            }
        };
        Self { text, hidden: Hidden::lines(text, lines.into_iter()) }
    }

    /// Whether a line is not shown.
    pub(super) fn hides(&self, line: usize) -> bool {
        self.hidden.contains(&line)
    }

    /// The numbers of the lines that are not shown.
    pub(super) fn hidden(self) -> HashSet<usize> {
        self.hidden
    }

    /// The lines of a service, with a comment in place of each that is not shown.
    pub(super) fn lines(&self, service: &str) -> Result<String, EditError> {
        let (first, lines) = self.numbered(service)?;
        let mut shown = String::new();
        for (index, line) in lines.split_inclusive('\n').enumerate() {
            if self.hidden.contains(&(first + index)) {
                shown.push_str(&marker(line, first + index));
                shown.push('\n');
            } else {
                shown.push_str(line);
            }
        }
        Ok(shown)
    }

    /// The lines as they are meant: each comment that stands for a hidden line is that line again.
    pub(super) fn restored(&self, service: &str, lines: &str) -> Result<Restored, EditError> {
        let (first, old) = self.numbered(service)?;
        let mut kept: Vec<(String, usize, &str)> = Vec::new();
        for (index, line) in old.split_inclusive('\n').enumerate() {
            if self.hidden.contains(&(first + index)) {
                kept.push((marker(line, first + index).trim().to_owned(), first + index, line));
            }
        }
        let mut restored = Restored { text: Zeroizing::default(), numbers: Vec::new() };
        for (index, line) in lines.split_inclusive('\n').enumerate() {
            match kept.iter().position(|(marker, ..)| marker == line.trim()) {
                // Each of them once.
                Some(at) => {
                    let (_, number, hidden) = kept.remove(at);
                    restored.text.push_str(hidden);
                    restored.numbers.push((number, first + index));
                }
                None => restored.text.push_str(line),
            }
        }
        Ok(restored)
    }

    /// Whether the hidden lines of a service are in a changed text of its file what they were: values at the same keys. Elsewhere they
    /// might be shown, as a label or in a message about a key.
    pub(super) fn keeps(&self, restored: &Restored, changed: &str) -> bool {
        are_unmoved(self.text, changed, &restored.numbers)
    }

    /// The numbers of the lines of a service; none, if it has no lines of its own.
    pub(super) fn numbers(&self, service: &str) -> Range<usize> {
        self.numbered(service).map_or(0..0, |(first, lines)| first..first + lines.lines().count())
    }

    /// The number of the first line of a service, and its lines.
    fn numbered(&self, service: &str) -> Result<(usize, &'t str), EditError> {
        let lines = ServicesText::parse(self.text)?.lines(service)?;
        // `lines` is a part of `text`.
        let start = lines.as_ptr() as usize - self.text.as_ptr() as usize;
        Ok((self.text[..start].matches('\n').count() + 1, lines))
    }
}

fn marker(line: &str, number: usize) -> String {
    let indent = &line[..line.len() - line.trim_start().len()];
    format!(
        "{}# line {number} has a secret in plain text; it is not shown, and stays",
        indent.trim_end_matches('\n')
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str =
        "services:\n  a:\n    upstream: https://a.example\n    auth:\n      token: CANARY\n  b: {}\n";

    #[test]
    fn hidden_line_is_a_comment_and_comes_back() {
        let shown = Shown { text: TEXT, hidden: HashSet::from([5]) };
        let lines = shown.lines("a").unwrap();
        assert!(!lines.contains("CANARY") && lines.contains("      # line 5 has a secret"), "{lines}");
        assert_eq!(
            *shown.restored("a", &lines).unwrap().text,
            ServicesText::parse(TEXT).unwrap().lines("a").unwrap()
        );
        let changed = lines.replace("a.example", "b.example");
        let restored = shown.restored("a", &changed).unwrap().text;
        assert!(restored.contains("b.example") && restored.contains("      token: CANARY\n"), "{restored:?}");
        // Twice is a mistake of the second, which stays a comment.
        let twice = shown.restored("a", &format!("{lines}{lines}")).unwrap().text;
        assert_eq!(twice.matches("CANARY").count(), 1);
        // A line that is gone is gone.
        assert!(!shown.restored("a", "  a: {}\n").unwrap().text.contains("CANARY"));
    }
}
