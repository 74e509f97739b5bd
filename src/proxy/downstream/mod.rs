//! The side that faces callers: their connections, TLS, `CONNECT`, HTTP/1.1 and HTTP/2.
//!
//! ```text
//! serve        one accepted connection: its protocols, one after the other
//! http1        requests in HTTP/1.1
//! http2        requests in HTTP/2
//! connect      the route of a CONNECT, and the tunnel to its target
//! tls          the TLS handshake
//! not_http     the first bytes of a caller that does not speak HTTP
//! linger       the lingering close of a connection whose caller may still be sending
//! prefixed_io  a connection whose first bytes were read already
//! timeouts     time limits of a connection
//! ```

pub(super) mod connect;
pub(super) mod http1;
pub(super) mod http2;
pub(super) mod linger;
mod not_http;
pub(super) mod prefixed_io;
pub(super) mod serve;
pub(super) mod timeouts;
pub(super) mod tls;
