//! Who can change a file or replace the files in a folder: one rule for the warnings of `check` and for the folders that the
//! program writes to.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{getegid, geteuid};

use super::file::read_file;

/// The group may write.
pub(crate) const GROUP_WRITE: u32 = 0o020;
/// Every user may write.
pub(crate) const OTHERS_WRITE: u32 = 0o002;
/// Only the owner of a file may rename or delete it.
const STICKY: u32 = 0o1000;
/// The user that files of users outside a user namespace seem to belong to.
const OVERFLOW_USER: u32 = 65_534;
/// The limit on the map of users of a user namespace, in bytes.
const MAX_MAP_BYTES: usize = 4096;

/// Whether other users can replace the files in a folder by its mode. The group of this process and that of root are not
/// other users: many systems give each user a private group.
pub(crate) fn is_open_folder(metadata: &Metadata) -> bool {
    is_open(metadata.mode(), metadata.gid(), getegid().as_raw())
}

fn is_open(mode: u32, group: u32, own_group: u32) -> bool {
    let is_other_group = group != own_group && group != 0;
    mode & STICKY == 0 && (mode & OTHERS_WRITE != 0 || mode & GROUP_WRITE != 0 && is_other_group)
}

/// The owner of a file or a folder, if it is neither this user nor root: an owner can change it whatever its mode is.
pub(crate) fn other_owner(metadata: &Metadata) -> Option<u32> {
    let owner = metadata.uid();
    let is_trusted = owner == geteuid().as_raw() || owner == 0;
    // In a container without root's rights that is the real root, or a user that no process in it can be.
    let is_outside = || {
        let map = read_file(Path::new("/proc/self/uid_map"), MAX_MAP_BYTES).unwrap_or_default();
        owner == OVERFLOW_USER && is_user_namespace(&map)
    };
    (!is_trusted && !is_outside()).then_some(owner)
}

/// Whether a map of users (user_namespaces(7)) is that of a user namespace, and not of the machine.
fn is_user_namespace(map: &[u8]) -> bool {
    let words = map.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    !map.is_empty() && words.ne([&b"0"[..], b"0", b"4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_open_to_other_groups_and_others() {
        for (mode, group, expected) in [
            (0o770, 1000, true),
            (0o775, 1000, true),
            (0o770, 7, false),
            (0o775, 0, false),
            (0o757, 7, true),
            (0o777, 0, true),
            (0o1777, 1000, false),
            (0o1770, 1000, false),
            (0o750, 1000, false),
        ] {
            assert_eq!(is_open(mode, group, 7), expected, "{mode:o} {group}");
        }
    }

    #[test]
    fn user_namespace_is_told_by_its_map() {
        assert!(!is_user_namespace(b"         0          0 4294967295\n") && !is_user_namespace(b""));
        assert!(is_user_namespace(b"         0       1000          1\n"));
    }
}
