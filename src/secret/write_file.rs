//! Writes files so that they are complete, or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Writes a new file with a mode. It is complete and on disk when this returns.
///
/// # Errors
///
/// If the file exists, or cannot be written. Nothing is left of it then.
pub fn write_new_file(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    complete(&mut file, path, bytes)
}

/// Replaces the content of a file that exists, atomically: a reader finds the old content or the new one. Mode and owner stay.
///
/// # Errors
///
/// If a new file cannot be written in the same folder, or cannot get the owner of the old one. The old file is unchanged then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = fs::metadata(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:08x}.new", fastrand::u32(..)));
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = keep_owner(&file, &old)
        .and_then(|()| complete(&mut file, &new, bytes))
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| {
            File::open(path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new(".")))?
                .sync_all()
        });
    written.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

fn keep_owner(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
}

fn complete(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn new_file_has_its_mode_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new_file(&path, 0o600, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(write_new_file(&path, 0o600, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn replaced_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new_file(&path, 0o640, b"one").unwrap();
        let before = fs::metadata(&path).unwrap();
        replace_file(&path, b"two").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
        assert_ne!(before.ino(), after.ino());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace_file(&dir.path().join("none"), b"x").is_err());
    }
}
