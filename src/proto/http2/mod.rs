//! HTTP/2 streams as HTTP/1.1 messages.
//!
//! The data plane reads and writes the bytes of an HTTP/1.1 message whatever the version is. So its rules are
//! written once, and hold for both versions.
//!
//! ```text
//! request_head       the field block of a caller's request -> bytes of a head
//! response_head      bytes of a head -> the field block of a response to a caller
//! upstream_request   bytes of a head -> the field block of a request to an upstream
//! upstream_response  the field block of an upstream's response -> bytes of a head
//! target             the characters of a target
//! fields             fields that may be in a block, and how a trailer section is read and written
//! frame              frames as they are on the wire
//! hpack/             the compression of fields
//! outbound           bytes of a body -> content and trailers
//! coding             the coding of those bytes: a length, chunked coding, or none
//! websocket          CONNECT with `:protocol` <-> GET with `Upgrade`
//! limits             window and frame sizes, reset limits
//! reason             error codes
//! alpn               names of the versions in a TLS handshake
//! ```
//!
//! What is sent and received on a connection, and when, is decided in `net/http2/`.

mod alpn;
mod coding;
pub(crate) mod fields;
pub(crate) mod frame;
pub(crate) mod hpack;
pub mod limits;
mod outbound;
mod reason;
pub(crate) mod request_head;
pub(crate) mod response_head;
mod target;
pub(crate) mod upstream_request;
pub(crate) mod upstream_response;
pub mod websocket;

pub use alpn::{ALPN_HTTP1, ALPN_HTTP2, alpn_protocols};
pub use coding::Coding;
pub use outbound::BodySink;
pub use outbound::OutboundBody;
pub(crate) use reason::Reason;
pub use target::encode_target;
