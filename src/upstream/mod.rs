//! Connections to upstreams, and limits on their use.
//!
//! ```text
//! service_upstream  the upstream of one service: its endpoints, which take turns, and its limits
//! limits            requests at a time, requests in a time, circuit breaker
//! circuit_breaker   consecutive failures
//! endpoint          one URL of an upstream
//! wildcard          the endpoints of a URL with a wildcard: one for each host that callers name, in a bounded number
//! acquire           the HTTP version of a request, and a connection for it
//! connection        a connection in use by one request
//! pool              idle HTTP/1.1 connections
//! http2/            HTTP/2 connections, which requests share
//! stream            the bytes of a connection: TCP, TLS, or a stream of an HTTP/2 connection
//! connect/          opening a connection: name, addresses, TCP, tunnel through a proxy, TLS
//! connect_probe     whether a server can be reached
//! passthrough       connections to hosts without a service
//! worker            which part of the idle connections belongs to a thread
//! ```
//!
//! A connection is verified before it is handed out, and belongs to one service only. It is returned only by
//! the code that has read a whole response from it.

mod acquire;
mod circuit_breaker;
mod connect;
mod connect_probe;
mod connection;
mod endpoint;
mod http2;
mod limits;
mod passthrough;
mod pool;
mod service_upstream;
mod stream;
mod wildcard;
mod worker;

pub use acquire::ProtocolRequirements;
pub use connect::ConnectError;
pub use connect_probe::ConnectProbe;
pub use connection::Connection;
pub use endpoint::{Endpoint, EndpointTls};
pub use http2::{PingHandle, is_unprocessed};
pub use limits::{LimitExceeded, Limits, RequestPermit};
pub use passthrough::{PassthroughConnector, PassthroughError, Reserved};
pub use service_upstream::{Upstream, UpstreamTls};
pub use stream::Stream;
pub use wildcard::WildcardUpstream;
