//! The errors and warnings of a configuration: all at once, each with its line and path.
//!
//! A message says what is wrong and what is allowed. It never repeats a value of the file, because the value
//! may be a secret in the wrong place.

use std::fmt;

use crate::config::watched_files::WatchedFile;

/// Largest number of errors in the text; the others are counted.
const MAX_SHOWN: usize = 200;

/// An error in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Line in the file, counted from 1; 0 if there is none, for example because the file cannot be read.
    pub line: usize,
    /// Column in the line, counted from 1; 0 if there is none.
    pub column: usize,
    /// Path of the node, such as `services.billing.upstream`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what is allowed; never a value.
    pub message: String,
}

/// A setting that is allowed but not recommended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
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
    pub(crate) fn new(file: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
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
        Self::new(file, vec![Diagnostic { line: 0, column: 0, path: String::new(), message }])
    }

    /// The file, as it was named to Sidekey.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every error, sorted by line; at least one.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.diagnostics.len();
        write!(f, "{count} error{} in {}:", if count == 1 { "" } else { "s" }, self.file)?;
        for diagnostic in self.diagnostics.iter().take(MAX_SHOWN) {
            write!(f, "\n{}:", self.file)?;
            if diagnostic.line > 0 {
                write!(f, "{}:", diagnostic.line)?;
            }
            if !diagnostic.path.is_empty() {
                write!(f, " {}:", diagnostic.path)?;
            }
            write!(f, " {}", diagnostic.message)?;
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
        Diagnostic { line, column: 1, path: path.into(), message: "wrong".into() }
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
        let error = ConfigError::new("s.yaml", vec![diagnostic(1, "a"); MAX_SHOWN + 7]);
        assert!(error.to_string().ends_with("\n… and 7 more"));
    }
}
