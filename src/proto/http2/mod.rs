//! HTTP/2 streams as HTTP/1.1 messages.
//!
//! The data plane reads and writes the bytes of an HTTP/1.1 message whatever the version is. So its rules are
//! written once, and hold for both versions.
//!
//! ```text
//! heads      fields of a stream <-> bytes of a head
//! inbound    what a stream brings -> bytes of a body, its trailers included
//! outbound   bytes of a body -> frames, as the peer's flow-control window allows
//! coding     the coding of those bytes: a length, chunked coding, or none
//! inspector/  what the `h2` crate drops of a caller's field blocks
//! well_formed  what the `h2` crate does not check of a request
//! websocket  CONNECT with `:protocol` <-> GET with `Upgrade`
//! limits     window and frame sizes, reset limits, builders of connections
//! alpn       names of the versions in a TLS handshake
//! ```
//!
//! The `h2` crate does frames, flow control, HPACK and the rules of RFC 9113 §8 on what a message may
//! contain.

mod alpn;
mod coding;
pub mod heads;
mod inbound;
mod inspector;
pub mod limits;
mod outbound;
pub mod websocket;
mod well_formed;

pub use alpn::{ALPN_HTTP1, ALPN_HTTP2, alpn_protocols};
pub use coding::Coding;
pub use inbound::InboundBody;
pub use inspector::{Findings, Inspector};
pub use outbound::OutboundBody;
pub use well_formed::is_well_formed;
