//! Warnings of files of the configuration that other users of the machine can read or change, each with the
//! command that ends it. The owner of a file can change it, and the owner of a folder can replace the files in it.
//!
//! What a platform does on purpose causes no warning:
//!
//! - Kubernetes puts secrets into a volume with a link `..data`, with mode 0644 or, with `fsGroup`, 0440.
//!   Only the containers of the Pod see it.
//! - A read-only tmpfs (Kubernetes, Docker Swarm) is seen by the container alone, and its modes cannot be
//!   changed.
//! - A file of another owner that this process reads as a member of its group (`root:sidekey`, mode 0640) is
//!   readable for that group.
//! - In a folder with the sticky bit, such as `/tmp`, only the owner of a file can replace it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::StatVfsMountFlags;
use rustix::process::{getegid, geteuid, getgroups};

use crate::secret::ownership::{GROUP_WRITE, OTHERS_WRITE, is_open_folder, other_owner};
use crate::secret::{in_time, quoted};

const GROUP_READS: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;
/// Groups below this number are those of the system: `/usr/local` belongs to one on Debian.
const FIRST_GROUP_OF_USERS: u32 = 100;
/// The type of tmpfs in statfs(2).
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// What a file contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A secret or a private key: others may neither read nor change it.
    Secret,
    /// The configuration or a certificate: others may not change it.
    Trusted,
}

/// What is wrong with the modes of a file and of the folders that lead to it. Empty if the file cannot be
/// examined: reading it fails as well.
///
/// `known` has the folders that were examined for files before.
pub(crate) fn of_file(path: &Path, content: Content, known: &KnownFolders) -> Vec<String> {
    let beside = known.of(path);
    let examined = in_time(path, move |path| {
        let file = File::examine(path, &beside)?;
        Ok((file.warnings(path, content), file))
    });
    let Ok((warnings, file)) = examined.and_then(|examined| examined) else { return Vec::new() };
    known.add(path, file);
    warnings
}

/// What is wrong with the folders that lead to a folder: a user who can replace one of them can replace the folder. Empty if it
/// cannot be examined.
pub(crate) fn of_folders_to(dir: &Path) -> Vec<String> {
    let examined = in_time(dir, |dir| File::examine(dir, &[]).map(|dir| dir.warning_of_folder()));
    examined.and_then(|warning| warning).ok().flatten().into_iter().collect()
}

/// What is wrong with the mode of a Unix socket: every user who may write to it can connect. `what` names the socket, such as
/// `the admin socket`. `None` if there is no socket.
pub fn of_socket(what: &str, path: &Path) -> Option<String> {
    let metadata = in_time(path, |path| fs::symlink_metadata(path)).ok()?.ok()?;
    let mode = metadata.mode() & 0o777;
    (metadata.file_type().is_socket() && mode & OTHERS_WRITE != 0).then(|| {
        format!(
            "every user of this machine can use {what} {} (its mode is {mode:04o}); run `chmod 660 {}`, and start Sidekey with a \
             umask such as 0117",
            path.display(),
            quoted(path)
        )
    })
}

/// A file as it was found.
struct File {
    metadata: Metadata,
    /// Whether the path leads to it by a symbolic link of the same name.
    is_link: bool,
    place: Arc<Place>,
}

/// Where a file is.
struct Place {
    /// The folders that lead to it, the nearest first; as configured and as resolved.
    folders: Vec<(PathBuf, Metadata)>,
    is_kubernetes_volume: bool,
    is_read_only_tmpfs: bool,
}

/// The folders that were examined while a configuration is read, so that a thousand files beside each other cost one look.
#[derive(Default)]
pub(crate) struct KnownFolders(RefCell<HashMap<PathBuf, Vec<OfDevice>>>);

/// A place, and its device: a file may be a mount of its own.
type OfDevice = (u64, Arc<Place>);

impl KnownFolders {
    /// What is known of the folder of a file.
    fn of(&self, path: &Path) -> Vec<OfDevice> {
        path.parent().and_then(|folder| self.0.borrow().get(folder).cloned()).unwrap_or_default()
    }

    /// Adds the place of a file. A link leads elsewhere, and says nothing of the files beside it.
    fn add(&self, path: &Path, file: File) {
        let Some(folder) = path.parent().filter(|_| !file.is_link) else { return };
        let (mut known, device) = (self.0.borrow_mut(), file.metadata.dev());
        let known = known.entry(folder.to_owned()).or_default();
        if !known.iter().any(|(of, _)| *of == device) {
            known.push((device, file.place));
        }
    }
}

impl File {
    /// Examines a file. `beside` has what is known of the places of other files in its folder.
    fn examine(path: &Path, beside: &[OfDevice]) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let is_link = metadata.is_symlink();
        let known = beside.iter().find(|(device, _)| !is_link && *device == metadata.dev());
        if let Some((_, place)) = known {
            return Ok(Self { metadata, is_link, place: place.clone() });
        }
        Ok(Self { metadata: fs::metadata(path)?, is_link, place: Arc::new(Place::of(path)?) })
    }
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let real = path.canonicalize()?;
        let link = std::path::absolute(path)?;
        let nearest = link.parent().into_iter().filter(|dir| *dir != real.parent().unwrap_or(dir));
        let folders = real.ancestors().skip(1).chain(nearest);
        let folders = folders.filter_map(|dir| Some((dir.to_owned(), fs::metadata(dir).ok()?))).collect();
        Ok(Self {
            folders,
            is_kubernetes_volume: is_kubernetes_volume(&real),
            is_read_only_tmpfs: is_read_only_tmpfs(&real),
        })
    }
}

