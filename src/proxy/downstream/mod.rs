//! The side that faces callers: their connections, TLS, `CONNECT`, HTTP/1.1 and HTTP/2.

pub(super) mod connect;
pub(super) mod http1;
pub(super) mod http2;
pub(super) mod prefixed_io;
pub(super) mod serve;
pub(super) mod tls;
