//! HTTP/2 streams as HTTP/1 messages: what the data plane reads from a stream and writes to it are the bytes of an
//! HTTP/1.1 message, so that its rules are written once and hold for both versions.
//!
//! ```text
//! heads     fields <-> the bytes of a head
//! inbound   what came by a stream -> the bytes of a body, its trailers included
//! outbound  the bytes of a body -> frames, as the other side has room for them
//! websocket CONNECT with `:protocol` <-> GET with `Upgrade`
//! ```
//!
//! Frames, flow control, HPACK and the rules of RFC 9113 §8 on what a message may hold are the `h2` crate's.

pub mod heads;
mod inbound;
mod outbound;
pub mod websocket;

use std::time::Duration;

/// HTTP/1.1 and HTTP/2 by ALPN (RFC 7301).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";
/// Over TLS (RFC 9113 §3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";

/// What callers are offered by ALPN, best first.
pub fn alpn_protocols() -> Vec<Vec<u8>> {
    [ALPN_HTTP2, ALPN_HTTP1].map(<[u8]>::to_vec).into()
}

pub use inbound::Inbound;
pub use outbound::{Coding, Outbound};

/// What one stream may send before it is read.
pub const STREAM_WINDOW: u32 = 256 * 1024;
/// What all streams of a connection together may.
pub const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is held back of one stream for a peer that reads slowly.
pub const SEND_BUFFER: usize = 64 * 1024;
/// Largest frame that is taken.
pub const FRAME: u32 = 32 * 1024;
/// No head is larger (names, values and 32 bytes for each field, RFC 9113 §6.5.2).
pub const HEAD: u32 = 64 * 1024;
/// A peer that makes this side refuse or reset more streams than this in the life of a connection is cut off.
pub const RESETS: usize = 1000;
/// Streams that the other side has reset and nobody has looked at yet.
pub const PENDING_RESETS: usize = 20;
/// Streams that this side has reset and still knows, so that late frames of theirs are no error.
pub const REMEMBERED_RESETS: usize = 32;
/// How long it knows them.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(5);
/// HPACK's table of the fields of before (RFC 7541 §4.2): its default.
pub const HEADER_TABLE: u32 = 4096;
