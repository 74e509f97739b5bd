//! HTTP/2 streams as HTTP/1.1 messages.
//!
//! The data plane reads and writes the bytes of an HTTP/1.1 message whatever the version is. So its rules are
//! written once, and hold for both versions.
//!
//! ```text
//! request_head   the field block of a caller's request -> bytes of a head
//! response_head  bytes of a head -> the field block of a response to a caller
//! frame          frames as they are on the wire
//! hpack/         the compression of fields
//! heads          a stream to an upstream: fields <-> bytes of a head
//! inbound        what a stream of an upstream brings -> bytes of a body, its trailers included
//! outbound       bytes of a body -> frames, as the peer's flow-control window allows
//! coding         the coding of those bytes: a length, chunked coding, or none
//! websocket      CONNECT with `:protocol` <-> GET with `Upgrade`
//! limits         window and frame sizes, reset limits, the builder of connections to upstreams
//! alpn           names of the versions in a TLS handshake
//! ```
//!
//! On connections to upstreams the `h2` crate does frames, flow control and HPACK. Callers are many and idle for most of the
//! time: their connections are served by `net/http2/`, which holds no memory for what does not happen.

mod alpn;
mod coding;
pub(crate) mod frame;
pub mod heads;
pub(crate) mod hpack;
mod inbound;
pub mod limits;
mod outbound;
pub(crate) mod request_head;
pub(crate) mod response_head;
pub mod websocket;

pub use alpn::{ALPN_HTTP1, ALPN_HTTP2, alpn_protocols};
pub use coding::Coding;
pub use inbound::InboundBody;
pub use outbound::BodySink;
pub use outbound::OutboundBody;
