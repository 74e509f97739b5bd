//! HTTP/2 connections to an upstream, each of which carries many requests at a time.
//!
//! ```text
//! connections  the connections of one endpoint: a stream of one that has capacity, or of a new one
//! connection   one connection: the handshake, its state, the task that drives it
//! stream       one stream, as a connection that carries one request
//! ```

mod connection;
mod connections;
mod stream;

pub use connection::PingHandle;
pub(super) use connections::Connections;
pub(super) use stream::Stream;
pub use stream::is_unprocessed;
