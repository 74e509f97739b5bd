//! Connections to upstreams: addresses, failover, limits, proxies, TLS, diagnostics and wildcards.

mod addresses;
mod diagnostics;
mod failover;
mod limits;
mod proxy;
mod self_signed;
mod tls;
mod wildcard;
