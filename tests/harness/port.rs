//! Free ports for software that does not support "port 0", and a port that refuses connections.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// A free port below the range of ephemeral ports, so that no other test gets it by chance.
/// Another process may still take it before the caller binds it: then retry with another port.
pub fn free() -> u16 {
    (0..1000)
        .map(|_| fastrand::u16(10_000..32_000))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

/// A port that refuses connections until this is dropped: bound, so that no other process takes it, but not
/// listening.
pub struct RefusingPort {
    _socket: TcpSocket,
    pub address: SocketAddr,
}

impl RefusingPort {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { address: socket.local_addr().unwrap(), _socket: socket }
    }
}
