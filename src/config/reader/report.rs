//! Collects errors, warnings and watched files while the configuration is read, so that all errors are
//! reported at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{Diagnostic, Warning};
use super::interpolate::Environment;
use super::location::Location;
use super::settings;
use super::settings::Setting;
use super::table::{Format, Key};
use super::tree::Node;
use crate::config::watched_files::{FileKind, WatchedFile};
use crate::secret::SecretCache;

/// Errors, warnings and watched files of a configuration.
pub(crate) struct Report<'e> {
    environment: &'e Environment<'e>,
    secrets: &'e SecretCache,
    diagnostics: RefCell<Vec<Diagnostic>>,
    warnings: RefCell<Vec<Warning>>,
    files: RefCell<BTreeMap<(PathBuf, FileKind), WatchedFile>>,
    /// What readers asked for, if it is recorded.
    settings: Option<RefCell<Vec<Setting>>>,
}

impl<'e> Report<'e> {
    pub(crate) fn new(environment: &'e Environment<'e>, secrets: &'e SecretCache) -> Self {
        Self {
            environment,
            secrets,
            diagnostics: RefCell::default(),
            warnings: RefCell::default(),
            files: RefCell::default(),
            settings: None,
        }
    }

    /// A report that has, in the end, what readers asked for.
    pub(crate) fn recording(environment: &'e Environment<'e>, secrets: &'e SecretCache) -> Self {
        Self { settings: Some(RefCell::default()), ..Self::new(environment, secrets) }
    }

    /// Records that a reader asks for a key of the section with this path and format.
    pub(crate) fn record(&self, (above, format): (&str, Format), key: &Key, node: Option<&Node>) {
        if let Some(recorded) = &self.settings
            && !settings::is_secret(format)
        {
            recorded.borrow_mut().extend(settings::of(child(above, key.name), key, node));
        }
    }

    /// What readers asked for.
    pub(crate) fn take_settings(&self) -> Vec<Setting> {
        self.settings.as_ref().map(RefCell::take).unwrap_or_default()
    }

    pub(crate) fn environment(&self) -> &'e Environment<'e> {
        self.environment
    }

    pub(crate) fn secrets(&self) -> &'e SecretCache {
        self.secrets
    }

    pub(crate) fn error(&self, location: Location, path: &str, message: impl Into<String>) {
        self.diagnostics.borrow_mut().push(Diagnostic {
            line: location.line,
            column: location.column,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    pub(crate) fn warn(&self, location: Location, path: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(Warning {
            line: location.line,
            path: path.to_owned(),
            message: message.into(),
        });
    }

    /// Adds a warning that concerns several places; it is reported at the first one.
    pub(crate) fn warn_once(&self, location: Location, path: &str, message: String) {
        if !self.warnings.borrow().iter().any(|warning| warning.message == message) {
            self.warn(location, path, message);
        }
    }

    /// Adds a file that is about to be read. Its first fingerprint counts.
    pub(crate) fn watch(&self, path: &Path, kind: FileKind) {
        let mut files = self.files.borrow_mut();
        files.entry((path.to_owned(), kind)).or_insert_with(|| WatchedFile::fingerprint(path, kind));
    }

    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, Vec<Warning>, Vec<WatchedFile>) {
        let files = self.files.into_inner().into_values().collect();
        (self.diagnostics.into_inner(), self.warnings.into_inner(), files)
    }
}

/// A key for a message: without control characters, and not longer than 64 characters.
pub(crate) fn sanitize(key: &str) -> String {
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
    if path.is_empty() { sanitize(key) } else { format!("{path}.{}", sanitize(key)) }
}

/// A path for a message, with a space before it. A text that does not look like a path may be a secret in the
/// wrong place, and is not shown.
pub(crate) fn display_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
        format!(" {}", sanitize(&text))
    } else {
        " named here (relative to the working directory)".into()
    }
}
