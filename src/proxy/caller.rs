//! Who a connection is from, as far as that is known.

use std::sync::Arc;

use pingora::protocols::SocketDigest;

/// The other end of a caller's connection.
#[derive(Default)]
pub(super) struct Caller {
    socket: Option<Arc<SocketDigest>>,
}

impl Caller {
    pub(super) fn new(socket: Option<Arc<SocketDigest>>) -> Self {
        Self { socket }
    }

    /// On this machine: by loopback or by a Unix socket. Asked of the system the first time, which is for refusals only.
    pub(super) fn is_local(&self) -> bool {
        let Some(peer) = self.socket.as_ref().and_then(|socket| socket.peer_addr()) else { return false };
        // What is no internet address is a Unix socket.
        peer.as_inet().is_none_or(|address| address.ip().to_canonical().is_loopback())
    }

    /// The caller speaks to the upstream's own URLs, as it believes.
    pub(super) fn is_tunnelled(&self) -> bool {
        false
    }
}
