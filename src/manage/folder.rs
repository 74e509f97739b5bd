//! The managed folder: one file for each service that was added there, and the secrets that were typed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::ManageError;

/// The name of the folder of typed secrets in it.
const SECRETS: &str = "secrets";
/// Longest name of a service.
const MAX_NAME: usize = 63;
/// Largest number that is added to the name of a secret's file.
const MAX_NUMBER: u32 = 1000;

/// The folder that the configuration names in `admin.manage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedFolder {
    /// Its path, as it was named.
    pub path: PathBuf,
}

impl ManagedFolder {
    /// The file of a new service. A name that is none of a service leads to no file.
    pub fn file_of(&self, service: &str) -> Option<PathBuf> {
        is_name(service).then(|| self.path.join(format!("{service}.yaml")))
    }

    /// The folder of typed secrets.
    pub fn secrets(&self) -> PathBuf {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        path.join(SECRETS)
    }

    /// Whether a file is directly in the folder, and no link.
    pub fn has(&self, file: &Path) -> bool {
        let is_file = file.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        let parent = file.parent().and_then(|parent| parent.canonicalize().ok());
        is_file && parent.is_some() && parent == self.path.canonicalize().ok()
    }

    /// Whether a path leads to a file of a secret here.
    pub fn has_secret(&self, path: &Path) -> bool {
        path.parent() == Some(&*self.secrets()) && path.file_name().is_some()
    }

    /// A path for a new secret, at which there is nothing.
    ///
    /// # Errors
    ///
    /// If the folder of secrets is none, or a thousand secrets have such names.
    pub fn free_secret(&self, name: &str) -> Result<PathBuf, ManageError> {
        let folder = self.secrets();
        let unusable =
            |text: &str| ManageError::Write { path: folder.clone(), error: io::Error::other(text) };
        if folder.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(unusable("it is not a folder"));
        }
        let names = (1..MAX_NUMBER).map(|number| match number {
            1 => name.to_owned(),
            _ => format!("{name}-{number}"),
        });
        let mut paths = names.map(|name| folder.join(name));
        let free = paths.find(|path| {
            fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        });
        free.ok_or_else(|| unusable("too many secrets have the same name, or it cannot be read"))
    }
}

/// Whether a text is the name of a service. Such a name leads out of no folder.
fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.len() <= MAX_NAME
        && text.bytes().all(is_allowed)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn name_leads_out_of_no_folder() {
        let folder = ManagedFolder { path: "/m".into() };
        assert_eq!(folder.file_of("a.b-c_9"), Some("/m/a.b-c_9.yaml".into()));
        let long = "a".repeat(64);
        for name in ["", ".", "..", ".a", "-a", "a/b", "../a", "a\0", "a b", "é", "a\n", &long] {
            assert_eq!(folder.file_of(name), None, "{name:?}");
        }
    }

    #[test]
    fn link_is_no_file_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside.yaml"));
        fs::create_dir(&inside).unwrap();
        fs::write(&outside, "").unwrap();
        fs::write(inside.join("a.yaml"), "").unwrap();
        symlink(&outside, inside.join("b.yaml")).unwrap();
        let folder = ManagedFolder { path: inside.clone() };
        assert!(folder.has(&inside.join("a.yaml")) && folder.has(&inside.join("../inside/a.yaml")));
        for other in [inside.join("b.yaml"), inside.join("c.yaml"), outside, inside.join("../outside.yaml")] {
            assert!(!folder.has(&other), "{}", other.display());
        }
    }

    #[test]
    fn new_secret_takes_the_place_of_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ManagedFolder { path: dir.path().to_owned() };
        let secrets = folder.secrets();
        assert_eq!(folder.free_secret("a").unwrap(), secrets.join("a"));
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("a"), "").unwrap();
        symlink("nowhere", secrets.join("a-2")).unwrap();
        assert_eq!(folder.free_secret("a").unwrap(), secrets.join("a-3"));
        assert!(folder.has_secret(&secrets.join("a")));
        for path in [&secrets, &secrets.join("../a"), &secrets.join("b/a"), Path::new("/etc/passwd")] {
            assert!(!folder.has_secret(path), "{}", path.display());
        }
        fs::remove_dir_all(&secrets).unwrap();
        symlink("/tmp", &secrets).unwrap();
        assert!(folder.free_secret("a").is_err());
    }
}
