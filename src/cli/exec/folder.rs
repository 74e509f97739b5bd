//! The private folder of a command: certificates that it trusts. Nothing in it is secret.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::secret::write_new_file;

/// A folder that only this user can enter. It is removed when this is dropped.
pub(super) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Creates it among the temporary files.
    pub(super) fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("sidekey-exec-{:016x}", fastrand::u64(..)));
        // Fails if anything has that name, a symbolic link included.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Writes a file that did not exist.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        if let Some(folder) = path.parent().filter(|folder| *folder != self.0) {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        write_new_file(&path, 0o600, content)?;
        Ok(path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn private_folder_is_removed_with_everything_in_it() {
        let folder = PrivateFolder::create().unwrap();
        let path = folder.0.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let file = folder.write("a/b", b"c").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(folder.write("a/b", b"c").is_err());
        drop(folder);
        assert!(!path.exists());
    }
}
