//! Ports for software that cannot be told "port 0", and a port where nothing listens.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// A free port below the range that the system hands out by itself, so that no other test gets it by chance.
/// Somebody may still take it before the caller binds it: start again on another port then.
pub fn free() -> u16 {
    (0..1000)
        .map(|_| fastrand::u16(10_000..32_000))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

/// A port that refuses connections for as long as this lives: bound, so that nobody else takes it, but not listening.
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
