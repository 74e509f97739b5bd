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
    let mode = metadata.mode();
    let group = mode & GROUP_WRITE != 0 && metadata.gid() != getegid().as_raw() && metadata.gid() != 0;
    mode & STICKY == 0 && (mode & OTHERS_WRITE != 0 || group)
}

/// The owner of a file or a folder, if it is neither this user nor root: an owner can change it whatever its mode is.
pub(crate) fn other_owner(metadata: &Metadata) -> Option<u32> {
    let owner = metadata.uid();
    let is_trusted = owner == geteuid().as_raw() || owner == 0;
    // In a container without root's rights that is the real root, or a user that no process in it can be.
    let is_outside = || owner == OVERFLOW_USER && is_in_user_namespace();
    (!is_trusted && !is_outside()).then_some(owner)
}

fn is_in_user_namespace() -> bool {
    let map = read_file(Path::new("/proc/self/uid_map"), MAX_MAP_BYTES).unwrap_or_default();
    let words = map.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    !map.is_empty() && words.ne([&b"0"[..], b"0", b"4294967295"])
}
