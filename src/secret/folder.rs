//! Folders that the program writes to. Whoever can write to a folder can replace the files in it, whatever
//! their own modes are.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::ownership::is_open_folder;

/// Why a folder is not written to. The text names the folder and the command that changes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// The folder belongs to another user.
    #[error(
        "the folder {} belongs to user {owner}, and this process runs as user {own}; run it as user {owner}, or \
         `chown {own} {}`", dir.display(), quoted(dir)
    )]
    OtherOwner {
        /// The folder.
        dir: PathBuf,
        /// The user that it belongs to.
        owner: u32,
        /// The user of this process.
        own: u32,
    },
    /// Other users may replace its files.
    #[error("other users of this machine may write to the folder {} (its mode is {mode:04o}); `chmod go-w {}`", dir.display(), quoted(dir))]
    Writable {
        /// The folder.
        dir: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Other users may enter it.
    #[error(
        "other users of this machine may enter the folder {} (its mode is {mode:03o}); `chmod 700 {}`, or name a folder \
         inside it that is not there yet: Sidekey makes its own", dir.display(), quoted(dir)
    )]
    Open {
        /// The folder.
        dir: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// Checks that a folder belongs to this user, and that no other one may enter it.
pub fn ensure_private_folder(dir: &Path, metadata: &Metadata) -> Result<(), FolderError> {
    ensure_owner(dir, metadata, &[geteuid().as_raw()])?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::Open { dir: dir.to_owned(), mode });
    }
    Ok(())
}

/// Checks that a folder belongs to this user or to root, and that others may not replace files in it. A
/// folder that cannot be examined is not an error of this function: writing to it fails.
pub fn ensure_safe_folder(dir: &Path) -> Result<(), FolderError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let Ok(metadata) = fs::metadata(dir) else { return Ok(()) };
    ensure_owner(dir, &metadata, &[geteuid().as_raw(), 0])?;
    if is_open_folder(&metadata) {
        return Err(FolderError::Writable { dir: dir.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    Ok(())
}

fn ensure_owner(dir: &Path, metadata: &Metadata, allowed: &[u32]) -> Result<(), FolderError> {
    let owner = metadata.uid();
    if allowed.contains(&owner) {
        return Ok(());
    }
    Err(FolderError::OtherOwner { dir: dir.to_owned(), owner, own: geteuid().as_raw() })
}

/// A path for a shell: in quotes if it has other characters than usual.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    fn folder(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn private_folder_is_closed_to_others() {
        let ensure =
            |dir: &tempfile::TempDir| ensure_private_folder(dir.path(), &fs::metadata(dir.path()).unwrap());
        assert_eq!(ensure(&folder(0o700)), Ok(()));
        for mode in [0o750, 0o701, 0o707, 0o1777, 0o770] {
            let dir = folder(mode);
            let error = ensure(&dir).unwrap_err().to_string();
            assert!(error.contains(&format!("`chmod 700 {}`", dir.path().display())), "{error}");
        }
    }

    #[test]
    fn files_of_a_safe_folder_are_not_replaced_by_others() {
        for (mode, is_safe) in [(0o700, true), (0o755, true), (0o1777, true), (0o777, false), (0o703, false)]
        {
            let dir = folder(mode);
            assert_eq!(ensure_safe_folder(dir.path()).is_ok(), is_safe, "{mode:o}");
        }
        // Only root may give a folder to a group that it is no member of.
        if geteuid().is_root() {
            for (mode, is_safe) in [(0o770, false), (0o775, false), (0o1770, true), (0o750, true)] {
                let dir = folder(mode);
                chown(dir.path(), None, Some(12_345)).unwrap();
                assert_eq!(ensure_safe_folder(dir.path()).is_ok(), is_safe, "{mode:o}");
            }
        }
        assert_eq!(ensure_safe_folder(Path::new("/missing/folder")), Ok(()));
    }

    #[test]
    fn folder_of_another_owner_is_named_with_the_command() {
        let dir = folder(0o700);
        // Only root may give a folder away; another user has another owner's folder at hand.
        let path = if geteuid().is_root() {
            chown(dir.path(), Some(12_345), None).unwrap();
            dir.path()
        } else {
            Path::new("/")
        };
        let error = ensure_private_folder(path, &fs::metadata(path).unwrap()).unwrap_err().to_string();
        assert!(error.contains("belongs to user") && error.contains("`chown "), "{error}");
        assert_eq!(ensure_safe_folder(path).is_err(), geteuid().is_root());
    }

    #[test]
    fn path_is_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("/run/a-b_c.1/x")), "/run/a-b_c.1/x");
        assert_eq!(quoted(Path::new("/a b/it's;$(x)")), "'/a b/it'\\''s;$(x)'");
        assert_eq!(quoted(Path::new("/a\nb")), "'/a?b'");
    }
}
