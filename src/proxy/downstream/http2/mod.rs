//! HTTP/2 on a downstream connection (RFC 9113), with prior knowledge or negotiated by TLS (ALPN).
//!
//! Each stream is one request of [`exchange`](crate::proxy::request::exchange). It is read and written as
//! HTTP/1.1, so that one set of rules holds for both versions.
//!
//! ```text
//! connection  serves a connection until it ends: its requests, its drain, its timeouts
//! stream      a stream, as the connection of one request
//! ```

mod connection;
mod stream;

pub(crate) use connection::{PREFACE, serve};
