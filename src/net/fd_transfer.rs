//! An upgrade: a new process receives the listening sockets of a running one over a Unix socket, so that none
//! of them is closed in between. When the new process is ready, it confirms that, and the old process drains.
//!
//! ```text
//! new process                     old process
//! connects               ->       closes the connection if the peer is a process of another user
//! 'n' (REQUEST_NEXT)     ->
//!                        <-       'T' (TCP_SOCKET) or 'U' (UNIX_SOCKET), with a descriptor
//!   ... for each socket ...
//! 'n' (REQUEST_NEXT)     ->
//!                        <-       'E' (END_OF_SOCKETS)
//! starts to serve
//! 'r' (READY)            ->       closes the connection, drains, and ends
//! ```
//!
//! A new process that fails before `READY` changes nothing.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg, sockopt,
};

use super::listener::{BoundListener, InheritedSockets};
use crate::config::ListenAddress;
use crate::secret::ensure_safe_folder;

/// Time within which the other process replies.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time within which a new process is ready; otherwise the old one continues to serve.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two attempts to accept a connection, after one that failed.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// A limit on the sockets that are received: more than any configuration has.
const MAX_SOCKETS: usize = 65_536;

const REQUEST_NEXT: u8 = b'n';
const READY: u8 = b'r';
const TCP_SOCKET: u8 = b'T';
const UNIX_SOCKET: u8 = b'U';
const END_OF_SOCKETS: u8 = b'E';

/// The connection to the old process.
pub struct OldProcess(UnixStream);

impl OldProcess {
    /// Confirms that this process serves, so that the old one drains and ends.
    pub fn confirm_ready(mut self) -> io::Result<()> {
        self.0.write_all(&[READY])?;
        // The old process closes the connection when it has read the confirmation.
        self.0.read(&mut [0]).map(drop)
    }
}

/// Receives the sockets of the process that serves them at `path`.
pub fn receive_sockets(path: &Path) -> io::Result<(InheritedSockets, OldProcess)> {
    let mut stream = UnixStream::connect(path)?;
    // Sockets of another user's process could lead callers to that process.
    ensure_same_user(&stream)?;
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
    let mut listeners = Vec::new();
    while listeners.len() < MAX_SOCKETS {
        stream.write_all(&[REQUEST_NEXT])?;
        let Some(listener) = receive_socket(&stream)? else { break };
        listeners.push(listener);
    }
    Ok((InheritedSockets::optional(listeners), OldProcess(stream)))
}

/// Returns the sockets that the running process passes on.
pub type Sockets = Box<dyn Fn() -> Vec<Arc<BoundListener>> + Send>;

/// Serves the sockets of this process at `path`, on a separate thread. `replaced` is called once, when a new
/// process is ready. A process that serves its sockets at `path` already loses that path.
pub fn serve_sockets(
    path: &Path,
    sockets: Sockets,
    replaced: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    ensure_safe_folder(path.parent().unwrap_or(Path::new("."))).map_err(io::Error::other)?;
    // Bound to another name and renamed: at no time is there no socket, or one with the permissions of the
    // umask.
    let new = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, path)?;
    thread::Builder::new().name("sidekey-upgrade".into()).spawn(move || {
        for stream in listener.incoming() {
            // Without a descriptor for it, the connection stays, and the next attempt fails at once.
            let has_failed = stream.is_err();
            match stream.and_then(|stream| send_sockets(stream, &sockets)) {
                Ok(()) => return replaced(),
                Err(error) => tracing::warn!("no new process took over, this process continues: {error}"),
            }
            if has_failed {
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    })?;
    Ok(())
}

/// Sends the sockets to a new process; succeeds only if that process confirms that it is ready.
fn send_sockets(mut stream: UnixStream, sockets: &Sockets) -> io::Result<()> {
    ensure_same_user(&stream)?;
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
    for listener in sockets() {
        expect(&mut stream, REQUEST_NEXT)?;
        send_socket(&stream, &listener)?;
    }
    expect(&mut stream, REQUEST_NEXT)?;
    stream.write_all(&[END_OF_SOCKETS])?;
    tracing::info!("sockets sent to a new process; this process serves until it is ready");
    stream.set_read_timeout(Some(READY_TIMEOUT))?;
    expect(&mut stream, READY)
}

fn ensure_same_user(stream: &UnixStream) -> io::Result<()> {
    if sockopt::socket_peercred(stream)?.uid != rustix::process::geteuid() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the process at the other end runs as another user",
        ));
    }
    Ok(())
}

fn expect(stream: &mut UnixStream, byte: u8) -> io::Result<()> {
    let mut read = [0];
    match stream.read(&mut read)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")),
        _ if read[0] == byte => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak the upgrade protocol")),
    }
}

fn send_socket(stream: &UnixStream, listener: &BoundListener) -> io::Result<()> {
    let kind = match listener.address {
        ListenAddress::Tcp(_) => TCP_SOCKET,
        ListenAddress::Unix(_) => UNIX_SOCKET,
    };
    let descriptors = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let has_room = control.push(SendAncillaryMessage::ScmRights(&descriptors));
    debug_assert!(has_room);
    sendmsg(stream, &[IoSlice::new(&[kind])], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Receives one socket; `None` after the last one.
fn receive_socket(stream: &UnixStream) -> io::Result<Option<BoundListener>> {
    let malformed =
        || io::Error::new(io::ErrorKind::InvalidData, "the old process does not speak the upgrade protocol");
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let read = recvmsg(stream.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor: Option<OwnedFd> = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match (read.bytes, byte[0], descriptor) {
        (1, TCP_SOCKET, Some(descriptor)) => BoundListener::inherit_tcp(descriptor).map(Some),
        (1, UNIX_SOCKET, Some(descriptor)) => BoundListener::inherit_unix(descriptor).map(Some),
        (1, END_OF_SOCKETS, None) => Ok(None),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn sockets_are_transferred_and_replaced_only_on_ready() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade.sock");
        let tcp = Arc::new(BoundListener::bind(&ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).unwrap());
        let unix = Arc::new(BoundListener::bind(&ListenAddress::Unix(dir.path().join("s"))).unwrap());
        let addresses = [tcp.address.clone(), unix.address.clone()];
        let (replaced, is_replaced) = mpsc::channel();
        let sockets = vec![tcp, unix];
        serve_sockets(&path, Box::new(move || sockets.clone()), move || replaced.send(()).unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        // A process that gives up, and a peer that speaks another protocol.
        drop(receive_sockets(&path).unwrap());
        UnixStream::connect(&path).unwrap().write_all(b"GET / HTTP/1.1").unwrap();
        assert!(is_replaced.try_recv().is_err());

        let (mut inherited, old_process) = receive_sockets(&path).unwrap();
        assert!(is_replaced.try_recv().is_err());
        let [tcp, unix] = addresses.map(|address| inherited.listener(&address).unwrap());
        assert!(inherited.is_empty());
        let ListenAddress::Tcp(address) = tcp.address else { panic!("a TCP listener") };
        TcpStream::connect(address).unwrap();
        let ListenAddress::Unix(socket) = &unix.address else { panic!("a Unix listener") };
        UnixStream::connect(socket).unwrap();
        old_process.confirm_ready().unwrap();
        is_replaced.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
