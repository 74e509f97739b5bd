//! Changes through the admin API: made as a draft, which can be tested, and then written.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::definition;
use super::definition::Definition;
use super::diff::{Hidden, changed_lines};
use super::draft::{Draft, Typed};
use super::edited::{Edited, edited, moved};
use super::error::ManageError;
use super::folder::ManagedFolder;
use super::operation::Operation;
use super::policy::Policy;
use super::rejection::{Mistake, Rejection};
use super::services_file::ServicesFile;
use super::shown::Shown;
use crate::config::edit::ServicesText;
use crate::config::{Config, FileKind, WatchedFile};
use crate::credential::READERS;
use crate::presets::Preset;
use crate::secret::{SecretCache, SecretText};

/// Changes services of a configuration.
pub struct Manager {
    main: PathBuf,
    secrets: Arc<SecretCache>,
    revisions: RandomState,
}

impl Manager {
    /// A manager for the configuration with this main file. `secrets` has what the running process fetched.
    pub fn new(main: PathBuf, secrets: Arc<SecretCache>) -> Self {
        Self { main, secrets, revisions: RandomState::new() }
    }

    /// A service as it stands in its file.
    ///
    /// # Errors
    ///
    /// If no file has it, or it has no lines of its own.
    pub fn definition(&self, name: &str, folder: Option<&ManagedFolder>) -> Result<Definition, ManageError> {
        let file = ServicesFile::of_service(&self.main, name)?;
        let (lines, secrets) = definition::of(&file, name)?;
        let is_managed = folder.is_some_and(|folder| folder.has(&file.path));
        let revision = self.revision(&file);
        Ok(Definition { file: file.path, is_managed, lines, secrets, revision })
    }

    /// The change of a service, made as far as nothing is written. `revision` names the text that it is made for.
    ///
    /// If the service stands outside of the managed folder, or there is none, no secret is read, and the draft cannot be written.
    ///
    /// # Errors
    ///
    /// Every mistake in what was asked for, or why its file cannot be changed.
    pub fn draft(
        &self,
        name: &str,
        operation: Operation,
        folder: Option<&ManagedFolder>,
        revision: Option<&str>,
    ) -> Result<Draft, Rejection> {
        let is_new = matches!(operation, Operation::Add { .. });
        let is_of_preset = matches!(operation, Operation::Add { lines: None, .. });
        let file =
            if is_new { self.new_file(name, folder)? } else { ServicesFile::of_service(&self.main, name)? };
        if revision.is_some_and(|revision| revision != self.revision(&file)) {
            return Err(ManageError::Changed(file.path).into());
        }
        let folder = folder.filter(|folder| if is_new { !file.exists() } else { folder.has(&file.path) });
        let is_tested =
            matches!(operation, Operation::Add { .. } | Operation::Edit { .. } | Operation::Enable);
        let Edited { text, typed, preset, test_path, restored } = edited(name, operation, &file, folder)?;
        if let Some(folder) = folder {
            self.ensure_allowed(name, &file, &text, folder, preset)?;
        }
        let secrets = if folder.is_some() {
            let content = |typed: &Typed| (typed.path.clone(), SecretText::verbatim(typed.text.clone()));
            SecretCache::for_draft(self.secrets.clone(), typed.iter().map(content).collect())
        } else {
            SecretCache::with_placeholders()
        };
        let config = Config::load_draft(&file.main, &file.draft(&text), &secrets, READERS)
            .map_err(|error| Rejection::of_config(&error, name, preset))?;
        if let Some(folder) = folder {
            let cache = SecretCache::for_draft(self.secrets.clone(), HashMap::new());
            let before = file.configuration(&cache).map(|config| config.files).unwrap_or_default();
            ensure_no_other_files(&config.files, folder, &before)?;
        }
        let new = Shown::new(&file, &text, Some(&config));
        if !restored.iter().all(|line| new.hides(*line)) {
            return Err(moved());
        }
        // A preset puts no secret into the text.
        let lines = if is_of_preset {
            ServicesText::parse(&text).and_then(|services| services.lines(name).map(str::to_owned))
        } else {
            new.lines(name)
        };
        let own = if is_of_preset { new.numbers(name) } else { 0..0 };
        let old = Shown::new(&file, file.text(), file.configuration_without_secrets().as_ref());
        let is_of_others = |line: &usize| !own.contains(line);
        let hidden =
            Hidden { old: old.hidden(), new: new.hidden().into_iter().filter(is_of_others).collect() };
        Ok(Draft {
            service: name.to_owned(),
            changed_lines: changed_lines(file.text(), &text, &hidden),
            lines: lines.ok(),
            test_path,
            is_tested: is_tested && folder.is_some(),
            revision: self.revision(&file),
            folder: folder.cloned(),
            config,
            file,
            text: Zeroizing::new(text),
            typed,
        })
    }

    /// Names the text of a file, in this process.
    fn revision(&self, file: &ServicesFile) -> String {
        format!("{:016x}", self.revisions.hash_one((&file.path, file.text())))
    }

    /// The file of a new service: one of its own, or the main file if there is no managed folder.
    fn new_file(&self, name: &str, folder: Option<&ManagedFolder>) -> Result<ServicesFile, Rejection> {
        let Some(path) = ManagedFolder { path: PathBuf::new() }.file_of(name) else {
            return Err(Rejection::in_field(
                "name",
                "a name has letters, digits and `_.-`, starts with a letter or digit, and has at most 63 characters",
            ));
        };
        let there = ServicesFile::of_service(&self.main, name);
        if let Ok(there) = there {
            let place = there.path.display().to_string();
            return Err(Rejection::in_field(
                "name",
                format!("there is a service of that name already, in {place}"),
            ));
        }
        let Some(folder) = folder else { return Ok(ServicesFile::open(&self.main)?) };
        let path = folder.path.join(path);
        if path.symlink_metadata().is_ok() {
            return Err(Rejection::in_field("name", format!("the file {} exists already", path.display())));
        }
        Ok(ServicesFile::included(&self.main, &path)?)
    }

    fn ensure_allowed(
        &self,
        name: &str,
        file: &ServicesFile,
        text: &str,
        folder: &ManagedFolder,
        preset: Option<&Preset>,
    ) -> Result<(), Rejection> {
        let new = ServicesText::parse(text).map_err(|error| file.edit_error(error))?;
        let old = file.services()?;
        let Some(service) = new.get(name, &[]) else { return Ok(()) };
        let violations = Policy::of(&self.main, folder)?.violations(service, old.get(name, &[]));
        if violations.is_empty() { Ok(()) } else { Err(Rejection::of_violations(violations, name, preset)) }
    }
}

/// Checks that a draft reads no file that the configuration does not read, other than the secrets of the managed folder: a second
/// check beside [`Policy`], of what was read in fact.
fn ensure_no_other_files(
    files: &[WatchedFile],
    folder: &ManagedFolder,
    before: &[WatchedFile],
) -> Result<(), Rejection> {
    let is_of_service = |file: &&WatchedFile| matches!(file.kind(), FileKind::Secret | FileKind::Certificate);
    let is_other = |file: &&WatchedFile| {
        !folder.has_secret(file.path()) && !before.iter().any(|known| known.path() == file.path())
    };
    match files.iter().filter(is_of_service).find(is_other) {
        None => Ok(()),
        Some(file) => {
            let message = format!("the file {} cannot be chosen here", file.path().display());
            Err(Rejection::Mistakes(vec![Mistake {
                field: None,
                file: None,
                line: None,
                path: None,
                message,
            }]))
        }
    }
}
