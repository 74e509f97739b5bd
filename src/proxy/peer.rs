//! The peer of a downstream connection: its address, and the `CONNECT` that it came through.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use crate::callers::{CertificateNames, PeerFacts};
use crate::net::unix_peer::UnixPeer;

/// The socket of an accepted connection.
pub trait PeerSocket: Send + Sync {
    /// Returns the address of the peer. The first call is a system call.
    fn address(&self) -> PeerAddress;

    /// Returns the local address of a TCP connection. The first call is a system call.
    fn local_ip(&self) -> Option<IpAddr>;

    /// Returns the process at the other end of a Unix socket, if it is known.
    fn unix_peer(&self) -> Option<&UnixPeer> {
        None
    }
}

/// The address of the peer of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    /// A TCP connection from this address.
    Ip(IpAddr),
    /// A Unix socket.
    Unix,
    /// The system has no address for the connection, or no longer has one.
    Unknown,
}

/// The peer of a downstream connection.
#[derive(Default, Clone)]
pub(super) struct Peer {
    socket: Option<Arc<dyn PeerSocket>>,
    intercepted_by: Option<Arc<InterceptedBy>>,
    /// The names in its client certificate.
    certificate: Option<Arc<CertificateNames>>,
    /// What the connection shows of its caller. It does not change, and is asked for with callers only.
    facts: OnceLock<Arc<PeerFacts>>,
}

/// The `CONNECT` in which a connection is intercepted.
pub(super) struct InterceptedBy {
    /// The target of the `CONNECT`: `host:port`.
    pub(super) authority: String,
    /// Whether the caller uses TLS inside the `CONNECT`.
    pub(super) is_tls: bool,
    /// The credential that the caller presented with it.
    pub(super) credential: Option<Zeroizing<Vec<u8>>>,
}

impl Peer {
    pub(super) fn new(socket: Option<Arc<dyn PeerSocket>>) -> Self {
        Self { socket, ..Self::default() }
    }

    /// Records the names in the client certificate that was verified.
    pub(super) fn set_certificate(&mut self, names: CertificateNames) {
        self.certificate = Some(Arc::new(names));
        self.facts = OnceLock::new();
    }

    /// Returns what the connection shows of its caller.
    pub(super) fn facts(&self) -> Arc<PeerFacts> {
        let facts = || PeerFacts {
            address: match self.socket.as_ref().map(|socket| socket.address()) {
                Some(PeerAddress::Ip(address)) => Some(address),
                _ => None,
            },
            unix: self.socket.as_ref().and_then(|socket| socket.unix_peer().cloned()),
            certificate: self.certificate.clone(),
        };
        self.facts.get_or_init(|| Arc::new(facts())).clone()
    }

    /// Records that all later requests come through a `CONNECT`.
    pub(super) fn set_intercepted(&mut self, intercepted_by: InterceptedBy) {
        self.intercepted_by = Some(Arc::new(intercepted_by));
    }

    /// Returns the `CONNECT` that the requests come through, if there is one.
    pub(super) fn intercepted(&self) -> Option<&InterceptedBy> {
        self.intercepted_by.as_deref()
    }

    /// Whether the connection was opened to a loopback address.
    pub(super) fn is_by_loopback(&self) -> bool {
        let local = self.socket.as_ref().and_then(|socket| socket.local_ip());
        local.is_some_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether the peer is on this machine: connected by loopback or by a Unix socket. Used only for requests
    /// that are rejected, because the first call is a system call.
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

        fn local_ip(&self) -> Option<IpAddr> {
            match self {
                Self::Ip(ip) => Some(*ip),
                Self::Unix | Self::Unknown => None,
            }
        }
    }

    #[test]
    fn connection_is_by_loopback_if_its_local_address_is() {
        let is_by_loopback = |address: PeerAddress| Peer::new(Some(Arc::new(address))).is_by_loopback();
        for (ip, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("::", false),
        ] {
            assert_eq!(is_by_loopback(PeerAddress::Ip(ip.parse().unwrap())), expected, "{ip}");
        }
        assert!(!is_by_loopback(PeerAddress::Unix) && !Peer::new(None).is_by_loopback());
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
