//! Opening a connection to a server.
//!
//! ```text
//! connector       name -> addresses -> TCP -> tunnel -> TLS
//! happy_eyeballs  TCP connections to several addresses, staggered (RFC 8305)
//! address_order   the order of the addresses
//! proxy_tunnel    the tunnel through a forward proxy
//! error           why a connection cannot be opened
//! ```

mod address_order;
mod connector;
mod error;
mod happy_eyeballs;
mod proxy_tunnel;

pub(super) use address_order::RecentFailures;
pub(super) use connector::{Connector, ForwardProxy};
pub use error::ConnectError;
pub(super) use error::tls_hint;
