//! Collects errors, warnings and watched files while the configuration is read, so that all errors are
//! reported at once.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::error::{Diagnostic, Warning};
use super::interpolate::Environment;
use super::location::{FileId, Location};
use super::settings;
use super::settings::Setting;
use super::stores::Stores;
use super::table::{Format, Key};
use super::tree::Node;
use crate::config::exposure::KnownFolders;
use crate::config::watched_files::{FileKind, WatchedFile};
use crate::secret::{SecretCache, SourceError, Stamp};

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) location: Location,
    pub(crate) path: String,
}

/// Errors, warnings and watched files of a configuration.
pub(crate) struct Report<'e> {
    environment: &'e Environment<'e>,
    secrets: &'e SecretCache,
    diagnostics: RefCell<Vec<Diagnostic>>,
    warnings: RefCell<Warnings>,
    /// Where values in plain text stand that may be secrets, and of which nothing warns.
    plain_values: RefCell<Vec<Location>>,
    files: RefCell<BTreeMap<(PathBuf, FileKind), WatchedFile>>,
    /// The files of the configuration in use, as they are now.
    known: HashMap<(PathBuf, FileKind), WatchedFile>,
    known_folders: KnownFolders,
    /// What readers asked for, if it is recorded.
    settings: Option<RefCell<Vec<Setting>>>,
    /// The names of the files of the configuration, by [`FileId`].
    names: RefCell<Vec<Rc<str>>>,
    /// Errors that belong to an entry and were found before it is read.
    deferred: RefCell<HashMap<Spot, Vec<Diagnostic>>>,
    stores: RefCell<Stores>,
}

/// Warnings in the order in which they were found, each once.
#[derive(Default)]
struct Warnings {
    all: Vec<Warning>,
    known: HashSet<Warning>,
    messages: HashSet<String>,
}

impl<'e> Report<'e> {
    pub(crate) fn new(environment: &'e Environment<'e>, secrets: &'e SecretCache) -> Self {
        Self {
            environment,
            secrets,
            diagnostics: RefCell::default(),
            warnings: RefCell::default(),
            plain_values: RefCell::default(),
            files: RefCell::default(),
            known: HashMap::new(),
            known_folders: KnownFolders::default(),
            settings: None,
            names: RefCell::default(),
            deferred: RefCell::default(),
            stores: RefCell::default(),
        }
    }

    /// A report for a configuration that follows one with these files. Those that have not changed are not read for a fingerprint.
    pub(crate) fn following(
        environment: &'e Environment<'e>,
        secrets: &'e SecretCache,
        files: &[WatchedFile],
    ) -> Self {
        let now = WatchedFile::rescan_all(files).into_iter();
        let known = now.map(|file| ((file.path().to_owned(), file.kind()), file)).collect();
        Self { known, ..Self::new(environment, secrets) }
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

    /// Adds a file of the configuration, by its name in messages.
    pub(crate) fn add_file(&self, name: &str) -> FileId {
        let mut names = self.names.borrow_mut();
        names.push(name.into());
        FileId(u16::try_from(names.len() - 1).expect("the number of files is limited"))
    }

    /// The name of a file in messages.
    pub(crate) fn name(&self, file: FileId) -> Rc<str> {
        self.names.borrow().get(usize::from(file.0)).cloned().unwrap_or_default()
    }

    pub(crate) fn environment(&self) -> &'e Environment<'e> {
        self.environment
    }

    /// The folders of files that were examined.
    pub(crate) fn known_folders(&self) -> &KnownFolders {
        &self.known_folders
    }

    pub(crate) fn secrets(&self) -> &'e SecretCache {
        self.secrets
    }

