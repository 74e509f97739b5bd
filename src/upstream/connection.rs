//! A connection to an upstream, in use by one request.

use std::net::SocketAddr;
use std::time::Duration;

use super::http2;
use super::http2::PingHandle;
use super::stream::Stream;

/// A connection to an upstream, in use by one request.
pub struct Connection {
    /// The bytes of the request are written to it, and those of the response read from it.
    pub stream: Stream,
    /// The peer; the forward proxy, if there is one.
    pub address: SocketAddr,
    /// The time for which it was idle, if it has carried a request before: the upstream may have closed it at
    /// any moment.
    pub(super) idle: Option<Duration>,
    /// Whether it is a stream of a connection that was open before.
    pub(super) is_shared: bool,
}

impl Connection {
    /// A stream of an HTTP/2 connection that was open before.
    pub(super) fn shared(stream: http2::Stream) -> Self {
        let address = stream.address();
        Self { stream: Stream::Http2(Box::new(stream)), address, idle: None, is_shared: true }
    }

    /// Whether it has carried a request before.
    pub fn is_reused(&self) -> bool {
        self.idle.is_some() || self.is_shared
    }

    /// A handle to check the connection with a PING if the upstream does not respond; `None` for HTTP/1.1,
    /// whose connections carry one request.
    pub fn ping_handle(&self) -> Option<PingHandle> {
        match &self.stream {
            Stream::Http2(stream) => Some(stream.ping_handle()),
            Stream::Plain(_) | Stream::Tls(_) => None,
        }
    }
}
