//! Files for secrets that are typed. They are removed if nothing comes of the change.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_yaml::Value;

use crate::config::edit::entry;
use crate::secret::{ensure_safe_folder, write_new_file};

/// Files that were created.
pub(super) struct NewSecrets {
    folder: PathBuf,
    created: Vec<PathBuf>,
}

impl NewSecrets {
    /// New files go to this folder, which is created if it does not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, created: Vec::new() }
    }

    /// Writes a secret to a new file, which only its owner can read. Returns its place, as the services file has it.
    pub(super) fn write(&mut self, name: &str, secret: &str) -> anyhow::Result<Value> {
        self.create_folder()?;
        let path = self.folder.join(name);
        if path.symlink_metadata().is_ok() {
            bail!("{} exists; `file:{}` uses it as it is", path.display(), path.display());
        }
        write_new_file(&path, 0o600, secret.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.created.push(path.clone());
        Ok(file_source(&path))
    }

    /// The files that were created stay.
    pub(super) fn keep(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.created)
    }

    fn create_folder(&self) -> anyhow::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(error).with_context(|| format!("cannot create the folder {}", self.folder.display()))
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

/// `{ file: PATH }`
pub(super) fn file_source(path: &Path) -> Value {
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