    /// The stores of secrets, as far as they are read.
    pub(crate) fn stores(&self) -> RefMut<'_, Stores> {
        self.stores.borrow_mut()
    }

    /// Adds the error of a source of secrets.
    pub(crate) fn source_error(&self, location: Location, path: &str, error: &SourceError) {
        let found = Diagnostic::new(&self.name(location.file), location, path, error.to_string());
        self.diagnostics.borrow_mut().push(Diagnostic { is_passing: error.is_passing(), ..found });
    }

    pub(crate) fn error(&self, location: Location, path: &str, message: impl Into<String>) {
        let diagnostic = Diagnostic::new(&self.name(location.file), location, path, message);
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// A place for a message about another place.
    pub(crate) fn place(&self, spot: &Spot, seen_from: FileId) -> String {
        let Spot { location, path } = spot;
        if location.file == seen_from {
            format!("`{path}` on line {}", location.line)
        } else {
            format!("`{path}` in {}:{}", self.name(location.file), location.line)
        }
    }

    /// Adds errors that were found before.
    pub(crate) fn repeat(&self, errors: impl IntoIterator<Item = Diagnostic>) {
        self.diagnostics.borrow_mut().extend(errors);
    }

    /// Runs a reader. Returns the errors that it reports, apart from all others.
    pub(crate) fn collect<T>(&self, read: impl FnOnce() -> T) -> (T, Vec<Diagnostic>) {
        let others = self.diagnostics.take();
        let read = read();
        (read, self.diagnostics.replace(others))
    }

    pub(crate) fn warn(&self, location: Location, path: &str, message: impl Into<String>) {
        let (file, path) = (self.name(location.file).to_string(), path.to_owned());
        let warning = Warning { file, line: location.line, path, message: message.into() };
        let mut warnings = self.warnings.borrow_mut();
        // One of a default would come for each service.
        if warnings.known.insert(warning.clone()) {
            warnings.messages.insert(warning.message.clone());
            warnings.all.push(warning);
        }
    }

    /// Adds a warning that concerns several places; it is reported at the first one.
    pub(crate) fn warn_once(&self, location: Location, path: &str, message: String) {
        if !self.warnings.borrow().messages.contains(&message) {
            self.warn(location, path, message);
        }
    }

    /// Records a value in plain text that may be a secret.
    pub(crate) fn note_plain_value(&self, location: Location) {
        self.plain_values.borrow_mut().push(location);
    }

    /// The file and the line of each value in plain text that may be a secret, and of which nothing warns.
    pub(crate) fn take_plain_values(&self) -> Vec<(String, usize)> {
        let values = self.plain_values.take();
        values.iter().map(|location| (self.name(location.file).to_string(), location.line)).collect()
    }

    /// Adds a file that is about to be read. Its first fingerprint counts. Returns the stamp that it had then.
    pub(crate) fn watch(&self, path: &Path, kind: FileKind) -> Option<Stamp> {
        let (mut files, key) = (self.files.borrow_mut(), (path.to_owned(), kind));
        let known = self.known.get(&key).cloned();
        let file =
            files.entry(key).or_insert_with(|| known.unwrap_or_else(|| WatchedFile::fingerprint(path, kind)));
        file.stamp()
    }

    /// Keeps errors of an entry until it is read by [`collect_entry`](Self::collect_entry).
    pub(crate) fn defer(&self, entry: Spot, errors: Vec<Diagnostic>) {
        if !errors.is_empty() {
            self.deferred.borrow_mut().entry(entry).or_default().extend(errors);
        }
    }

    /// Runs the reader of an entry. Returns its errors, those that were deferred included.
    pub(crate) fn collect_entry<T>(&self, entry: &Spot, read: impl FnOnce() -> T) -> (T, Vec<Diagnostic>) {
        let deferred = self.deferred.borrow_mut().remove(entry).unwrap_or_default();
        let (read, errors) = self.collect(read);
        (read, deferred.into_iter().chain(errors).collect())
    }

    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, Vec<Warning>, Vec<WatchedFile>) {
        let files = self.files.into_inner().into_values().collect();
        (self.diagnostics.into_inner(), self.warnings.into_inner().all, files)
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
