//! Socket activation: sockets that a service manager has bound and passes to Sidekey when it starts it
//! (`sd_listen_fds(3)`: `LISTEN_PID`, `LISTEN_FDS`). Callers that connect before Sidekey is running wait
//! instead of being refused.
//!
//! A socket is matched to a listener by its address; names (`LISTEN_FDNAMES`) are ignored. A socket without a
//! listener is an error, because connections to it would wait forever.

use std::fmt::Display;
use std::io;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use rustix::net::sockopt;

use super::listener::{BoundListener, InheritedSockets};

/// The sockets that were passed to this process; none without a service manager. Removes the variables from
/// the environment, so it must be called before there are other threads.
pub fn passed() -> io::Result<InheritedSockets> {
    let mut passed = ListenFd::from_env();
    let listeners: io::Result<Vec<_>> = (0..passed.len()).map(|index| listener(&mut passed, index)).collect();
    listeners.map(InheritedSockets::required)
}

fn listener(passed: &mut ListenFd, index: usize) -> io::Result<BoundListener> {
    let unusable = |error: &dyn Display| {
        let text = format!(
            "descriptor {} that the service manager passed is not a listening socket: {error}",
            index + 3
        );
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let listener = if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
        listening(OwnedFd::from(socket)).and_then(BoundListener::inherit_tcp)
    } else {
        let socket = passed.take_unix_listener(index).map_err(|error| unusable(&error))?;
        let socket = socket.ok_or_else(|| unusable(&"it was used before"))?;
        listening(OwnedFd::from(socket)).and_then(BoundListener::inherit_unix)
    };
    listener.map_err(|error| unusable(&error))
}

/// Checks that the socket is listening, and not a connection, as `Accept=yes` passes it.
fn listening(socket: OwnedFd) -> io::Result<OwnedFd> {
    if sockopt::socket_acceptconn(&socket)? {
        Ok(socket)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not listening (systemd: set `Accept=no`)"))
    }
}
