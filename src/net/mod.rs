//! Sockets and names: listening sockets and where they come from, read buffers, keep-alive, DNS.

pub(crate) mod buffer;
pub mod dns;
pub mod fd_transfer;
pub mod keepalive;
pub mod listener;
pub mod read_ahead;
pub mod socket_activation;
