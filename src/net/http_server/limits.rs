//! The limits of a server.

use std::time::Duration;

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// What the server is for, in the log.
    pub server: &'static str,
    /// Number of open connections.
    pub connections: usize,
    /// Size of a request's head in bytes, at least 8 KiB. A larger one is answered with 431.
    pub head_bytes: usize,
    /// Size of a request's body in bytes. A larger one is answered with 413.
    pub body_bytes: usize,
    /// Time in which a whole request arrives. The first one of a connection begins when the connection is
    /// accepted.
    pub request_time: Duration,
    /// Time from a response to the next request. The response is written within it.
    pub idle_time: Duration,
}
