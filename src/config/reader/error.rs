//! The errors and warnings of a configuration: all at once, each with its line and path.
//!
//! A message says what is wrong and what is allowed. It never repeats a value of the file, because the value
//! may be a secret in the wrong place.

use std::collections::HashSet;
use std::fmt;

use super::location::Location;
use crate::config::watched_files::WatchedFile;

/// Largest number of errors in the text; the others are counted.
const MAX_SHOWN: usize = 200;

/// An error in the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// The file, as it was named to Sidekey or found by `include`.
    pub file: String,
    /// Line in the file, counted from 1; 0 if there is none, for example because the file cannot be read.
    pub line: usize,
    /// Column in the line, counted from 1; 0 if there is none.
    pub column: usize,
    /// Path of the node, such as `services.billing.upstream`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what is allowed; never a value.
    pub message: String,
    /// Whether it may end without a change of the configuration: a store of secrets does not answer.
    pub is_passing: bool,
}

impl Diagnostic {
    pub(crate) fn new(file: &str, location: Location, path: &str, message: impl Into<String>) -> Self {
        let (line, column) = (location.line, location.column);
        let (file, path, message) = (file.to_owned(), path.to_owned(), message.into());
        Self { file, line, column, path, message, is_passing: false }
    }

    /// An error of a file as a whole.
    pub(crate) fn whole(file: &str, message: impl Into<String>) -> Self {
        let (file, message) = (file.to_owned(), message.into());
        Self { file, line: 0, column: 0, path: String::new(), message, is_passing: false }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.message)
    }
}

/// A setting that is allowed but not recommended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Warning {
    /// The file, as it was named to Sidekey or found by `include`.
    pub file: String,
    /// Line in the file, counted from 1; 0 if it is unknown.
    pub line: usize,
    /// Path of the node, such as `services.mail.auth.token`.
    pub path: String,
    /// What is not recommended, and why.
    pub message: String,
}

/// The configuration is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    diagnostics: Vec<Diagnostic>,
    files: Vec<WatchedFile>,
}

impl ConfigError {
    /// The errors of a configuration. `file` is the main file, which comes first; an error that concerns several services is
    /// listed once.
    pub(crate) fn new(file: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|one, other| {
            let key = |found: &Diagnostic| (found.file != file, found.line, found.column);
            let by_file = key(one).0.cmp(&key(other).0).then_with(|| one.file.cmp(&other.file));
            by_file.then_with(|| key(one).cmp(&key(other)))
        });
        let mut known = HashSet::new();
        diagnostics.retain(|diagnostic| known.insert(diagnostic.clone()));
        Self { file: file.to_owned(), diagnostics, files: Vec::new() }
    }

    /// Adds the files that were read.
    pub(crate) fn with_files(mut self, files: Vec<WatchedFile>) -> Self {
        self.files.extend(files);
        self
    }

    /// Every file that was read: a change to any of them may fix the configuration.
    pub fn files(&self) -> &[WatchedFile] {
        &self.files
    }

    /// An error of the file as a whole.
    pub(crate) fn whole(file: &str, message: String) -> Self {
        Self::new(file, vec![Diagnostic::whole(file, message)])
    }

    /// The file, as it was named to Sidekey.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every error, sorted by file and line; at least one.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.diagnostics.len();
        let files: HashSet<_> = self.diagnostics.iter().map(|diagnostic| &diagnostic.file).collect();
        let (errors, first) = (if count == 1 { "" } else { "s" }, self.diagnostics.first());
        match (files.len(), first) {
            (0 | 1, first) => {
                write!(f, "{count} error{errors} in {}:", first.map_or(&self.file, |first| &first.file))?;
            }
            (files, _) => write!(f, "{count} error{errors} in {files} files:")?,
        }
        for diagnostic in self.diagnostics.iter().take(MAX_SHOWN) {
            write!(f, "\n{diagnostic}")?;
        }
        if count > MAX_SHOWN {
            write!(f, "\n… and {} more", count - MAX_SHOWN)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(line: usize, path: &str) -> Diagnostic {
        let (file, path, message) = ("s.yaml".into(), path.into(), "wrong".into());
        Diagnostic { file, line, column: 1, path, message, is_passing: false }
    }

    #[test]
    fn error_text_counts_and_sorts_by_line() {
        let error =
            ConfigError::new("s.yaml", vec![diagnostic(9, "b"), diagnostic(2, "a"), diagnostic(1, "")]);
        assert_eq!(
            error.to_string(),
            "3 errors in s.yaml:\ns.yaml:1: wrong\ns.yaml:2: a: wrong\ns.yaml:9: b: wrong"
        );
    }

    #[test]
    fn error_of_the_whole_file_has_no_line() {
        let error = ConfigError::whole("s.yaml", "not there".into());
        assert_eq!(error.to_string(), "1 error in s.yaml:\ns.yaml: not there");
    }

    #[test]
    fn error_text_counts_what_it_omits() {
        let error =
            ConfigError::new("s.yaml", (0..MAX_SHOWN + 7).map(|line| diagnostic(line, "a")).collect());
        assert!(error.to_string().ends_with("\n… and 7 more"));
    }
}
