//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::serve::Listener;

/// The address of a request's peer; `None` on a Unix socket. An extension of each request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub Option<IpAddr>);

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self(Some(address.ip()))
    }
}

impl From<tokio::net::unix::SocketAddr> for PeerAddress {
    fn from(_: tokio::net::unix::SocketAddr) -> Self {
        Self(None)
    }
}

/// A listening socket that says where its connections come from.
pub trait PeerListener: Listener<Addr: Into<PeerAddress>> {}

impl<L: Listener<Addr: Into<PeerAddress>>> PeerListener for L {}
