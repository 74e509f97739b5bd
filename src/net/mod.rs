//! Sockets, names, buffers, and the HTTP client for Sidekey's own requests.
//!
//! ```text
//! listener           listening sockets, and sockets inherited from another process
//! unix_peer          the process at the other end of a Unix socket
//! socket_activation  sockets passed by a service manager
//! fd_transfer        sockets handed to the next process in an upgrade
//! keepalive          TCP keep-alive
//! buffer             read buffers
//! buffer_pool        memory of read buffers that are not in use
//! read_ahead         fewer system calls for a reader that reads few bytes at a time
//! http2/             the frames, streams and windows of an HTTP/2 connection
//! delegate           AsyncWrite for a type that changes only how a connection is read
//! dns/               host names to addresses
//! http_client        the HTTP client for Sidekey's own requests
//! exhaustion         no file descriptor is left
//! http_server/       the HTTP server of the admin listener and of the login callback
//! deadline           a deadline that threads share without a lock
//! ```

pub(crate) mod buffer;
pub(crate) mod buffer_pool;
pub(crate) mod deadline;
pub(crate) mod delegate;
pub mod dns;
pub mod exhaustion;
pub mod fd_transfer;
pub(crate) mod http2;
pub(crate) mod http_client;
pub mod http_server;
pub mod keepalive;
pub mod listener;
pub mod read_ahead;
pub mod socket_activation;
pub mod unix_peer;