impl File {
    fn warnings(&self, path: &Path, content: Content) -> Vec<String> {
        // Words in the arguments of a command may name a folder or a device.
        if self.place.is_read_only_tmpfs || !self.metadata.is_file() {
            return Vec::new();
        }
        let of_file = self.warning_of_owner(path).or_else(|| self.warning_of_file(path, content));
        of_file.into_iter().chain(self.warning_of_folder()).collect()
    }

    fn warning_of_owner(&self, path: &Path) -> Option<String> {
        let owner = other_owner(&self.metadata).filter(|_| !self.place.is_kubernetes_volume)?;
        Some(belongs_to_other("file", path, owner))
    }

    fn warning_of_file(&self, path: &Path, content: Content) -> Option<String> {
        let mode = self.metadata.mode() & 0o777;
        let mut exposed = mode & (GROUP_WRITE | OTHERS_WRITE);
        if content == Content::Secret && !self.place.is_kubernetes_volume {
            exposed |= mode & OTHERS_READ;
            if !self.is_read_as_group() {
                exposed |= mode & GROUP_READS;
            }
        }
        let who = match exposed {
            0 => return None,
            _ if exposed & (OTHERS_READ | OTHERS_WRITE) != 0 => "every user of this machine",
            _ => "every user in the file's group",
        };
        let what = match (exposed & (GROUP_READS | OTHERS_READ), exposed & (GROUP_WRITE | OTHERS_WRITE)) {
            (_, 0) => "read",
            (0, _) => "change",
            _ => "read and change",
        };
        let command = match content {
            Content::Trusted => format!("chmod go-w {}", quoted(path)),
            Content::Secret if self.is_own() || geteuid().is_root() => format!("chmod 600 {}", quoted(path)),
            Content::Secret => {
                let (own, path) = (geteuid().as_raw(), quoted(path));
                format!("chown {own} {path} && chmod 600 {path}")
            }
        };
        Some(format!(
            "{who} can {what} the file {} (its mode is {mode:04o}); run `{command}`",
            path.display()
        ))
    }

    /// The nearest folder in which others can replace the file, or a folder that leads to it.
    fn warning_of_folder(&self) -> Option<String> {
        let is_open = |index: usize, metadata: &Metadata| {
            let is_system =
                index > 0 && metadata.mode() & OTHERS_WRITE == 0 && metadata.gid() < FIRST_GROUP_OF_USERS;
            is_open_folder(metadata) && !is_system
        };
        let of_other = |metadata: &Metadata| {
            let is_told = metadata.uid() == self.metadata.uid();
            other_owner(metadata).filter(|_| !is_told && !self.place.is_kubernetes_volume)
        };
        self.place.folders.iter().enumerate().find_map(|(index, (dir, metadata))| {
            if let Some(owner) = of_other(metadata) {
                return Some(belongs_to_other("folder", dir, owner));
            }
            is_open(index, metadata).then(|| {
                format!(
                    "other users of this machine can replace files in the folder {} (its mode is {:04o}); run `chmod go-w {}`",
                    dir.display(),
                    metadata.mode() & 0o7777,
                    quoted(dir)
                )
            })
        })
    }

    fn is_own(&self) -> bool {
        self.metadata.uid() == geteuid().as_raw()
    }

    /// Whether this process reads the file by its group, and not as its owner.
    fn is_read_as_group(&self) -> bool {
        let group = self.metadata.gid();
        let is_member = || getgroups().is_ok_and(|groups| groups.iter().any(|own| own.as_raw() == group));
        !self.is_own() && !geteuid().is_root() && (getegid().as_raw() == group || is_member())
    }
}

fn belongs_to_other(what: &str, path: &Path, owner: u32) -> String {
    let (own, quoted) = (geteuid().as_raw(), quoted(path));
    format!(
        "the {what} {} belongs to user {owner}, who can change it, and this process runs as user {own}; run `chown {own} {quoted}`, \
         or run this as user {owner}",
        path.display()
    )
}

/// Whether the file is below the folder that a link `..data` leads to, as in volumes of Kubernetes.
fn is_kubernetes_volume(real: &Path) -> bool {
    real.ancestors().skip(1).any(|version| {
        let Some(volume) = version.parent() else { return false };
        let link = volume.join("..data");
        link.is_symlink() && link.canonicalize().is_ok_and(|target| target == version)
    })
}

fn is_read_only_tmpfs(real: &Path) -> bool {
    let is_read_only =
        rustix::fs::statvfs(real).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY));
    let is_tmpfs = || rustix::fs::statfs(real).is_ok_and(|found| found.f_type == TMPFS_MAGIC);
    is_read_only && is_tmpfs()
}

#[cfg(test)]
mod tests;
