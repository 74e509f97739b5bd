//! Callers that speak HTTP/2 (RFC 9113): by prior knowledge, or because TLS said so.
//!
//! Each stream is one request of [`exchange`](crate::proxy::request::exchange), read and written as HTTP/1.1: one set of rules for
//! both versions.

mod connection;
mod grpc;
mod stream;

pub(crate) use connection::{PREFACE, serve};
