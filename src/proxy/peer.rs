//! Who a connection is from, as far as that is known.

use std::net::IpAddr;
use std::sync::Arc;

/// The other end of an accepted connection.
pub trait PeerSocket: Send + Sync {
    /// The address of that end. Asks the system the first time.
    fn address(&self) -> PeerAddress;
}

/// The address of the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// A TCP connection from this address.
    Ip(IpAddr),
    /// A Unix socket.
    Unix,
    /// The system does not know it, or not any more.
    Unknown,
}

/// The other end of a caller's connection.
#[derive(Default, Clone)]
pub(super) struct Peer {
    socket: Option<Arc<dyn PeerSocket>>,
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
    pub(super) fn new(socket: Option<Arc<dyn PeerSocket>>) -> Self {
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
        match self.socket.as_ref().map(|socket| socket.address()) {
            Some(PeerAddress::Ip(ip)) => ip.to_canonical().is_loopback(),
            Some(PeerAddress::Unix) => true,
            Some(PeerAddress::Unknown) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl PeerSocket for PeerAddress {
        fn address(&self) -> PeerAddress {
            *self
        }
    }

    #[test]
    fn only_loopback_and_unix_peers_are_local() {
        let is_local = |address: PeerAddress| Peer::new(Some(Arc::new(address))).is_local();
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_local(PeerAddress::Ip(local.parse().unwrap())), "{local}");
        }
        for remote in ["10.0.0.1", "0.0.0.0", "::", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert!(!is_local(PeerAddress::Ip(remote.parse().unwrap())), "{remote}");
        }
        assert!(is_local(PeerAddress::Unix));
        assert!(!is_local(PeerAddress::Unknown) && !Peer::new(None).is_local());
    }
}
