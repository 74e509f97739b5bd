//! The heads of requests, as a caller sends them.

use crate::harness::fields;

/// An HPACK block with the pseudo-header fields of a request to the service, and further fields.
pub fn head(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", "/api/x")];
    fields(&[&pseudo, more].concat())
}
