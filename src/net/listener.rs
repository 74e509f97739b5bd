//! Listening sockets: bound before anything is served, so that an address in use is a start failure that names it.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::keepalive::enable_keepalive;
use crate::config::ListenAddress;

/// A bound socket.
pub struct Listener {
    socket: Socket,
    /// The address as bound: the port is the real one where the configuration says 0.
    pub address: ListenAddress,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    address: ListenAddress,
    /// Part of the message, and so not the error's `source`: it would be said twice.
    cause: io::Error,
}

impl Listener {
    /// Binds an address.
    pub fn bind(address: &ListenAddress) -> Result<Self, BindError> {
        let bound = match address {
            ListenAddress::Tcp(tcp) => TcpListener::bind(tcp).and_then(|socket| {
                socket.set_nonblocking(true)?;
                enable_keepalive(&socket);
                Ok(Self { address: ListenAddress::Tcp(socket.local_addr()?), socket: Socket::Tcp(socket) })
            }),
            ListenAddress::Unix(path) => bind_unix(path).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(Self { address: address.clone(), socket: Socket::Unix(socket) })
            }),
        };
        bound.map_err(|cause| BindError { address: address.clone(), cause })
    }

    /// A TCP socket that another process has bound.
    pub fn inherit_tcp(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = TcpListener::from(descriptor);
        socket.set_nonblocking(true)?;
        enable_keepalive(&socket);
        Ok(Self { address: ListenAddress::Tcp(socket.local_addr()?), socket: Socket::Tcp(socket) })
    }

    /// A Unix socket that another process has bound.
    pub fn inherit_unix(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = UnixListener::from(descriptor);
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let path = address.as_pathname().ok_or(io::ErrorKind::InvalidData)?.to_owned();
        Ok(Self { address: ListenAddress::Unix(path), socket: Socket::Unix(socket) })
    }

    /// A second handle on the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        let socket = match &self.socket {
            Socket::Tcp(socket) => Socket::Tcp(socket.try_clone()?),
            Socket::Unix(socket) => Socket::Unix(socket.try_clone()?),
        };
        Ok(Self { socket, address: self.address.clone() })
    }

    /// A descriptor of the same socket for one worker; the worker closes it.
    pub fn descriptor(&self) -> io::Result<RawFd> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => socket.try_clone()?.into_raw_fd(),
            Socket::Unix(socket) => socket.try_clone()?.into_raw_fd(),
        })
    }

    /// The socket for an axum server.
    pub fn into_tokio(self) -> io::Result<TokioListener> {
        Ok(match self.socket {
            Socket::Tcp(socket) => TokioListener::Tcp(tokio::net::TcpListener::from_std(socket)?),
            Socket::Unix(socket) => TokioListener::Unix(tokio::net::UnixListener::from_std(socket)?),
        })
    }
}

/// Sockets that were open before this process began.
#[derive(Default)]
pub struct InheritedSockets {
    listeners: Vec<Listener>,
    /// Each must be wanted.
    must_be_claimed: bool,
}

/// A socket that was passed to this process and that nobody would accept at.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service manager listens at {} and passed that on, and no listener of the configuration has that address: whoever \
     connects there would wait for ever; give a listener (`listen`, `admin.listen`) the address, or take it out of the socket unit",
    .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
)]
pub struct UnclaimedSockets(Vec<ListenAddress>);

impl InheritedSockets {
    /// Those of a process that goes: what this one does without is closed.
    pub fn optional(listeners: Vec<Listener>) -> Self {
        Self { listeners, must_be_claimed: false }
    }

    /// Those of a service manager, which stay open whatever this process does.
    pub fn required(listeners: Vec<Listener>) -> Self {
        Self { listeners, must_be_claimed: true }
    }

    /// The socket of an address, if it is among them; otherwise binds it.
    pub fn listener(&mut self, address: &ListenAddress) -> Result<Listener, BindError> {
        match self.listeners.iter().position(|listener| listener.address == *address) {
            Some(index) => Ok(self.listeners.swap_remove(index)),
            None => Listener::bind(address),
        }
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// To be asked when every listener has its socket.
    pub fn ensure_all_claimed(&self) -> Result<(), UnclaimedSockets> {
        if self.must_be_claimed && !self.is_empty() {
            return Err(UnclaimedSockets(self.listeners.iter().map(|one| one.address.clone()).collect()));
        }
        Ok(())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

/// A socket registered with the current runtime.
pub enum TokioListener {
    /// TCP
    Tcp(tokio::net::TcpListener),
    /// Unix
    Unix(tokio::net::UnixListener),
}

/// Binds a Unix socket; one that a dead process left behind is replaced, a living one is not, nor any other file.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
            if !is_socket || UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_address_is_in_use() {
        let first = Listener::bind(&ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).unwrap();
        let Err(error) = Listener::bind(&first.address) else { panic!("bound twice") };
        assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", first.address)), "{error}");
    }

    #[test]
    fn what_a_service_manager_passed_must_be_wanted_and_what_a_process_left_need_not() {
        let open = || Listener::bind(&ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).unwrap();
        let (one, two) = (open(), open());
        let (first, second) = (one.address.clone(), two.address.clone());
        let mut passed = InheritedSockets::required(vec![one, two]);
        assert_eq!(passed.listener(&first).unwrap().address, first);
        let error = passed.ensure_all_claimed().unwrap_err().to_string();
        assert!(error.starts_with(&format!("the service manager listens at {second} and")), "{error}");
        passed.listener(&second).unwrap();
        assert!(passed.ensure_all_claimed().is_ok());
        assert!(InheritedSockets::optional(vec![open()]).ensure_all_claimed().is_ok());
    }

    #[test]
    fn replaces_a_dead_unix_socket_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let socket = ListenAddress::Unix(dir.path().join("s"));
        let living = Listener::bind(&socket).unwrap();
        assert!(Listener::bind(&socket).is_err());
        drop(living);
        assert!(Listener::bind(&socket).is_ok());
        let file = dir.path().join("f");
        fs::write(&file, "precious").unwrap();
        assert!(Listener::bind(&ListenAddress::Unix(file.clone())).is_err());
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    }
}
