//! The services file that a command changes.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::ManageError;
use crate::config::edit::{EditError, ServicesText};
use crate::config::{Config, Draft, read_services_file};
use crate::credential::READERS;
use crate::secret::{SecretCache, ensure_safe_folder, replace_file, write_new_file};

/// Mode of a services file that is created. There should be no secret in it.
const MODE: u32 = 0o644;

/// The file of services that a command changes, as it was read: the main file, or one that it includes.
pub struct ServicesFile {
    /// Its path, as the operator named it or `include` leads to it.
    pub path: PathBuf,
    /// The main file.
    pub main: PathBuf,
    /// The file itself, if the path is a link to it.
    target: PathBuf,
    /// `None` if the file does not exist yet.
    text: Option<Zeroizing<String>>,
}

impl ServicesFile {
    /// Reads the file in which a service stands: the main file, or one that it includes.
    pub fn of_service(main: &Path, name: &str) -> Result<Self, ManageError> {
        let file = Self::open(main)?;
        if file.has(name) {
            return Ok(file);
        }
        let paths = Config::file_paths(main)?;
        // A file that is no YAML has no service that could be changed.
        for path in paths.iter().skip(1) {
            let included = Self { main: main.to_owned(), ..Self::open(path)? };
            if included.has(name) {
                return Ok(included);
            }
        }
        Err(ManageError::NoService(match paths.len() - 1 {
            0 => format!("{}: it has no service `{name}`", main.display()),
            included => format!(
                "neither {} nor {} that it includes has a service `{name}`",
                main.display(),
                if included == 1 { "the file".into() } else { format!("any of the {included} files") }
            ),
        }))
    }

    /// Reads a file that the main file includes, or would include if it existed.
    pub fn included(main: &Path, path: &Path) -> Result<Self, ManageError> {
        let file = Self { main: main.to_owned(), ..Self::open_or_new(path)? };
        let Ok(real) = path.canonicalize() else { return Ok(file) };
        // Named as it is in messages about the configuration.
        let paths = Config::file_paths(main)?;
        match paths.into_iter().find(|path| path.canonicalize().is_ok_and(|path| path == real)) {
            Some(path) => Ok(Self { path, ..file }),
            None => Err(ManageError::NotIncluded { main: main.to_owned(), file: path.to_owned() }),
        }
    }

    /// Reads the main file.
    pub fn open(path: &Path) -> Result<Self, ManageError> {
        let file = Self::open_or_new(path)?;
        if file.text.is_none() {
            return Err(ManageError::NoFile(path.to_owned()));
        }
        Ok(file)
    }

    /// Reads the main file. It need not exist.
    pub fn open_or_new(path: &Path) -> Result<Self, ManageError> {
        if path == Path::new("-") {
            return Err(ManageError::StandardInput);
        }
        let target = match path.canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {
                return Ok(Self {
                    path: path.to_owned(),
                    main: path.to_owned(),
                    target: path.to_owned(),
                    text: None,
                });
            }
            Err(error) => return Err(ManageError::Read { path: path.to_owned(), error }),
        };
        let text = read_services_file(&target)?;
        Ok(Self { path: path.to_owned(), main: path.to_owned(), target, text: Some(text) })
    }

    /// What it had when it was read; empty if it did not exist.
    pub fn text(&self) -> &str {
        self.text.as_ref().map_or("", |text| text.as_str())
    }

    /// Its services.
    ///
    /// # Errors
    ///
    /// If it is no YAML mapping.
    pub fn services(&self) -> Result<ServicesText<'_>, ManageError> {
        ServicesText::parse(self.text()).map_err(|error| self.edit_error(error))
    }

    /// Why its text cannot be changed.
    pub fn edit_error(&self, error: EditError) -> ManageError {
        ManageError::Edit { path: self.path.clone(), error }
    }

    /// The change to another text.
    pub fn draft<'d>(&'d self, new: &'d str) -> Draft<'d> {
        Draft { file: &self.path, old: self.text.as_ref().map(|text| text.as_str()), new }
    }

    /// The configuration as it is; `None` if it cannot be used.
    pub(super) fn configuration(&self, secrets: &SecretCache) -> Option<Config> {
        Config::load_draft(&self.main, &self.draft(self.text()), secrets, READERS).ok()
    }

    /// The configuration as it is, of which no secret is read; `None` if it cannot be used.
    pub(super) fn configuration_without_secrets(&self) -> Option<Config> {
        self.configuration(&SecretCache::with_placeholders())
    }

    /// The folder that it is in.
    pub fn folder(&self) -> PathBuf {
        let folder = self.target.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
    }

    /// Whether it has this service.
    pub fn has(&self, service: &str) -> bool {
        ServicesText::parse(self.text()).is_ok_and(|services| services.names().contains(&service))
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.text.is_some()
    }

    /// Removes the file. It must be as it was when it was read.
    pub fn remove(&self) -> Result<(), ManageError> {
        ensure_safe_folder(&self.folder())?;
        self.ensure_unchanged()?;
        std::fs::remove_file(&self.target)
            .map_err(|error| ManageError::Write { path: self.path.clone(), error })
    }

    fn ensure_unchanged(&self) -> Result<(), ManageError> {
        let is_same = match &self.text {
            Some(old) => *read_services_file(&self.target)? == **old,
            None => self.target.symlink_metadata().is_err(),
        };
        if is_same { Ok(()) } else { Err(ManageError::Changed(self.path.clone())) }
    }

    /// Writes the file, complete or not at all. It must be as it was when it was read.
    pub fn write(&self, text: &str) -> Result<(), ManageError> {
        let cannot = |error| ManageError::Write { path: self.path.clone(), error };
        ensure_safe_folder(&self.folder())?;
        self.ensure_unchanged()?;
        if self.text.is_none() {
            return write_new_file(&self.target, MODE, text.as_bytes()).map_err(cannot);
        }
        replace_file(&self.target, text.as_bytes()).map_err(cannot)
    }
}
