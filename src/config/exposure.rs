//! Warnings of files of the configuration that other users of the machine can read or change, each with the
//! command that ends it.
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

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::process::{getegid, geteuid, getgroups};

use crate::secret::{in_time, quoted};

const GROUP_READS: u32 = 0o040;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
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
pub(crate) fn of_file(path: &Path, content: Content) -> Vec<String> {
    let examined = in_time(path, move |path| File::examine(path).map(|file| file.warnings(path, content)));
    examined.and_then(|warnings| warnings).unwrap_or_default()
}

/// What is wrong with the mode of a Unix socket: whoever may write to it can connect. `None` if there is no
/// socket.
pub fn of_socket(path: &Path) -> Option<String> {
    let metadata = in_time(path, |path| fs::symlink_metadata(path)).ok()?.ok()?;
    let mode = metadata.mode() & 0o777;
    (metadata.file_type().is_socket() && mode & OTHERS_WRITE != 0).then(|| {
        format!(
            "every user of this machine can use the admin socket {} (its mode is {mode:04o}); run `chmod 660 {}`, and start \
             Sidekey with a umask such as 0117",
            path.display(),
            quoted(path)
        )
    })
}

/// A file as it was found.
struct File {
    metadata: Metadata,
    /// The folders that lead to it, the nearest first; as configured and as resolved.
    folders: Vec<(PathBuf, Metadata)>,
    is_kubernetes_volume: bool,
    is_read_only_tmpfs: bool,
}

impl File {
    fn examine(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let real = path.canonicalize()?;
        let link = std::path::absolute(path)?;
        let nearest = link.parent().into_iter().filter(|dir| *dir != real.parent().unwrap_or(dir));
        let folders = real.ancestors().skip(1).chain(nearest);
        let folders = folders.filter_map(|dir| Some((dir.to_owned(), fs::metadata(dir).ok()?))).collect();
        Ok(Self {
            metadata,
            folders,
            is_kubernetes_volume: is_kubernetes_volume(&real),
            is_read_only_tmpfs: is_read_only_tmpfs(&real),
        })
    }

    fn warnings(&self, path: &Path, content: Content) -> Vec<String> {
        if self.is_read_only_tmpfs {
            return Vec::new();
        }
        self.warning_of_file(path, content).into_iter().chain(self.warning_of_folder()).collect()
    }

    fn warning_of_file(&self, path: &Path, content: Content) -> Option<String> {
        let mode = self.metadata.mode() & 0o777;
        let mut exposed = mode & (GROUP_WRITES | OTHERS_WRITE);
        if content == Content::Secret && !self.is_kubernetes_volume {
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
        let what = match (exposed & (GROUP_READS | OTHERS_READ), exposed & (GROUP_WRITES | OTHERS_WRITE)) {
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
        let is_open = |(_, metadata): &&(PathBuf, Metadata)| {
            let mode = metadata.mode();
            // The private group of a user, as many systems make one, is not somebody else.
            let group =
                mode & GROUP_WRITES != 0 && metadata.gid() != getegid().as_raw() && metadata.gid() != 0;
            mode & STICKY == 0 && (mode & OTHERS_WRITE != 0 || group)
        };
        // Of folders further up only those count that every user may write to: `/usr/local` belongs to a
        // group on some systems.
        let (dir, metadata) = self.folders.iter().enumerate().find_map(|(index, folder)| {
            let nearest = index == 0 || folder.1.mode() & OTHERS_WRITE != 0;
            (nearest && is_open(&folder)).then_some(folder)
        })?;
        Some(format!(
            "other users of this machine can replace files in the folder {} (its mode is {:04o}); run `chmod go-w {}`",
            dir.display(),
            metadata.mode() & 0o7777,
            quoted(dir)
        ))
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn warnings(mode: u32, content: Content) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        set_mode(&path, mode);
        of_file(&path, content)
            .into_iter()
            .map(|text| text.replace(dir.path().to_str().unwrap(), "DIR"))
            .collect()
    }

    #[test]
    fn secret_that_others_can_read_or_change_is_named() {
        for mode in [0o600, 0o400, 0o700] {
            assert_eq!(warnings(mode, Content::Secret), [""; 0], "{mode:o}");
        }
        for (mode, who, what) in [
            (0o644, "every user of this machine", "read"),
            (0o604, "every user of this machine", "read"),
            (0o666, "every user of this machine", "read and change"),
            (0o602, "every user of this machine", "change"),
            (0o640, "every user in the file's group", "read"),
            (0o660, "every user in the file's group", "read and change"),
        ] {
            let expected = format!(
                "{who} can {what} the file DIR/file (its mode is {mode:04o}); run `chmod 600 DIR/file`"
            );
            assert_eq!(warnings(mode, Content::Secret), [expected]);
        }
    }

    #[test]
    fn trusted_file_that_others_can_change_is_named() {
        for mode in [0o644, 0o600, 0o755, 0o444] {
            assert_eq!(warnings(mode, Content::Trusted), [""; 0], "{mode:o}");
        }
        for (mode, who) in [(0o664, "every user in the file's group"), (0o646, "every user of this machine")]
        {
            let expected = format!(
                "{who} can change the file DIR/file (its mode is {mode:04o}); run `chmod go-w DIR/file`"
            );
            assert_eq!(warnings(mode, Content::Trusted), [expected]);
        }
    }

    #[test]
    fn folder_that_others_can_write_to_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("a b/c");
        fs::create_dir_all(&nested).unwrap();
        let path = nested.join("file");
        fs::write(&path, "x").unwrap();
        set_mode(&path, 0o600);
        assert_eq!(of_file(&path, Content::Secret), [""; 0]);
        set_mode(&nested, 0o1777);
        assert_eq!(of_file(&path, Content::Secret), [""; 0], "sticky");
        for folder in [&*nested, nested.parent().unwrap()] {
            set_mode(folder, 0o777);
            let found = of_file(&path, Content::Trusted);
            let command = format!("run `chmod go-w '{}'`", folder.display());
            assert!(found.len() == 1 && found[0].ends_with(&command), "{found:?}");
            set_mode(folder, 0o755);
        }
    }

    #[test]
    fn kubernetes_volume_causes_no_warning() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("..2026")).unwrap();
        fs::write(dir.path().join("..2026/token"), "x").unwrap();
        symlink("..2026", dir.path().join("..data")).unwrap();
        symlink("..data/token", dir.path().join("token")).unwrap();
        set_mode(dir.path(), 0o1777);
        for mode in [0o644, 0o440, 0o444, 0o600] {
            set_mode(&dir.path().join("..2026/token"), mode);
            assert_eq!(of_file(&dir.path().join("token"), Content::Secret), [""; 0], "{mode:o}");
        }
        set_mode(&dir.path().join("..2026/token"), 0o666);
        assert_eq!(of_file(&dir.path().join("token"), Content::Secret).len(), 1);
    }

    #[test]
    fn socket_that_others_can_use_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        assert_eq!(of_socket(&path), None);
        let _socket = UnixListener::bind(&path).unwrap();
        for (mode, is_open) in [(0o777, true), (0o666, true), (0o602, true), (0o755, false), (0o660, false)] {
            set_mode(&path, mode);
            let found = of_socket(&path);
            assert_eq!(found.is_some(), is_open, "{mode:o}");
            assert!(found.is_none_or(|text| text.contains(&format!("`chmod 660 {}`", path.display()))));
        }
    }
}
