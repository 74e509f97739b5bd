//! Who a connection is from, as far as that is known.

use std::sync::Arc;

use pingora::protocols::SocketDigest;

/// The other end of a caller's connection.
#[derive(Default, Clone)]
pub(super) struct Peer {
    socket: Option<Arc<SocketDigest>>,
    intercepted_by: Option<Arc<InterceptedBy>>,
}

/// The inside of a `CONNECT`.
pub(super) struct InterceptedBy {
    /// `host:port` as it was asked for.
    pub(super) authority: String,
    /// The caller speaks TLS inside.
    pub(super) is_tls: bool,
}

impl Peer {
    pub(super) fn new(socket: Option<Arc<SocketDigest>>) -> Self {
        Self { socket, intercepted_by: None }
    }

    /// From now on everything comes from within a `CONNECT`.
    pub(super) fn set_intercepted(&mut self, within: InterceptedBy) {
        self.intercepted_by = Some(Arc::new(within));
    }

    /// The `CONNECT` that everything comes from within.
    pub(super) fn intercepted(&self) -> Option<&InterceptedBy> {
        self.intercepted_by.as_deref()
    }

    /// On this machine: by loopback or by a Unix socket. Asked of the system the first time, which is for refusals only.
    pub(super) fn is_local(&self) -> bool {
        let Some(socket) = &self.socket else { return false };
        match socket.peer_addr().and_then(|peer| peer.as_inet()) {
            Some(peer) => peer.ip().to_canonical().is_loopback(),
            // The caller's end of a Unix socket has no name.
            None => socket.local_addr().is_some_and(|own| own.as_inet().is_none()),
        }
    }
}
