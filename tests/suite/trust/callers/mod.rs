//! `callers` and `roles` on the wire.

mod audit;
mod bearer;
mod connect;
mod connection;
pub mod jwt;
pub mod setup;
