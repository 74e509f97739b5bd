//! The files that a configuration was read from. A change is detected by content, because Kubernetes replaces
//! a symlink two folders above the file, and editors write a new file under the old name.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::include;
use crate::secret::read_file;

/// Largest file, in bytes: no file of a configuration may be larger.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A file and a fingerprint of its content.
#[derive(Clone, PartialEq, Eq)]
pub struct WatchedFile {
    path: PathBuf,
    kind: FileKind,
    content: Option<u64>,
}

/// Without the path: it may be a secret in the wrong place.
impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFile").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// The configuration itself.
    Config,
    /// A path of `include`: the names of the files that it leads to.
    Include,
    /// A secret.
    Secret,
    /// A certificate, a private key, or root certificates.
    Certificate,
}

impl WatchedFile {
    /// Takes the fingerprint of a file. Called before the file is read, so that a change in between is found
    /// by the next scan.
    pub(super) fn fingerprint(path: &Path, kind: FileKind) -> Self {
        let content = if kind == FileKind::Include { names_hash(path) } else { content_hash(path) };
        Self { path: path.to_owned(), kind, content }
    }

    /// Takes the fingerprint again.
    #[must_use]
    pub fn rescan(&self) -> Self {
        Self::fingerprint(&self.path, self.kind)
    }

    /// These files, and those of the others that are not among them.
    #[must_use]
    pub fn union(mut these: Vec<Self>, others: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut known: HashSet<_> = these.iter().map(|this| (this.path.clone(), this.kind)).collect();
        for other in others {
            if known.insert((other.path.clone(), other.kind)) {
                these.push(other);
            }
        }
        these
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its kind.
    pub fn kind(&self) -> FileKind {
        self.kind
    }
}

/// The hash of a file's content; `None` if the file cannot be read.
fn content_hash(path: &Path) -> Option<u64> {
    let content = read_file(path, MAX_BYTES).ok()?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    Some(hasher.finish())
}

/// The hash of the names that a path of `include` leads to; `None` if they cannot be listed.
fn names_hash(path: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    include::files(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fingerprint_depends_on_content_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let missing = WatchedFile::fingerprint(&path, FileKind::Secret);
        assert_eq!(missing.rescan(), missing);
        std::fs::write(&path, "one").unwrap();
        let one = missing.rescan();
        assert_ne!(one, missing);
        std::fs::write(dir.path().join("new"), "one").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(one.rescan(), one, "another file with the same content");
        std::fs::write(&path, "").unwrap();
        assert_ne!(one.rescan(), one);
        assert_ne!(one.rescan(), missing);
    }

    #[test]
    fn fingerprint_of_a_device_is_none() {
        assert_eq!(WatchedFile::fingerprint(Path::new("/dev/null"), FileKind::Config).content, None);
    }
}
