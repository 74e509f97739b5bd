//! Everything noted while the file is read: no mistake is final, and each has its place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::Mistake;
use super::interpolate::Environment;
use super::location::Mark;
use crate::config::{FileKind, SeenFile, Warning};
use crate::secret::Commands;

/// Everything noted while the file is read.
pub(crate) struct Report<'e> {
    environment: &'e Environment<'e>,
    commands: &'e Commands,
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Warning>>,
    files: RefCell<BTreeMap<(PathBuf, FileKind), SeenFile>>,
}

impl<'e> Report<'e> {
    pub(crate) fn new(environment: &'e Environment<'e>, commands: &'e Commands) -> Self {
        Self {
            environment,
            commands,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
            files: RefCell::default(),
        }
    }

    pub(crate) fn environment(&self) -> &'e Environment<'e> {
        self.environment
    }

    pub(crate) fn commands(&self) -> &'e Commands {
        self.commands
    }

    pub(crate) fn mistake(&self, mark: Mark, path: &str, message: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake {
            line: mark.line,
            column: mark.column,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    pub(crate) fn warn(&self, mark: Mark, path: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(Warning {
            line: mark.line,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    /// Notes a file that is about to be read; what it held when it was first noted counts.
    pub(crate) fn watch(&self, path: &Path, kind: FileKind) {
        let mut files = self.files.borrow_mut();
        files.entry((path.to_owned(), kind)).or_insert_with(|| SeenFile::look(path, kind));
    }

    pub(crate) fn into_parts(self) -> (Vec<Mistake>, Vec<Warning>, Vec<SeenFile>) {
        let files = self.files.into_inner().into_values().collect();
        (self.mistakes.into_inner(), self.warnings.into_inner(), files)
    }
}

/// A key as it is shown: no control characters, no page of text.
pub(crate) fn shown(key: &str) -> String {
    let mut shown = String::new();
    for c in key.chars().take(64) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if key.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

/// The path of an entry of a mapping.
pub(crate) fn child(path: &str, key: &str) -> String {
    if path.is_empty() { shown(key) } else { format!("{path}.{}", shown(key)) }
}
