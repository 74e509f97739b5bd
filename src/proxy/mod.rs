//! The data plane: HTTP/1.1 and HTTP/2 from callers, through a service's credential, to its upstream.
//!
//! ```text
//! downstream        the side that faces callers: accepted connections, TLS, CONNECT, HTTP/1.1, HTTP/2
//! request           one request, from its head to the end of its response
//! access_log, span  what is recorded of a request
//! diagnostics       hints at errors in the configuration, from a response or the end of TLS
//! request_id        the identifier by which a request is found in the logs of others
//! session           the state of the data plane, of a listener, of a connection
//! connection_limit  the limit on downstream connections
//! wire              HTTP/1.1 on the wire: heads, framing, bodies, tunnels
//! error             the one map from error to response
//! peer              the peer of a downstream connection
//! ```
//!
//! pingora accepts the connections (`app::accept`). The path of a request between two sockets is code of this
//! module, because pingora's HTTP/1 sessions drop trailers and cost more than is needed here
//! (docs/ARCHITECTURE.md).

mod access_log;
#[doc(hidden)]
pub mod bench;
mod connection_limit;
mod diagnostics;
mod downstream;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod peer;
mod request;
mod request_id;
mod session;
mod span;
mod wire;

pub(crate) use downstream::serve::serve;
pub use error::{ErrorReason, ProxyError};
pub use peer::{PeerAddress, PeerSocket};
pub use session::{ConnectionContext, DataPlane, Exposure, ListenerContext};
