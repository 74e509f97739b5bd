//! TLS configurations of both sides, made again when their files change.

pub mod client;
pub mod expiry;
pub mod interception_ca;
pub(crate) mod no_verifier;
pub mod reloadable;
pub mod server;
