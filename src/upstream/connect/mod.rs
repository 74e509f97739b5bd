//! Opening a connection to an upstream: the order of its addresses, the race between them (RFC 8305), the tunnel
//! through a forward proxy, and TLS.

pub(super) mod address_order;
pub(super) mod connector;
pub(super) mod happy_eyeballs;
pub(super) mod proxy_tunnel;
pub(super) mod reachability;
