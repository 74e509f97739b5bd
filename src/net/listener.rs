//! Listening sockets. They are bound before anything is served, so that an address in use is a start failure
//! that names it.

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
pub struct BoundListener {
    socket: Socket,
    /// The bound address: if the configured port is 0, the port that the system has chosen.
    pub address: ListenAddress,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The error of binding an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    address: ListenAddress,
    /// Part of the message. As the error's `source` it would be reported twice.
    cause: io::Error,
}

impl BoundListener {
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
        bound.map_err(|cause| BindError { address: address.clone(), cause: explained(cause, address) })
    }

    /// Wraps a TCP socket that another process has bound.
    pub fn inherit_tcp(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = TcpListener::from(descriptor);
        socket.set_nonblocking(true)?;
        enable_keepalive(&socket);
        Ok(Self { address: ListenAddress::Tcp(socket.local_addr()?), socket: Socket::Tcp(socket) })
    }

    /// Wraps a Unix socket that another process has bound.
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

    /// A new descriptor of the same socket for one worker, which closes it.
    pub fn descriptor(&self) -> io::Result<RawFd> {
        Ok(match &self.socket {
            Socket::Tcp(socket) => socket.try_clone()?.into_raw_fd(),
            Socket::Unix(socket) => socket.try_clone()?.into_raw_fd(),
        })
    }

    /// A second handle on a Unix socket; `None` for a TCP socket.
    pub fn unix(&self) -> Option<io::Result<UnixListener>> {
        match &self.socket {
            Socket::Tcp(_) => None,
            Socket::Unix(socket) => Some(socket.try_clone()),
        }
    }

    /// The socket for an axum server.
    pub fn into_tokio(self) -> io::Result<TokioListener> {
        Ok(match self.socket {
            Socket::Tcp(socket) => TokioListener::Tcp(tokio::net::TcpListener::from_std(socket)?),
            Socket::Unix(socket) => TokioListener::Unix(tokio::net::UnixListener::from_std(socket)?),
        })
    }
}

/// The error, with what may be the reason if the folder of a Unix socket cannot be written to.
fn explained(error: io::Error, address: &ListenAddress) -> io::Error {
    let is_folder = matches!(address, ListenAddress::Unix(_));
    if !is_folder || error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    io::Error::other(format!(
        "{error}; with `hardening`, a folder that is new to the configuration needs a restart"
    ))
}

/// Listening sockets that were bound before this process started.
#[derive(Default)]
pub struct InheritedSockets {
    listeners: Vec<BoundListener>,
    /// Whether each socket must belong to a listener of the configuration.
    must_be_claimed: bool,
}

/// The error for sockets that were passed to this process and belong to no listener of the configuration.
#[derive(Debug, thiserror::Error)]
#[error(
    "the service manager passed a socket for {}, and no listener of the configuration has that address, so \
     connections to it would wait forever; give a listener (`listen`, `admin.listen`) the address, or remove it \
     from the socket unit",
    .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
)]
pub struct UnclaimedSockets(Vec<ListenAddress>);

impl InheritedSockets {
    /// Sockets of a process that is replaced: those that this process does not need are closed.
    pub fn optional(listeners: Vec<BoundListener>) -> Self {
        Self { listeners, must_be_claimed: false }
    }

    /// Sockets of a service manager, which keeps them open: each must belong to a listener.
    pub fn required(listeners: Vec<BoundListener>) -> Self {
        Self { listeners, must_be_claimed: true }
    }

    /// Takes the socket with this address, if there is one; otherwise binds the address.
    pub fn listener(&mut self, address: &ListenAddress) -> Result<BoundListener, BindError> {
        match self.listeners.iter().position(|listener| listener.address == *address) {
            Some(index) => Ok(self.listeners.swap_remove(index)),
            None => BoundListener::bind(address),
        }
    }

    /// Whether no socket is left.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Checks that no required socket is left. Must be called when every listener has its socket.
    pub fn ensure_all_claimed(&self) -> Result<(), UnclaimedSockets> {
        if self.must_be_claimed && !self.is_empty() {
            let unclaimed = self.listeners.iter().map(|listener| listener.address.clone());
            return Err(UnclaimedSockets(unclaimed.collect()));
        }
        Ok(())
    }
}

impl AsFd for BoundListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

/// A socket registered with the current runtime.
pub enum TokioListener {
    /// A TCP socket.
    Tcp(tokio::net::TcpListener),
    /// A Unix socket.
    Unix(tokio::net::UnixListener),
}

/// Binds a Unix socket. The socket file of a dead process is replaced; a socket in use and any other file are
/// not.
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
    fn bind_names_the_address_in_use() {
        let first = BoundListener::bind(&ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).unwrap();
        let Err(error) = BoundListener::bind(&first.address) else { panic!("bound twice") };
        assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", first.address)), "{error}");
    }

    #[test]
    fn required_sockets_must_be_claimed_optional_need_not() {
        let open = || BoundListener::bind(&ListenAddress::Tcp(([127, 0, 0, 1], 0).into())).unwrap();
        let (one, two) = (open(), open());
        let (first, second) = (one.address.clone(), two.address.clone());
        let mut passed = InheritedSockets::required(vec![one, two]);
        assert_eq!(passed.listener(&first).unwrap().address, first);
        let error = passed.ensure_all_claimed().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the service manager passed a socket for {second}, and")),
            "{error}"
        );
        passed.listener(&second).unwrap();
        assert!(passed.ensure_all_claimed().is_ok());
        assert!(InheritedSockets::optional(vec![open()]).ensure_all_claimed().is_ok());
    }

    #[test]
    fn bind_replaces_dead_unix_socket_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let socket = ListenAddress::Unix(dir.path().join("s"));
        let living = BoundListener::bind(&socket).unwrap();
        assert!(BoundListener::bind(&socket).is_err());
        drop(living);
        assert!(BoundListener::bind(&socket).is_ok());
        let file = dir.path().join("f");
        fs::write(&file, "precious").unwrap();
        assert!(BoundListener::bind(&ListenAddress::Unix(file.clone())).is_err());
        assert_eq!(fs::read_to_string(file).unwrap(), "precious");
    }
}
