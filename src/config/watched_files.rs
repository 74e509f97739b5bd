//! The files that a configuration was read from. A change is detected by content, because Kubernetes replaces
//! a symlink two folders above the file, and editors write a new file under the old name. A file with the same
//! stamp ([`Stamp`]) has the same content, and is not read for that.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::include;
use crate::secret::{Stamp, Stamps, in_time, read_stamped};

/// Largest file, in bytes: no file of a configuration may be larger.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A file and a fingerprint of its content.
#[derive(Clone)]
pub struct WatchedFile {
    path: PathBuf,
    kind: FileKind,
    content: Option<u64>,
    /// The stamp that it had when the fingerprint was taken.
    stamp: Option<Stamp>,
}

/// Compares what is there, whatever the stamp is.
impl PartialEq for WatchedFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.kind, self.content) == (&other.path, other.kind, other.content)
    }
}

impl Eq for WatchedFile {}

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
        let (stamp, content) =
            if kind == FileKind::Include { (None, names_hash(path)) } else { content_hash(path) };
        Self { path: path.to_owned(), kind, content, stamp }
    }

    /// Takes the fingerprint again.
    #[must_use]
    pub fn rescan(&self) -> Self {
        Self::fingerprint(&self.path, self.kind)
    }

    /// Takes all of these fingerprints again. A file that has the same stamp is not read.
    #[must_use]
    pub fn rescan_all(files: &[Self]) -> Vec<Self> {
        let mut folders: HashMap<&Path, Vec<(PathBuf, Stamp)>> = HashMap::new();
        for file in files {
            if let Some(stamp) = file.stamp {
                let folder = file.path.parent().unwrap_or(Path::new("/"));
                folders.entry(folder).or_default().push((file.path.clone(), stamp));
            }
        }
        // Reading what could not be examined says what is wrong.
        let unchanged = |(folder, files)| in_time(folder, |_| with_same_stamp(files)).unwrap_or_default();
        let unchanged: HashSet<_> = folders.into_iter().flat_map(unchanged).collect();
        let is_unchanged =
            |file: &Self| file.stamp.is_some_and(|stamp| unchanged.contains(&(file.path.clone(), stamp)));
        files.iter().map(|file| if is_unchanged(file) { file.clone() } else { file.rescan() }).collect()
    }

    /// Whether all files of a kind in `now` are in `before`, with the same content.
    pub fn has_all(before: &[Self], now: &[Self], kind: FileKind) -> bool {
        let of_kind = |file: &&Self| file.kind == kind;
        let known: HashSet<_> =
            before.iter().filter(of_kind).map(|file| (&file.path, file.content)).collect();
        now.iter().filter(of_kind).all(|file| known.contains(&(&file.path, file.content)))
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

    /// The stamp that it had when the fingerprint was taken.
    pub fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Its kind.
    pub fn kind(&self) -> FileKind {
        self.kind
    }
}

/// The stamp of a file, and the hash of its content; `None` if the file cannot be read.
fn content_hash(path: &Path) -> (Option<Stamp>, Option<u64>) {
    let (stamp, content) = read_stamped(path, MAX_BYTES);
    let hash = |content: &[u8]| {
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        hasher.finish()
    };
    (stamp, content.ok().map(|content| hash(&content)))
}

/// Those of these files that have the stamp beside them.
fn with_same_stamp(files: Vec<(PathBuf, Stamp)>) -> Vec<(PathBuf, Stamp)> {
    let mut stamps = Stamps::default();
    files.into_iter().filter(|(path, stamp)| stamps.of(path) == Some(*stamp)).collect()
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
    fn all_files_are_scanned_as_each_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["same", "changed", "removed"] {
            std::fs::write(at(name), "one").unwrap();
        }
        let scan = |name| WatchedFile::fingerprint(&at(name), FileKind::Secret);
        let before = ["same", "changed", "removed", "missing"].map(scan);
        std::fs::write(at("changed"), "two").unwrap();
        std::fs::remove_file(at("removed")).unwrap();
        let now = WatchedFile::rescan_all(&before);
        assert_eq!(now, before.iter().map(WatchedFile::rescan).collect::<Vec<_>>());
        let is_same: Vec<_> = now.iter().zip(&before).map(|(now, before)| now == before).collect();
        assert_eq!(is_same, [true, false, false, true]);
        assert!(WatchedFile::has_all(&before, &now[..1], FileKind::Secret));
        assert!(!WatchedFile::has_all(&before, &now, FileKind::Secret));
        assert!(WatchedFile::has_all(&before, &now, FileKind::Certificate), "of another kind");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_with_the_same_stamp_is_not_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let file = WatchedFile::fingerprint(&path, FileKind::Config);
        // What was never read from it.
        let marked = WatchedFile { content: Some(1), ..file.clone() };
        assert_eq!(WatchedFile::rescan_all(std::slice::from_ref(&marked)), std::slice::from_ref(&marked));
        let other = Stamps::default().of(&path.with_file_name("Cargo.lock"));
        let replaced = WatchedFile { stamp: other, ..marked.clone() };
        assert_eq!(WatchedFile::rescan_all(&[replaced, marked.clone()]), [file, marked]);
    }

    #[test]
    fn fingerprint_of_a_device_is_none() {
        assert_eq!(WatchedFile::fingerprint(Path::new("/dev/null"), FileKind::Config).content, None);
    }
}
