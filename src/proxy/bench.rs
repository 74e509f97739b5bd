//! Entry points for `benches/micro.rs` to code that is otherwise private.

use super::request::prepare;
use super::request::wildcard::EndpointSlot;
use super::session::ConnectionContext;
use super::wire::framing::{ChunkedDecoder, Framing};
use super::wire::parse_head;
use super::wire::parse_head::HeaderBuffer;
use crate::net::buffer::Buffer;

/// Parses the head of a request; returns the number of its fields.
#[must_use]
pub fn parse(bytes: &[u8]) -> usize {
    let mut header_buffer = HeaderBuffer::new();
    parse_head::request(bytes, &mut header_buffer).map_or(0, |head| head.fields.len())
}

/// Parses and routes the head of a request and writes the one for the upstream; returns its length.
#[must_use]
pub fn prepare(context: &ConnectionContext, bytes: &[u8]) -> usize {
    let mut out = Buffer::acquire();
    let _ = prepare::prepare(context, bytes, &mut out, &prepare::Attempt::FIRST, &EndpointSlot::new());
    out.filled().len()
}

/// Decodes a body in chunked coding; returns its length on the wire.
#[must_use]
pub fn chunked(bytes: &[u8]) -> usize {
    Framing::Chunked(ChunkedDecoder::new(None)).take(bytes).unwrap_or(0)
}
