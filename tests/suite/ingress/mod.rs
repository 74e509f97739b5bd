//! Every kind of ingress: path prefix, host, own port, Unix socket, proxy, CONNECT and TLS.

mod clients;
mod compiled_clients;
mod connect;
mod connect_http2;
mod differential;
mod documented_clients;
mod host_spellings;
mod location;
mod not_http;
pub mod setup;
mod tls;
mod unmatched;
mod web_pages;
