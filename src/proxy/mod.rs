//! The data plane: HTTP/1.1 and HTTP/2 from callers, through a service's credential, to its upstream.
//!
//! ```text
//! downstream        the side that faces callers: accepted connections, TLS, CONNECT, HTTP/1.1, HTTP/2
//! request           one request, from its head to the end of its response
//! access_log, span  what is recorded of a request
//! diagnostics       what a response or the end of TLS says of the configuration
//! session           the state of the data plane, of a listener, of a connection
//! connection_limit  how many connections callers may have
//! wire              bytes of HTTP/1.1: heads, framing, bodies, tunnels
//! error             the one map from error to response
//! peer              the other end of a caller's connection
//! ```
//!
//! pingora accepts the connections (`app::accept`); the path of a request between two sockets is straight-line code of
//! our own, because pingora's HTTP/1 sessions drop trailers and cost more than the job needs (docs/ARCHITECTURE.md).

mod access_log;
#[doc(hidden)]
pub mod bench;
mod connection_limit;
mod diagnostics;
mod downstream;
mod error;
mod peer;
mod request;
mod session;
mod span;
mod wire;

pub(crate) use downstream::serve::serve;
pub use error::{ErrorReason, ProxyError};
pub use peer::{PeerAddress, PeerSocket};
pub use session::{ConnectionContext, DataPlane, ListenerContext};
