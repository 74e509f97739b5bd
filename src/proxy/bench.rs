//! Doors for `benches/micro.rs` into what is otherwise private.

use super::Proxy;
use super::request::prepare;
use super::span::Spanning;
use super::wire::framing::{Chunks, Framing};
use super::wire::parse_head;
use super::wire::parse_head::Room;
use crate::net::buffer::Buffer;

/// Parses the head of a request; returns how many fields it has.
#[must_use]
pub fn parse(bytes: &[u8]) -> usize {
    let mut room = Room::new();
    parse_head::request(bytes, &mut room).map_or(0, |head| head.fields.len())
}

/// Parses and routes the head of a request and writes the one for the upstream; returns its length.
#[must_use]
pub fn prepare(proxy: &Proxy, bytes: &[u8]) -> usize {
    let mut out = Buffer::take();
    let _ = prepare::prepare(proxy, bytes, &mut out, &[], None, Spanning::Begin);
    out.filled().len()
}

/// Walks over a body in chunked coding; returns its length.
#[must_use]
pub fn chunked(bytes: &[u8]) -> usize {
    Framing::Chunked(Chunks::new(None)).take(bytes).unwrap_or(0)
}
