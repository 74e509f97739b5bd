//! Sockets that a service manager listens at and passes on when it starts Sidekey (`sd_listen_fds(3)`: `LISTEN_PID`,
//! `LISTEN_FDS`): callers that come before Sidekey does wait at them instead of being refused.
//!
//! A socket is matched to a listener by its address. Names (`LISTEN_FDNAMES`) are not looked at: the address says it all, and
//! one that matches no listener is an error, because whoever connected there would wait for ever.

use std::fmt::Display;
use std::io;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use rustix::net::sockopt;

use super::listener::{InheritedSockets, Listener};

/// The sockets that were passed to this process; none where there is no service manager. Takes the variables out of the
/// environment, so to be called before there are threads.
pub fn passed() -> io::Result<InheritedSockets> {
    let mut passed = ListenFd::from_env();
    let listeners: io::Result<Vec<_>> = (0..passed.len()).map(|index| listener(&mut passed, index)).collect();
    listeners.map(InheritedSockets::required)
}

fn listener(passed: &mut ListenFd, index: usize) -> io::Result<Listener> {
    let refused = |error: &dyn Display| {
        let text = format!(
            "descriptor {} that the service manager passed is no socket to listen at: {error}",
            index + 3
        );
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let listener = if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
        listening(OwnedFd::from(socket)).and_then(Listener::inherit_tcp)
    } else {
        let socket = passed.take_unix_listener(index).map_err(|error| refused(&error))?;
        let socket = socket.ok_or_else(|| refused(&"it is taken"))?;
        listening(OwnedFd::from(socket)).and_then(Listener::inherit_unix)
    };
    listener.map_err(|error| refused(&error))
}

/// Not a connection, as `Accept=yes` passes it.
fn listening(socket: OwnedFd) -> io::Result<OwnedFd> {
    if sockopt::socket_acceptconn(&socket)? {
        Ok(socket)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "nobody listens at it (with systemd: `Accept=no`)"))
    }
}
