//! What the file system says of a file without opening it, so that a file that has not changed is not read again.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that was changed in this time has no stamp: the clock of a file system may stand still between two changes.
const UNSETTLED_TIME: Duration = Duration::from_secs(2);

/// The types in statfs(2) of file systems that set the time of a change themselves, at once and for all who read: ext2 to ext4, XFS,
/// Btrfs, F2FS, tmpfs and overlayfs. Others, such as those of a network, may answer with what they knew before.
const LOCAL_TYPES: [i64; 6] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994, 0x794C_7630];

/// Names the content of a file: while a file has the same stamp, it has the same content.
///
/// The time of the last change of the inode, which no program can set, is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Reads the stamps of files.
#[derive(Default)]
pub struct Stamps {
    /// The file systems that were asked for their type, by device, and whether they are local.
    devices: HashMap<u64, bool>,
}

impl Stamps {
    /// The stamp of a file; `None` if it cannot be read, is no regular file, was changed a moment ago, or is in a file system whose
    /// answer does not say enough.
    pub fn of(&mut self, path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        let is_local = || {
            // The type is narrower on some platforms.
            #[allow(clippy::unnecessary_cast, clippy::cast_lossless, clippy::allow_attributes)]
            rustix::fs::statfs(path).is_ok_and(|found| LOCAL_TYPES.contains(&(found.f_type as i64)))
        };
        let is_local = *self.devices.entry(metadata.dev()).or_insert_with(is_local);
        (cfg!(target_os = "linux") && is_local && is_settled(&metadata, SystemTime::now())).then(|| Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Whether the last change was long enough before `now`. A change in the future is not: a clock was set.
fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    let Ok(seconds) = u64::try_from(metadata.ctime()) else { return false };
    let nanos = u32::try_from(metadata.ctime_nsec()).unwrap_or_default();
    let changed = UNIX_EPOCH + Duration::new(seconds, nanos);
    now.duration_since(changed).is_ok_and(|age| age > UNSETTLED_TIME)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn file_that_was_just_changed_has_no_stamp() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Stamps::default().of(file.path()), None);
        let metadata = file.as_file().metadata().unwrap();
        let later = |seconds| SystemTime::now() + Duration::from_secs(seconds);
        assert!(!is_settled(&metadata, later(1)) && is_settled(&metadata, later(3)));
        assert!(!is_settled(&metadata, UNIX_EPOCH + Duration::from_secs(1)), "a clock that was set back");
    }

    #[test]
    fn only_a_regular_file_of_a_local_file_system_has_a_stamp() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let stamp = Stamps::default().of(&source);
        assert!(stamp.is_some(), "it was there before this program was built");
        assert_eq!(stamp, Stamps::default().of(&source));
        for path in ["/proc/self/status", "/dev/null", "/", "/missing"] {
            assert_eq!(Stamps::default().of(Path::new(path)), None, "{path}");
        }
    }
}
