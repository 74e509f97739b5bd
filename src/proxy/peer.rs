//! Who a connection is from, as far as that is known.

use std::sync::Arc;

use pingora::protocols::SocketDigest;

/// The other end of a caller's connection.
#[derive(Default, Clone)]
pub(super) struct Caller {
    socket: Option<Arc<SocketDigest>>,
    within: Option<Arc<Within>>,
}

/// The inside of a `CONNECT`.
pub(super) struct Within {
    /// `host:port` as it was asked for.
    pub(super) authority: String,
    /// The caller speaks TLS inside.
    pub(super) is_tls: bool,
}

impl Caller {
    pub(super) fn new(socket: Option<Arc<SocketDigest>>) -> Self {
        Self { socket, within: None }
    }

    /// From now on everything comes from within a `CONNECT`.
    pub(super) fn enter(&mut self, within: Within) {
        self.within = Some(Arc::new(within));
    }

    /// The `CONNECT` that everything comes from within.
    pub(super) fn within(&self) -> Option<&Within> {
        self.within.as_deref()
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
