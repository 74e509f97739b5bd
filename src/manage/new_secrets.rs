//! Files for secrets that are typed. They are removed if nothing comes of the change.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::error::ManageError;
use crate::config::edit::entry;
use crate::secret::{ensure_safe_folder, write_new_file};

/// Files that were created.
pub struct NewSecrets {
    folder: PathBuf,
    created: Vec<PathBuf>,
}

impl NewSecrets {
    /// New files go to this folder, which is created if it does not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, created: Vec::new() }
    }

    /// Writes a secret to a new file, which only its owner can read. Returns its place, as the services file has it.
    pub fn write(&mut self, name: &str, secret: &str) -> Result<Value, ManageError> {
        self.create_folder()?;
        let path = self.folder.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(ManageError::SecretExists(path));
        }
        write_new_file(&path, 0o600, secret.as_bytes())
            .map_err(|error| ManageError::Write { path: path.clone(), error })?;
        self.created.push(path.clone());
        Ok(file_source(&path))
    }

    /// The files that were created stay.
    pub fn keep(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.created)
    }

    fn create_folder(&self) -> Result<(), ManageError> {
        match fs::DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(ManageError::Write { path: self.folder.clone(), error })
            }
            _ => Ok(ensure_safe_folder(&self.folder)?),
        }
    }
}

impl Drop for NewSecrets {
    fn drop(&mut self) {
        for path in &self.created {
            let _ = fs::remove_file(path);
        }
        // Only if it is empty.
        if !self.created.is_empty() {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// The name of the file of a service's secret. `key` is the name of the secret, or the path of its key in the service.
pub fn secret_file_name(service: &str, key: &str) -> String {
    format!("{service}-{}", key.trim_start_matches("auth.").replace(['.', '_'], "-"))
}

/// `{ file: PATH }`
pub fn file_source(path: &Path) -> Value {
    let path = path.display().to_string().replace("${", "$${");
    entry("file", path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn secret_files_are_private_and_removed_unless_they_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("secrets");
        let mut secrets = NewSecrets::new(folder.clone());
        let source = secrets.write("a-token", "s").unwrap();
        assert_eq!(source["file"], folder.join("a-token").display().to_string());
        assert_eq!(fs::metadata(folder.join("a-token")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert!(secrets.write("a-token", "t").unwrap_err().to_string().contains("exists"));
        drop(secrets);
        assert!(!folder.exists());
        let mut secrets = NewSecrets::new(folder.clone());
        secrets.write("a-token", "s").unwrap();
        assert_eq!(secrets.keep(), [folder.join("a-token")]);
        assert_eq!(fs::read(folder.join("a-token")).unwrap(), b"s");
    }
}
