//! The process at the other end of a Unix socket, as the kernel recorded it when that process connected.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::sys::socket::{getsockopt, sockopt};
use tokio::net::UnixStream;

use crate::secret::read_file;

/// Largest file of the kernel that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The process that connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixPeer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its control group, in the unified hierarchy; `None` if it is not known for certain.
    pub cgroup: Option<String>,
}

impl UnixPeer {
    /// The peer of a connection. The control group is read only if it is needed.
    pub fn of(stream: &UnixStream, with_cgroup: bool) -> Option<Self> {
        let credentials = stream.peer_cred().ok()?;
        let cgroup = if with_cgroup { credentials.pid().and_then(|pid| cgroup(stream, pid)) } else { None };
        Some(Self { uid: credentials.uid(), gid: credentials.gid(), cgroup })
    }
}

/// The control group of the peer.
///
/// The number of a process may be used again for another one. So the kernel must hand out a descriptor of the peer itself
/// (`SO_PEERPIDFD`, Linux 6.5), and the peer must still be there after the file was read.
fn cgroup(stream: &UnixStream, pid: i32) -> Option<String> {
    let peer: OwnedFd = getsockopt(stream, sockopt::PeerPidfd).ok()?;
    // Without /proc of the namespace in which the number counts, or with a process of another namespace, there is none.
    let text = read(&format!("/proc/{pid}/cgroup"))?;
    is_process(&peer, pid).then(|| unified(&text))?
}

/// Whether a descriptor is that of the process with this number, which has not ended.
fn is_process(peer: &OwnedFd, pid: i32) -> bool {
    let info = read(&format!("/proc/self/fdinfo/{}", peer.as_raw_fd())).unwrap_or_default();
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
    // -1 once the process was waited for, and 0 if it has no number here.
    number.and_then(|number| number.parse().ok()) == Some(pid) && pid > 0
}

fn read(path: &str) -> Option<String> {
    String::from_utf8(read_file(Path::new(path), MAX_BYTES).ok()?.to_vec()).ok()
}

/// The path in the unified hierarchy, whose line is `0::/path`. What a path has that leads out of this namespace is not compared.
fn unified(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let is_plain =
        path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.ends_with(" (deleted)");
    is_plain.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn peer_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = UnixPeer::of(&one, true).unwrap();
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
        let own = read("/proc/self/cgroup").and_then(|text| unified(&text));
        assert_eq!(peer.cgroup, own);
        assert_eq!(UnixPeer::of(&one, false).unwrap().cgroup, None);
    }

    #[test]
    fn path_is_that_of_the_unified_hierarchy() {
        assert_eq!(unified("1:name=systemd:/x\n0::/a/b\n").as_deref(), Some("/a/b"));
        for text in ["1:cpu:/x\n", "0::/../x\n", "0::/a (deleted)\n", "", "0::\n"] {
            assert_eq!(unified(text), None, "{text}");
        }
    }
}
