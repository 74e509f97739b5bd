//! A change through the admin API that is to be tested and written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::ManageError;
use super::folder::ManagedFolder;
use super::new_secrets::NewSecrets;
use super::secret_files::secret_files;
use super::services_file::ServicesFile;
use crate::config::edit::ServicesText;
use crate::config::{Config, read_services_file};

/// A secret that was typed, and the new file that it gets.
pub(super) struct Typed {
    pub(super) path: PathBuf,
    pub(super) text: Zeroizing<String>,
}

/// A change that results in a valid configuration.
pub struct Draft {
    /// The service.
    pub service: String,
    /// The lines that differ, without secrets in plain text.
    pub changed_lines: String,
    /// The lines of the service after the change, without secrets in plain text; `None` if it is removed.
    pub lines: Option<String>,
    /// The path to test with; `None` if the API of the preset has none that needs no resource.
    pub test_path: Option<String>,
    /// Whether the change calls for a test of the service.
    pub is_tested: bool,
    /// Names the text of the file that the change was made for.
    pub revision: String,
    /// The configuration as it would be.
    pub config: Config,
    /// The managed folder, if the file is one of it.
    pub(super) folder: Option<ManagedFolder>,
    /// The file.
    pub(super) file: ServicesFile,
    pub(super) text: Zeroizing<String>,
    pub(super) typed: Vec<Typed>,
}

/// What a change has written.
pub struct Written {
    /// New files of secrets.
    pub secrets: Vec<PathBuf>,
    /// Files of secrets that no service uses any more, and which are still there.
    pub unused: Vec<String>,
}

impl Draft {
    /// The file that is changed.
    pub fn file(&self) -> &Path {
        &self.file.path
    }

    /// The main file.
    pub fn main(&self) -> &Path {
        &self.file.main
    }

    /// Whether it can be written: whether the file is one of the managed folder.
    pub fn is_managed(&self) -> bool {
        self.folder.is_some()
    }

    /// Whether the file stays as it is.
    pub fn is_empty(&self) -> bool {
        *self.text == self.file.text()
    }

    /// Writes the secrets that were typed, and then the file. If the file cannot be written, the secrets are removed.
    ///
    /// # Errors
    ///
    /// If the file was changed in the meantime, or something cannot be written; or if the file is not one of the managed folder.
    pub fn write(&self) -> Result<Written, ManageError> {
        let Some(folder) = &self.folder else { return Err(ManageError::NotManaged(self.file.path.clone())) };
        let mut secrets = NewSecrets::new(folder.secrets());
        for Typed { path, text } in &self.typed {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            secrets.write(&name, text)?;
        }
        if self.is_last_service() { self.file.remove() } else { self.file.write(&self.text) }?;
        Ok(Written { secrets: secrets.keep(), unused: self.unused() })
    }

    /// Whether the file has nothing left but a mapping of services that is empty.
    fn is_last_service(&self) -> bool {
        let Ok(services) = ServicesText::parse(&self.text) else { return false };
        let keys = services.value().as_mapping().map_or(0, serde_yaml::Mapping::len);
        keys == 1 && services.names().is_empty() && self.file.exists()
    }

    /// Files of secrets that the text had and that no file of the configuration has now.
    fn unused(&self) -> Vec<String> {
        let of_text = |text: &str| {
            ServicesText::parse(text).map(|services| secret_files(services.value())).unwrap_or_default()
        };
        let mut used = BTreeSet::new();
        for path in Config::file_paths(&self.file.main).unwrap_or_default() {
            used.append(&mut read_services_file(&path).map(|text| of_text(&text)).unwrap_or_default());
        }
        of_text(self.file.text()).into_iter().filter(|path| !used.contains(path)).collect()
    }
}
