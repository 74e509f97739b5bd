//! HTTP/2 on a downstream connection (RFC 9113), with prior knowledge or negotiated by TLS (ALPN).
//!
//! Each stream is one request of [`exchange`](crate::proxy::request::exchange). It is read and written as
//! HTTP/1.1, so that one set of rules holds for both versions.

mod connection;
mod grpc;
mod inspected_io;
mod stream;

pub(crate) use connection::{PREFACE, serve};
