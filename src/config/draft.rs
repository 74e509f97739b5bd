//! The configuration as it would be after a change to one of its files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::load::{Input, Mistakes};
use super::model::Config;
use super::reader::document;
use super::reader::error::{ConfigError, Diagnostic};
use super::reader::report::Report;
use super::readers::Readers;
use super::source;
use crate::secret::SecretCache;

/// A file of a configuration, and the text that it is to have.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'d> {
    /// The file: the main file, or one that it includes or would include.
    pub file: &'d Path,
    /// Its text until now; `None` if it is new.
    pub old: Option<&'d str>,
    /// Its text after the change.
    pub new: &'d str,
}

impl Config {
    /// Reads the configuration of a main file after a change. An error that was there before the change, elsewhere, holds back what
    /// has it, and does not prevent the change.
    ///
    /// # Errors
    ///
    /// What the change would make wrong, or leave wrong in a way that nothing runs.
    pub fn load_draft(
        main: &Path,
        draft: &Draft<'_>,
        secrets: &SecretCache,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        let read = |text: Option<&str>, mistakes: Mistakes<'_>| match text {
            Some(text) => Self::load_with_text(main, draft.file, text, secrets, readers, mistakes),
            None => Self::load_with(main, secrets, readers),
        };
        let error = match read(Some(draft.new), Mistakes::Reject) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        // A new main file has no errors from before.
        let before = match read(draft.old, Mistakes::Reject) {
            Err(before) if draft.old.is_some() || main != draft.file => before,
            _ => return Err(error),
        };
        let known: HashSet<_> = before.diagnostics().iter().map(without_place).collect();
        let new: Vec<_> = error
            .diagnostics()
            .iter()
            .filter(|found| !known.contains(&without_place(found)))
            .cloned()
            .collect();
        if !new.is_empty() {
            return Err(ConfigError::new(error.file(), new));
        }
        read(Some(draft.new), Mistakes::HoldBack(None))
    }

    fn load_with_text(
        main: &Path,
        file: &Path,
        text: &str,
        secrets: &SecretCache,
        readers: Readers,
        mistakes: Mistakes<'_>,
    ) -> Result<Self, ConfigError> {
        let name = main.display().to_string();
        let of_main;
        let main_text = if file == main {
            text
        } else {
            of_main = document::read_file(main)?;
            &of_main
        };
        let replaced = (file != main).then_some((file, text));
        // A main file that is new has no path yet.
        let path = main.exists().then_some(main);
        let input = Input { replaced, ..Input::new(main_text, &name, path) };
        Self::read(&input, &|name| std::env::var_os(name), secrets, readers, mistakes)
    }

    /// The main file and those that it includes, in their order.
    ///
    /// # Errors
    ///
    /// If the main file cannot be read or is no YAML, or a path of `include` leads nowhere.
    pub fn file_paths(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
        let name = main.display().to_string();
        let (environment, secrets) = (|name: &str| std::env::var_os(name), SecretCache::with_placeholders());
        let report = Report::new(&environment, &secrets);
        let text = document::read_file(main)?;
        let file = report.add_file(&name);
        let mut root = document::parse(&text, file, &name)
            .map_err(|diagnostics| ConfigError::new(&name, diagnostics))?;
        let folder = main.parent().unwrap_or(Path::new(""));
        let (included, errors) = report.collect(|| {
            // Errors elsewhere in the file are those of who reads all of it.
            let ((), _) = report.collect(|| source::resolve_main(&mut root, &report));
            source::included_files(&root, folder, Some(main), None, &report)
        });
        if !errors.is_empty() {
            return Err(ConfigError::new(&name, errors));
        }
        Ok(std::iter::once(main.to_owned()).chain(included).collect())
    }
}

/// An error without its line, which a change above it moves.
fn without_place(error: &Diagnostic) -> (&str, &str, &str) {
    (&error.file, &error.path, &error.message)
}
