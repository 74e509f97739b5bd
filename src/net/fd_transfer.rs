//! A new process takes over from a running one: it is handed the listening sockets over a Unix socket, so that none of them
//! is ever closed, and when it serves it says so, and the old one drains.
//!
//! ```text
//! new                        old
//! connects        ->         whose process is it? another user's is sent away
//! `n`             ->
//!                 <-         `T` or `U` and a descriptor; again for each socket, then `E`
//! serves
//! `r`             ->         drains and ends
//! ```
//!
//! A new process that fails before `r` has changed nothing.

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

use super::listener::{InheritedSockets, Listener};
use crate::config::ListenAddress;

/// The other process answers within this time.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// A new process serves within this time, or the old one goes on as if it had not come.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// More listeners than any configuration has.
const MAX_SOCKETS: usize = 65_536;

const REQUEST_NEXT: u8 = b'n';
const READY: u8 = b'r';
const TCP_SOCKET: u8 = b'T';
const UNIX_SOCKET: u8 = b'U';
const END_OF_SOCKETS: u8 = b'E';

/// The way back to the old process.
pub struct OldProcess(UnixStream);

impl OldProcess {
    /// This process serves: the old one is to drain and end.
    pub fn confirm_ready(mut self) -> io::Result<()> {
        self.0.write_all(&[READY])?;
        // It closes the connection when it has heard it.
        self.0.read(&mut [0]).map(drop)
    }
}

/// Asks the process that offers its sockets at `path` for them.
pub fn receive_sockets(path: &Path) -> io::Result<(InheritedSockets, OldProcess)> {
    let mut stream = UnixStream::connect(path)?;
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

/// What the running process offers.
pub type Sockets = Box<dyn Fn() -> Vec<Arc<Listener>> + Send>;

/// Offers the sockets of this process at `path`, on a thread of its own; `relieved` is called once, when a new process
/// serves in its place. A process that offers there already is replaced at that place.
pub fn serve_sockets(
    path: &Path,
    sockets: Sockets,
    replaced: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    // Bound beside it and moved: there is no moment without one, and none with the rights of the umask.
    let new = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, path)?;
    thread::Builder::new().name("sidekey-handover".into()).spawn(move || {
        for stream in listener.incoming() {
            let outcome = stream.and_then(|stream| send_sockets(stream, &sockets));
            match outcome {
                Ok(()) => return replaced(),
                Err(error) => tracing::warn!("no new process took over, this one goes on: {error}"),
            }
        }
    })?;
    Ok(())
}

/// Ends well only if the other process serves.
fn send_sockets(mut stream: UnixStream, sockets: &Sockets) -> io::Result<()> {
    if sockopt::socket_peercred(&stream)?.uid != rustix::process::geteuid() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it runs as another user"));
    }
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
    for listener in sockets() {
        expect(&mut stream, REQUEST_NEXT)?;
        send_socket(&stream, &listener)?;
    }
    expect(&mut stream, REQUEST_NEXT)?;
    stream.write_all(&[END_OF_SOCKETS])?;
    tracing::info!("a new process has the sockets; this one serves until that one does");
    stream.set_read_timeout(Some(READY_TIMEOUT))?;
    expect(&mut stream, READY)
}

fn expect(stream: &mut UnixStream, byte: u8) -> io::Result<()> {
    let mut read = [0];
    match stream.read(&mut read)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended")),
        _ if read[0] == byte => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak this protocol")),
    }
}

fn send_socket(stream: &UnixStream, listener: &Listener) -> io::Result<()> {
    let kind = match listener.address {
        ListenAddress::Tcp(_) => TCP_SOCKET,
        ListenAddress::Unix(_) => UNIX_SOCKET,
    };
    let descriptors = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
    debug_assert!(fits);
    sendmsg(stream, &[IoSlice::new(&[kind])], &mut control, SendFlags::empty())?;
    Ok(())
}

/// One socket, as it was asked for; `None` at the end.
fn receive_socket(stream: &UnixStream) -> io::Result<Option<Listener>> {
    let malformed =
        || io::Error::new(io::ErrorKind::InvalidData, "the old process does not speak this protocol");
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
        (1, TCP_SOCKET, Some(descriptor)) => Listener::inherit_tcp(descriptor).map(Some),
        (1, UNIX_SOCKET, Some(descriptor)) => Listener::inherit_unix(descriptor).map(Some),
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
    fn hands_over_what_is_open_and_ends_only_when_relieved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade.sock");
        let tcp = Arc::new(Listener::bind(&ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).unwrap());
        let unix = Arc::new(Listener::bind(&ListenAddress::Unix(dir.path().join("s"))).unwrap());
        let addresses = [tcp.address.clone(), unix.address.clone()];
        let (replaced, is_replaced) = mpsc::channel();
        let sockets = vec![tcp, unix];
        serve_sockets(&path, Box::new(move || sockets.clone()), move || replaced.send(()).unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        // One that gives up on the way, and one that talks nonsense.
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
