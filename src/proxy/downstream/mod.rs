//! The side that faces callers: their connections, TLS, `CONNECT`, HTTP/1.1 and HTTP/2.
//!
//! ```text
//! serve        one accepted connection: the protocols that it speaks, one after the other
//! http1        requests in HTTP/1.1
//! http2        requests in HTTP/2
//! connect      where a CONNECT leads, and the tunnel to it
//! tls          the handshake
//! linger       the end of a connection whose caller may still be sending
//! prefixed_io  a connection with the bytes that were read of it already
//! timeouts     limits for a connection
//! ```

pub(super) mod connect;
pub(super) mod http1;
pub(super) mod http2;
pub(super) mod linger;
pub(super) mod prefixed_io;
pub(super) mod serve;
pub(super) mod timeouts;
pub(super) mod tls;
